"""What a .tflite file is made of: signatures, ops and versions, dtypes of weights; and whether that is allowed."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_runtime.errors import StructureError

__all__ = ["Structure", "TensorInfo", "check_structure", "read_structure"]

_OP_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
_DTYPES = {code: name.lower() for name, code in vars(schema.TensorType).items() if isinstance(code, int)}
_MATMUL = "FULLY_CONNECTED"
# What an int8 file may still hold in float32: biases, LayerNorm vectors and scales, which are all vectors.
_LARGEST_FLOAT_MATRIX = 1024
# The file's own `min_runtime_version` is written before quantization. Op versions that come in later, with the TFLite
# that brought them; FULLY_CONNECTED 12: https://github.com/tensorflow/tensorflow/issues/80736.
_NEWER_OPS = {(_MATMUL, 12): "2.17.0"}


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of a signature; -1 in a shape is a dimension that can be resized."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    default_shape: tuple[int, ...]


@dataclass(frozen=True)
class Structure:
    """What is in a flatbuffer.

    Attributes:
        signatures: name -> (inputs, outputs).
        ops: (op, version) -> how many, over all subgraphs; custom ops by their custom name, version 0.
        custom_ops: names of ops that are no builtins.
        matmul_weights: dtype -> how many matmuls with constant weights of it.
        constant_bytes: dtype -> bytes of constants, each buffer counted once.
        large_float_constants: names of float32 constants of rank >= 2 with 1,024 values or more.
        minimum_runtime: the oldest TFLite that knows every op version, as far as the file and `_NEWER_OPS` tell.
    """

    signatures: dict[str, tuple[tuple[TensorInfo, ...], tuple[TensorInfo, ...]]]
    ops: dict[tuple[str, int], int]
    custom_ops: tuple[str, ...]
    matmul_weights: dict[str, int]
    constant_bytes: dict[str, int]
    large_float_constants: tuple[str, ...]
    minimum_runtime: str


def read_structure(flatbuffer: bytes) -> Structure:
    """Reads a TFLite flatbuffer without loading its weights."""
    model = schema.Model.GetRootAs(flatbuffer, 0)
    ops: Counter[tuple[str, int]] = Counter()
    custom: set[str] = set()
    matmuls: Counter[str] = Counter()
    for subgraph, op in _operators(model):
        code = model.OperatorCodes(op.OpcodeIndex())
        if code.CustomCode():
            custom.add(code.CustomCode().decode())
            ops[code.CustomCode().decode(), 0] += 1
            continue
        name = _op_name(code)
        ops[name, code.Version()] += 1
        if name == _MATMUL:
            matmuls[_weight_dtype(model, subgraph, op)] += 1
    bytes_of_dtype, large = _constants(model)
    return Structure(
        signatures=_signatures(model),
        ops=dict(sorted(ops.items())),
        custom_ops=tuple(sorted(custom)),
        matmul_weights=dict(matmuls),
        constant_bytes=bytes_of_dtype,
        large_float_constants=large,
        minimum_runtime=max(
            [_declared_runtime(model), *(_NEWER_OPS[op] for op in ops if op in _NEWER_OPS)], key=_version_key
        ),
    )


def check_structure(structure: Structure, plan: QuantizationPlan, custom_ops: frozenset[str] = frozenset()) -> None:
    """Compares a structure with the contract and with its plan.

    Args:
        structure: of the file.
        plan: that made it.
        custom_ops: names of ops that it may have although they are no builtins.

    Raises:
        StructureError: an op that it may not have, weights of another dtype than the plan's, or large float constants
            in an int8 file.
    """
    foreign = sorted(set(structure.custom_ops) - custom_ops)
    if foreign:
        beside = f" and {', '.join(sorted(custom_ops))}" if custom_ops else ""
        raise StructureError(f"The file must hold builtin ops{beside} alone. Received: {', '.join(foreign)}.")
    wrong = {dtype: n for dtype, n in structure.matmul_weights.items() if dtype != plan.weights}
    if wrong or not structure.matmul_weights:
        raise StructureError(
            f"Every matmul of a {plan.scheme} file must have {plan.weights} weights. "
            f"Received: {structure.matmul_weights}."
        )
    if plan.weights == "int8" and structure.large_float_constants:
        raise StructureError(
            "An int8 file must hold no large float constants. "
            f"Received: {', '.join(structure.large_float_constants[:5])}."
        )


def _operators(model: Any) -> Iterator[tuple[Any, Any]]:
    for i in range(model.SubgraphsLength()):
        subgraph = model.Subgraphs(i)
        for k in range(subgraph.OperatorsLength()):
            yield subgraph, subgraph.Operators(k)


def _op_name(code: Any) -> str:
    """The op's name; codes below 127 stand in the deprecated field of old files."""
    return str(_OP_NAMES[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())])


def _weight_dtype(model: Any, subgraph: Any, op: Any) -> str:
    """The dtype that a matmul's weights have in the file: behind a DEQUANTIZE, what goes into it."""
    index = op.Inputs(1)
    for k in range(subgraph.OperatorsLength()):
        producer = subgraph.Operators(k)
        if producer.OutputsLength() and producer.Outputs(0) == index:
            if _op_name(model.OperatorCodes(producer.OpcodeIndex())) == "DEQUANTIZE":
                index = producer.Inputs(0)
            break
    return str(_DTYPES[subgraph.Tensors(index).Type()])


def _constants(model: Any) -> tuple[dict[str, int], tuple[str, ...]]:
    """Bytes of constants by dtype, and the names of the large float32 ones."""
    seen: set[int] = set()
    sizes: Counter[str] = Counter()
    large = []
    for i in range(model.SubgraphsLength()):
        subgraph = model.Subgraphs(i)
        for k in range(subgraph.TensorsLength()):
            tensor = subgraph.Tensors(k)
            size = model.Buffers(tensor.Buffer()).DataLength()
            if not size or tensor.Buffer() in seen:
                continue
            seen.add(tensor.Buffer())
            dtype = _DTYPES[tensor.Type()]
            sizes[dtype] += size
            shape = _shape(tensor.ShapeAsNumpy())
            # A column of scales, one for each row of a table, is a vector too.
            if dtype == "float32" and size >= 4 * _LARGEST_FLOAT_MATRIX and sum(d > 1 for d in shape) >= 2:
                large.append(tensor.Name().decode())
    return dict(sizes), tuple(large)


def _signatures(model: Any) -> dict[str, tuple[tuple[TensorInfo, ...], tuple[TensorInfo, ...]]]:
    found = {}
    for i in range(model.SignatureDefsLength()):
        signature = model.SignatureDefs(i)
        subgraph = model.Subgraphs(signature.SubgraphIndex())
        inputs = tuple(_tensor_info(signature.Inputs(k), subgraph) for k in range(signature.InputsLength()))
        outputs = tuple(_tensor_info(signature.Outputs(k), subgraph) for k in range(signature.OutputsLength()))
        found[signature.SignatureKey().decode()] = (inputs, outputs)
    return found


def _tensor_info(entry: Any, subgraph: Any) -> TensorInfo:
    tensor = subgraph.Tensors(entry.TensorIndex())
    default = _shape(tensor.ShapeAsNumpy())
    return TensorInfo(
        name=entry.Name().decode(),
        dtype=_DTYPES[tensor.Type()],
        shape=_shape(tensor.ShapeSignatureAsNumpy()) or default,
        default_shape=default,
    )


def _shape(array: Any) -> tuple[int, ...]:
    """Flatbuffers gives 0 for a vector that is absent."""
    return () if isinstance(array, int) else tuple(int(d) for d in array)


def _version_key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _declared_runtime(model: Any) -> str:
    for i in range(model.MetadataLength()):
        entry = model.Metadata(i)
        if entry.Name() == b"min_runtime_version":
            data = model.Buffers(entry.Buffer()).DataAsNumpy()
            return bytes(data).rstrip(b"\0").decode() if not isinstance(data, int) else ""
    return ""

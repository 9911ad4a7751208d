"""What a .tflite file is made of: signatures, ops and versions, dtypes of weights."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from edgedistil_converters.tflite.site_names import site_of

__all__ = ["Structure", "TensorInfo", "read_structure", "version_key"]

_OP_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
_DTYPES = {code: name.lower() for name, code in vars(schema.TensorType).items() if isinstance(code, int)}
_MATMUL = "FULLY_CONNECTED"
# Steps of a layer that a file with fixed ranges computes in int8, beside its matmuls with weights; but for attention
# with a mask, which would stretch its range.
_INTEGER_STEPS = ("BATCH_MATMUL", "SOFTMAX", "GELU")
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
        matmul_weights: dtype -> how many matmuls with constant weights of it, over all subgraphs.
        matmuls: site -> the dtypes of its weights and of what it puts out, in all signatures `a, b`.
        integer_ops: op -> how many of them put out int8 numbers that stand for floats, over all subgraphs.
        float_steps: sites of layers where a BATCH_MATMUL, SOFTMAX or GELU puts out floats in some signature.
        constant_bytes: dtype -> bytes of constants, each buffer counted once.
        large_float_constants: names of float32 constants of rank >= 2 with 1,024 values or more.
        minimum_runtime: the oldest TFLite that knows every op version, as far as the file and `_NEWER_OPS` tell.
    """

    signatures: dict[str, tuple[tuple[TensorInfo, ...], tuple[TensorInfo, ...]]]
    ops: dict[tuple[str, int], int]
    custom_ops: tuple[str, ...]
    matmul_weights: dict[str, int]
    matmuls: dict[str, tuple[str, str]]
    integer_ops: dict[str, int]
    float_steps: tuple[str, ...]
    constant_bytes: dict[str, int]
    large_float_constants: tuple[str, ...]
    minimum_runtime: str


def read_structure(flatbuffer: bytes) -> Structure:
    """Reads a TFLite flatbuffer without loading its weights."""
    model = schema.Model.GetRootAs(flatbuffer, 0)
    ops: Counter[tuple[str, int]] = Counter()
    custom: set[str] = set()
    weights: Counter[str] = Counter()
    integers: Counter[str] = Counter()
    matmuls: dict[str, tuple[str, str]] = {}
    float_steps: set[str] = set()
    names = _signature_names(model)
    for index, subgraph, op in _operators(model):
        code = model.OperatorCodes(op.OpcodeIndex())
        if code.CustomCode():
            custom.add(code.CustomCode().decode())
            ops[code.CustomCode().decode(), 0] += 1
            continue
        name = _op_name(code)
        ops[name, code.Version()] += 1
        output = subgraph.Tensors(op.Outputs(0))
        integers[name] += output.Type() == schema.TensorType.INT8 and _has_scale(output)
        site = site_of((output.Name() or b"").decode(), names.get(index, ""))
        if name in _INTEGER_STEPS and "/" in site and output.Type() == schema.TensorType.FLOAT32:
            float_steps.add(site)
        if name == _MATMUL:
            weights[_weight_dtype(model, subgraph, op)] += 1
            found = (_weight_dtype(model, subgraph, op), str(_DTYPES[output.Type()]))
            matmuls[site] = _joined(matmuls.get(site, found), found)
    bytes_of_dtype, large = _constants(model)
    return Structure(
        signatures=_signatures(model),
        ops=dict(sorted(ops.items())),
        custom_ops=tuple(sorted(custom)),
        matmul_weights=dict(weights),
        matmuls=matmuls,
        integer_ops={name: count for name, count in sorted(integers.items()) if count},
        float_steps=tuple(sorted(float_steps)),
        constant_bytes=bytes_of_dtype,
        large_float_constants=large,
        minimum_runtime=max(
            [_declared_runtime(model), *(_NEWER_OPS[op] for op in ops if op in _NEWER_OPS)], key=version_key
        ),
    )


def _has_scale(tensor: Any) -> bool:
    """Whether a tensor's integers stand for floats; rows of our own int8 tables are bare integers to TFLite."""
    quantization = tensor.Quantization()
    return quantization is not None and quantization.ScaleLength() > 0


def _joined(first: tuple[str, str], second: tuple[str, str]) -> tuple[str, str]:
    """Two dtypes that differ as `a, b`."""
    weights, outputs = (", ".join(sorted({*a.split(", "), b})) for a, b in zip(first, second, strict=True))
    return weights, outputs


def _signature_names(model: Any) -> dict[int, str]:
    """Subgraph -> the signature that it computes."""
    signatures = (model.SignatureDefs(i) for i in range(model.SignatureDefsLength()))
    return {signature.SubgraphIndex(): signature.SignatureKey().decode() for signature in signatures}


def _operators(model: Any) -> Iterator[tuple[int, Any, Any]]:
    for i in range(model.SubgraphsLength()):
        subgraph = model.Subgraphs(i)
        for k in range(subgraph.OperatorsLength()):
            yield i, subgraph, subgraph.Operators(k)


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


def version_key(version: str) -> tuple[int, ...]:
    """A version as numbers that can be compared."""
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _declared_runtime(model: Any) -> str:
    for i in range(model.MetadataLength()):
        entry = model.Metadata(i)
        if entry.Name() == b"min_runtime_version":
            data = model.Buffers(entry.Buffer()).DataAsNumpy()
            return bytes(data).rstrip(b"\0").decode() if not isinstance(data, int) else ""
    return ""

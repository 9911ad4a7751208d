"""Reads the structure of a .tflite file: signatures, ops and versions, dtypes of weights."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from edgedistil_converters.tflite.op_names import OP_NAMES
from edgedistil_converters.tflite.site_names import site_of

__all__ = ["Structure", "TensorInfo", "read_structure", "version_key"]

_DTYPES = {code: name.lower() for name, code in vars(schema.TensorType).items() if isinstance(code, int)}
_MATMUL = "FULLY_CONNECTED"
# Steps of a layer that a file with fixed ranges computes in int8, besides matmuls with weights. Attention with a mask
# stays float, because the mask would widen its range.
_INTEGER_STEPS = ("BATCH_MATMUL", "SOFTMAX", "GELU")
# Values. Biases, LayerNorm vectors and scales, which an int8 file may contain in float32, are all vectors.
_LARGEST_FLOAT_MATRIX = 1024
# The file's `min_runtime_version` is written before quantization. (op, version) that quantization adds -> the first
# TFLite that has it; FULLY_CONNECTED 12: https://github.com/tensorflow/tensorflow/issues/80736.
_NEWER_OPS = {(_MATMUL, 12): "2.17.0"}


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of a signature.

    Attributes:
        name: Its name in the signature.
        dtype: Its dtype, such as `int32`.
        shape: Its shape; -1 for a dimension that can be resized.
        default_shape: Its shape before any resizing.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    default_shape: tuple[int, ...]


@dataclass(frozen=True)
class Structure:
    """The contents of a flatbuffer.

    Attributes:
        signatures: Name -> (inputs, outputs).
        ops: (op, version) -> count over all subgraphs; custom ops have version 0.
        custom_ops: Names of custom ops.
        matmul_weights: Dtype of the weights -> count of matmuls, over all subgraphs.
        matmuls: Site -> (dtype of the weights, dtype of the output); `a, b` if signatures differ.
        integer_ops: Op -> count of those whose output is int8 with a scale, over all subgraphs.
        float_steps: Sites of layers whose BATCH_MATMUL, SOFTMAX or GELU has a float output in some signature.
        constant_bytes: Dtype -> bytes of constants, each buffer counted once.
        large_float_constants: Names of float32 constants of rank >= 2 with 1,024 values or more.
        minimum_runtime: The oldest TFLite version that has all ops, from the file and `_NEWER_OPS`.
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
    """Read the structure of a TFLite flatbuffer without loading its weights.

    Args:
        flatbuffer: A TFLite model.

    Example:
        >>> from edgedistil_runtime import read_artifact
        >>> structure = read_structure(read_artifact("intents.tflite").flatbuffer())
        >>> structure.matmul_weights, structure.custom_ops, structure.signatures["tokenize"][0][0].shape
        ({'int8': ...}, (), (-1,))
    """
    model = schema.Model.GetRootAs(flatbuffer, 0)
    names, found = _signature_names(model), _OpCounts()
    for index, subgraph, op in _operators(model):
        found.add(model, subgraph, op, names.get(index, ""))
    bytes_of_dtype, large = _constants(model)
    newer = [_NEWER_OPS[op] for op in found.ops if op in _NEWER_OPS]
    return Structure(
        signatures=_signatures(model),
        ops=dict(sorted(found.ops.items())),
        custom_ops=tuple(sorted(found.custom_ops)),
        matmul_weights=dict(found.matmul_weights),
        matmuls=found.matmuls,
        integer_ops={name: count for name, count in sorted(found.integer_ops.items()) if count},
        float_steps=tuple(sorted(found.float_steps)),
        constant_bytes=bytes_of_dtype,
        large_float_constants=large,
        minimum_runtime=max([_declared_runtime(model), *newer], key=version_key),
    )


@dataclass
class _OpCounts:
    """Counts of ops while they are read; see `Structure` for the fields."""

    ops: Counter[tuple[str, int]] = field(default_factory=Counter)
    custom_ops: set[str] = field(default_factory=set)
    matmul_weights: Counter[str] = field(default_factory=Counter)
    matmuls: dict[str, tuple[str, str]] = field(default_factory=dict)
    integer_ops: Counter[str] = field(default_factory=Counter)
    float_steps: set[str] = field(default_factory=set)

    def add(self, model: Any, subgraph: Any, op: Any, signature: str) -> None:
        """Count one op of a subgraph; `signature` is the one that the subgraph computes, or empty."""
        code = model.OperatorCodes(op.OpcodeIndex())
        if code.CustomCode():
            self.custom_ops.add(code.CustomCode().decode())
            self.ops[code.CustomCode().decode(), 0] += 1
            return
        name, output = _op_name(code), subgraph.Tensors(op.Outputs(0))
        self.ops[name, code.Version()] += 1
        self.integer_ops[name] += output.Type() == schema.TensorType.INT8 and _has_scale(output)
        site = site_of((output.Name() or b"").decode(), signature)
        if name in _INTEGER_STEPS and "/" in site and output.Type() == schema.TensorType.FLOAT32:
            self.float_steps.add(site)
        if name == _MATMUL:
            dtypes = _weight_dtype(model, subgraph, op), str(_DTYPES[output.Type()])
            self.matmul_weights[dtypes[0]] += 1
            self.matmuls[site] = _joined(self.matmuls.get(site, dtypes), dtypes)


def _has_scale(tensor: Any) -> bool:
    """Return True if a tensor's integers have a scale; to TFLite, the rows of int8 embedding tables have none."""
    quantization = tensor.Quantization()
    return quantization is not None and quantization.ScaleLength() > 0


def _joined(first: tuple[str, str], second: tuple[str, str]) -> tuple[str, str]:
    """Merge two pairs of dtypes; those that differ become `a, b`."""
    weights, outputs = (", ".join(sorted({*a.split(", "), b})) for a, b in zip(first, second, strict=True))
    return weights, outputs


def _signature_names(model: Any) -> dict[int, str]:
    """Return subgraph -> name of the signature that it computes."""
    signatures = (model.SignatureDefs(i) for i in range(model.SignatureDefsLength()))
    return {signature.SubgraphIndex(): signature.SignatureKey().decode() for signature in signatures}


def _operators(model: Any) -> Iterator[tuple[int, Any, Any]]:
    for i in range(model.SubgraphsLength()):
        subgraph = model.Subgraphs(i)
        for k in range(subgraph.OperatorsLength()):
            yield i, subgraph, subgraph.Operators(k)


def _op_name(code: Any) -> str:
    """Return an op's name; old files have codes below 127 in the deprecated field."""
    return str(OP_NAMES[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())])


def _weight_dtype(model: Any, subgraph: Any, op: Any) -> str:
    """Return the dtype of a matmul's weights in the file: if a DEQUANTIZE produces them, that of its input."""
    index = op.Inputs(1)
    for k in range(subgraph.OperatorsLength()):
        producer = subgraph.Operators(k)
        if producer.OutputsLength() and producer.Outputs(0) == index:
            if _op_name(model.OperatorCodes(producer.OpcodeIndex())) == "DEQUANTIZE":
                index = producer.Inputs(0)
            break
    return str(_DTYPES[subgraph.Tensors(index).Type()])


def _constants(model: Any) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return the bytes of constants by dtype, and the names of large float32 ones."""
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
            # A column of scales, one per row of a table, counts as a vector.
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
    """Return a shape as a tuple; flatbuffers gives 0 for an absent vector."""
    return () if isinstance(array, int) else tuple(int(d) for d in array)


def version_key(version: str) -> tuple[int, ...]:
    """Return a version as a tuple of numbers for comparison.

    Example:
        >>> version_key("2.9.1") < version_key("2.14")
        True
    """
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _declared_runtime(model: Any) -> str:
    for i in range(model.MetadataLength()):
        entry = model.Metadata(i)
        if entry.Name() == b"min_runtime_version":
            data = model.Buffers(entry.Buffer()).DataAsNumpy()
            return bytes(data).rstrip(b"\0").decode() if not isinstance(data, int) else ""
    return ""

"""Predicts, without Coral's compiler, which ops of a model it would map to an Edge TPU.

The limits are those of Coral's table of supported operations (compiler 16, runtime 14; coral.ai/docs/edgetpu/models-
intro, as Axis' documentation of the same chip copies it). The compiler may have others, and for some ops the table says
that a few shapes are not mapped, but not which. Only the compiler's log (`edgetpu_compiler.py`) is certain.

The compiler makes one segment: the first op that it cannot map ends it, and all later ops run on the CPU.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgedistil_converters.tflite.op_names import OP_NAMES

__all__ = ["MappingPrediction", "OpPrediction", "predict_mapping"]

_INTEGERS = {schema.TensorType.INT8, schema.TensorType.UINT8}
# int32 constants are biases, shapes and axes.
_CONSTANT_INTEGERS = {*_INTEGERS, schema.TensorType.INT32}
_LONGEST_SOFTMAX = 16_000
_LARGEST_RANK = 3  # only the last three dimensions may be above 1: google-coral/edgetpu issues 30 and 700
_CHANNELS_OF_MEAN = 4
_LONGEST_LIST = 64  # bytes of a constant list of integers
# "Op builtin_code out of range: 150": a compiler of 2021 cannot read a file with GELU (150) or a newer op at all.
_FIRST_UNREADABLE_CODE = 150
_AFTER_CPU_OP = "after the first op on the CPU: the compiler makes one segment"


@dataclass(frozen=True)
class OpPrediction:
    """The prediction for an op.

    Attributes:
        op: Name of the op.
        version: Version of the op in the file.
        output: Name of its output tensor.
        shape: Shape of its output tensor.
        is_mapped: True if the op is predicted to run on the Edge TPU.
        reason: Why it is not; empty if it is.
    """

    op: str
    version: int
    output: str
    shape: tuple[int, ...]
    is_mapped: bool
    reason: str = ""


@dataclass(frozen=True)
class MappingPrediction:
    """The prediction for a model.

    Attributes:
        ops: Predictions for the ops of the first subgraph, in the order in which they run.
        weight_bytes: Bytes of constants that mapped ops read, each counted once; an Edge TPU has about 8 MB for them.
        largest_activation_bytes: Bytes of the largest output of a mapped op.
        refusal: Why the compiler would refuse the whole file; empty if it would not.

    Example:
        >>> ops = (OpPrediction("ADD", 2, "sum", (1, 8), True), OpPrediction("EXP", 1, "exp", (1, 8), False, "no EXP"))
        >>> prediction = MappingPrediction(ops, weight_bytes=0, largest_activation_bytes=8)
        >>> prediction.mapped, prediction.is_whole, prediction.to_dict()["reasons"]
        (1, False, {'EXP: no EXP': 1})
    """

    ops: tuple[OpPrediction, ...]
    weight_bytes: int
    largest_activation_bytes: int
    refusal: str = ""

    @property
    def mapped(self) -> int:
        """Number of ops that are predicted to run on the Edge TPU."""
        return sum(op.is_mapped for op in self.ops)

    @property
    def is_whole(self) -> bool:
        """True if all ops are predicted to run on the Edge TPU."""
        return self.mapped == len(self.ops) > 0

    def to_dict(self) -> dict[str, Any]:
        """Return the prediction as plain data for metadata: counts, and the ops on the CPU by reason."""
        left = Counter(f"{op.op}: {op.reason}" for op in self.ops if not op.is_mapped)
        return {
            "source": "predicted",
            "mapped": self.mapped,
            "on_cpu": len(self.ops) - self.mapped,
            "reasons": dict(left),
            "weight_bytes": self.weight_bytes,
            "largest_activation_bytes": self.largest_activation_bytes,
            "refusal": self.refusal,
        }

    def op_dicts(self) -> list[dict[str, Any]]:
        """Return all ops as plain data."""
        return [asdict(op) for op in self.ops]


@dataclass(frozen=True)
class _Tensor:
    name: str
    dtype: int
    shape: tuple[int, ...]
    is_constant: bool
    is_static: bool
    buffer: int
    size: int
    integers: tuple[int, ...]

    @property
    def rows(self) -> int:
        """Number of vectors along the last axis."""
        return math.prod(self.shape[:-1])


@dataclass(frozen=True)
class _Op:
    name: str
    code: int
    version: int
    options: Any
    inputs: tuple[_Tensor, ...]
    output: _Tensor

    @property
    def reduced(self) -> set[int]:
        """Axes that a reduction removes, counted from 0."""
        return {axis % len(self.inputs[0].shape) for axis in self.inputs[1].integers}


def predict_mapping(flatbuffer: bytes) -> MappingPrediction:
    """Predict the mapping of a model by Coral's compiler.

    Args:
        flatbuffer: A TFLite model. Only its first subgraph counts, because the compiler takes no other.

    Example:
        >>> from edgedistil_runtime import read_artifact
        >>> prediction = predict_mapping(read_artifact("intents.tflite").flatbuffer())
        >>> prediction.mapped, prediction.refusal
        (0, 'the compiler cannot read a file with GELU')
    """
    ops = _read_ops(schema.ModelT.InitFromPackedBuf(flatbuffer, 0))
    unreadable = sorted({op.name for op in ops if op.code >= _FIRST_UNREADABLE_CODE})
    refusal = f"the compiler cannot read a file with {', '.join(unreadable)}" if unreadable else ""
    reasons, found = [_reason(op) for op in ops], list[OpPrediction]()
    first = next((i for i, reason in enumerate(reasons) if reason), len(ops))
    for i, (op, reason) in enumerate(zip(ops, reasons, strict=True)):
        why = refusal or reason or (_AFTER_CPU_OP if i > first else "")
        found.append(OpPrediction(op.name, op.version, op.output.name, op.output.shape, not why, why))
    mapped = [op for op, prediction in zip(ops, found, strict=True) if prediction.is_mapped]
    constants = {tensor.buffer: tensor.size for op in mapped for tensor in op.inputs if tensor.is_constant}
    # Activations are int8 in mapped ops, so a shape's product is in bytes.
    return MappingPrediction(
        ops=tuple(found),
        weight_bytes=sum(constants.values()),
        largest_activation_bytes=max((math.prod(op.output.shape) for op in mapped), default=0),
        refusal=refusal,
    )


def _read_ops(model: Any) -> list[_Op]:
    subgraph = model.subgraphs[0]
    tensors = [_read_tensor(model, tensor) for tensor in subgraph.tensors]
    ops = []
    for op in subgraph.operators:
        code = model.operatorCodes[op.opcodeIndex]
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        name = code.customCode.decode() if code.customCode else str(OP_NAMES[number])
        inputs = tuple(tensors[i] for i in op.inputs if i >= 0)
        number = 0 if code.customCode else number
        ops.append(_Op(name, number, code.version, op.builtinOptions, inputs, tensors[op.outputs[0]]))
    return ops


def _read_tensor(model: Any, tensor: Any) -> _Tensor:
    data = model.buffers[tensor.buffer].data
    is_dynamic = tensor.shapeSignature is not None and -1 in tensor.shapeSignature
    return _Tensor(
        name=tensor.name.decode(),
        dtype=tensor.type,
        shape=tuple(int(n) for n in tensor.shape) if tensor.shape is not None else (),
        is_constant=data is not None,
        is_static=not is_dynamic,
        buffer=tensor.buffer,
        size=0 if data is None else len(data),
        integers=tuple(np.frombuffer(bytes(data), np.int32).tolist()) if _is_list(tensor, data) else (),
    )


def _is_list(tensor: Any, data: Any) -> bool:
    """Return True for a constant that may be a shape, axes or strides."""
    return data is not None and tensor.type == schema.TensorType.INT32 and len(data) <= _LONGEST_LIST


def _reason(op: _Op) -> str:
    """Return why an op cannot be mapped at any place in the model; empty if it can be."""
    if op.name not in _LIMITS:
        return "not in the list of supported operations"
    for tensor in (*op.inputs, op.output):
        if tensor.dtype not in (_CONSTANT_INTEGERS if tensor.is_constant else _INTEGERS):
            return f"{tensor.name} is not int8"
        if not tensor.is_static:
            return f"{tensor.name} has no fixed shape"
        if not tensor.is_constant and math.prod(tensor.shape[:-_LARGEST_RANK]) > 1:
            return f"{tensor.name} has more than {_LARGEST_RANK} dimensions above 1"
    return _LIMITS[op.name](op)


def _none(_: _Op) -> str:
    return ""


def _weights(op: _Op) -> str:
    return "" if all(tensor.is_constant for tensor in op.inputs[1:3]) else "its weights are not constant"


def _convolution(op: _Op) -> str:
    if op.options.dilationWFactor != op.options.dilationHFactor:
        return "its dilations in x and y differ"
    return _weights(op)


def _transposed_convolution(op: _Op) -> str:
    return "" if op.inputs[1].is_constant else "its weights are not constant"


def _fully_connected(op: _Op) -> str:
    if op.options.weightsFormat != schema.FullyConnectedOptionsWeightsFormat.DEFAULT:
        return "its weights are not in the default format"
    return _weights(op) or ("" if op.output.rows == 1 else f"its output has {op.output.rows} rows; one is supported")


def _softmax(op: _Op) -> str:
    if op.inputs[0].rows > 1:
        return f"its input has {op.inputs[0].rows} rows; one is supported"
    return "" if op.inputs[0].shape[-1] <= _LONGEST_SOFTMAX else f"its input is longer than {_LONGEST_SOFTMAX}"


def _reduction(op: _Op) -> str:
    return "it reduces the batch" if 0 in op.reduced else ""


def _mean(op: _Op) -> str:
    shape = op.inputs[0].shape
    if len(shape) - 1 in op.reduced and shape[-1] % _CHANNELS_OF_MEAN:
        return f"it reduces {shape[-1]} channels; a multiple of {_CHANNELS_OF_MEAN} is supported"
    return _reduction(op)


def _concatenation(op: _Op) -> str:
    if op.options.fusedActivationFunction:
        return "it has a fused activation"
    return "it has a constant input" if any(tensor.is_constant for tensor in op.inputs) else ""


def _pool(op: _Op) -> str:
    return "it has a fused activation" if op.options.fusedActivationFunction else ""


def _strided_slice(op: _Op) -> str:
    return "" if set(op.inputs[3].integers) == {1} else "its strides are not all 1"


def _pack(op: _Op) -> str:
    return "it packs along the batch" if op.options.axis == 0 else ""


def _split(op: _Op) -> str:
    return "it splits the batch" if 0 in op.inputs[0].integers else ""


def _expand(op: _Op) -> str:
    return "it adds an axis before the batch" if 0 in op.inputs[1].integers else ""


def _pad(op: _Op) -> str:
    return "it pads the batch" if any(op.inputs[1].integers[:2]) else ""


_FREE = (
    *("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "RSQRT", "L2_NORMALIZATION", "QUANTIZE"),
    *("LOGISTIC", "TANH", "RELU", "RELU6", "RELU_N1_TO_1"),
    *("RESHAPE", "SQUEEZE", "SLICE", "TRANSPOSE", "SPACE_TO_DEPTH"),
)
_LIMITS: Mapping[str, Callable[[_Op], str]] = {
    **dict.fromkeys(_FREE, _none),
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D"), _convolution),
    "TRANSPOSE_CONV": _transposed_convolution,
    "FULLY_CONNECTED": _fully_connected,
    "SOFTMAX": _softmax,
    "MEAN": _mean,
    **dict.fromkeys(("SUM", "REDUCE_MAX", "REDUCE_MIN"), _reduction),
    "CONCATENATION": _concatenation,
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D"), _pool),
    "STRIDED_SLICE": _strided_slice,
    "PACK": _pack,
    "SPLIT": _split,
    "EXPAND_DIMS": _expand,
    "PAD": _pad,
}

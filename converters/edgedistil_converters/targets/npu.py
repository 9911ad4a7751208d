"""The form of a file for NPUs: token ids in, fixed shapes, float, ops that their compilers list.

A compiler for an NPU takes a `.tflite` file, and leaves to the CPU what it cannot take: text, shapes that depend on it,
and int8 weights with float activations. So a file for an NPU has a signature for each length, `classify_tokens_N`, and
nothing else. `npu_objections` compares it with what LiteRT publishes about two compilers.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from edgedistil_converters.tflite.op_names import OP_NAMES
from edgedistil_runtime.errors import StructureError

__all__ = ["COMPILERS", "check_npu_form", "npu_objections"]

_BOTH = frozenset(
    (
        *("ADD", "BATCH_MATMUL", "CAST", "CONCATENATION", "DEQUANTIZE", "DIV", "FULLY_CONNECTED", "GELU", "GREATER"),
        *("LESS", "LOGISTIC", "MAXIMUM", "MEAN", "MINIMUM", "MUL", "REDUCE_MAX", "RELU", "RESHAPE", "RSQRT", "SLICE"),
        *("SOFTMAX", "SPLIT", "SQRT", "SQUARED_DIFFERENCE", "STRIDED_SLICE", "SUB", "SUM", "TANH", "TRANSPOSE"),
    )
)
COMPILERS: Mapping[str, frozenset[str]] = {
    "qualcomm": _BOTH | {"EQUAL", "GATHER", "LOG", "NEG", "NOT_EQUAL", "PACK", "SELECT", "SELECT_V2"},
    "mediatek": _BOTH,
}
"""Compiler -> ops of a classifier that it takes, from the pages about the compilers of Qualcomm and MediaTek in
LiteRT's sources of 2026, in the folder of each vendor (docs/devices.md).
"""

_TYPES = frozenset(getattr(schema.TensorType, name) for name in ("FLOAT32", "FLOAT16", "INT32", "BOOL"))
_LARGEST_RANK = 4


def check_npu_form(flatbuffer: bytes) -> None:
    """Checks that a model has the form that Qualcomm's compiler takes whole.

    Raises:
        StructureError: It has another form; a kind of ConversionError.
    """
    objections = npu_objections(flatbuffer)
    if objections:
        raise StructureError(
            "A file for an NPU must have fixed shapes and ops that compilers take. "
            f"Received: {'; '.join(objections[:5])}. Use the target cpu or gpu (`target`)."
        )


def npu_objections(flatbuffer: bytes, compiler: str = "qualcomm") -> tuple[str, ...]:
    """Returns what in a model a compiler for an NPU would leave to the CPU, as far as it is published.

    Args:
        flatbuffer: A TFLite model.
        compiler: One of `COMPILERS`.

    Returns:
        A sentence for each objection. A model without one may still be refused by a version of the compiler.

    Example:
        >>> from edgedistil_runtime import read_artifact
        >>> npu_objections(read_artifact("intents.tflite").flatbuffer())[0]
        '... has no fixed shape'
    """
    model = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
    found = [sentence for subgraph in model.subgraphs for sentence in _objections(model, subgraph, COMPILERS[compiler])]
    return tuple(dict.fromkeys(found))


def _objections(model: Any, subgraph: Any, known: frozenset[str]) -> Iterator[str]:
    for tensor in subgraph.tensors:
        name = tensor.name.decode()
        if tensor.shapeSignature is not None and -1 in tensor.shapeSignature:
            yield f"{name} has no fixed shape"
        if tensor.shape is not None and len(tensor.shape) > _LARGEST_RANK:
            yield f"{name} has rank {len(tensor.shape)}, and {_LARGEST_RANK} is the largest"
        if tensor.type not in _TYPES:
            yield f"{name} is neither float nor an index"
    for op in subgraph.operators:
        name = OP_NAMES[model.operatorCodes[op.opcodeIndex].builtinCode]
        if name not in known:
            output = subgraph.tensors[op.outputs[0]].name.decode()
            yield f"{output} is computed by {name}, which the compiler does not list"

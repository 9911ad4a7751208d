"""The encoder for GPUs: LiteRT's WebGPU and Metal accelerators, and TFLite's GPU delegate.

They take fixed shapes and compute in float. The encoder has a signature for each of several lengths, over one copy of
the weights, so that a short text is not padded to the longest. Its graph avoids what LiteRT 2.3 computes wrongly on a
GPU without an error: integer inputs, GATHER, adding a constant matrix to a matrix of rank 2, slices that drop an axis.
`gpu_objections` looks for these in a finished file.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from edgedistil_converters.flatbuffer import convert_module
from edgedistil_converters.graph.ops import MASKED_SCORE, PaddedBatch, probabilities, scope
from edgedistil_converters.graph.transformer import classify_embeddings
from edgedistil_converters.model.weights import ClassifierWeights
from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_converters.targets.parts import TargetEncoder, check_encoder
from edgedistil_converters.targets.plans import check_target_plan
from edgedistil_converters.tflite.op_names import OP_NAMES
from edgedistil_runtime.contract import ATTENTION_BIAS, EMBEDDINGS, GPU, PROBABILITIES, encoder_signature
from edgedistil_runtime.errors import StructureError

__all__ = ["build_gpu_encoder", "encoder_lengths", "gpu_objections"]

_SHORTEST = 16
# Ops that the encoder may use, from those listed in tflite/delegates/gpu/common/model_builder.cc.
_GPU_OPS = frozenset(
    (
        *("ADD", "SUB", "MUL", "SQUARED_DIFFERENCE", "RSQRT", "GELU", "LOGISTIC", "RELU", "SOFTMAX", "TANH"),
        *("BATCH_MATMUL", "CONV_2D", "FULLY_CONNECTED", "MEAN", "SUM"),
        *("CONCATENATION", "RESHAPE", "SLICE", "STRIDED_SLICE", "TRANSPOSE", "DEQUANTIZE"),
    )
)
_LARGEST_RANK = 4


def encoder_lengths(sequence_length: int) -> tuple[int, ...]:
    """Returns the lengths of the encoder's signatures: powers of two from 16 up, and the longest row of token ids.

    Example:
        >>> encoder_lengths(100)
        (16, 32, 64, 100)
    """
    powers = (_SHORTEST << i for i in range(sequence_length.bit_length()))
    return (*(length for length in powers if length < sequence_length), sequence_length)


def build_gpu_encoder(
    weights: ClassifierWeights, sequence_length: int, plan: QuantizationPlan, fixed_lengths: Sequence[int] = ()
) -> TargetEncoder:
    """Converts a classifier's encoder for a GPU.

    The outputs of `embed`, which are the inputs of each signature of the encoder, are `embeddings`
    float32[1, length, width] and `attention_bias` float32[1, 1, 1, length], which is added to attention scores: 0 at
    tokens, -120 at padding.

    Args:
        weights: Weights of the classifier.
        sequence_length: Length of the longest row of token ids.
        plan: A plan of fp32, fp16 or int8; the GPU's code converts int8 weights to float when it loads them.
        fixed_lengths: Lengths of its signatures besides `sequence_length`; those of `encoder_lengths` if empty.

    Raises:
        ConversionError: A plan that a GPU cannot run, or a classifier without transformer layers.
        StructureError: The encoder has a form that LiteRT's GPU code does not support; a kind of ConversionError.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> from edgedistil_converters.model.keras_hub import read_weights
        >>> encoder = build_gpu_encoder(read_weights(load_classifier("intents")), 16, QuantizationPlan("fp32"))
        >>> encoder.lengths, gpu_objections(encoder.flatbuffer)
        ((16,), ())
    """
    check_target_plan(GPU, plan)
    check_encoder(weights)
    lengths = tuple(sorted({*fixed_lengths, sequence_length})) if fixed_lengths else encoder_lengths(sequence_length)
    module = _encoder_module(weights, lengths)
    module.weight_dtypes = plan.weight_dtypes(len(weights.layers))
    encoder = convert_module(module, plan, {})
    objections = gpu_objections(encoder)
    if objections:
        raise StructureError(
            f"The encoder must have a form that LiteRT's GPU code supports. Received: {'; '.join(objections[:5])}."
        )
    return TargetEncoder(flatbuffer=encoder, lengths=lengths, inputs=_encoder_inputs)


def _encoder_inputs(embeddings: Any, mask: Any) -> Mapping[str, Any]:
    bias = tf.reshape((1 - mask) * MASKED_SCORE, [1, 1, 1, -1])
    return {EMBEDDINGS: embeddings[None], ATTENTION_BIAS: bias}


def _encoder_module(weights: ClassifierWeights, lengths: Sequence[int]) -> Any:
    module = tf.Module()
    module.functions = {encoder_signature(length): _classify_function(weights, length) for length in lengths}
    return module


def _classify_function(weights: ClassifierWeights, length: int) -> Any:
    specs = [
        tf.TensorSpec([1, length, weights.width], tf.float32, name=EMBEDDINGS),
        tf.TensorSpec([1, 1, 1, length], tf.float32, name=ATTENTION_BIAS),
    ]

    @tf.function(input_signature=specs, autograph=False)  # type: ignore[untyped-decorator]
    def classify(embeddings: Any, attention_bias: Any) -> dict[str, Any]:
        logits = classify_embeddings(embeddings, weights.architecture, _FixedLength(weights, 1, length, attention_bias))
        return {PROBABILITIES: tf.reshape(probabilities(logits, weights), [1, weights.num_classes])}

    return classify


class _FixedLength(PaddedBatch):
    """The steps of one padded text: x is [1, length, width], because a GPU takes the rows of a matrix as a batch."""

    def first_position(self, layer: str, x: Any) -> Any:
        with scope(layer):
            return x[:, 0:1]

    def merge_heads(self, heads: Any) -> Any:
        width = heads.shape[1] * heads.shape[3]
        return tf.reshape(tf.transpose(heads, [0, 2, 1, 3]), [1, heads.shape[2], width])


def gpu_objections(flatbuffer: bytes) -> tuple[str, ...]:
    """Returns the forms in a model that LiteRT's GPU code does not support.

    It refuses some of them, and computes others wrongly without an error.

    Seen with ai-edge-litert 2.3 on two software drivers: a constant matrix that is added to a tensor of rank 2 changes
    only its first row, and so does one of rank 3; slices that drop an axis and integer inputs are refused; a
    BATCH_MATMUL of a tensor with itself is not supported.

    Args:
        flatbuffer: A TFLite model.

    Returns:
        A sentence for each objection. A model without one may be run, but its outputs must still be compared.

    Example:
        >>> from edgedistil_runtime import read_artifact
        >>> gpu_objections(read_artifact("intents.tflite").flatbuffer())[0]
        'the input ... is not float32'
    """
    model = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
    found = [objection for subgraph in model.subgraphs for objection in _objections(model, subgraph)]
    return tuple(dict.fromkeys(found))


def _objections(model: Any, subgraph: Any) -> Iterator[str]:
    for index in subgraph.inputs:
        if subgraph.tensors[index].type != schema.TensorType.FLOAT32:
            yield f"the input {_name(subgraph, index)} is not float32"
    for tensor in subgraph.tensors:
        if tensor.shapeSignature is not None and -1 in tensor.shapeSignature:
            yield f"{tensor.name.decode()} has no fixed shape"
        if tensor.shape is not None and len(tensor.shape) > _LARGEST_RANK:
            yield f"{tensor.name.decode()} has rank {len(tensor.shape)}; GPUs take at most {_LARGEST_RANK}"
    for op in subgraph.operators:
        name = OP_NAMES[model.operatorCodes[op.opcodeIndex].builtinCode]
        yield from _objections_to_op(model, subgraph, op, name)


def _objections_to_op(model: Any, subgraph: Any, op: Any, name: str) -> Iterator[str]:
    output = _name(subgraph, op.outputs[0])
    if name not in _GPU_OPS:
        yield f"{output} is computed by {name}, which LiteRT's GPU code does not support"
    if subgraph.tensors[op.outputs[0]].type != schema.TensorType.FLOAT32:
        yield f"{output} is not float32"
    if name == "STRIDED_SLICE" and op.builtinOptions.shrinkAxisMask:
        yield f"{output} is sliced so that an axis is dropped"
    if name == "BATCH_MATMUL" and op.inputs[0] == op.inputs[1]:
        yield f"{output} is a tensor multiplied by itself, which LiteRT's GPU code does not support"
    if name in ("ADD", "SUB", "MUL"):
        operands = [subgraph.tensors[i] for i in op.inputs]
        if any(_is_constant_matrix(model, operand) for operand in operands):
            yield f"{output} combines a tensor with a constant matrix of rank 2, which is wrong on a GPU"
        if len({len(operand.shape) for operand in operands if _rows(operand) > 1}) > 1:
            yield f"{output} combines tensors of different ranks, which is wrong on a GPU"


def _rows(tensor: Any) -> int:
    """Number of vectors along the last axis."""
    return math.prod(() if tensor.shape is None else tensor.shape[:-1])


def _is_constant_matrix(model: Any, tensor: Any) -> bool:
    rows_and_columns = tensor.shape is not None and len(tensor.shape) == 2 and tensor.shape[0] > 1
    return bool(rows_and_columns and model.buffers[tensor.buffer].data is not None)


def _name(subgraph: Any, index: int) -> str:
    return str(subgraph.tensors[index].name.decode())

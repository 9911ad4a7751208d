"""A classifier in two flatbuffers: text to embeddings on the CPU, embeddings to probabilities on an accelerator.

LiteRT hands a whole file to an accelerator. A tokenizer's integers do not belong on a GPU, which computes in float and
was seen to be wrong without an error, and Coral's compiler stops at the first op that it does not know: so what goes
to the accelerator is a file of its own, and tensors go from one to the other by name.

    text  --tokenize-->  token_ids  --pad to a length-->  --embed-->  tensors  --encoder-->  probabilities

The CPU's file has the signatures `tokenize`, where the tokenizer is builtin, and `embed`. `embed` takes `token_ids`
int32[1, length], padded with the pad id to one of the encoder's lengths, and puts out the encoder's inputs, by the
names that the encoder has for them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgedistil_converters.edge_graph.embeddings import embedding_table
from edgedistil_converters.edge_graph.weights import ClassifierWeights
from edgedistil_converters.flatbuffer import convert_module
from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_converters.signatures import DEFAULT_SHAPES
from edgedistil_converters.sites import EMBEDDING_SITES
from edgedistil_converters.tokenizer.graph import GraphTokenizer
from edgedistil_runtime.artifact import TOKENIZE, TokenizerSettings
from edgedistil_runtime.errors import ConversionError

__all__ = ["EMBED", "EMBEDDINGS", "PROBABILITIES", "TargetParts", "check_encoder", "cpu_flatbuffer", "padded_row"]

EMBED = "embed"  # token_ids int32[1, length] -> the encoder's inputs
EMBEDDINGS, TOKEN_IDS, PROBABILITIES = "embeddings", "token_ids", "probabilities"


@dataclass(frozen=True)
class TargetParts:
    """The two flatbuffers of a classifier.

    Attributes:
        cpu_flatbuffer: with the signatures `tokenize` and `embed`.
        encoder_flatbuffer: for the accelerator.
        lengths: token counts that the encoder takes, ascending; the last one is what texts are cut to.
    """

    cpu_flatbuffer: bytes
    encoder_flatbuffer: bytes
    lengths: tuple[int, ...]


def check_encoder(weights: ClassifierWeights) -> None:
    """Refuses a classifier that has nothing for an accelerator.

    Raises:
        ConversionError: it has no transformer layers.
    """
    if not weights.layers:
        raise ConversionError(
            "An accelerator runs the transformer layers of a classifier. Received: none. Convert with --target cpu."
        )


def padded_row(token_ids: Sequence[int], lengths: Sequence[int], pad_id: int) -> NDArray[np.int32]:
    """A row for `embed`: padded to the shortest of some lengths that holds it.

    Args:
        token_ids: without padding, no more than the last length.
        lengths: of an encoder, ascending.
        pad_id: the id that the classifier masks.

    Returns:
        int32[1, length].

    Example:
        >>> padded_row([2, 7, 3], (4, 8), pad_id=0).tolist()
        [[2, 7, 3, 0]]
    """
    length = next(length for length in lengths if length >= len(token_ids))
    row = np.full((1, length), pad_id, np.int32)
    row[0, : len(token_ids)] = token_ids
    return row


def cpu_flatbuffer(
    weights: ClassifierWeights,
    settings: TokenizerSettings,
    vocabulary: Sequence[str],
    plan: QuantizationPlan,
    encoder_inputs: Callable[[Any, Any], Mapping[str, Any]],
) -> bytes:
    """The part of a classifier that stays on the CPU.

    Args:
        weights: of the classifier; its embedding tables are read.
        settings: of its tokenizer.
        vocabulary: one piece an id.
        plan: decides how the embedding tables are stored.
        encoder_inputs: makes the outputs of `embed`, by name, from embeddings float32[length, width], token and
            position added, and from a mask float32[length], 1 at tokens and 0 at padding.

    Returns:
        A flatbuffer with the signatures `tokenize` and `embed`.
    """
    dtypes = plan.weight_dtypes(len(weights.layers))
    tokens = embedding_table(weights.token_embeddings, dtypes[EMBEDDING_SITES[0]])
    positions = embedding_table(weights.position_embeddings[: settings.sequence_length], dtypes[EMBEDDING_SITES[1]])

    @tf.function(input_signature=[tf.TensorSpec([1, None], tf.int32, name=TOKEN_IDS)])  # type: ignore[untyped-decorator]
    def embed(token_ids: Any) -> Mapping[str, Any]:
        row = tf.reshape(token_ids, [-1])
        x = tokens.rows(row) + positions.first_rows(tf.size(row))
        return encoder_inputs(x, tf.cast(tf.not_equal(row, settings.pad_id), tf.float32))

    module = tf.Module()
    module.functions = {EMBED: embed}
    if settings.kind == "builtin":
        module.functions = {TOKENIZE: _tokenize(settings, vocabulary), EMBED: embed}
    shapes = {**DEFAULT_SHAPES, EMBED: {TOKEN_IDS: (1, settings.sequence_length)}}
    return convert_module(module, _float_matmuls(plan), shapes)


def _tokenize(settings: TokenizerSettings, vocabulary: Sequence[str]) -> Any:
    tokenizer = GraphTokenizer(settings, vocabulary)
    text = tf.TensorSpec([None], tf.int32, name="text")
    return tf.function(lambda text: {TOKEN_IDS: tokenizer(text)}, input_signature=[text])


def _float_matmuls(plan: QuantizationPlan) -> QuantizationPlan:
    """A plan for a file without matmuls, whose tables are made already; fp16 tables are the converter's work."""
    return plan if plan.scheme == "fp16" else QuantizationPlan("fp32")

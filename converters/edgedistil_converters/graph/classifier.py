"""The edge graph: the forward pass of a classifier in a form for interpreters on small machines.

It computes the same as `DistilBertTextClassifier`, up to rounding, from the same weights. One text needs no padding, so
`classify` runs at its exact length, without a mask; `classify_batch` takes rows padded to the longest. The order of the
steps is in `transformer.py`, their computation in `ops.py`.
"""

from typing import Any

import tensorflow as tf

from edgedistil_converters.graph.embeddings import EmbeddingTable
from edgedistil_converters.graph.ops import MASKED_SCORE, PaddedBatch, SingleText, energies, probabilities
from edgedistil_converters.graph.transformer import (
    EMBEDDINGS_NORM,
    PoolingOps,
    classify_encoded,
    encode_normalized,
    pool_mean,
)
from edgedistil_converters.model.weights import ClassifierWeights

__all__ = ["EdgeGraph", "find_padding"]


def find_padding(token_ids: Any, pad_id: int, *, is_only_at_end: bool) -> Any:
    """Returns the positions that a classifier masks, bool[b, m].

    Args:
        token_ids: int32[b, m], rows padded on the right with `pad_id`.
        pad_id: Id of `[PAD]`.
        is_only_at_end: Mask only the positions after the last token of a row, as `transformers` does, and no `[PAD]`
            that a text contains. KerasHub masks the id wherever it is.

    Example:
        >>> find_padding(tf.constant([[2, 0, 3, 0]]), 0, is_only_at_end=True).numpy().tolist()
        [[False, False, False, True]]
    """
    is_pad = tf.equal(token_ids, pad_id)
    if not is_only_at_end:
        return is_pad
    position = tf.range(tf.shape(token_ids)[1])[None]
    return position > tf.reduce_max(tf.where(is_pad, -1, position), 1, keepdims=True)


class EdgeGraph:
    """The forward pass over given weights and embedding tables.

    Args:
        weights: Weights of the classifier; their embedding tables are not read.
        tokens: Token embeddings as the graph stores them.
        positions: Position embeddings as the graph stores them.
        has_unknown_score: True if results are a pair: the probabilities and, float32[b], the energies of the logits.

    Example:
        >>> import tensorflow as tf
        >>> from edgedistil.presets.loading import load_classifier
        >>> from edgedistil_converters.graph.embeddings import FloatTable
        >>> from edgedistil_converters.model.keras_hub import read_weights
        >>> weights = read_weights(load_classifier("intents"))
        >>> graph = EdgeGraph(weights, FloatTable(weights.token_embeddings), FloatTable(weights.position_embeddings))
        >>> graph.classify(tf.constant([[2, 5, 6, 8, 10, 3]])).shape  # [CLS] turn the lights on [SEP]
        TensorShape([1, 3])
    """

    def __init__(
        self,
        weights: ClassifierWeights,
        tokens: EmbeddingTable,
        positions: EmbeddingTable,
        *,
        has_unknown_score: bool = False,
    ) -> None:
        self._weights, self._tokens, self._positions = weights, tokens, positions
        self._has_unknown_score = has_unknown_score

    def classify(self, token_ids: Any) -> Any:
        """Returns the probabilities of one text.

        Args:
            token_ids: int32[1, m], 1 <= m <= max_sequence_length, without padding.

        Returns:
            float32[1, num_classes].
        """
        found = self.classify_embeddings(self.embed(token_ids), SingleText(self._weights))
        shape = [1, self._weights.num_classes]  # makes the number of rows static in the file
        if self._has_unknown_score:
            return tf.reshape(found[0], shape), tf.reshape(found[1], [1])
        return tf.reshape(found, shape)

    def embed(self, token_ids: Any) -> Any:
        """Returns the sum of token and position embeddings, the encoder's input: int32[1, m] -> float32[m, width]."""
        with tf.name_scope("embeddings"):
            return self._tokens.rows(token_ids[0]) + self._positions.first_rows(tf.shape(token_ids)[1])

    def embed_fixed(self, token_ids: Any) -> Any:
        """Returns the same for a row of fixed length: int32[1, length] -> float32[length, width].

        The positions are looked up by numbers that depend on the input, to which 0 is added. Otherwise TensorFlow's
        converter computes the rows of a quantized table and stores them as floats, once for each length.
        """
        ids = tf.reshape(token_ids, [-1])  # a slice that drops an axis is refused by GPUs
        positions = tf.range(ids.shape[0]) + tf.minimum(ids, 0)
        with tf.name_scope("embeddings"):
            return self._tokens.rows(ids) + self._positions.rows(positions)

    def classify_fixed(self, token_ids: Any, pad_id: int, *, is_only_at_end: bool = False) -> Any:
        """Returns the probabilities of one row of fixed length, as `classify_batch` computes them.

        Args:
            token_ids: int32[1, length] of static shape, padded on the right with `pad_id`.
            pad_id: The id that the classifier masks.
            is_only_at_end: Mask it only at the end of a row, see `find_padding`.

        Returns:
            float32[1, num_classes].
        """
        length = token_ids.shape[1]
        bias = self._padding_bias(token_ids, pad_id, 1, length, is_only_at_end=is_only_at_end)
        return self.classify_embeddings(self.embed_fixed(token_ids), PaddedBatch(self._weights, 1, length, bias))

    def classify_batch(self, token_ids: Any, pad_id: int, *, is_only_at_end: bool = False) -> Any:
        """Returns the probabilities of several texts.

        Args:
            token_ids: int32[b, m], rows padded on the right with `pad_id`.
            pad_id: The id that the classifier masks.
            is_only_at_end: Mask it only at the end of a row, see `find_padding`.

        Returns:
            float32[b, num_classes].
        """
        batch, length = tf.shape(token_ids)[0], tf.shape(token_ids)[1]
        with tf.name_scope("embeddings"):
            rows = tf.reshape(self._tokens.rows(tf.reshape(token_ids, [-1])), [batch, length, self._weights.width])
            x = tf.reshape(rows + self._positions.first_rows(length)[None], [-1, self._weights.width])
        bias = self._padding_bias(token_ids, pad_id, batch, length, is_only_at_end=is_only_at_end)
        return self.classify_embeddings(x, PaddedBatch(self._weights, batch, length, bias))

    @staticmethod
    def _padding_bias(token_ids: Any, pad_id: int, batch: Any, length: Any, *, is_only_at_end: bool) -> Any:
        """Bias of attention scores, float32[batch, 1, 1, length]."""
        bias = tf.cast(find_padding(token_ids, pad_id, is_only_at_end=is_only_at_end), tf.float32) * MASKED_SCORE
        return tf.reshape(bias, [batch, 1, 1, length])

    def classify_embeddings(self, x: Any, ops: PoolingOps[Any]) -> Any:
        """Returns the probabilities from the encoder's input, in the shapes that `ops` takes."""
        architecture = self._weights.architecture
        x = encode_normalized(ops.norm(EMBEDDINGS_NORM, x), architecture, ops)
        if architecture.is_mean_pooled:
            x = pool_mean(x, ops)
        logits = classify_encoded(x, architecture, ops)
        found = probabilities(logits, self._weights)
        return (found, energies(logits, found)) if self._has_unknown_score else found

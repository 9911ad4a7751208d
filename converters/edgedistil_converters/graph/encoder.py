"""The edge graph: DistilBERT's forward pass as an interpreter on a small machine wants it.

It computes what `DistilBertTextClassifier` computes, to rounding, from the same weights:

* One text needs no padding, so `classify` runs at its exact length, without a mask. `classify_batch` pads rows to the
  longest and masks attention with one added bias.
* Matmuls with weights are rank 2, which every backend knows as FULLY_CONNECTED.
* The last layer computes its first position alone: the classifier reads nothing else.

Every step has a name, a *site*: `transformer_layer_0/query`, `transformer_layer_0/gelu`, `logits`. Files keep them
(`sites.py`), so that plans can choose layers by name and quantizers can be told the range of each.
"""

from typing import Any

import tensorflow as tf

from edgedistil_converters.graph.embeddings import EmbeddingTable
from edgedistil_converters.graph.tensors import shared_constant
from edgedistil_converters.model.weights import ClassifierWeights, Dense, LayerNorm, TransformerLayer

__all__ = ["MASKED_SCORE", "EdgeGraph", "PaddedBatch", "add", "layer_norm"]

# Added to the scores of padding. exp(-120) is 8e-53, so softmax gives padding exactly 0 in float32; a larger number
# would only spoil the range of a quantized tensor.
MASKED_SCORE = -120.0


class EdgeGraph:
    """The forward pass over given weights and embedding tables.

    Args:
        weights: of the classifier; their embedding tables are not read.
        tokens: the token embeddings as the graph stores them.
        positions: the position embeddings as the graph stores them.
    """

    def __init__(self, weights: ClassifierWeights, tokens: EmbeddingTable, positions: EmbeddingTable) -> None:
        self._weights, self._tokens, self._positions = weights, tokens, positions

    def classify(self, token_ids: Any) -> Any:
        """Probabilities of one text.

        Args:
            token_ids: int32[1, m], 1 <= m <= max_sequence_length, without padding.

        Returns:
            float32[1, num_classes].
        """
        probabilities = self.classify_embeddings(self.embed(token_ids), _SingleText(self._weights.num_heads))
        return tf.reshape(probabilities, [1, self._weights.num_classes])  # or the file says that it may have more rows

    def embed(self, token_ids: Any) -> Any:
        """What enters the encoder: token and position embeddings added, float32[m, width], of int32[1, m]."""
        with tf.name_scope("embeddings"):
            return self._tokens.rows(token_ids[0]) + self._positions.first_rows(tf.shape(token_ids)[1])

    def classify_batch(self, token_ids: Any, pad_id: int) -> Any:
        """Probabilities of several texts.

        Args:
            token_ids: int32[b, m], rows padded on the right with `pad_id`.
            pad_id: the id that the classifier masks wherever it stands.

        Returns:
            float32[b, num_classes].
        """
        batch, length = tf.shape(token_ids)[0], tf.shape(token_ids)[1]
        with tf.name_scope("embeddings"):
            rows = tf.reshape(self._tokens.rows(tf.reshape(token_ids, [-1])), [batch, length, self._weights.width])
            x = tf.reshape(rows + self._positions.first_rows(length)[None], [-1, self._weights.width])
        bias = tf.cast(tf.equal(token_ids, pad_id), tf.float32) * MASKED_SCORE
        bias = tf.reshape(bias, [batch, 1, 1, length])
        return self.classify_embeddings(x, PaddedBatch(self._weights.num_heads, batch, length, bias))

    def classify_embeddings(self, x: Any, texts: "_SingleText | PaddedBatch") -> Any:
        """Probabilities of embeddings as `embed` makes them, in the shapes of one text or of a padded batch."""
        weights = self._weights
        x = layer_norm("embeddings_layer_norm", x, weights.embeddings_norm)
        for number, layer in enumerate(weights.layers):
            is_last = layer is weights.layers[-1]
            with tf.name_scope(f"transformer_layer_{number}"):
                x = _transformer_layer(x, layer, texts, is_last=is_last)
        if not weights.layers:
            x = texts.first_positions(x)
        logits = _dense("logits", tf.nn.relu(_dense("pooled_dense", x, weights.pooled)), weights.logits)
        with tf.name_scope("probabilities"):
            return tf.sigmoid(logits) if weights.output_activation == "sigmoid" else tf.nn.softmax(logits)


class _SingleText:
    """Shapes of one text: x is [length, width], heads are [heads, length, head width]."""

    attention_site = "attention"

    def __init__(self, num_heads: int) -> None:
        self._num_heads = num_heads

    def first_positions(self, x: Any) -> Any:
        return x[0:1]

    def split_heads(self, x: Any) -> Any:
        return tf.transpose(tf.reshape(x, [-1, self._num_heads, x.shape[-1] // self._num_heads]), [1, 0, 2])

    split_first_heads = split_heads

    def merge_heads(self, x: Any, width: int) -> Any:
        return tf.reshape(tf.transpose(x, [1, 0, 2]), [-1, width])

    def mask(self, scores: Any) -> Any:
        return scores


class PaddedBatch:
    """Shapes of a padded batch: x is [batch * length, width], heads are [batch, heads, length, head width].

    Args:
        num_heads: of the classifier.
        batch: how many texts.
        length: tokens of each, padding included.
        bias: added to attention scores, float32[batch, 1, 1, length]: 0 at tokens, `MASKED_SCORE` at padding.
    """

    attention_site = "masked_attention"

    def __init__(self, num_heads: int, batch: Any, length: Any, bias: Any) -> None:
        self._num_heads, self._batch, self._length, self._bias = num_heads, batch, length, bias

    def first_positions(self, x: Any) -> Any:
        """Of each text."""
        return tf.reshape(tf.reshape(x, [self._batch, self._length, x.shape[-1]])[:, 0:1], [-1, x.shape[-1]])

    def split_heads(self, x: Any) -> Any:
        """Of every position."""
        return self._split(x, self._length)

    def split_first_heads(self, x: Any) -> Any:
        """Of first positions."""
        return self._split(x, 1)

    def _split(self, x: Any, length: Any) -> Any:
        head_width = x.shape[-1] // self._num_heads
        return tf.transpose(tf.reshape(x, [self._batch, length, self._num_heads, head_width]), [0, 2, 1, 3])

    def merge_heads(self, x: Any, width: int) -> Any:
        """The reverse of splitting."""
        return tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [-1, width])

    def mask(self, scores: Any) -> Any:
        """Hides padding."""
        return scores + self._bias


def _transformer_layer(x: Any, layer: TransformerLayer, texts: _SingleText | PaddedBatch, *, is_last: bool) -> Any:
    """One encoder layer; of the last one, the first positions alone."""
    queries, split_queries = (texts.first_positions(x), texts.split_first_heads) if is_last else (x, texts.split_heads)
    query = split_queries(_dense("query", queries, layer.query))
    key, value = texts.split_heads(_dense("key", x, layer.key)), texts.split_heads(_dense("value", x, layer.value))
    with tf.name_scope("scores"):
        scores = tf.matmul(query, key, transpose_b=True)
    with tf.name_scope(texts.attention_site):
        attention = tf.nn.softmax(texts.mask(scores))
    with tf.name_scope("mixed"):
        mixed = texts.merge_heads(tf.matmul(attention, value), layer.query.bias.shape[0])
    mixed = _dense("attention_output", mixed, layer.attention_output)
    x = layer_norm("attention_norm", add("attention_residual", queries, mixed), layer.attention_norm)
    hidden = _dense("intermediate", x, layer.intermediate)
    with tf.name_scope("gelu"):
        hidden = tf.nn.gelu(hidden, approximate=False)
    hidden = _dense("output", hidden, layer.output)
    return layer_norm("output_norm", add("output_residual", x, hidden), layer.output_norm)


def add(site: str, x: Any, y: Any) -> Any:
    """A sum under its site's name."""
    with tf.name_scope(site):
        return x + y


def _dense(site: str, x: Any, dense: Dense) -> Any:
    with tf.name_scope(site):
        return tf.matmul(x, shared_constant(dense.kernel)) + shared_constant(dense.bias)


def layer_norm(site: str, x: Any, norm: LayerNorm) -> Any:
    """A layer norm under its site's name, with SUB where Keras has NEG and ADD: some accelerators know no NEG.

    The last step is a SUB too: TensorFlow's converter would fold an ADD and the MUL before it into the next matmuls,
    whose weights would be quantized with gamma in them.
    """
    with tf.name_scope(site):
        centred = x - tf.reduce_mean(x, -1, keepdims=True)
        variance = tf.add(tf.reduce_mean(tf.square(centred), -1, keepdims=True), norm.epsilon, name="variance")
        scaled = centred * tf.math.rsqrt(variance) * shared_constant(norm.gamma)
        return tf.subtract(scaled, shared_constant(norm.negative_beta), name="shifted")

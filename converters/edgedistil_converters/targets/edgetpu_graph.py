"""The encoder in the ops that Coral's compiler lists, for one text of a fixed length.

Two limits shape it: a matmul must have constant weights and put out one row, or be a 1x1 convolution, and a softmax
takes one row. So every dense layer is a 1x1 CONV_2D over an image of one line, [1, 1, length, width], and attention,
which multiplies activations by activations, is written with MUL and convolutions by constants:

* Scores: queries as a column and keys as a row are multiplied by broadcasting, [1, length, length, width]; a
  convolution by a matrix of ones and zeros sums each head's channels: [1, length, length, heads].
* Softmax: exp(x) = s / (1 - s) with s = sigmoid(x), and 1 / y = rsqrt(y)^2, for there is neither EXP nor DIV. Scores
  are less than or equal to 0 once the largest of their row is taken off, so that s is at most 1/2. REDUCE_MIN stands
  where the largest is looked for, over scores with the other sign: litert-quantizer knows no REDUCE_MAX.
* Mixing: a convolution spreads each head's weights over its channels again, they are multiplied by the values, and MEAN
  takes the place of the matmul. Weights are divided by their MEAN and not by their SUM, so that lengths cancel out:
  LiteRT 2.3's reference kernel for SUM of int8 was seen to give another result than its others.

A layer norm is done twice over. Variances of one tensor differ by a factor of 50 from position to position, and int8
rounds the small ones by a tenth and more; the second norm finds variances near 1 and mends what the first got wrong.

GELU(x) is x * sigmoid(1.702 x), as in Hendrycks and Gimpel 2016 (arXiv 1606.08415), section 2: the builtin GELU makes
the compiler refuse a whole file. It differs from the exact one by 0.02 at most.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgedistil_converters.graph.encoder import add
from edgedistil_converters.graph.tensors import shared_constant
from edgedistil_converters.model.weights import ClassifierWeights, Dense, LayerNorm, TransformerLayer

__all__ = ["EdgeTPUGraph"]

_GELU_SLOPE = 1.702
# Added to the scores of padding. int8 saturates where the range of scores ends, so that nothing of it is wasted.
_MASKED_SCORE = -120.0


@dataclass(frozen=True)
class EdgeTPUGraph:
    """The forward pass behind the embeddings' layer norm.

    Attributes:
        weights: of the classifier; their embedding tables and the norm behind them are not read.
        has_batch_matmul: whether attention is BATCH_MATMUL and SOFTMAX, which stay on the CPU, instead of the above.
    """

    weights: ClassifierWeights
    has_batch_matmul: bool = False

    def classify(self, embeddings: Any, attention_mask: Any) -> Any:
        """Probabilities of one text.

        Args:
            embeddings: float32[1, 1, length, width], normalized.
            attention_mask: float32[1, 1, length, 1]: 1 at tokens, 0 at padding.

        Returns:
            float32[1, num_classes].
        """
        weights, x = self.weights, embeddings
        attend = (_Matmul if self.has_batch_matmul else _Broadcast)(weights, attention_mask)
        for number, layer in enumerate(weights.layers):
            with tf.name_scope(f"transformer_layer_{number}"):
                x = _transformer_layer(x, layer, attend, is_last=layer is weights.layers[-1])
        x = x if weights.layers else _first_position(x)
        logits = _dense("logits", tf.nn.relu(_dense("pooled_dense", x, weights.pooled)), weights.logits)
        with tf.name_scope("probabilities"):
            logits = tf.reshape(logits, [1, weights.num_classes])
            return tf.sigmoid(logits) if weights.output_activation == "sigmoid" else tf.nn.softmax(logits)


class _Broadcast:
    """Attention in MUL, MEAN and convolutions by constants."""

    def __init__(self, weights: ClassifierWeights, mask: Any) -> None:
        heads = np.eye(weights.num_heads, dtype=np.float32)
        self._spread = np.repeat(heads, _inner_width(weights) // weights.num_heads, axis=1)
        self._negated_sums = -self._spread.T
        with tf.name_scope("padding"):
            self._mask, self._bias = mask, (mask - 1) * _MASKED_SCORE

    def __call__(self, query: Any, key: Any, value: Any) -> Any:
        column = tf.reshape(query, [1, query.shape[2], 1, query.shape[-1]])
        with tf.name_scope("scores"):
            negated = _by_constant(column * key, self._negated_sums)
        with tf.name_scope("attention"):
            attention = self._softmax(negated)
        with tf.name_scope("mixed"):
            with tf.name_scope("spread"):
                spread = _by_constant(attention, self._spread)
            return tf.reshape(tf.reduce_mean(spread * value, 2, keepdims=True, name="step"), query.shape)

    def _softmax(self, negated: Any) -> Any:
        negated = tf.add(negated, self._bias, name="masked")
        distance = tf.subtract(tf.reduce_min(negated, 2, keepdims=True), negated, name="distance")
        below = tf.sigmoid(distance, name="below")
        root = tf.math.rsqrt(1 - below)
        # Masked again: where the range of scores is narrow, a saturated score is not far below the others.
        power = below * (root * root) * self._mask
        root = tf.math.rsqrt(tf.reduce_mean(power, 2, keepdims=True))
        return power * (root * root)


class _Matmul:
    """Attention in BATCH_MATMUL and SOFTMAX, with an added mask."""

    def __init__(self, weights: ClassifierWeights, mask: Any) -> None:
        self._num_heads = weights.num_heads
        with tf.name_scope("padding"):
            self._bias = tf.reshape((1 - mask) * _MASKED_SCORE, [1, 1, 1, mask.shape[2]])

    def __call__(self, query: Any, key: Any, value: Any) -> Any:
        query, key, value = map(self._split_heads, (query, key, value))
        with tf.name_scope("scores"):
            scores = tf.matmul(query, key, transpose_b=True)
        with tf.name_scope("attention"):
            attention = tf.nn.softmax(tf.add(scores, self._bias, name="masked"))
        with tf.name_scope("mixed"):
            mixed = tf.transpose(tf.matmul(attention, value), [0, 2, 1, 3])
            return tf.reshape(mixed, [1, 1, mixed.shape[1], mixed.shape[2] * mixed.shape[3]])

    def _split_heads(self, x: Any) -> Any:
        heads = tf.reshape(x, [1, x.shape[2], self._num_heads, x.shape[-1] // self._num_heads])
        return tf.transpose(heads, [0, 2, 1, 3])


def _inner_width(weights: ClassifierWeights) -> int:
    return int(weights.layers[0].query.bias.shape[0]) if weights.layers else weights.width


def _transformer_layer(x: Any, layer: TransformerLayer, attend: _Broadcast | _Matmul, *, is_last: bool) -> Any:
    """One encoder layer; of the last one, the first position alone."""
    queries = _first_position(x) if is_last else x
    mixed = attend(_dense("query", queries, layer.query), _dense("key", x, layer.key), _dense("value", x, layer.value))
    mixed = _dense("attention_output", mixed, layer.attention_output)
    x = _layer_norm("attention_norm", add("attention_residual", queries, mixed), layer.attention_norm)
    hidden = _dense("intermediate", x, layer.intermediate)
    with tf.name_scope("gelu"):
        hidden = tf.multiply(hidden, tf.sigmoid(_GELU_SLOPE * hidden, name="gate"), name="step")
    hidden = _dense("output", hidden, layer.output)
    return _layer_norm("output_norm", add("output_residual", x, hidden), layer.output_norm)


def _first_position(x: Any) -> Any:
    return tf.slice(x, [0, 0, 0, 0], [1, 1, 1, x.shape[-1]])


def _dense(site: str, x: Any, dense: Dense) -> Any:
    with tf.name_scope(site):
        return _by_constant(x, dense.kernel) + shared_constant(dense.bias)


def _layer_norm(site: str, x: Any, norm: LayerNorm) -> Any:
    """The last step is a SUB, as in `graph/encoder.py`."""
    with tf.name_scope(site):
        centred = x - tf.reduce_mean(x, -1, keepdims=True)
        scaled = centred * tf.math.rsqrt(tf.reduce_mean(tf.square(centred), -1, keepdims=True) + norm.epsilon)
        power = tf.reduce_mean(scaled * scaled, -1, keepdims=True, name="second_power")
        scaled = scaled * tf.math.rsqrt(power, name="second_root")
        return tf.subtract(scaled * shared_constant(norm.gamma), shared_constant(norm.negative_beta), name="shifted")


def _by_constant(x: Any, matrix: NDArray[np.float32]) -> Any:
    """A matmul over the last axis as a 1x1 convolution."""
    return tf.nn.conv2d(x, shared_constant(matrix)[None, None], 1, "VALID")

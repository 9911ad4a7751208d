"""The encoder in the ops that Coral's compiler lists, for one text of a fixed length.

Two limits shape it: a matmul must have constant weights and one row of output, or be a 1x1 convolution, and a softmax
takes one row. So every dense layer is a 1x1 CONV_2D over an image of one line, [1, 1, length, width], and attention,
which multiplies activations by activations, is written with MUL and convolutions by constants:

* Scores: queries as a column and keys as a row are multiplied by broadcasting, [1, length, length, width]; a
  convolution by a matrix of ones and zeros sums each head's channels: [1, length, length, heads].
* Softmax: exp(x) = s / (1 - s) with s = sigmoid(x), and 1 / y = rsqrt(y)^2, because there is neither EXP nor DIV.
  Scores are at most 0 after the largest of their row is subtracted, so s is at most 1/2. The largest is found as
  REDUCE_MIN of the negated scores, because litert-quantizer does not support REDUCE_MAX.
* Mixing: a convolution copies each head's weights to its channels, they are multiplied by the values, and MEAN replaces
  the sum of the matmul. Weights are divided by their MEAN instead of their SUM, so that the lengths cancel: LiteRT
  2.3's reference kernel for SUM of int8 was seen to differ from its other kernels.

A layer norm is computed twice. Variances of one tensor differ by a factor of 50 between positions, and int8 rounds the
small ones by 10 % and more; the second norm gets variances near 1 and corrects these errors.

GELU(x) is x * sigmoid(1.702 x), as in Hendrycks and Gimpel 2016 (arXiv 1606.08415), section 2, because the compiler
refuses a whole file with the builtin GELU. It differs from both exact forms by at most 0.02.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgedistil_converters.graph.ops import MASKED_SCORE, TensorFlowOps, probabilities, scope
from edgedistil_converters.graph.tensors import shared_constant
from edgedistil_converters.graph.transformer import classify_encoded, encode_normalized, pool_mean
from edgedistil_converters.model.weights import ClassifierWeights

__all__ = ["EdgeTPUGraph"]

_GELU_SLOPE = 1.702


@dataclass(frozen=True)
class EdgeTPUGraph:
    """The forward pass after the embeddings' layer norm.

    Attributes:
        weights: Weights of the classifier; the embedding tables and their layer norm are not read.
        has_batch_matmul: True for attention in BATCH_MATMUL and SOFTMAX, which run on the CPU, instead of MUL and
            convolutions.
        is_for_torq: True for a form that torq-compile 2.3.0 compiles rightly, see `_TorqOps`.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> from edgedistil_converters.model.keras_hub import read_weights
        >>> graph = EdgeTPUGraph(read_weights(load_classifier("intents")))
        >>> graph.classify(tf.zeros([1, 1, 8, 16]), tf.ones([1, 1, 8, 1])).shape
        TensorShape([1, 3])
    """

    weights: ClassifierWeights
    has_batch_matmul: bool = False
    is_for_torq: bool = False

    def classify(self, embeddings: Any, attention_mask: Any) -> Any:
        """Returns the probabilities of one text.

        Args:
            embeddings: float32[1, 1, length, width], normalized.
            attention_mask: float32[1, 1, length, 1]: 1 at tokens, 0 at padding.

        Returns:
            float32[1, num_classes].
        """
        ops = self._ops()(self.weights, attention_mask)
        encoded = encode_normalized(embeddings, self.weights.architecture, ops)
        if self.weights.mean_pooling is not None:
            encoded = pool_mean(encoded, ops)
        logits = classify_encoded(encoded, self.weights.architecture, ops)
        with scope("probabilities"):
            logits = tf.reshape(logits, [1, self.weights.num_classes])
        return probabilities(logits, self.weights)

    def _ops(self) -> "type[_BroadcastOps | _MatmulOps]":
        if self.has_batch_matmul:
            return _MatmulOps
        return _TorqOps if self.is_for_torq else _BroadcastOps


class _ConvolutionOps(TensorFlowOps):
    """The steps that all kinds of attention share: x is an image of one line, [1, 1, length, width]."""

    def __init__(self, weights: ClassifierWeights, mask: Any) -> None:
        super().__init__(weights)
        self._mask = mask

    def multiply(self, x: Any, kernel: NDArray[np.float32]) -> Any:
        """Returns a matmul over the last axis, as a 1x1 convolution."""
        return tf.nn.conv2d(x, shared_constant(kernel)[None, None], 1, "VALID")

    def normalize(self, x: Any, epsilon: float) -> Any:
        """Returns x with mean 0 and variance 1 over its last axis, normalized twice."""
        centred = x - tf.reduce_mean(x, -1, keepdims=True)
        variance = tf.reduce_mean(tf.square(centred), -1, keepdims=True) + epsilon
        scaled = centred * tf.math.rsqrt(variance)
        power = tf.reduce_mean(scaled * scaled, -1, keepdims=True, name="second_power")
        return scaled * tf.math.rsqrt(power, name="second_root")

    def gelu(self, site: str, x: Any, *, is_approximate: bool) -> Any:
        with scope(site):
            return tf.multiply(x, tf.sigmoid(_GELU_SLOPE * x, name="gate"), name="step")

    def first_position(self, layer: str, x: Any) -> Any:
        with scope(layer):
            return tf.slice(x, [0, 0, 0, 0], [1, 1, 1, x.shape[-1]])

    def mean_position(self, site: str, x: Any) -> Any:
        """Returns the mean over the tokens, [1, 1, 1, width]: MEAN over all positions, divided by the tokens' share.

        One root of the share divides before MEAN and one after, so that int8 is about equally fine for short and for
        long texts. Convolutions compute the roots in the shapes that they are multiplied in: torq-compile 2.3.0
        refuses to broadcast a scalar.
        """
        length = x.shape[2]
        with scope(f"{site}_shares"):
            mask = tf.reshape(self._mask, [1, 1, 1, length])
            shares = tf.reshape(mask * self._share_root(mask, length), self._mask.shape)
            root = self._share_root(mask, x.shape[-1])
        with scope(site):
            return tf.reduce_mean(x * shares, 2, keepdims=True) * root

    def _share_root(self, mask: Any, channels: int) -> Any:
        """Returns 1 / sqrt(share of tokens) in every channel, [1, 1, 1, channels]."""
        length = mask.shape[-1]
        return tf.math.rsqrt(self.multiply(mask, np.full((length, channels), 1 / length, np.float32)))


class _BroadcastOps(_ConvolutionOps):
    """Attention in MUL, MEAN and convolutions by constants."""

    def __init__(self, weights: ClassifierWeights, mask: Any) -> None:
        super().__init__(weights, mask)
        heads = np.eye(weights.num_heads, dtype=np.float32)
        # [heads, inner width]: ones at the channels of each head.
        self._spread = np.repeat(heads, _inner_width(weights) // weights.num_heads, axis=1)
        self._negated_sums = -self._spread.T
        with scope("padding"):
            # 0 at tokens, 120 at padding. The sum saturates at the end of the scores' range, which stays as it is.
            self._bias = (mask - 1) * MASKED_SCORE

    def attend(self, layer: str, query: Any, key: Any, value: Any, *, is_first_only: bool) -> Any:
        with scope(layer):
            column = tf.reshape(query, [1, query.shape[2], 1, query.shape[-1]])
        with scope(f"{layer}/scores"):
            negated = self.multiply(column * key, self._negated_sums)
        with scope(f"{layer}/attention"):
            attention = self._softmax(negated)
        with scope(f"{layer}/mixed"):
            with tf.name_scope("spread"):
                spread = self.multiply(attention, self._spread)
            return tf.reshape(tf.reduce_mean(spread * value, 2, keepdims=True, name="step"), query.shape)

    def _softmax(self, negated: Any) -> Any:
        """Weights of attention times the length, [1, length, length, heads], from negated scores of that shape."""
        negated = tf.add(negated, self._bias, name="masked")
        smallest = self._reduced(tf.reduce_min(negated, 2, keepdims=True), "smallest")
        distance = tf.subtract(smallest, negated, name="distance")  # at most 0
        below = tf.sigmoid(distance, name="below")
        root = tf.math.rsqrt(1 - below)
        # exp(distance). Masked again, because with a narrow range a saturated score is not far below the others.
        power = below * (root * root) * self._mask
        root = tf.math.rsqrt(tf.reduce_mean(power, 2, keepdims=True))
        return power * (root * root)

    def _reduced(self, x: Any, name: str) -> Any:
        """Returns the result of a reduction, before it is broadcast."""
        return x


class _TorqOps(_BroadcastOps):
    """The same with a convolution by the identity, exact in int8, between the smallest score and its broadcast.

    torq-compile 2.3.0 fuses the two and reads the smallest scores of other heads, without an error.
    """

    def _reduced(self, x: Any, name: str) -> Any:
        with tf.name_scope(name):
            return self.multiply(x, np.eye(x.shape[-1], dtype=np.float32))


class _MatmulOps(_ConvolutionOps):
    """Attention in BATCH_MATMUL and SOFTMAX, with an added mask."""

    def __init__(self, weights: ClassifierWeights, mask: Any) -> None:
        super().__init__(weights, mask)
        with scope("padding"):
            self._bias = tf.reshape((1 - mask) * MASKED_SCORE, [1, 1, 1, mask.shape[2]])

    def attend(self, layer: str, query: Any, key: Any, value: Any, *, is_first_only: bool) -> Any:
        with scope(layer):
            query, key, value = map(self._split_heads, (query, key, value))
        with scope(f"{layer}/scores"):
            scores = tf.matmul(query, key, transpose_b=True)
        with scope(f"{layer}/attention"):
            attention = tf.nn.softmax(tf.add(scores, self._bias, name="masked"))
        with scope(f"{layer}/mixed"):
            mixed = tf.transpose(tf.matmul(attention, value), [0, 2, 1, 3])
            return tf.reshape(mixed, [1, 1, mixed.shape[1], mixed.shape[2] * mixed.shape[3]])

    def _split_heads(self, x: Any) -> Any:
        heads = tf.reshape(x, [1, x.shape[2], self.num_heads, x.shape[-1] // self.num_heads])
        return tf.transpose(heads, [0, 2, 1, 3])


def _inner_width(weights: ClassifierWeights) -> int:
    return int(weights.layers[0].query.bias.shape[0]) if weights.layers else weights.width

"""The forward pass of a classifier for training: the same steps as in the file, over the variables of the Keras layers.

KerasHub's layers compute the same numbers. Here, a step of training takes less processor time, because the last layer
computes only the first position of each text, matmuls have rank 2, and the gradients of layer norms and of GELU are
written out. Dropout is at KerasHub's places.
"""

import math
from typing import Any

import keras
import tensorflow as tf

from edgedistil_converters.graph.transformer import POOLED

__all__ = ["TrainingOps", "attention_bias", "mean_over_tokens"]

_MASKED_SCORE = -1e4  # exp(-1e4) is 0 in float32


class TrainingOps:
    """The steps of a padded batch: x is [batch * length, width], heads are [batch, heads, length, head width].

    Args:
        layers: Site -> Keras layer that holds its variables.
        num_heads: Attention heads of each layer.
        shape: Number of texts, and tokens of each text with padding.
        bias: Bias of attention scores, float32[batch, 1, 1, length].
        dropout: Dropout rate of the encoder; 0 for inference.
        head_dropout: Dropout rate between the head's two layers; 0 for inference.
        step: Number from which dropout is drawn, an integer tensor: equal numbers drop the same values.
        seed: Seed of dropout.

    Attributes:
        layer_outputs: Outputs of the layers that were computed so far, each [batch * length, width], but [batch, width]
            of the last layer if it computes the first position only.
    """

    def __init__(
        self,
        layers: dict[str, Any],
        num_heads: int,
        shape: tuple[Any, Any],
        bias: Any,
        *,
        dropout: float = 0.0,
        head_dropout: float = 0.0,
        step: Any = 0,
        seed: int = 0,
    ) -> None:
        self._layers, self._num_heads = layers, num_heads
        (self._batch, self._length), self._bias = shape, bias
        self._dropout, self._head_dropout = dropout, head_dropout
        self._step, self._seed = tf.cast(step, tf.int32), seed
        self._draws = 0
        self.layer_outputs: list[Any] = []

    def drop(self, x: Any, rate: float | None = None) -> Any:
        """Returns x with a share of its values set to 0 and the others scaled up; x itself if the rate is 0."""
        rate = self._dropout if rate is None else rate
        if not rate:
            return x
        # A different seed for every place in the network and every step, so that nothing is stored between steps: a
        # training that goes on draws what one without a break would.
        self._draws += 1
        place = self._seed * 1000 + self._draws
        return tf.nn.experimental.stateless_dropout(x, rate, seed=[place, self._step], rng_alg="philox")

    def dense(self, site: str, x: Any, *, activation: str | None = None) -> Any:
        """Returns x @ kernel + bias: [rows, inputs] -> [rows, outputs]."""
        layer = self._layers[site]
        bias = tf.reshape(layer.bias, [-1])
        # KerasHub's attention has kernels [width, heads, head width] and [heads, head width, width].
        x = tf.nn.bias_add(tf.matmul(x, tf.reshape(layer.kernel, [-1, bias.shape[0]])), bias)
        if activation == "relu":
            x = tf.nn.relu(x)
        if site == POOLED:
            return self.drop(x, self._head_dropout)
        return self.drop(x) if site.endswith("output") else x

    def norm(self, site: str, x: Any) -> Any:
        """Returns the layer norm."""
        layer = self._layers[site]
        x = _layer_norm(x, tf.convert_to_tensor(layer.gamma), tf.convert_to_tensor(layer.beta), layer.epsilon)
        if site.endswith("/output_norm"):  # the last step of a layer
            self.layer_outputs.append(x)
        return x

    def add(self, site: str, x: Any, y: Any) -> Any:
        """Returns x + y."""
        return x + y

    def gelu(self, site: str, x: Any, *, is_approximate: bool) -> Any:
        """Returns the GELU of x, with erf or with tanh."""
        return tf.nn.gelu(x, approximate=True) if is_approximate else _gelu(x)

    def tanh(self, site: str, x: Any) -> Any:
        """Returns the tanh of x."""
        return tf.tanh(x)

    def first_position(self, layer: str, x: Any) -> Any:
        """Returns [batch, width]."""
        return tf.reshape(x, [self._batch, self._length, x.shape[-1]])[:, 0]

    def attend(self, layer: str, query: Any, key: Any, value: Any, *, is_first_only: bool) -> Any:
        """Returns [batch * length, width], or [batch, width] if the query is one position of each text."""
        width = query.shape[-1]
        query = self._split(query / math.sqrt(width // self._num_heads), 1 if is_first_only else self._length)
        key, value = self._split(key, self._length), self._split(value, self._length)
        attention = self.drop(tf.nn.softmax(tf.matmul(query, key, transpose_b=True) + self._bias))
        return tf.reshape(tf.transpose(tf.matmul(attention, value), [0, 2, 1, 3]), [-1, width])

    def _split(self, x: Any, length: Any) -> Any:
        heads = tf.reshape(x, [self._batch, length, self._num_heads, x.shape[-1] // self._num_heads])
        return tf.transpose(heads, [0, 2, 1, 3])


def attention_bias(padding_mask: Any) -> Any:
    """Returns what is added to attention scores: 0 at tokens, -10,000 at padding.

    Args:
        padding_mask: 1 at tokens, 0 at padding, int32[batch, length].

    Returns:
        float32[batch, 1, 1, length].

    Example:
        >>> attention_bias(tf.constant([[1, 0]])).numpy().astype(int).tolist()
        [[[[0, -10000]]]]
    """
    return (1.0 - tf.cast(padding_mask[:, None, None, :], keras.config.floatx())) * _MASKED_SCORE


def mean_over_tokens(hidden: Any, padding_mask: Any) -> Any:
    """Returns the mean over the tokens of each text, float32[batch, width].

    Args:
        hidden: float32[batch, length, width].
        padding_mask: 1 at tokens, 0 at padding, int32[batch, length].

    Example:
        >>> mean_over_tokens(tf.constant([[[2.0], [4.0], [9.0]]]), tf.constant([[1, 1, 0]])).numpy().tolist()
        [[3.0]]
    """
    weights = tf.cast(padding_mask, hidden.dtype)[:, :, None]
    return tf.reduce_sum(hidden * weights, 1) / tf.reduce_sum(weights, 1)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _gelu(x: Any) -> Any:
    below = 0.5 * (1.0 + tf.math.erf(x * math.sqrt(0.5)))  # the normal distribution's share below x

    def gradient(upstream: Any) -> Any:
        density = tf.exp(-0.5 * tf.square(x)) / math.sqrt(2 * math.pi)
        return upstream * (below + x * density)

    return x * below, gradient


def _layer_norm(x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    """[rows, width] -> [rows, width]."""

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def norm(x: Any, gamma: Any, beta: Any) -> Any:
        centred = x - tf.reduce_mean(x, -1, keepdims=True)
        scale = tf.math.rsqrt(tf.reduce_mean(tf.square(centred), -1, keepdims=True) + epsilon)
        normal = centred * scale

        def gradient(upstream: Any) -> Any:
            inner = upstream * gamma
            along = tf.reduce_mean(inner * normal, -1, keepdims=True)
            of_x = scale * (inner - tf.reduce_mean(inner, -1, keepdims=True) - normal * along)
            return of_x, tf.reduce_sum(upstream * normal, 0), tf.reduce_sum(upstream, 0)

        return normal * gamma + beta, gradient

    return norm(x, gamma, beta)

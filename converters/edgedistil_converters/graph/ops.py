"""The steps of the forward pass as TensorFlow ops that small machines run efficiently.

* Matmuls with weights have rank 2, which every backend runs as FULLY_CONNECTED.
* One text needs no padding, so `SingleText` has no mask. `PaddedBatch` masks attention by adding a bias.

Every step is traced under the name of its site, by which `tflite/site_names.py` finds it in the file.
"""

from typing import Any

import tensorflow as tf

from edgedistil_converters.graph.tensors import shared_constant
from edgedistil_converters.model.weights import ClassifierWeights, Dense, LayerNorm

__all__ = ["MASKED_SCORE", "PaddedBatch", "SingleText", "TensorFlowOps", "energies", "probabilities", "scope"]

# Added to the scores of padding. exp(-120) is 8e-53, so the softmax of padding is exactly 0 in float32; a number
# further from 0 would only widen the range of a quantized tensor.
MASKED_SCORE = -120.0


def scope(name: str) -> Any:
    """Returns a name scope that is exactly `name`: not nested in an open scope, not numbered when it is opened again.

    Example:
        >>> with tf.Graph().as_default(), tf.name_scope("outer"), scope("logits"):
        ...     tf.constant(1.0).name
        'logits/Const:0'
    """
    return tf.name_scope(f"{name}/" if name else "")


def probabilities(logits: Any, weights: ClassifierWeights) -> Any:
    """Returns the sigmoid or the softmax of logits, float32[b, num_classes].

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> from edgedistil_converters.model.keras_hub import read_weights
        >>> probabilities(tf.constant([[1.0, 1.0]]), read_weights(load_classifier("intents"))).numpy().tolist()
        [[0.5, 0.5]]
    """
    with scope("probabilities"):
        return tf.sigmoid(logits) if weights.output_activation == "sigmoid" else tf.nn.softmax(logits)


def energies(logits: Any, shares: Any) -> Any:
    """Returns the energy -log(sum(exp(logits))) of each row of logits, float32[b].

    Args:
        logits: float32[b, num_classes].
        shares: Their softmax, whose largest value is exp(largest logit) / sum(exp(logits)).

    Example:
        >>> logits = tf.constant([[9.0, 0.0]])
        >>> energies(logits, tf.nn.softmax(logits)).numpy().round(3).tolist()
        [-9.0]
    """
    with scope("unknown_score"):
        return tf.math.log(tf.reduce_max(shares, -1)) - tf.reduce_max(logits, -1)


class TensorFlowOps:
    """The steps that are the same for one text and for several.

    Args:
        weights: Weights of the classifier.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> from edgedistil_converters.model.keras_hub import read_weights
        >>> ops = TensorFlowOps(read_weights(load_classifier("intents")))
        >>> ops.dense("transformer_layer_0/intermediate", tf.zeros([6, 16])).shape
        TensorShape([6, 32])
    """

    def __init__(self, weights: ClassifierWeights) -> None:
        self.num_heads = weights.num_heads
        self._parts = weights.parts
        self._mean_pooling = weights.mean_pooling

    def dense(self, site: str, x: Any, *, activation: str | None = None) -> Any:
        """Returns x @ kernel + bias: [rows, inputs] -> [rows, outputs]."""
        weights = self._parts[site]
        assert isinstance(weights, Dense)
        with scope(site):
            x = self.multiply(x, weights.kernel) + shared_constant(weights.bias)
        return tf.nn.relu(x) if activation == "relu" else x

    def multiply(self, x: Any, kernel: Any) -> Any:
        """Returns x @ kernel."""
        return tf.matmul(x, shared_constant(kernel))

    def norm(self, site: str, x: Any) -> Any:
        """Returns the layer norm, with SUB instead of Keras's NEG and ADD, because some accelerators have no NEG.

        The last step is also a SUB: TensorFlow's converter would merge an ADD and the MUL before it into the next
        matmuls, whose weights would then be quantized with gamma in them.
        """
        weights = self._parts[site]
        assert isinstance(weights, LayerNorm)
        with scope(site):
            if weights.input_scale is not None:
                x = x * shared_constant(weights.input_scale)
            scaled = self.normalize(x, weights.epsilon) * shared_constant(weights.gamma)
            return tf.subtract(scaled, shared_constant(weights.negative_beta), name="shifted")

    def normalize(self, x: Any, epsilon: float) -> Any:
        """Returns x with mean 0 and variance 1 over its last axis."""
        centred = x - tf.reduce_mean(x, -1, keepdims=True)
        variance = tf.add(tf.reduce_mean(tf.square(centred), -1, keepdims=True), epsilon, name="variance")
        return centred * tf.math.rsqrt(variance)

    def add(self, site: str, x: Any, y: Any) -> Any:
        """Returns x + y."""
        with scope(site):
            return x + y

    def gelu(self, site: str, x: Any, *, is_approximate: bool) -> Any:
        """Returns the GELU of x, with erf or with tanh."""
        with scope(site):
            return tf.nn.gelu(x, approximate=is_approximate)

    def tanh(self, site: str, x: Any) -> Any:
        """Returns the tanh of x."""
        with scope(site):
            return tf.tanh(x)

    def mean(self, site: str, x: Any) -> Any:
        """Returns the weighted mean over the positions of each text, [1, width] or [batch, width]."""
        assert self._mean_pooling is not None
        return tf.multiply(self.mean_position(site, x), self._mean_pooling.weight, name=f"{site}/weighted")

    def mean_position(self, site: str, x: Any) -> Any:
        """Returns the mean over the positions of each text."""
        raise NotImplementedError


class SingleText(TensorFlowOps):
    """The steps of one text without padding: x is [length, width], heads are [heads, length, head width].

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> from edgedistil_converters.model.keras_hub import read_weights
        >>> ops, x = SingleText(read_weights(load_classifier("intents"))), tf.zeros([6, 16])
        >>> ops.attend("transformer_layer_0", x, x, x, is_first_only=False).shape
        TensorShape([6, 16])
    """

    def first_position(self, layer: str, x: Any) -> Any:
        """Returns [1, width]."""
        with scope(layer):
            return x[0:1]

    def mean_position(self, site: str, x: Any) -> Any:
        """Returns [1, width]."""
        with scope(site):
            return tf.reduce_mean(x, 0, keepdims=True)

    def attend(self, layer: str, query: Any, key: Any, value: Any, *, is_first_only: bool) -> Any:
        """Returns [length, width], or [1, width] if the query is one position."""
        with scope(layer):
            query, key, value = self._split(query), self._split(key), self._split(value)
        with scope(f"{layer}/scores"):
            scores = tf.matmul(query, key, transpose_b=True)
        with scope(f"{layer}/attention"):
            attention = tf.nn.softmax(scores)
        with scope(f"{layer}/mixed"):
            mixed = tf.matmul(attention, value)
            width = mixed.shape[0] * mixed.shape[2]
            return tf.reshape(tf.transpose(mixed, [1, 0, 2]), [-1, width])

    def _split(self, x: Any) -> Any:
        head_width = x.shape[-1] // self.num_heads
        return tf.transpose(tf.reshape(x, [-1, self.num_heads, head_width]), [1, 0, 2])


class PaddedBatch(TensorFlowOps):
    """The steps of a padded batch: x is [batch * length, width], heads are [batch, heads, length, head width].

    Args:
        weights: Weights of the classifier.
        batch: Number of texts.
        length: Tokens of each text, padding included.
        bias: Bias of attention scores, float32[batch, 1, 1, length]: 0 at tokens, `MASKED_SCORE` at padding.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> from edgedistil_converters.model.keras_hub import read_weights
        >>> ops = PaddedBatch(read_weights(load_classifier("intents")), 2, 6, tf.zeros([2, 1, 1, 6]))
        >>> ops.first_position("transformer_layer_0", tf.zeros([12, 16])).shape
        TensorShape([2, 16])
    """

    def __init__(self, weights: ClassifierWeights, batch: Any, length: Any, bias: Any) -> None:
        super().__init__(weights)
        self._batch, self._length, self._bias = batch, length, bias

    def first_position(self, layer: str, x: Any) -> Any:
        """Returns [batch, width]."""
        with scope(layer):
            return tf.reshape(tf.reshape(x, [self._batch, self._length, x.shape[-1]])[:, 0:1], [-1, x.shape[-1]])

    def mean_position(self, site: str, x: Any) -> Any:
        """Returns [batch, width]; padding does not count."""
        with scope(f"{site}_shares"):
            shares = tf.nn.softmax(tf.reshape(self._bias, [self._batch, 1, self._length]))  # 1/tokens, 0 at padding
        with scope(site):
            rows = tf.reshape(x, [self._batch, self._length, x.shape[-1]])
            return tf.reshape(tf.matmul(shares, rows), [-1, x.shape[-1]])

    def attend(self, layer: str, query: Any, key: Any, value: Any, *, is_first_only: bool) -> Any:
        """Returns [batch * length, width], or [batch, width] if the query is one position of each text."""
        with scope(layer):
            query = self._split(query, 1 if is_first_only else self._length)
            key, value = self._split(key, self._length), self._split(value, self._length)
        with scope(f"{layer}/scores"):
            scores = tf.matmul(query, key, transpose_b=True)
        # The name differs from attention without a mask, because the bias would widen the range of the scores: plans
        # with fixed ranges leave it float.
        with scope(f"{layer}/masked_attention"):
            attention = tf.nn.softmax(scores + self._bias)
        with scope(f"{layer}/mixed"):
            return self.merge_heads(tf.matmul(attention, value))

    def merge_heads(self, heads: Any) -> Any:
        """Reshapes [batch, heads, length, head width] to [batch * length, width]."""
        width = heads.shape[1] * heads.shape[3]
        return tf.reshape(tf.transpose(heads, [0, 2, 1, 3]), [-1, width])

    def _split(self, x: Any, length: Any) -> Any:
        head_width = x.shape[-1] // self.num_heads
        return tf.transpose(tf.reshape(x, [self._batch, length, self.num_heads, head_width]), [0, 2, 1, 3])

"""The steps of the forward pass as `tf_keras` layers, which TFMOT can clone and wrap.

They compute the same as `PaddedBatch` of `graph/ops.py`; a test compares both. b is the number of texts, m the length
of the padded rows. Imported only in the child process.
"""

# ruff: noqa: D102 - the docstring of each class gives the shapes of its call

from typing import Any

import tensorflow as tf
import tf_keras as keras

from edgedistil_converters.graph.ops import MASKED_SCORE

__all__ = [
    "Add",
    "Embeddings",
    "FirstPositions",
    "FirstScoresMask",
    "Gelu",
    "LayerNorm",
    "MaskedSoftmax",
    "MergeHeads",
    "MixValues",
    "Relu",
    "RowMask",
    "Scores",
    "ScoresMask",
    "Site",
    "SplitHeads",
    "Tanh",
    "TokenMask",
]


class TokenMask(keras.layers.Layer):  # type: ignore[misc]
    """token_ids int32[b, m] -> mask float32[b, m]: 1 at tokens, 0 at padding.

    Example:
        >>> TokenMask(pad_id=0)(tf.constant([[2, 7, 3, 0]])).numpy().tolist()
        [[1.0, 1.0, 1.0, 0.0]]
    """

    def __init__(self, pad_id: int, **options: Any) -> None:
        super().__init__(**options)
        self.pad_id = pad_id

    def call(self, token_ids: Any) -> Any:
        return tf.cast(tf.not_equal(token_ids, self.pad_id), tf.float32)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pad_id": self.pad_id}


class RowMask(keras.layers.Layer):  # type: ignore[misc]
    """The mask for rows: [b, m] -> [b * m, 1].

    Example:
        >>> RowMask()(tf.constant([[1.0, 1.0], [1.0, 0.0]])).numpy().tolist()
        [[1.0], [1.0], [1.0], [0.0]]
    """

    def call(self, mask: Any) -> Any:
        return tf.reshape(mask, [-1, 1])


class ScoresMask(keras.layers.Layer):  # type: ignore[misc]
    """The mask for scores: [b, m] -> [b, 1, m, m], 1 where a token attends to a token.

    Example:
        >>> ScoresMask()(tf.constant([[1.0, 0.0]])).numpy().tolist()
        [[[[1.0, 0.0], [0.0, 0.0]]]]
    """

    def call(self, mask: Any) -> Any:
        return mask[:, None, :, None] * mask[:, None, None, :]


class FirstScoresMask(keras.layers.Layer):  # type: ignore[misc]
    """The mask for scores of first positions: [b, m] -> [b, 1, 1, m].

    Example:
        >>> FirstScoresMask()(tf.constant([[1.0, 1.0, 0.0]])).shape
        TensorShape([1, 1, 1, 3])
    """

    def call(self, mask: Any) -> Any:
        return mask[:, None, None, :]


class FirstPositions(keras.layers.Layer):  # type: ignore[misc]
    """Rows [b * m, width] and the mask [b, m] -> rows [b, width] of the first positions.

    Example:
        >>> rows = tf.constant([[1.0], [2.0], [3.0], [4.0]])  # two texts of two tokens
        >>> FirstPositions()([rows, tf.ones([2, 2])]).numpy().tolist()
        [[1.0], [3.0]]
    """

    def call(self, inputs: Any) -> Any:
        rows, mask = inputs
        batch, length = tf.unstack(tf.shape(mask))
        return tf.reshape(rows, [batch, length, rows.shape[-1]])[:, 0]


class Embeddings(keras.layers.Layer):  # type: ignore[misc]
    """token_ids int32[b, m] -> rows [b * m, width]: token plus position embeddings, which training does not change.

    Example:
        >>> embed = Embeddings(vocabulary_size=9, max_sequence_length=5, width=4)
        >>> embed(tf.constant([[2, 7, 3]])).shape, embed.trainable_variables
        (TensorShape([3, 4]), [])
    """

    def __init__(self, vocabulary_size: int, max_sequence_length: int, width: int, **options: Any) -> None:
        super().__init__(**options)
        self.vocabulary_size, self.max_sequence_length, self.width = vocabulary_size, max_sequence_length, width

    def build(self, input_shape: Any) -> None:
        rows = {"token_embeddings": self.vocabulary_size, "position_embeddings": self.max_sequence_length}
        self.tables = [
            self.add_weight(name, (count, self.width), initializer="zeros", trainable=False)
            for name, count in rows.items()
        ]
        super().build(input_shape)

    def call(self, token_ids: Any) -> Any:
        tokens, positions = self.tables
        return tf.reshape(tf.gather(tokens, token_ids) + positions[: tf.shape(token_ids)[1]], [-1, self.width])

    def get_config(self) -> dict[str, Any]:
        sizes = {name: getattr(self, name) for name in ("vocabulary_size", "max_sequence_length", "width")}
        return {**super().get_config(), **sizes}


class LayerNorm(keras.layers.Layer):  # type: ignore[misc]
    """The layer norm over the last axis. It is computed in float in the file, so only its result is a site.

    Example:
        >>> LayerNorm(epsilon=0.0)(tf.constant([[1.0, 3.0]])).numpy().tolist()
        [[-1.0, 1.0]]
    """

    def __init__(self, epsilon: float, **options: Any) -> None:
        super().__init__(**options)
        self.epsilon = epsilon

    def build(self, input_shape: Any) -> None:
        self.gamma = self.add_weight("gamma", (input_shape[-1],), initializer="ones")
        self.beta = self.add_weight("beta", (input_shape[-1],), initializer="zeros")
        super().build(input_shape)

    def call(self, x: Any) -> Any:
        centred = x - tf.reduce_mean(x, -1, keepdims=True)
        scale = tf.math.rsqrt(tf.reduce_mean(tf.square(centred), -1, keepdims=True) + self.epsilon)
        return centred * scale * self.gamma + self.beta

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}


class SplitHeads(keras.layers.Layer):  # type: ignore[misc]
    """Rows [b * n, width] and the mask [b, m] -> [b, heads, n, width / heads]; n is m, or 1 for first positions.

    Example:
        >>> SplitHeads(num_heads=2)([tf.ones([6, 8]), tf.ones([2, 3])]).shape
        TensorShape([2, 2, 3, 4])
    """

    def __init__(self, num_heads: int, **options: Any) -> None:
        super().__init__(**options)
        self.num_heads = num_heads

    def call(self, inputs: Any) -> Any:
        rows, mask = inputs
        split = tf.reshape(rows, [tf.shape(mask)[0], -1, self.num_heads, rows.shape[-1] // self.num_heads])
        return tf.transpose(split, [0, 2, 1, 3])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_heads": self.num_heads}


class MergeHeads(keras.layers.Layer):  # type: ignore[misc]
    """[b, heads, n, head width] -> rows [b * n, width].

    Example:
        >>> MergeHeads()(tf.ones([2, 2, 3, 4])).shape
        TensorShape([6, 8])
    """

    def call(self, heads: Any) -> Any:
        return tf.reshape(tf.transpose(heads, [0, 2, 1, 3]), [-1, heads.shape[1] * heads.shape[3]])


class Scores(keras.layers.Layer):  # type: ignore[misc]
    """Queries [b, heads, n, head width] and keys [b, heads, m, head width] -> [b, heads, n, m]."""

    def call(self, inputs: Any) -> Any:
        return tf.matmul(*inputs, transpose_b=True)


class MaskedSoftmax(keras.layers.Layer):  # type: ignore[misc]
    """Scores [b, heads, n, m] and the mask [b, m] -> attention [b, heads, n, m], 0 at padding.

    Example:
        >>> scores = tf.constant([[[[5.0, 5.0, 9.0]]]])
        >>> MaskedSoftmax()([scores, tf.constant([[1.0, 1.0, 0.0]])]).numpy().tolist()
        [[[[0.5, 0.5, 0.0]]]]
    """

    def call(self, inputs: Any) -> Any:
        scores, mask = inputs
        return tf.nn.softmax(scores + (1 - mask[:, None, None, :]) * MASKED_SCORE)


class MixValues(keras.layers.Layer):  # type: ignore[misc]
    """Attention [b, heads, n, m] and values [b, heads, m, head width] -> [b, heads, n, head width]."""

    def call(self, inputs: Any) -> Any:
        return tf.matmul(*inputs)


class Add(keras.layers.Layer):  # type: ignore[misc]
    """The sum of two tensors. TFMOT would attach a quantizer of its own to `keras.layers.Add`."""

    def call(self, inputs: Any) -> Any:
        return inputs[0] + inputs[1]


class Gelu(keras.layers.Layer):  # type: ignore[misc]
    """GELU with erf, x * (1 + erf(x / sqrt(2))) / 2, or its approximation with tanh.

    Example:
        >>> Gelu()(tf.constant([-10.0, 0.0, 1.0])).numpy().round(4).tolist()
        [-0.0, 0.0, 0.8413...]
    """

    def __init__(self, *, is_approximate: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.is_approximate = is_approximate

    def call(self, x: Any) -> Any:
        return tf.nn.gelu(x, approximate=self.is_approximate)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "is_approximate": self.is_approximate}


class Relu(keras.layers.Layer):  # type: ignore[misc]
    """ReLU. TFMOT would fuse `keras.layers.ReLU` with the layer before it."""

    def call(self, x: Any) -> Any:
        return tf.nn.relu(x)


class Tanh(keras.layers.Layer):  # type: ignore[misc]
    """TFMOT would fuse Keras's own in its own way."""

    def call(self, x: Any) -> Any:
        return tf.tanh(x)


class Site(keras.layers.Layer):  # type: ignore[misc]
    """A quantized activation: [x, mask] -> x, set to 0 at padding; an activation without padding is passed as x only.

    Every range contains 0, so padding does not change the learned ranges.

    Example:
        >>> Site()([tf.constant([[5.0], [7.0]]), tf.constant([[1.0], [0.0]])]).numpy().tolist()
        [[5.0], [0.0]]
    """

    def call(self, inputs: Any) -> Any:
        if isinstance(inputs, list | tuple):
            return inputs[0] * inputs[1]
        return tf.identity(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0] if isinstance(input_shape, list) else input_shape

"""The steps of the edge graph as `tf_keras` layers, which TFMOT can clone and wrap.

They compute what `graph.encoder` computes for a padded batch; a test holds them to it. Loaded in the child process
only.
"""

# ruff: noqa: D102 - each class says what its methods take and give

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
    """token_ids int32[b, m] -> float32[b, m], 1 where there is a token and 0 where there is padding."""

    def __init__(self, pad_id: int, **options: Any) -> None:
        super().__init__(**options)
        self.pad_id = pad_id

    def call(self, token_ids: Any) -> Any:
        return tf.cast(tf.not_equal(token_ids, self.pad_id), tf.float32)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pad_id": self.pad_id}


class RowMask(keras.layers.Layer):  # type: ignore[misc]
    """The mask for rows: [b, m] -> [b * m, 1]."""

    def call(self, mask: Any) -> Any:
        return tf.reshape(mask, [-1, 1])


class ScoresMask(keras.layers.Layer):  # type: ignore[misc]
    """The mask for scores: [b, m] -> [b, 1, m, m], 1 where a token attends to a token."""

    def call(self, mask: Any) -> Any:
        return mask[:, None, :, None] * mask[:, None, None, :]


class FirstScoresMask(keras.layers.Layer):  # type: ignore[misc]
    """The mask for scores of first positions: [b, m] -> [b, 1, 1, m]."""

    def call(self, mask: Any) -> Any:
        return mask[:, None, None, :]


class FirstPositions(keras.layers.Layer):  # type: ignore[misc]
    """Rows [b * m, width] and the mask [b, m] -> rows [b, width] of the first positions."""

    def call(self, inputs: Any) -> Any:
        rows, mask = inputs
        batch, length = tf.unstack(tf.shape(mask))
        return tf.reshape(rows, [batch, length, rows.shape[-1]])[:, 0]


class Embeddings(keras.layers.Layer):  # type: ignore[misc]
    """token_ids int32[b, m] -> rows [b * m, width], the sums of two tables that training does not change."""

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
    """Over the last axis. All of it stays float in the file, so only its result is a site."""

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
    """Rows [b * n, width] and the mask [b, m] -> [b, heads, n, width / heads]; n is m, or 1 for first positions."""

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
    """[b, heads, n, head width] -> rows [b * n, width]."""

    def call(self, heads: Any) -> Any:
        return tf.reshape(tf.transpose(heads, [0, 2, 1, 3]), [-1, heads.shape[1] * heads.shape[3]])


class Scores(keras.layers.Layer):  # type: ignore[misc]
    """Queries [b, heads, n, head width] and keys [b, heads, m, head width] -> [b, heads, n, m]."""

    def call(self, inputs: Any) -> Any:
        return tf.matmul(*inputs, transpose_b=True)


class MaskedSoftmax(keras.layers.Layer):  # type: ignore[misc]
    """Scores [b, heads, n, m] and the mask [b, m] -> attention."""

    def call(self, inputs: Any) -> Any:
        scores, mask = inputs
        return tf.nn.softmax(scores + (1 - mask[:, None, None, :]) * MASKED_SCORE)


class MixValues(keras.layers.Layer):  # type: ignore[misc]
    """Attention [b, heads, n, m] and values [b, heads, m, head width] -> [b, heads, n, head width]."""

    def call(self, inputs: Any) -> Any:
        return tf.matmul(*inputs)


class Add(keras.layers.Layer):  # type: ignore[misc]
    """A sum of two. TFMOT would attach a quantizer to Keras's own where it sees one."""

    def call(self, inputs: Any) -> Any:
        return inputs[0] + inputs[1]


class Gelu(keras.layers.Layer):  # type: ignore[misc]
    """GELU with erf, or with tanh if `is_approximate`."""

    def __init__(self, *, is_approximate: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.is_approximate = is_approximate

    def call(self, x: Any) -> Any:
        return tf.nn.gelu(x, approximate=self.is_approximate)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "is_approximate": self.is_approximate}


class Relu(keras.layers.Layer):  # type: ignore[misc]
    """TFMOT would fuse Keras's own in its own way."""

    def call(self, x: Any) -> Any:
        return tf.nn.relu(x)


class Tanh(keras.layers.Layer):  # type: ignore[misc]
    """TFMOT would fuse Keras's own in its own way."""

    def call(self, x: Any) -> Any:
        return tf.tanh(x)


class Site(keras.layers.Layer):  # type: ignore[misc]
    """A quantized activation: [x, mask] -> x, with 0 where there is padding.

    0 is in every range anyway, so padding leaves no trace in what is learned. A site without padding takes x alone.
    """

    def call(self, inputs: Any) -> Any:
        if isinstance(inputs, list | tuple):
            return inputs[0] * inputs[1]
        return tf.identity(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0] if isinstance(input_shape, list) else input_shape

"""The encoder of a backbone for distillation: outputs of all tokens, not of the first one only, as one traced function.

`edgedistil.training.forward` computes the steps. Its last layer computes the first position of each text, because a
classifier reads no other; a teacher and a sentence encoder need all.
"""

from typing import Any

import tensorflow as tf

from edgedistil.training.forward import TrainingOps, attention_bias, mean_over_tokens
from edgedistil_converters.graph.transformer import EMBEDDINGS_NORM, Architecture, encode_normalized
from edgedistil_converters.model.folded_bert import gelu_kind
from edgedistil_converters.model.keras_hub import backbone_layers

__all__ = ["AllPositions", "Bfloat16Positions", "TokenNetwork", "mean_over_tokens"]


class AllPositions(TrainingOps):
    """The steps of a padded batch, with all positions in the last layer too."""

    def first_position(self, layer: str, x: Any) -> Any:
        """Returns x, [batch * length, width]."""
        return x

    def attend(self, layer: str, query: Any, key: Any, value: Any, *, is_first_only: bool) -> Any:
        """Returns [batch * length, width]."""
        return super().attend(layer, query, key, value, is_first_only=False)


class Bfloat16Positions(AllPositions):
    """The same steps with matmuls in bfloat16, whose sums are float32: faster on processors with AVX512-BF16 or AMX."""

    def dense(self, site: str, x: Any, *, activation: str | None = None) -> Any:
        """Returns x @ kernel + bias: [rows, inputs] -> [rows, outputs]."""
        layer = self._layers[site]
        bias = tf.reshape(layer.bias, [-1])
        kernel = tf.reshape(layer.kernel, [-1, bias.shape[0]])
        product = tf.matmul(tf.cast(x, tf.bfloat16), tf.cast(kernel, tf.bfloat16))
        return tf.nn.bias_add(tf.cast(product, tf.float32), bias)


class TokenNetwork:
    """Outputs of the last layer of a backbone for all tokens.

    Args:
        backbone: A `keras_hub.models.DistilBertBackbone`; its variables are used, not copied.
        ops: How a step is computed.

    Example:
        >>> import numpy as np
        >>> from edgedistil.builder import build_backbone
        >>> backbone = build_backbone("tiny", vocabulary_size=9)
        >>> ids, mask = np.array([[2, 7, 3, 0]], "int32"), np.array([[1, 1, 1, 0]], "int32")
        >>> expected = backbone({"token_ids": ids, "padding_mask": mask})
        >>> bool(np.allclose(TokenNetwork(backbone)(ids, mask)[:, :3], expected[:, :3], atol=1e-5))
        True
    """

    def __init__(self, backbone: Any, ops: type[AllPositions] = AllPositions) -> None:
        self._ops = ops
        [first, *_] = backbone.transformer_layers
        kind = gelu_kind(first._feedforward_intermediate_dense.activation)
        self.architecture = Architecture(int(backbone.num_layers), is_gelu_approximate=kind == "tanh")
        self.layers = dict(backbone_layers(backbone))
        self.num_heads, self.width = int(backbone.num_heads), int(backbone.hidden_dim)
        self._table = backbone.token_embedding.embeddings
        self._positions = backbone.embeddings.position_embedding.position_embeddings

    def __call__(self, token_ids: Any, padding_mask: Any) -> Any:
        """Returns float32[batch, length, width].

        Args:
            token_ids: int32[batch, length].
            padding_mask: 1 at tokens, 0 at padding, int32[batch, length].
        """
        steps = self._run(token_ids, padding_mask)
        return self._by_text(steps.layer_outputs[-1], token_ids)

    def layers_of(self, token_ids: Any, padding_mask: Any) -> list[Any]:
        """Returns the outputs of all layers, the first one first, each float32[batch, length, width]."""
        return [self._by_text(x, token_ids) for x in self._run(token_ids, padding_mask).layer_outputs]

    def _run(self, token_ids: Any, padding_mask: Any) -> AllPositions:
        """The steps, after the last layer."""
        batch, length = tf.shape(token_ids)[0], tf.shape(token_ids)[1]
        bias = attention_bias(tf.convert_to_tensor(padding_mask))
        steps = self._ops(self.layers, self.num_heads, (batch, length), bias)
        # The gradient of tf.gather from the value of Keras' variable has the rows of the batch only.
        embeddings = tf.gather(self._table.value, tf.reshape(token_ids, [-1]))
        positions = tf.convert_to_tensor(self._positions)[:length]
        x = steps.norm(EMBEDDINGS_NORM, embeddings + tf.tile(positions, [batch, 1]))
        encode_normalized(x, self.architecture, steps)
        return steps

    def _by_text(self, x: Any, token_ids: Any) -> Any:
        return tf.reshape(x, [tf.shape(token_ids)[0], tf.shape(token_ids)[1], self.width])

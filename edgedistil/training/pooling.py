"""Mean pooling as one more layer of the backbone.

A sentence encoder is trained so that the mean of its outputs over all tokens represents a text, while KerasHub's
classifier reads the first token only, which such an encoder was never trained for. `with_mean_pooling` adds a layer
whose first position is that mean: queries of 0 attend to all tokens equally, the values are copies, and the result is
scaled up so that the residual of the first token hardly counts after the layer norm. It is a layer as any other, so
classifiers with it are saved and trained like others; fine-tuning leaves it as it is. In a file the layer is a mean and
a layer norm (`edgedistil_converters.model.mean_pooling`), unless activations have fixed ranges.
"""

import math
from typing import Any

import numpy as np

from edgedistil.builder import build_backbone
from edgedistil.sizes import BackboneSize
from edgedistil_converters.model.folded_bert import gelu_kind
from edgedistil_converters.model.keras_hub import backbone_layers

__all__ = ["has_mean_pooling", "num_encoder_layers", "with_mean_pooling", "without_mean_pooling"]

# Weight of the mean beside the first token's 1, so large that the mean decides.
_MEAN_WEIGHT = 16.0


def with_mean_pooling(backbone: Any) -> Any:
    """Copies a backbone and adds a layer whose first position is the mean over all tokens, centred and scaled.

    Args:
        backbone: A `keras_hub.models.DistilBertBackbone`.

    Returns:
        A backbone with one layer more.

    Example:
        >>> backbone = build_backbone(BackboneSize(1, 4, 1, 8), vocabulary_size=9, max_sequence_length=8)
        >>> inputs = {"token_ids": np.array([[2, 7, 5, 3]]), "padding_mask": np.ones((1, 4), "int32")}
        >>> mean = np.mean(backbone(inputs)[0], axis=0)
        >>> pooled = np.array(with_mean_pooling(backbone)(inputs)[0, 0])
        >>> bool(np.corrcoef(mean, pooled)[0, 1] > 0.9)
        True
    """
    pooled = _copy(backbone, num_layers=int(backbone.num_layers) + 1)
    layers = dict(backbone_layers(pooled))
    last = f"transformer_layer_{backbone.num_layers}"
    _set_kernel(layers[f"{last}/query"], 0.0)
    _set_kernel(layers[f"{last}/value"], 1.0)
    _set_kernel(layers[f"{last}/attention_output"], _MEAN_WEIGHT)
    # The other half of the layer adds 0.
    output = layers[f"{last}/output"]
    output.kernel.assign(np.zeros(output.kernel.shape, "float32"))
    return pooled


def without_mean_pooling(backbone: Any) -> Any:
    """Copies a backbone without the layer that `with_mean_pooling` added; a backbone without that layer is returned.

    Example:
        >>> backbone = build_backbone(BackboneSize(2, 4, 1, 8), vocabulary_size=9, max_sequence_length=8)
        >>> without_mean_pooling(with_mean_pooling(backbone)).num_layers, without_mean_pooling(backbone) is backbone
        (2, True)
    """
    return _copy(backbone, num_layers=int(backbone.num_layers) - 1) if has_mean_pooling(backbone) else backbone


def has_mean_pooling(backbone: Any) -> bool:
    """Returns True if the last layer is the one that `with_mean_pooling` adds, unchanged.

    Example:
        >>> backbone = build_backbone(BackboneSize(1, 4, 1, 8), vocabulary_size=9, max_sequence_length=8)
        >>> has_mean_pooling(backbone), has_mean_pooling(with_mean_pooling(backbone))
        (False, True)
    """
    last, layers = f"transformer_layer_{backbone.num_layers - 1}", dict(backbone_layers(backbone))
    kernels = {"query": 0.0, "value": 1.0, "attention_output": _MEAN_WEIGHT}
    return backbone.num_layers > 0 and all(
        bool((np.asarray(layers[f"{last}/{part}"].kernel) == _diagonal(layers[f"{last}/{part}"], number)).all())
        for part, number in kernels.items()
    )


def num_encoder_layers(backbone: Any) -> int:
    """Returns the number of layers without that of `with_mean_pooling`.

    Example:
        >>> backbone = build_backbone(BackboneSize(2, 4, 1, 8), vocabulary_size=9, max_sequence_length=8)
        >>> num_encoder_layers(backbone), num_encoder_layers(with_mean_pooling(backbone))
        (2, 2)
    """
    return int(backbone.num_layers) - int(has_mean_pooling(backbone))


def _copy(backbone: Any, *, num_layers: int) -> Any:
    """Copies a backbone; layers beyond its own stay random, and those beyond the number are left out."""
    [first, *_] = backbone.transformer_layers
    copied = build_backbone(
        BackboneSize(num_layers, backbone.hidden_dim, backbone.num_heads, backbone.intermediate_dim),
        vocabulary_size=backbone.vocabulary_size,
        max_sequence_length=backbone.max_sequence_length,
        dropout=backbone.dropout,
        layer_norm_epsilon=float(backbone.embeddings_layer_norm.epsilon),
        gelu=gelu_kind(first._feedforward_intermediate_dense.activation),
    )
    copied.token_embedding.embeddings.assign(backbone.token_embedding.embeddings)
    positions = backbone.embeddings.position_embedding.position_embeddings
    copied.embeddings.position_embedding.position_embeddings.assign(positions)
    layers = dict(backbone_layers(copied))
    for site, layer in backbone_layers(backbone):
        if site in layers:
            for variable, target in zip(layer.weights, layers[site].weights, strict=True):
                target.assign(variable)
    return copied


def _set_kernel(layer: Any, diagonal: float) -> None:
    """Makes the kernel of a matmul of attention a multiple of the identity."""
    layer.kernel.assign(_diagonal(layer, diagonal))


def _diagonal(layer: Any, number: float) -> Any:
    """A multiple of the identity in the shape of the layer's kernel."""
    width = math.isqrt(math.prod(layer.kernel.shape))
    return (number * np.eye(width, dtype="float32")).reshape(layer.kernel.shape)

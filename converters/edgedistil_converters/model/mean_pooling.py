"""Makes a mean of a last layer that only averages.

KerasHub's classifier reads the first position. A classifier over a sentence encoder, which is trained for the mean over
all positions, has one more layer whose first position is that mean: its queries are 0, so every position is attended to
equally, its values are copies, and its second half adds 0. With gamma 1 and beta 0 the first layer norm does not change
what the second one returns. So the layer is norm(first position + weight * mean), without a matmul.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgedistil_converters.model.weights import ClassifierWeights, Dense, MeanPooling, TransformerLayer

__all__ = ["fold_mean_pooling"]

# The first layer norm divides by sqrt(variance + epsilon), and the second one sees a variance of about 1.
_LARGEST_EPSILON = 1e-6


def fold_mean_pooling(weights: ClassifierWeights) -> ClassifierWeights:
    """Returns weights whose averaging last layer is `mean_pooling`; other weights are returned as they are.

    Example:
        >>> from edgedistil.builder import build_backbone, build_classifier
        >>> from edgedistil.sizes import BackboneSize
        >>> from edgedistil.training.pooling import with_mean_pooling
        >>> from edgedistil_converters.model.keras_hub import read_weights
        >>> backbone = build_backbone(BackboneSize(1, 8, 1, 8), vocabulary_size=9, max_sequence_length=8)
        >>> weights = read_weights(build_classifier(with_mean_pooling(backbone), num_classes=2))
        >>> folded = fold_mean_pooling(weights)
        >>> len(weights.layers), len(folded.layers), folded.mean_pooling.weight
        (2, 1, 16.0)
    """
    if weights.mean_pooling is not None or len(weights.layers) < 2:
        return weights
    *layers, last = weights.layers
    weight = _mean_weight(last)
    if weight is None:
        return weights
    return replace(weights, layers=tuple(layers), mean_pooling=MeanPooling(weight, last.output_norm))


def _mean_weight(layer: TransformerLayer) -> float | None:
    """The weight of the mean in a layer that averages, or None for another layer."""
    width = len(layer.value.bias)
    weight = float(layer.attention_output.kernel[0, 0])
    norms = layer.attention_norm, layer.output_norm
    is_averaging = (
        _is_zero(layer.query.kernel, layer.query.bias)
        and _is_diagonal(layer.value, 1.0, width)
        and weight > 0
        and _is_diagonal(layer.attention_output, weight, width)
        and _is_zero(layer.output.kernel, layer.output.bias)
        and bool((layer.attention_norm.gamma == 1).all())
        and _is_zero(layer.attention_norm.beta)
        and all(norm.input_scale is None and norm.epsilon <= _LARGEST_EPSILON for norm in norms)
    )
    return weight if is_averaging else None


def _is_zero(*arrays: NDArray[np.float32]) -> bool:
    return not any(array.any() for array in arrays)


def _is_diagonal(dense: Dense, number: float, width: int) -> bool:
    """True if a dense layer multiplies by a number and adds nothing."""
    expected = number * np.eye(width, dtype=np.float32)
    return dense.kernel.shape == expected.shape and _is_zero(dense.bias) and bool((dense.kernel == expected).all())

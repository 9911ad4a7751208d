"""Initial weights of a classifier that is trained from scratch.

KerasHub draws every kernel with a standard deviation of 0.02, as BERT does at width 768. In a narrow network such
kernels pass on little beside the residual: the first token, which the head reads, learns about the others only slowly.
"""

from typing import Any

import keras
import numpy as np

from edgedistil_converters.model.keras_hub import backbone_layers, head_layers

__all__ = ["set_glorot_kernels"]


def set_glorot_kernels(classifier: Any, seed: int) -> None:
    """Draws every kernel anew, with the variance 2 / (inputs + outputs) (Glorot and Bengio 2010, equation 16).

    Biases, layer norms and embeddings stay as they are.

    Args:
        classifier: A `keras_hub.models.DistilBertTextClassifier`, changed in place.
        seed: Seed.

    Example:
        >>> from edgedistil.builder import build_backbone, build_classifier
        >>> backbone = build_backbone("tiny", vocabulary_size=9, max_sequence_length=8)
        >>> classifier = build_classifier(backbone, 2)
        >>> set_glorot_kernels(classifier, seed=0)
        >>> output = dict(backbone_layers(backbone))["transformer_layer_0/output"]  # [512, 128]
        >>> round(float(np.std(output.kernel)) / (2 / (512 + 128)) ** 0.5, 1)
        1.0
    """
    for number, (_, layer) in enumerate([*backbone_layers(classifier.backbone), *head_layers(classifier)]):
        if hasattr(layer, "kernel"):
            # KerasHub's attention has kernels [width, heads, head width] and [heads, head width, width].
            outputs = int(np.prod(layer.bias.shape))
            inputs = int(np.prod(layer.kernel.shape)) // outputs
            draw = keras.initializers.GlorotNormal(seed=1000 * seed + number)
            layer.kernel.assign(keras.ops.reshape(draw((inputs, outputs)), layer.kernel.shape))

"""A BERT as KerasHub's DistilBERT classes: what they leave out, as arguments that a saved preset keeps.

A BERT whose segment 0 was added to its position embeddings is a DistilBERT but for constants: the epsilon of its layer
norms, the form of its GELU (Hugging Face's has erf, KerasHub's tanh), and the activation of its head's hidden layer,
tanh where DistilBERT has ReLU. Each is set on the layers after KerasHub has built them; a Keras model calls its layers
again every time it runs.

Import this module before KerasHub loads a preset of these classes.
"""

from typing import Any

import keras
from keras_hub.models import DistilBertBackbone, DistilBertTextClassifier
from keras_hub.src.utils.keras_utils import gelu_approximate

__all__ = ["EPSILON", "GELUS", "FoldedBertBackbone", "FoldedBertTextClassifier", "gelu_kind", "is_distil_bert"]

EPSILON = 1e-12
"""The epsilon of the layer norms of KerasHub's DistilBERT and BERT."""

GELUS = {"erf": keras.activations.gelu, "tanh": gelu_approximate}
"""Form of GELU -> activation: x Phi(x) with erf, or its approximation with tanh."""


def gelu_kind(activation: Any) -> str:
    """Returns `erf` or `tanh` for a GELU, or the name of another activation.

    Example:
        >>> gelu_kind(keras.activations.gelu), gelu_kind(keras.activations.relu)
        ('erf', 'relu')
    """
    kinds = [kind for kind, gelu in GELUS.items() if gelu is activation]
    return kinds[0] if kinds else str(getattr(activation, "__name__", activation))


def is_distil_bert(backbone: Any) -> bool:
    """Returns True for a `DistilBertBackbone`, or a BERT in its form."""
    return isinstance(backbone, DistilBertBackbone)


@keras.saving.register_keras_serializable(package="edgedistil")
class FoldedBertBackbone(DistilBertBackbone):  # type: ignore[misc]
    """A `keras_hub.models.DistilBertBackbone` with a BERT's constants.

    Args:
        layer_norm_epsilon: Epsilon of every layer norm.
        gelu: `erf` or `tanh`.
        options: As in `DistilBertBackbone`.

    Example:
        >>> sizes = {"num_layers": 1, "num_heads": 1, "hidden_dim": 4, "intermediate_dim": 4}
        >>> backbone = FoldedBertBackbone(layer_norm_epsilon=1e-5, gelu="tanh", vocabulary_size=9, **sizes)
        >>> backbone.embeddings_layer_norm.epsilon
        1e-05
    """

    def __init__(self, *, layer_norm_epsilon: float = EPSILON, gelu: str = "erf", **options: Any) -> None:
        super().__init__(**options)
        self.layer_norm_epsilon, self.gelu = layer_norm_epsilon, gelu
        self.embeddings_layer_norm.epsilon = layer_norm_epsilon
        for layer in self.transformer_layers:
            layer.layer_norm_epsilon, layer.activation = layer_norm_epsilon, GELUS[gelu]
            layer._self_attention_layer_norm.epsilon = layer_norm_epsilon
            layer._feedforward_layer_norm.epsilon = layer_norm_epsilon
            layer._feedforward_intermediate_dense.activation = GELUS[gelu]

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "layer_norm_epsilon": self.layer_norm_epsilon, "gelu": self.gelu}


@keras.saving.register_keras_serializable(package="edgedistil")
class FoldedBertTextClassifier(DistilBertTextClassifier):  # type: ignore[misc]
    """A `keras_hub.models.DistilBertTextClassifier` with a BERT's head.

    Args:
        backbone: A `DistilBertBackbone`.
        num_classes: Number of outputs.
        pooled_activation: Activation of the head's hidden layer: `tanh`, or `relu` as in DistilBERT.
        options: As in `DistilBertTextClassifier`.

    Example:
        >>> sizes = {"num_layers": 1, "num_heads": 1, "hidden_dim": 4, "intermediate_dim": 4}
        >>> classifier = FoldedBertTextClassifier(FoldedBertBackbone(vocabulary_size=9, **sizes), 2)
        >>> classifier.pooled_dense.activation.__name__
        'tanh'
    """

    backbone_cls = FoldedBertBackbone

    def __init__(self, backbone: Any, num_classes: int, *, pooled_activation: str = "tanh", **options: Any) -> None:
        super().__init__(backbone, num_classes, **options)
        self.pooled_activation = pooled_activation
        self.pooled_dense.activation = keras.activations.get(pooled_activation)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "pooled_activation": self.pooled_activation}

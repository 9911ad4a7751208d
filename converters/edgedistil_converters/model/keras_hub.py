"""Where KerasHub keeps the weights of a classifier: read into plain arrays, and written back."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistil_converters.model.weights import ClassifierWeights, Dense, LayerNorm, TransformerLayer
from edgedistil_runtime.errors import ConversionError

__all__ = ["read_output_activation", "read_weights", "write_weights"]

Floats = NDArray[np.float32]


def read_weights(classifier: Any) -> ClassifierWeights:
    """Reads the weights of a `keras_hub.models.DistilBertTextClassifier`.

    Raises:
        ConversionError: not such a classifier, or one whose outputs are no probabilities.
    """
    backbone = classifier.backbone
    if type(backbone).__name__ != "DistilBertBackbone":
        raise ConversionError(
            "Only a DistilBertTextClassifier with a DistilBertBackbone can be converted. "
            f"Received a backbone of type {type(backbone).__name__}."
        )
    return ClassifierWeights(
        token_embeddings=_array(backbone.token_embedding.embeddings),
        position_embeddings=_array(backbone.embeddings.position_embedding.position_embeddings),
        embeddings_norm=_layer_norm(backbone.embeddings_layer_norm),
        layers=tuple(_transformer_layer(layer, backbone) for layer in backbone.transformer_layers),
        num_heads=int(backbone.num_heads),
        pooled=_dense(classifier.pooled_dense),
        logits=_dense(classifier.output_dense),
        output_activation=read_output_activation(classifier),
    )


def write_weights(classifier: Any, weights: ClassifierWeights) -> None:
    """Puts weights into a classifier of the same sizes: the inverse of `read_weights`."""
    backbone = classifier.backbone
    backbone.token_embedding.embeddings.assign(weights.token_embeddings)
    backbone.embeddings.position_embedding.position_embeddings.assign(weights.position_embeddings)
    _assign_norm(backbone.embeddings_layer_norm, weights.embeddings_norm)
    for layer, found in zip(backbone.transformer_layers, weights.layers, strict=True):
        attention = layer._self_attention_layer
        head_width = int(backbone.hidden_dim) // int(backbone.num_heads)
        _assign_dense(attention.query_dense, found.query, scale=head_width**0.5)
        _assign_dense(attention.key_dense, found.key)
        _assign_dense(attention.value_dense, found.value)
        _assign_dense(attention.output_dense, found.attention_output)
        _assign_norm(layer._self_attention_layer_norm, found.attention_norm)
        _assign_dense(layer._feedforward_intermediate_dense, found.intermediate)
        _assign_dense(layer._feedforward_output_dense, found.output)
        _assign_norm(layer._feedforward_layer_norm, found.output_norm)
    _assign_dense(classifier.pooled_dense, weights.pooled)
    _assign_dense(classifier.output_dense, weights.logits)


def read_output_activation(classifier: Any) -> str:
    """What a classifier's outputs are: `logits` (KerasHub's `activation=None`), `softmax` or `sigmoid`.

    Raises:
        ConversionError: anything else, which is no probability.
    """
    name = getattr(classifier.activation, "__name__", str(classifier.activation))
    legal = {"linear": "logits", "softmax": "softmax", "sigmoid": "sigmoid"}
    if name not in legal:
        raise ConversionError(
            "The classifier's outputs must be logits or probabilities: activation None, 'softmax' or 'sigmoid'. "
            f"Received: activation={name!r}. Build the classifier with one of these."
        )
    if classifier.num_classes == 1 and legal[name] != "sigmoid":
        raise ConversionError(
            "A classifier with one output needs activation='sigmoid': the softmax of one number is always 1. "
            f"Received: num_classes=1, activation={name!r}. Use two classes, or a sigmoid."
        )
    return legal[name]


def _array(variable: Any) -> Floats:
    array = np.asarray(variable.numpy() if hasattr(variable, "numpy") else variable, np.float32)
    if not np.isfinite(array).all():
        raise ConversionError(
            f"The weight {getattr(variable, 'path', variable)} holds values that are not finite (NaN or infinity). "
            "Training diverged; train again with a smaller learning rate."
        )
    return array


def _dense(layer: Any, inputs: int | None = None, scale: float = 1.0) -> Dense:
    kernel, bias = _array(layer.kernel), _array(layer.bias)
    rows = inputs if inputs is not None else kernel.shape[0]
    return Dense(kernel=(kernel * scale).reshape(rows, -1), bias=(bias * scale).reshape(-1))


def _assign_dense(layer: Any, dense: Dense, scale: float = 1.0) -> None:
    layer.kernel.assign((dense.kernel * scale).reshape(layer.kernel.shape))
    layer.bias.assign((dense.bias * scale).reshape(layer.bias.shape))


def _assign_norm(layer: Any, norm: LayerNorm) -> None:
    layer.gamma.assign(norm.gamma)
    layer.beta.assign(norm.beta)


def _layer_norm(layer: Any) -> LayerNorm:
    return LayerNorm(gamma=_array(layer.gamma), beta=_array(layer.beta), epsilon=float(layer.epsilon))


def _transformer_layer(layer: Any, backbone: Any) -> TransformerLayer:
    attention = layer._self_attention_layer
    width = int(backbone.hidden_dim)
    head_width = width // int(backbone.num_heads)
    return TransformerLayer(
        query=_dense(attention.query_dense, inputs=width, scale=head_width**-0.5),
        key=_dense(attention.key_dense, inputs=width),
        value=_dense(attention.value_dense, inputs=width),
        attention_output=_dense(attention.output_dense, inputs=width),
        attention_norm=_layer_norm(layer._self_attention_layer_norm),
        intermediate=_dense(layer._feedforward_intermediate_dense),
        output=_dense(layer._feedforward_output_dense),
        output_norm=_layer_norm(layer._feedforward_layer_norm),
    )

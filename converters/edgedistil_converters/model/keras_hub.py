"""Reads the weights of a KerasHub classifier into plain arrays, and writes them back.

A layer is KerasHub's `TransformerEncoder`, which DistilBERT shares with other post-norm encoders.
"""

from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edgedistil_converters.graph.transformer import POOLED_ACTIVATIONS, Architecture, layer_name
from edgedistil_converters.model.folded_bert import GELUS, gelu_kind, is_distil_bert
from edgedistil_converters.model.weights import ClassifierWeights, Dense, LayerNorm, TransformerLayer
from edgedistil_runtime.errors import ConversionError

__all__ = [
    "backbone_layers",
    "head_layers",
    "read_architecture",
    "read_output_activation",
    "read_weights",
    "write_weights",
]

# Part of a layer -> the layer of `TransformerEncoder` that holds it.
_PARTS_OF_LAYER: Mapping[str, str] = {
    "query": "_self_attention_layer.query_dense",
    "key": "_self_attention_layer.key_dense",
    "value": "_self_attention_layer.value_dense",
    "attention_output": "_self_attention_layer.output_dense",
    "attention_norm": "_self_attention_layer_norm",
    "intermediate": "_feedforward_intermediate_dense",
    "output": "_feedforward_output_dense",
    "output_norm": "_feedforward_layer_norm",
}


def read_weights(classifier: Any) -> ClassifierWeights:
    """Reads the weights of a `keras_hub.models.DistilBertTextClassifier`, or of a subclass of it.

    Raises:
        ConversionError: Another kind of classifier, or outputs that are neither logits nor probabilities.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> read_weights(load_classifier("intents")).token_embeddings.shape
        (23, 16)
    """
    backbone = classifier.backbone
    if not is_distil_bert(backbone):
        raise ConversionError(
            "Only a DistilBertTextClassifier with a DistilBertBackbone can be converted. "
            f"Received a backbone of type {type(backbone).__name__}."
        )
    parts = {site: _read(layer, _scale(site, backbone)) for site, layer in _layers(classifier)}
    own: dict[str, Any] = {site: part for site, part in parts.items() if "/" not in site}
    layers = [{name: parts[f"{layer_name(i)}/{name}"] for name in _PARTS_OF_LAYER} for i in range(backbone.num_layers)]
    return ClassifierWeights(
        token_embeddings=_array(backbone.token_embedding.embeddings),
        position_embeddings=_array(backbone.embeddings.position_embedding.position_embeddings),
        layers=tuple(TransformerLayer(**layer) for layer in layers),  # type: ignore[arg-type]
        num_heads=int(backbone.num_heads),
        output_activation=read_output_activation(classifier),
        pooled_activation=_read_pooled_activation(classifier),
        is_gelu_approximate=_read_gelu(backbone),
        **own,
    )


def write_weights(classifier: Any, weights: ClassifierWeights) -> None:
    """Writes weights into a classifier of the same sizes: the inverse of `read_weights`.

    Example:
        >>> from dataclasses import replace
        >>> from edgedistil.presets.loading import load_classifier
        >>> classifier = load_classifier("intents")
        >>> weights = read_weights(classifier)
        >>> write_weights(classifier, replace(weights, logits=Dense(0 * weights.logits.kernel, weights.logits.bias)))
        >>> float(abs(read_weights(classifier).logits.kernel).max())
        0.0
    """
    backbone = classifier.backbone
    backbone.token_embedding.embeddings.assign(weights.token_embeddings)
    backbone.embeddings.position_embedding.position_embeddings.assign(weights.position_embeddings)
    for site, layer in _layers(classifier):
        part = weights.parts[site]
        if isinstance(part, LayerNorm):
            layer.gamma.assign(part.gamma)
            layer.beta.assign(part.beta)
        else:
            scale = 1 / _scale(site, backbone)
            layer.kernel.assign((part.kernel * scale).reshape(layer.kernel.shape))
            layer.bias.assign((part.bias * scale).reshape(layer.bias.shape))


def read_architecture(classifier: Any) -> Architecture:
    """Reads which of the forward pass's forms a classifier has.

    Raises:
        ConversionError: A layer has an activation that the forward pass does not know.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> read_architecture(load_classifier("intents"))
        Architecture(num_layers=2, pooled_activation='relu', is_gelu_approximate=False, is_mean_pooled=False)
    """
    backbone = classifier.backbone
    return Architecture(int(backbone.num_layers), _read_pooled_activation(classifier), _read_gelu(backbone))


def read_output_activation(classifier: Any) -> str:
    """Returns the kind of a classifier's outputs: `logits` (KerasHub's `activation=None`), `softmax` or `sigmoid`.

    Raises:
        ConversionError: Another activation, or one output without a sigmoid.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> read_output_activation(load_classifier("intents"))
        'logits'
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


def backbone_layers(backbone: Any) -> Iterator[tuple[str, Any]]:
    """Yields (site, Keras layer) of every matmul and layer norm of a `DistilBertBackbone` or a `BertBackbone`.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> [site for site, _ in backbone_layers(load_classifier("intents").backbone)][:2]
        ['embeddings_layer_norm', 'transformer_layer_0/query']
    """
    yield "embeddings_layer_norm", backbone.embeddings_layer_norm
    for index, layer in enumerate(backbone.transformer_layers):
        for name, path in _PARTS_OF_LAYER.items():
            yield f"{layer_name(index)}/{name}", attrgetter(path)(layer)


def head_layers(classifier: Any) -> Iterator[tuple[str, Any]]:
    """Yields (site, Keras layer) of the two matmuls of a `DistilBertTextClassifier`'s head."""
    yield "pooled_dense", classifier.pooled_dense
    yield "logits", classifier.output_dense


def _layers(classifier: Any) -> Iterator[tuple[str, Any]]:
    """(site, Keras layer) of every matmul and layer norm."""
    yield from backbone_layers(classifier.backbone)
    yield from head_layers(classifier)


def _read_pooled_activation(classifier: Any) -> str:
    name = keras.activations.serialize(classifier.pooled_dense.activation)
    if name not in POOLED_ACTIVATIONS:
        raise ConversionError(
            f"The activation of the head's hidden layer must be {' or '.join(POOLED_ACTIVATIONS)}. Received: {name!r}."
        )
    return str(name)


def _read_gelu(backbone: Any) -> bool:
    """True for GELU with tanh, False for GELU with erf; all layers have the same."""
    found = [gelu_kind(layer._feedforward_intermediate_dense.activation) for layer in backbone.transformer_layers]
    wrong = [kind for kind in found if kind not in GELUS]
    if wrong or len(set(found)) > 1:
        raise ConversionError(
            f"The activation of the transformer layers must be GELU. Received: {', '.join(sorted(set(found)))}."
        )
    return "tanh" in found


def _scale(site: str, backbone: Any) -> float:
    """The factor 1/sqrt(head width) of attention, which `ClassifierWeights` includes in the queries."""
    head_width = int(backbone.hidden_dim) // int(backbone.num_heads)
    return float(head_width**-0.5) if site.endswith("/query") else 1.0


def _read(layer: Any, scale: float) -> Dense | LayerNorm:
    if hasattr(layer, "gamma"):
        return LayerNorm(gamma=_array(layer.gamma), beta=_array(layer.beta), epsilon=float(layer.epsilon))
    bias = _array(layer.bias).reshape(-1)
    # KerasHub's attention has kernels [width, heads, head width] and [heads, head width, width] for the output.
    kernel = _array(layer.kernel).reshape(-1, bias.size)
    return Dense(kernel=kernel * scale, bias=bias * scale)


def _array(variable: Any) -> NDArray[np.float32]:
    array = np.asarray(variable.numpy() if hasattr(variable, "numpy") else variable, np.float32)
    if not np.isfinite(array).all():
        raise ConversionError(
            f"The weight {getattr(variable, 'path', variable)} has values that are not finite (NaN or infinity). "
            "Training diverged; train again with a smaller `learning_rate`."
        )
    return array

"""The weights of a classifier as plain arrays, named after the steps of the forward pass that read them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistil_converters.graph.transformer import MEAN_POOLING_NORM, Architecture, layer_name

__all__ = ["ClassifierWeights", "Dense", "LayerNorm", "MeanPooling", "Part", "TransformerLayer"]

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Dense:
    """A dense layer, y = x @ kernel + bias.

    Attributes:
        kernel: Kernel, float32[inputs, outputs].
        bias: Bias, float32[outputs].
    """

    kernel: Floats
    bias: Floats


@dataclass(frozen=True)
class LayerNorm:
    """A layer norm, y = (x - mean) / sqrt(variance + epsilon) * gamma + beta.

    Attributes:
        gamma: Scale, float32[width].
        beta: Offset, float32[width].
        epsilon: Small number that is added to the variance.
        input_scale: Factor of each channel of x, float32[width]; `None` is 1.

    Example:
        >>> norm = LayerNorm(np.ones(2, np.float32), np.array([0.5, -1], np.float32), epsilon=1e-12)
        >>> norm.negative_beta.tolist(), norm.negative_beta is norm.negative_beta
        ([-0.5, 1.0], True)
    """

    gamma: Floats
    beta: Floats
    epsilon: float
    input_scale: Floats | None = None

    @cached_property
    def negative_beta(self) -> Floats:
        """-beta, always the same array object, so that graphs store it once.

        Beta is 0 everywhere in a layer norm that was never trained. TensorFlow's converter would remove the subtraction
        of zeros and merge gamma into the next matmuls, so the first of them is -1e-6.
        """
        negative = -self.beta
        if not negative.any():
            negative.flat[0] = -1e-6
        return negative


Part = Dense | LayerNorm


@dataclass(frozen=True)
class TransformerLayer:
    """One post-norm encoder layer; `query` includes the factor 1/sqrt(head width) of attention.

    The names of the fields are the second part of the names of sites, as in `transformer_layer_0/query`.
    """

    query: Dense
    key: Dense
    value: Dense
    attention_output: Dense
    attention_norm: LayerNorm
    intermediate: Dense
    output: Dense
    output_norm: LayerNorm


@dataclass(frozen=True)
class MeanPooling:
    """The row that the head reads if it is not the first position: norm(first position + weight * mean).

    Attributes:
        weight: Weight of the mean over all positions; that of the first position is 1.
        norm: Layer norm of the sum.
    """

    weight: float
    norm: LayerNorm


@dataclass(frozen=True)
class ClassifierWeights:
    """The weights that the forward pass of a classifier reads.

    Attributes:
        token_embeddings: Token embeddings, float32[vocabulary, width].
        position_embeddings: Position embeddings, float32[max_sequence_length, width].
        embeddings_layer_norm: Layer norm after the sum of both.
        layers: Encoder layers, first to last.
        num_heads: Attention heads of each layer.
        pooled_dense: Hidden layer of the head.
        logits: Last layer of the head.
        output_activation: Output of the classifier: `logits`, `softmax` or `sigmoid`. The probabilities of logits are
            their softmax.
        pooled_activation: Activation of the head's hidden layer: `relu`, or `tanh` in a BERT's.
        is_gelu_approximate: True for GELU with tanh, False for GELU with erf.
        mean_pooling: Pooling after the last layer; `None` if the head reads the first position.

    Example:
        >>> norm, dense = LayerNorm(np.ones(4), np.zeros(4), 1e-12), Dense(np.eye(4), np.zeros(4))
        >>> head = Dense(np.eye(4, 2), np.zeros(2))
        >>> weights = ClassifierWeights(np.eye(9, 4), np.zeros((5, 4)), norm, (), 1, dense, head, "softmax")
        >>> weights.num_classes, weights.parameters, list(weights.parts)
        (2, 94, ['embeddings_layer_norm', 'pooled_dense', 'logits'])
    """

    token_embeddings: Floats
    position_embeddings: Floats
    embeddings_layer_norm: LayerNorm
    layers: tuple[TransformerLayer, ...]
    num_heads: int
    pooled_dense: Dense
    logits: Dense
    output_activation: str
    pooled_activation: str = "relu"
    is_gelu_approximate: bool = False
    mean_pooling: MeanPooling | None = None

    @property
    def architecture(self) -> Architecture:
        """What the forward pass needs to know."""
        is_mean_pooled = self.mean_pooling is not None
        return Architecture(len(self.layers), self.pooled_activation, self.is_gelu_approximate, is_mean_pooled)

    @property
    def width(self) -> int:
        """The hidden width of the encoder."""
        return int(self.token_embeddings.shape[1])

    @property
    def num_classes(self) -> int:
        """The number of outputs of the classifier."""
        return int(self.logits.bias.shape[0])

    @cached_property
    def parts(self) -> Mapping[str, Part]:
        """Site -> weights of every matmul and layer norm."""
        found: dict[str, Part] = {name: part for name, part in _fields(self) if isinstance(part, Part)}
        for index, layer in enumerate(self.layers):
            found |= {f"{layer_name(index)}/{name}": part for name, part in _fields(layer)}
        if self.mean_pooling is not None:
            found[MEAN_POOLING_NORM] = self.mean_pooling.norm
        return found

    def with_parts(self, parts: Mapping[str, Part]) -> "ClassifierWeights":
        """Returns the same classifier with other weights; `parts` has all the names of `self.parts`."""
        layers = tuple(_layer(layer, f"{layer_name(index)}/", parts) for index, layer in enumerate(self.layers))
        own: dict[str, Any] = {name: parts[name] for name, part in _fields(self) if isinstance(part, Part)}
        if self.mean_pooling is not None:
            own["mean_pooling"] = MeanPooling(self.mean_pooling.weight, _norm(parts[MEAN_POOLING_NORM]))
        return replace(self, layers=layers, **own)

    def summary(self) -> dict[str, int]:
        """Returns the sizes of the architecture, under the names of `DistilBertBackbone`'s arguments."""
        return {
            "num_layers": len(self.layers),
            "num_heads": self.num_heads,
            "hidden_dim": self.width,
            "intermediate_dim": self.layers[0].intermediate.bias.shape[0] if self.layers else 0,
            "vocabulary_size": self.token_embeddings.shape[0],
            "max_sequence_length": self.position_embeddings.shape[0],
            "num_classes": self.num_classes,
            "parameters": self.parameters,
        }

    @property
    def parameters(self) -> int:
        """The number of values in all arrays."""
        arrays = [array for part in self.parts.values() for _, array in _fields(part) if isinstance(array, np.ndarray)]
        return sum(array.size for array in (self.token_embeddings, self.position_embeddings, *arrays))


def _norm(part: Part) -> LayerNorm:
    assert isinstance(part, LayerNorm)
    return part


def _layer(layer: TransformerLayer, prefix: str, parts: Mapping[str, Part]) -> TransformerLayer:
    found: dict[str, Any] = {name: parts[prefix + name] for name, _ in _fields(layer)}
    return replace(layer, **found)


def _fields(value: Any) -> list[tuple[str, Any]]:
    return [(field.name, getattr(value, field.name)) for field in fields(value)]

"""The weights of a classifier as plain arrays."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ClassifierWeights",
    "Dense",
    "LayerNorm",
    "TransformerLayer",
]

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Dense:
    """y = x @ kernel + bias; kernel float32[inputs, outputs], bias float32[outputs]."""

    kernel: Floats
    bias: Floats


@dataclass(frozen=True)
class LayerNorm:
    """gamma and beta float32[width], and the epsilon under the root."""

    gamma: Floats
    beta: Floats
    epsilon: float

    @cached_property
    def negative_beta(self) -> Floats:
        """-beta, one array however often it is asked for."""
        return -self.beta


@dataclass(frozen=True)
class TransformerLayer:
    """One post-norm encoder layer; the 1/sqrt(head width) of attention is already in `query`."""

    query: Dense
    key: Dense
    value: Dense
    attention_output: Dense
    attention_norm: LayerNorm
    intermediate: Dense
    output: Dense
    output_norm: LayerNorm


@dataclass(frozen=True)
class ClassifierWeights:
    """Everything that the forward pass of a `DistilBertTextClassifier` reads.

    Attributes:
        token_embeddings: float32[vocabulary, width].
        position_embeddings: float32[max_sequence_length, width].
        embeddings_norm: after their sum.
        layers: encoder layers, first to last.
        num_heads: attention heads of each.
        pooled: the head's hidden layer, ReLU behind it.
        logits: the head's last layer.
        output_activation: what the classifier ends in: `logits`, `softmax` or `sigmoid`. Probabilities of logits are
            their softmax.
    """

    token_embeddings: Floats
    position_embeddings: Floats
    embeddings_norm: LayerNorm
    layers: tuple[TransformerLayer, ...]
    num_heads: int
    pooled: Dense
    logits: Dense
    output_activation: str

    @property
    def width(self) -> int:
        """The hidden width of the encoder."""
        return int(self.token_embeddings.shape[1])

    @property
    def num_classes(self) -> int:
        """How many probabilities the classifier gives."""
        return int(self.logits.bias.shape[0])

    def summary(self) -> dict[str, int]:
        """The architecture in numbers, under the names of `DistilBertBackbone`'s arguments."""
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
        """How many numbers there are in all arrays."""
        denses = [self.pooled, self.logits]
        norms = [self.embeddings_norm]
        for layer in self.layers:
            denses += [layer.query, layer.key, layer.value, layer.attention_output, layer.intermediate, layer.output]
            norms += [layer.attention_norm, layer.output_norm]
        return (
            self.token_embeddings.size
            + self.position_embeddings.size
            + sum(dense.kernel.size + dense.bias.size for dense in denses)
            + sum(norm.gamma.size + norm.beta.size for norm in norms)
        )

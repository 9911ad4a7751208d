"""The forward pass of the classifier, written once: the order of its steps and their names.

    embeddings -> norm -> layers -> first position, or mean over the positions -> pooled -> logits

How a step is computed is left to an `Ops`: one text, a padded batch, a GPU, an Edge TPU and the model that is trained
with quantization each have their own. Every step has a name, its *site*: `transformer_layer_0/query`,
`transformer_layer_0/gelu`, `logits`. Weights, plans, ranges and files use the same names.

BERT's classifier has the same steps, but a tanh after `pooled_dense`. Its layer (Devlin et al. 2018, arXiv 1810.04805),
which DistilBERT has too (Sanh et al. 2019, arXiv 1910.01108), is the post-norm one of Vaswani et al. 2017 (arXiv
1706.03762). The last layer computes its first position only, because the classifier reads no other, unless the head
reads the mean over all of them.

This module imports the standard library only, so that plans can list the sites without loading a graph.
"""

from dataclasses import dataclass
from typing import Protocol, TypeVar

__all__ = [
    "EMBEDDINGS_NORM",
    "LOGITS",
    "MEAN_POOLING",
    "MEAN_POOLING_NORM",
    "POOLED",
    "POOLED_ACTIVATIONS",
    "POOLED_TANH",
    "Architecture",
    "Ops",
    "PoolingOps",
    "classify_embeddings",
    "classify_encoded",
    "classify_normalized",
    "encode_normalized",
    "layer_name",
    "pool_mean",
]

EMBEDDINGS_NORM, POOLED, LOGITS = "embeddings_layer_norm", "pooled_dense", "logits"
POOLED_TANH = "pooled_tanh"
MEAN_POOLING, MEAN_POOLING_NORM = "mean_pooling", "mean_pooling_norm"
POOLED_ACTIVATIONS = ("relu", "tanh")

X = TypeVar("X")


@dataclass(frozen=True)
class Architecture:
    """What differs between the classifiers that have this forward pass.

    Attributes:
        num_layers: Number of transformer layers.
        pooled_activation: Activation of the head's hidden layer: `relu` (DistilBERT) or `tanh` (BERT). A ReLU is part
            of the site `pooled_dense`, because kernels fuse it; a tanh is the site `pooled_tanh`.
        is_gelu_approximate: True for GELU with tanh, False for GELU with erf.
        is_mean_pooled: True if the head reads the row of `pool_mean`, False if it reads the first position.
    """

    num_layers: int
    pooled_activation: str = "relu"
    is_gelu_approximate: bool = False
    is_mean_pooled: bool = False


class Ops(Protocol[X]):
    """How one kind of graph computes a step; X is whatever stands for an activation in it."""

    def dense(self, site: str, x: X, *, activation: str | None = None) -> X:
        """Returns x @ kernel + bias with the weights of the site, then `relu` if that is the activation."""

    def norm(self, site: str, x: X) -> X:
        """Returns the layer norm of x with the weights of the site."""

    def add(self, site: str, x: X, y: X) -> X:
        """Returns x + y, a residual connection."""

    def gelu(self, site: str, x: X, *, is_approximate: bool) -> X:
        """Returns the GELU of x, with erf or (`is_approximate`) with tanh, or as close to it as the graph can be."""

    def tanh(self, site: str, x: X) -> X:
        """Returns the tanh of x."""

    def attend(self, layer: str, query: X, key: X, value: X, *, is_first_only: bool) -> X:
        """Returns multi-head attention: sites `scores`, `attention` and `mixed` of the layer.

        Args:
            layer: the name of the layer.
            query: queries, already scaled, of every position or of the first one.
            key: keys of every position.
            value: values of every position.
            is_first_only: True if `query` holds the first position only.
        """

    def first_position(self, layer: str, x: X) -> X:
        """Returns the first position of each text; `layer` is the layer that reads it, empty for the head."""


class PoolingOps(Ops[X], Protocol):
    """An `Ops` of graphs whose head can read the mean over all positions."""

    def mean(self, site: str, x: X) -> X:
        """Returns the mean over the positions of each text, times the weight that it has beside the first position."""


def layer_name(index: int) -> str:
    """Returns the first part of the site of every step of a layer.

    Example:
        >>> layer_name(0)
        'transformer_layer_0'
    """
    return f"transformer_layer_{index}"


def classify_embeddings(embeddings: X, architecture: Architecture, ops: Ops[X]) -> X:
    """Returns the logits of embeddings: token and position embeddings, added.

    Example:
        >>> class Names:
        ...     def dense(self, site, x, *, activation=None): return [*x, site]
        ...     norm = tanh = dense
        ...     def first_position(self, layer, x): return x
        >>> classify_embeddings([], Architecture(num_layers=0, pooled_activation="tanh"), Names())
        ['embeddings_layer_norm', 'pooled_dense', 'pooled_tanh', 'logits']
    """
    return classify_normalized(ops.norm(EMBEDDINGS_NORM, embeddings), architecture, ops)


def classify_normalized(x: X, architecture: Architecture, ops: Ops[X]) -> X:
    """Returns the logits of embeddings after their layer norm."""
    return classify_encoded(encode_normalized(x, architecture, ops), architecture, ops)


def encode_normalized(x: X, architecture: Architecture, ops: Ops[X]) -> X:
    """Returns the output of the last layer, of embeddings after their layer norm.

    It is the first position, which the head reads, or all positions if `pool_mean` takes them.
    """
    for index in range(architecture.num_layers):
        x = _layer(x, index, architecture, ops)
    return x if architecture.num_layers or architecture.is_mean_pooled else ops.first_position("", x)


def pool_mean(x: X, ops: PoolingOps[X]) -> X:
    """Returns the row that the head of a mean-pooled classifier reads, of the output of the last layer."""
    first, mean = ops.first_position(MEAN_POOLING, x), ops.mean(MEAN_POOLING, x)
    return ops.norm(MEAN_POOLING_NORM, ops.add(f"{MEAN_POOLING}_residual", first, mean))


def classify_encoded(x: X, architecture: Architecture, ops: Ops[X]) -> X:
    """Returns the logits of the first position or of the pooled row: the classifier's head."""
    if architecture.pooled_activation == "tanh":
        return ops.dense(LOGITS, ops.tanh(POOLED_TANH, ops.dense(POOLED, x)))
    return ops.dense(LOGITS, ops.dense(POOLED, x, activation="relu"))


def _layer(x: X, index: int, architecture: Architecture, ops: Ops[X]) -> X:
    """One encoder layer: attention and its residual, feed-forward and its residual."""
    layer = layer_name(index)
    is_last = index == architecture.num_layers - 1 and not architecture.is_mean_pooled
    queries = ops.first_position(layer, x) if is_last else x
    query = ops.dense(f"{layer}/query", queries)
    key, value = ops.dense(f"{layer}/key", x), ops.dense(f"{layer}/value", x)
    mixed = ops.attend(layer, query, key, value, is_first_only=is_last)
    mixed = ops.dense(f"{layer}/attention_output", mixed)
    x = ops.norm(f"{layer}/attention_norm", ops.add(f"{layer}/attention_residual", queries, mixed))
    hidden = ops.dense(f"{layer}/intermediate", x)
    hidden = ops.gelu(f"{layer}/gelu", hidden, is_approximate=architecture.is_gelu_approximate)
    hidden = ops.dense(f"{layer}/output", hidden)
    return ops.norm(f"{layer}/output_norm", ops.add(f"{layer}/output_residual", x, hidden))

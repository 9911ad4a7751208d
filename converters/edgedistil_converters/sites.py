"""Names of the steps of the forward pass, its sites, as lists: `transformer_layer_0/query`, `pooled_dense`, `logits`.

Plans choose layers by these names, files keep them (`tflite/site_names.py`), and the ranges of activations are listed
by them. The lists are recorded from the forward pass itself (`graph/transformer.py`).
"""

from edgedistil_converters.graph.transformer import POOLED_TANH, Architecture, classify_embeddings

__all__ = ["ACTIVATION_SITES", "EMBEDDING_SITES", "POOLED_TANH", "activation_sites", "matmul_sites"]

EMBEDDING_SITES = ("token_embeddings", "position_embeddings")
"""The embedding tables, which are looked up and not multiplied."""


class _Recorder:
    """Steps that compute nothing and keep their names, in the order in which they run."""

    def __init__(self, architecture: Architecture) -> None:
        self.activations: list[str] = []
        self.matmuls: list[str] = []
        classify_embeddings(None, architecture, self)

    def dense(self, site: str, x: None, *, activation: str | None = None) -> None:
        self.matmuls.append(site)
        self.activations.append(site)

    def norm(self, site: str, x: None) -> None:
        self.activations.append(site)

    def add(self, site: str, x: None, y: None) -> None:
        self.activations.append(site)

    def gelu(self, site: str, x: None, *, is_approximate: bool) -> None:
        self.activations.append(site)

    def tanh(self, site: str, x: None) -> None:
        self.activations.append(site)

    def attend(self, layer: str, query: None, key: None, value: None, *, is_first_only: bool) -> None:
        self.activations += (f"{layer}/{step}" for step in ("scores", "attention", "mixed"))

    def first_position(self, layer: str, x: None) -> None:
        pass


def matmul_sites(num_layers: int) -> tuple[str, ...]:
    """Lists the steps that multiply by constant weights, in the order in which they run.

    Example:
        >>> matmul_sites(1)[:4]
        ('transformer_layer_0/query', 'transformer_layer_0/key', 'transformer_layer_0/value',
         'transformer_layer_0/attention_output')
    """
    return tuple(_Recorder(Architecture(num_layers)).matmuls)


def activation_sites(num_layers: int, pooled_activation: str = "relu") -> tuple[str, ...]:
    """Lists the steps whose output a quantizer gives a range, in the order in which they run.

    `scores` are those before the mask, `attention` is the softmax of them, `mixed` the values that it weighs,
    `*_residual` a sum before its layer norm. `intermediate` comes before the GELU, `pooled_dense` after its ReLU, or
    before `pooled_tanh`.

    Example:
        >>> activation_sites(0)
        ('embeddings_layer_norm', 'pooled_dense', 'logits')
    """
    return tuple(_Recorder(Architecture(num_layers, pooled_activation)).activations)


ACTIVATION_SITES = tuple(site.partition("/")[2] for site in activation_sites(1) if "/" in site)
"""`activation_sites` of one layer, without the name of the layer."""

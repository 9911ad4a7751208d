"""The quantized activations of the edge graph, by name: the keys of the ranges that training learns."""

from edgedistil_converters.sites import ACTIVATION_SITES, GELU_FLOOR, SOFTMAX_REACH

__all__ = ["ATTENTION_RANGE", "GELU_FLOOR", "SOFTMAX_REACH", "has_floor", "site_names"]

ATTENTION_RANGE = (0.0, 255 / 256)
"""Of every softmax output: TFLite's int8 kernel has one grid, scale 1/256 and zero point -128."""


def has_floor(site: str) -> bool:
    """Whether there is a value below which a site's numbers no longer matter."""
    return site.endswith(("/scores", "/intermediate"))


def site_names(num_layers: int) -> tuple[str, ...]:
    """Names of all sites in the order of the forward pass.

    `scores` are those before the mask, `attention` is the softmax of them, `mixed` the values that it weighs,
    `*_residual` a sum before its layer norm. `intermediate` comes before the GELU, `pooled_dense` after its ReLU.
    """
    layers = [f"transformer_layer_{index}/{site}" for index in range(num_layers) for site in ACTIVATION_SITES]
    return ("embeddings_layer_norm", *layers, "pooled_dense", "logits")

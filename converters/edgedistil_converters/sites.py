"""Names of the steps of the forward pass, its sites: `transformer_layer_0/query`, `pooled_dense`, `logits`.

Plans choose layers by these names, files keep them (`tflite/site_names.py`), and the ranges of activations are listed
by them.
"""

__all__ = ["ACTIVATION_SITES", "EMBEDDING_SITES", "activation_sites", "matmul_sites"]

EMBEDDING_SITES = ("token_embeddings", "position_embeddings")
_MATMULS_OF_LAYER = ("query", "key", "value", "attention_output", "intermediate", "output")
# Every step of a layer whose output a quantizer gives a range, in the order in which they run.
ACTIVATION_SITES = (
    "query",
    "key",
    "value",
    "scores",
    "attention",
    "mixed",
    "attention_output",
    "attention_residual",
    "attention_norm",
    "intermediate",
    "gelu",
    "output",
    "output_residual",
    "output_norm",
)


def matmul_sites(num_layers: int) -> tuple[str, ...]:
    """The steps that multiply by constant weights, in the order in which they run."""
    layers = (f"transformer_layer_{i}/{name}" for i in range(num_layers) for name in _MATMULS_OF_LAYER)
    return (*layers, "pooled_dense", "logits")


def activation_sites(num_layers: int) -> tuple[str, ...]:
    """The steps whose output a quantizer gives a range, in the order in which they run.

    `scores` are those before the mask, `attention` is the softmax of them, `mixed` the values that it weighs,
    `*_residual` a sum before its layer norm. `intermediate` comes before the GELU, `pooled_dense` after its ReLU.
    """
    layers = [f"transformer_layer_{index}/{site}" for index in range(num_layers) for site in ACTIVATION_SITES]
    return ("embeddings_layer_norm", *layers, "pooled_dense", "logits")

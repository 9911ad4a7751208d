"""Site names in a flatbuffer.

TensorFlow's converter joins the names of ops that it fuses:
`.../attention_norm/add;transformer_layer_0/query/MatMul;...`. Here the output tensor of every step is renamed to
`<signature>/<site>`. Sites (`sites.py`) are equal in all signatures and schemes, so a plan can choose
`transformer_layer_0/query`, and a quantizer can get the range of `transformer_layer_0/gelu`.
"""

import re
from typing import Any

from ai_edge_litert import schema_py_generated as schema

__all__ = ["name_sites", "site_of"]

_OPERATORS = schema.BuiltinOperator
# TFLite op that computes a step -> the name that TensorFlow gives to that op; the group is the site.
_STEPS = {
    _OPERATORS.FULLY_CONNECTED: re.compile(r"(.+)/MatMul\d*"),
    _OPERATORS.BATCH_MATMUL: re.compile(r"(.+)/MatMul\d*"),
    _OPERATORS.SOFTMAX: re.compile(r"(.+)/Softmax\d*"),
    _OPERATORS.LOGISTIC: re.compile(r"(.+)/Sigmoid\d*"),
    _OPERATORS.TANH: re.compile(r"(.+)/Tanh\d*"),
    _OPERATORS.GELU: re.compile(r"(.+)/Gelu/.*"),
    _OPERATORS.ADD: re.compile(r"(.+_residual|embeddings)/add\d*"),
    _OPERATORS.MEAN: re.compile(r"(mean_pooling)/Mean\d*"),
    _OPERATORS.SUB: re.compile(r"(.+_norm)/shifted\d*"),
}


def site_of(tensor_name: str, signature: str) -> str:
    """Return the site in a tensor's name, or an empty string.

    Args:
        tensor_name: Name of a tensor.
        signature: The signature that the tensor belongs to.

    Example:
        >>> site_of("tokens/logits", "tokens"), site_of("text/logits", "tokens")
        ('logits', '')
    """
    prefix = f"{signature}/"
    return tensor_name.removeprefix(prefix) if tensor_name.startswith(prefix) else ""


def name_sites(content: Any) -> int:
    """Rename the output tensors of all steps of a `ModelT`, in place.

    Args:
        content: The model, as TensorFlow's converter names it.

    Returns:
        The number of transformer layers.
    """
    layers: set[str] = set()
    for signature in content.signatureDefs:
        subgraph = content.subgraphs[signature.subgraphIndex]
        for op in subgraph.operators:
            pattern = _STEPS.get(content.operatorCodes[op.opcodeIndex].builtinCode)
            tensor = subgraph.tensors[op.outputs[0]]
            parts = [pattern.fullmatch(part) for part in tensor.name.decode().split(";")] if pattern else []
            sites = [match.group(1) for match in parts if match]
            if sites:
                # Of several steps that were fused to one op, the last one computes its output.
                tensor.name = signature.signatureKey + b"/" + sites[-1].encode()
                layers.update(site.split("/")[0] for site in sites[-1:] if site.startswith("transformer_layer_"))
    return len(layers)

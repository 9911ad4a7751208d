"""Names of the steps of the forward pass in a flatbuffer.

A converter that fuses ops joins their names: `.../attention_norm/add;transformer_layer_0/query/MatMul;...`. Here every
tensor that a step puts out is renamed to `<signature>/<site>`, where the site is the name of the step: equal in all
signatures and schemes, so that a plan can say `transformer_layer_0/query` and a quantizer can be given the range of
`transformer_layer_0/gelu`.
"""

import re
from typing import Any

from ai_edge_litert import schema_py_generated as schema

__all__ = ["name_sites", "site_of"]

_OPERATORS = schema.BuiltinOperator
# The last part of the name that TensorFlow gives to the op of a step, for each TFLite op that can carry a step.
_STEPS = {
    _OPERATORS.FULLY_CONNECTED: re.compile(r"(.+)/MatMul\d*"),
    _OPERATORS.BATCH_MATMUL: re.compile(r"(.+)/MatMul\d*"),
    _OPERATORS.SOFTMAX: re.compile(r"(.+)/Softmax\d*"),
    _OPERATORS.LOGISTIC: re.compile(r"(.+)/Sigmoid\d*"),
    _OPERATORS.GELU: re.compile(r"(.+)/Gelu/.*"),
    _OPERATORS.ADD: re.compile(r"(.+_residual|embeddings)/add\d*"),
    _OPERATORS.SUB: re.compile(r"(.+_norm)/shifted\d*"),
}


def site_of(tensor_name: str, signature: str) -> str:
    """The site that a tensor of a signature is named by, or an empty string."""
    prefix = f"{signature}/"
    return tensor_name.removeprefix(prefix) if tensor_name.startswith(prefix) else ""


def name_sites(content: Any) -> int:
    """Renames, in place, the tensors of a `ModelT` that steps of the edge graph put out.

    Returns:
        How many transformer layers it has.
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
                tensor.name = signature.signatureKey + b"/" + sites[-1].encode()
                layers.update(site.split("/")[0] for site in sites[-1:] if site.startswith("transformer_layer_"))
    return len(layers)

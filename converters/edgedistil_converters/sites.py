"""Names of the steps of the edge graph in a flatbuffer.

A converter that fuses ops joins their names: `.../attention_norm/add;transformer_layer_0/query/MatMul;...`. Here every
tensor that a step of the edge graph puts out is renamed to `<signature>/<site>`, where the site is the step's name
alone: equal in all signatures and schemes, so that a plan can say `transformer_layer_0/query` and a quantizer can be
told the range of `transformer_layer_0/gelu`. The sites are those of `edge_graph/encoder.py`.
"""

import re
from typing import Any

from ai_edge_litert import schema_py_generated as schema

__all__ = ["name_sites"]

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


def name_sites(content: Any) -> None:
    """Renames, in place, the tensors of a `ModelT` that steps of the edge graph put out."""
    for signature in content.signatureDefs:
        subgraph = content.subgraphs[signature.subgraphIndex]
        for op in subgraph.operators:
            pattern = _STEPS.get(content.operatorCodes[op.opcodeIndex].builtinCode)
            tensor = subgraph.tensors[op.outputs[0]]
            parts = [pattern.fullmatch(part) for part in tensor.name.decode().split(";")] if pattern else []
            sites = [match.group(1) for match in parts if match]
            if sites:
                tensor.name = signature.signatureKey + b"/" + sites[-1].encode()

"""The ranges of activations: measured on texts, and spread over a graph for a quantizer.

Static int8 rounds an activation to 256 steps between a least and a greatest value that the file fixes. They are
measured here by running the float model; quantization-aware training learns them instead. Three steps of a
transformer waste most of a plain range:

* What goes into GELU reaches far below zero, where GELU gives zero: below -4 it gives less than 1.3e-4.
* What goes into softmax may be far below the row's largest value, where softmax gives zero: exp(-12) is 6e-6.
* What comes out of softmax is between 0 and 1, whatever the texts were.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgedistil_converters.tflite.site_names import site_of

__all__ = ["ATTENTION_RANGE", "GELU_FLOOR", "SOFTMAX_REACH", "Ranges", "has_floor", "quantizer_statistics"]

Ranges = Mapping[str, tuple[float, float]]

GELU_FLOOR = -4.0
"""GELU gives less than 1.3e-4 for anything below it, so what goes into GELU needs no int8 steps there."""
SOFTMAX_REACH = 12.0
"""Softmax gives less than 6e-6 for a score that lies further below the largest of its row."""
ATTENTION_RANGE = (0.0, 255 / 256)
"""The range of every softmax output: TFLite's int8 kernel has one grid, scale 1/256 and zero point -128."""

_NARROWEST = 1e-3  # of a step that gave zeros alone, or its scale would be 0
_MASKED_ATTENTION, _ATTENTION = "masked_attention", "attention"
# Ops that put out the numbers that they take in.
_MOVING = {
    getattr(schema.BuiltinOperator, name)
    for name in ("RESHAPE", "TRANSPOSE", "SLICE", "STRIDED_SLICE", "SQUEEZE", "EXPAND_DIMS")
}


def has_floor(site: str) -> bool:
    """True for a site that has a value below which its numbers no longer matter."""
    return site.endswith(("/scores", "/intermediate"))


def quantizer_statistics(content: Any, ranges: Ranges) -> dict[str, dict[str, Any]]:
    """Ranges of sites as the calibration result of litert-quantizer: of every tensor that has one, by its name.

    Args:
        content: a `ModelT` with named sites.
        ranges: of the sites.

    Returns:
        tensor name -> {"min": float32, "max": float32}, for tensors of sites in all signatures and for those that only
        move the numbers of one.
    """
    found: dict[str, dict[str, Any]] = {}
    for signature in content.signatureDefs:
        subgraph, known = content.subgraphs[signature.subgraphIndex], dict[int, tuple[float, float]]()
        for op in subgraph.operators:
            output = int(op.outputs[0])
            name = subgraph.tensors[output].name.decode()
            site = site_of(name, signature.signatureKey.decode()).replace(_MASKED_ATTENTION, _ATTENTION)
            is_moving = content.operatorCodes[op.opcodeIndex].builtinCode in _MOVING
            if site in ranges:
                known[output] = ranges[site]
            elif is_moving and int(op.inputs[0]) in known:
                known[output] = known[int(op.inputs[0])]
            if output in known:
                least, greatest = known[output]
                found[name] = {"min": np.float32(least), "max": np.float32(max(greatest, least + _NARROWEST))}
    return found

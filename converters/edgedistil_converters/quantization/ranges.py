"""Ranges of activations: where they can be cut, and their form for litert-quantizer.

Static int8 rounds an activation to 256 steps between a minimum and a maximum that are fixed in the file. They are
measured by running the float model (`observed_ranges.py`), or learned by quantization-aware training. Three steps of a
transformer would waste most of a range that is just measured:

* The input of GELU reaches far below zero, where GELU's output is nearly 0: less than 1.3e-4 in size below -4.
* The input of softmax may be far below the largest of its row, where softmax's output is nearly 0: exp(-12) is 6e-6.
* The output of softmax is between 0 and 1 for all texts.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgedistil_converters.sites import POOLED_TANH
from edgedistil_converters.tflite.site_names import site_of

__all__ = [
    "ATTENTION_RANGE",
    "GELU_FLOOR",
    "SOFTMAX_REACH",
    "TANH_RANGE",
    "Ranges",
    "fixed_range",
    "has_floor",
    "quantizer_statistics",
]

Ranges = Mapping[str, tuple[float, float]]  # site or tensor name -> (min, max)

GELU_FLOOR = -4.0
"""GELU's output is smaller than 1.3e-4 for inputs below this, so the input's range can end here."""
SOFTMAX_REACH = 12.0
"""Softmax's output is below 6e-6 for a score that is more than this below the largest of its row."""
ATTENTION_RANGE = (0.0, 255 / 256)
"""The range of every softmax output: TFLite's int8 kernel always has scale 1/256 and zero point -128."""
TANH_RANGE = (-1.0, 127 / 128)
"""The range of every tanh output: TFLite's int8 kernel always has scale 1/128 and zero point 0."""

_NARROWEST = 1e-3  # max - min; the range of an output that was always 0 would give a scale of 0
_MASKED_ATTENTION, _ATTENTION = "masked_attention", "attention"
# Ops whose output has the values of their input.
_MOVING = {
    getattr(schema.BuiltinOperator, name)
    for name in ("RESHAPE", "TRANSPOSE", "SLICE", "STRIDED_SLICE", "SQUEEZE", "EXPAND_DIMS")
}


def fixed_range(site: str) -> tuple[float, float] | None:
    """Return the range that TFLite fixes for the output of a site, if it does.

    Example:
        >>> fixed_range("pooled_tanh"), fixed_range("logits")
        ((-1.0, 0.9921875), None)
    """
    if site == POOLED_TANH:
        return TANH_RANGE
    return ATTENTION_RANGE if site.endswith("/attention") else None


def has_floor(site: str) -> bool:
    """Return True for a site whose values have a floor below which differences do not matter.

    Example:
        >>> has_floor("transformer_layer_0/scores"), has_floor("transformer_layer_0/query")
        (True, False)
    """
    return site.endswith(("/scores", "/intermediate"))


def quantizer_statistics(content: Any, ranges: Ranges) -> dict[str, dict[str, Any]]:
    """Return ranges of sites in the form of litert-quantizer's calibration results.

    Args:
        content: A `ModelT` with named sites.
        ranges: Site -> (min, max).

    Returns:
        Tensor name -> {"min": float32, "max": float32}, for the outputs of sites in all signatures and for tensors with
        the same values in another shape or order.
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

"""The ranges of activations: measured on texts, and spread over a graph for a quantizer.

Static int8 rounds an activation to 256 steps between a least and a greatest value that the file fixes. They are
measured here by running the float model; quantization-aware training learns them instead. Three steps of a
transformer waste most of a plain range:

* What goes into GELU reaches far below zero, where GELU gives zero: below -4 it gives less than 1.3e-4.
* What goes into softmax may be far below the row's largest value, where softmax gives zero: exp(-12) is 6e-6.
* What comes out of softmax is between 0 and 1, whatever the texts were.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgedistil_converters.quantization.observation import observed
from edgedistil_converters.sites import GELU_FLOOR, SOFTMAX_REACH, site_of

__all__ = ["Ranges", "activation_ranges", "quantizer_statistics"]

Ranges = Mapping[str, tuple[float, float]]

_PROBABILITY = (0.0, 1.0)
_NARROWEST = 1e-3  # of a step that gave zeros alone, or its scale would be 0
_MASKED_ATTENTION, _ATTENTION = "masked_attention", "attention"
# Ops that put out the numbers that they take in.
_MOVING = {
    getattr(schema.BuiltinOperator, name)
    for name in ("RESHAPE", "TRANSPOSE", "SLICE", "STRIDED_SLICE", "SQUEEZE", "EXPAND_DIMS")
}


def activation_ranges(model: bytes, token_ids: Iterable[Sequence[int]]) -> dict[str, tuple[float, float]]:
    """Runs a float model on rows of token ids and measures every site.

    Args:
        model: a flatbuffer with named sites (`name_sites`) and the signature `classify_tokens`, or `serving_default`.
        token_ids: rows without padding, of the lengths that the texts have.

    Returns:
        site -> (least, greatest), zero between them.
    """
    least: dict[str, float] = {}
    greatest: dict[str, float] = {}
    with observed(model) as running:
        tensors = {site.replace(_MASKED_ATTENTION, _ATTENTION): tensor for site, tensor in running.sites.items()}
        for row in token_ids:
            running.run(row)
            for site, tensor in tensors.items():
                low, high = _reach(site, running.values(tensor))
                least[site] = min(low, least.get(site, 0.0))
                greatest[site] = max(high, greatest.get(site, 0.0))
    return {site: _useful(site, least[site], greatest[site]) for site in least}


def _reach(site: str, values: NDArray[np.float32]) -> tuple[float, float]:
    least, greatest = float(values.min()), float(values.max())
    if site.endswith("/scores"):
        least = max(least, float(values.max(-1).min()) - SOFTMAX_REACH)
    return least, greatest


def _useful(site: str, least: float, greatest: float) -> tuple[float, float]:
    if site.endswith(f"/{_ATTENTION}"):
        return _PROBABILITY
    if site.endswith("/intermediate"):
        return max(least, GELU_FLOOR), greatest
    return least, greatest


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

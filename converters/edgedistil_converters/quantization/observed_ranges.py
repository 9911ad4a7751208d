"""Measures the ranges of activations by running the float model on texts."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from edgedistil_converters.quantization.observation import observed
from edgedistil_converters.quantization.ranges import GELU_FLOOR, SOFTMAX_REACH
from edgedistil_converters.sites import POOLED_TANH

__all__ = ["activation_ranges"]

_PROBABILITY_RANGE, _TANH_RANGE = (0.0, 1.0), (-1.0, 1.0)
_MASKED_ATTENTION, _ATTENTION = "masked_attention", "attention"


def activation_ranges(model: bytes, token_ids: Iterable[Sequence[int]]) -> dict[str, tuple[float, float]]:
    """Run a float model on rows of token ids and measure the range of every site.

    Args:
        model: A flatbuffer with named sites (`name_sites`) and the signature `classify_tokens` or `serving_default`.
        token_ids: Rows without padding, as long as the texts are.

    Returns:
        Site -> (min, max), with min <= 0 <= max.

    Example:
        >>> from edgedistil_runtime import read_artifact
        >>> model = read_artifact("intents.tflite").flatbuffer()  # dynamic int8: its activations are floats
        >>> ranges = activation_ranges(model, [[2, 5, 10, 6, 7, 3]])
        >>> ranges["transformer_layer_0/attention"], ranges["transformer_layer_0/intermediate"][0] >= GELU_FLOOR
        ((0.0, 1.0), True)
    """
    least: dict[str, float] = {}
    greatest: dict[str, float] = {}
    with observed(model) as running:
        tensors = {site.replace(_MASKED_ATTENTION, _ATTENTION): tensor for site, tensor in running.sites.items()}
        for row in token_ids:
            running.run(row)
            for site, tensor in tensors.items():
                low, high = _observed_range(site, running.values(tensor))
                least[site] = min(low, least.get(site, 0.0))  # from 0, so that the range contains it
                greatest[site] = max(high, greatest.get(site, 0.0))
    return {site: _clip_range(site, least[site], greatest[site]) for site in least}


def _observed_range(site: str, values: NDArray[np.float32]) -> tuple[float, float]:
    """Return the (min, max) of one run; scores far below the maximum of their row do not count."""
    least, greatest = float(values.min()), float(values.max())
    if site.endswith("/scores"):  # [..., queries, keys]: the smallest of the row maxima, less the reach
        least = max(least, float(values.max(-1).min()) - SOFTMAX_REACH)
    return least, greatest


def _clip_range(site: str, least: float, greatest: float) -> tuple[float, float]:
    """Return the part of a range in which differences matter to the next step."""
    if site.endswith(f"/{_ATTENTION}"):
        return _PROBABILITY_RANGE
    if site == POOLED_TANH:
        return _TANH_RANGE
    if site.endswith("/intermediate"):
        return max(least, GELU_FLOOR), greatest
    return least, greatest

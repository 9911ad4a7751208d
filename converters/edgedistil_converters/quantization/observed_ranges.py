"""The ranges of activations, measured by running the float model on texts."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from edgedistil_converters.quantization.observation import observed
from edgedistil_converters.quantization.ranges import GELU_FLOOR, SOFTMAX_REACH

__all__ = ["activation_ranges"]

_PROBABILITY = (0.0, 1.0)
_MASKED_ATTENTION, _ATTENTION = "masked_attention", "attention"


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

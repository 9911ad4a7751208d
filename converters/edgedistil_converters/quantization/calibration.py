"""The texts that a plan measures ranges on or rounds by: whether there are any that will do, and which are taken."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_runtime.errors import ConversionError

if TYPE_CHECKING:
    from edgedistil_converters.quantization.ranges import Ranges

__all__ = ["check_calibration", "check_calibration_given", "sampled"]

_Item = TypeVar("_Item")

_log = logging.getLogger(__name__)
_FEW_TEXTS = 32  # ranges measured on fewer are those of these texts and not of their kind


def check_calibration(plan: QuantizationPlan, texts: Sequence[str], ranges: "Ranges | None") -> None:
    """Refuses texts that are none, and a plan without what it needs; warns where there are few texts.

    Args:
        plan: how to quantize.
        texts: to measure ranges on.
        ranges: learned in training.

    Raises:
        ConversionError: not a list of strings, or no texts, or no ranges, for a plan that needs them.
    """
    if isinstance(texts, (str, bytes)) or not all(isinstance(text, str) for text in texts):
        strange = texts if isinstance(texts, (str, bytes)) else next(t for t in texts if not isinstance(t, str))
        raise ConversionError(f"Calibration texts must be a list of strings. Received: {strange!r}"[:200])
    if plan.needs == "calibration data" and len(texts) < _FEW_TEXTS:
        _log.warning(
            "Calibration on %d texts: ranges measured on fewer than %d may be too narrow for others.",
            len(texts),
            _FEW_TEXTS,
        )
    if plan.needs == "training data" and ranges is None:
        raise ConversionError(
            "A plan of int8-qat takes ranges that were learned in training. Received: none. Train with "
            "edgedistil_converters.preparation.quantization_aware, or pass --train-data FILE to `edgedistil convert`."
        )


def check_calibration_given(plan: QuantizationPlan, texts: Sequence[str]) -> None:
    """Refuses a plan that needs texts to measure ranges on, where there are none.

    Raises:
        ConversionError: there are none.
    """
    if plan.needs == "calibration data" and not texts:
        raise ConversionError(
            "A plan of int8-static fixes the ranges of activations, which are measured on texts like those the model "
            "will meet: some hundred of them, without labels. Received: none. Pass --calibration-data FILE "
            "(calibration_texts=...), or use int8, which needs none."
        )


def sampled(items: Sequence[_Item], most: int) -> tuple[_Item, ...]:
    """At most so many of the items, in their order and the same ones every time.

    They are drawn at random, for a file may be in the order of its labels, or have them in turn.
    """
    if len(items) <= most:
        return tuple(items)
    chosen = np.random.default_rng(0).choice(len(items), most, replace=False)
    return tuple(items[index] for index in np.sort(chosen))

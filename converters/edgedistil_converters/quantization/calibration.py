"""Checks calibration texts, and samples them if there are many."""

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
_FEW_TEXTS = 32  # ranges measured on fewer texts may not hold for other texts of the same kind


def check_calibration(plan: QuantizationPlan, texts: Sequence[str], ranges: "Ranges | None") -> None:
    """Check that a plan gets the texts or ranges that it needs; log a warning if there are few texts.

    Args:
        plan: How to quantize.
        texts: Calibration texts.
        ranges: Activation ranges from quantization-aware training, site -> (min, max); None without that training.

    Raises:
        ConversionError: The texts are not a list of strings, or the plan needs texts or ranges and there are none.

    Example:
        >>> check_calibration(QuantizationPlan("int8"), [], None)
        >>> check_calibration(QuantizationPlan("int8-static"), "one text", None)
        Traceback (most recent call last):
        edgedistil_runtime.errors.ConversionError: Calibration texts must be a list of strings. Received: 'one text'
    """
    if isinstance(texts, (str, bytes)) or not all(isinstance(text, str) for text in texts):
        wrong = texts if isinstance(texts, (str, bytes)) else next(t for t in texts if not isinstance(t, str))
        raise ConversionError(f"Calibration texts must be a list of strings. Received: {wrong!r}"[:200])
    if plan.needs == "calibration data" and len(texts) < _FEW_TEXTS:
        _log.warning(
            "Calibration on %d texts: ranges measured on fewer than %d may be too narrow for others.",
            len(texts),
            _FEW_TEXTS,
        )
    if plan.needs == "training data" and ranges is None:
        raise ConversionError(
            "A plan of int8-qat takes ranges that were learned in training. Received: none. Pass `ranges` from "
            "edgedistil_converters.preparation.quantization_aware, or convert a preset with `training`."
        )


def check_calibration_given(plan: QuantizationPlan, texts: Sequence[str]) -> None:
    """Check that a plan that measures ranges gets calibration texts.

    Args:
        plan: How to quantize.
        texts: Calibration texts.

    Raises:
        ConversionError: The plan measures ranges and there are no texts.

    Example:
        >>> check_calibration_given(QuantizationPlan("int8-static"), ["turn the lights on"])
        >>> check_calibration_given(QuantizationPlan("int8-static"), [])
        Traceback (most recent call last):
        edgedistil_runtime.errors.ConversionError: A plan of int8-static fixes the ranges of activations, ...
    """
    if plan.needs == "calibration data" and not texts:
        raise ConversionError(
            "A plan of int8-static fixes the ranges of activations, which are measured on a few hundred texts, without "
            "labels, like those that the model will classify. Received: none. Pass `calibration_texts`, or use int8, "
            "which needs none."
        )


def sampled(items: Sequence[_Item], most: int) -> tuple[_Item, ...]:
    """Return at most `most` of the items, in their order, and the same ones in every run.

    The choice is random, because a file may be sorted by label.

    Example:
        >>> sampled("abcdef", 3) == sampled("abcdef", 3), len(sampled("abcdef", 3)), sampled("ab", 3)
        (True, 3, ('a', 'b'))
    """
    if len(items) <= most:
        return tuple(items)
    chosen = np.random.default_rng(0).choice(len(items), most, replace=False)
    return tuple(items[index] for index in np.sort(chosen))

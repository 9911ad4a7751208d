"""How well a model tells texts with one of its labels from texts with none."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistil_runtime import TextClassifier
from edgedistil_runtime.native_log import native_log_hidden
from edgedistil_runtime.pieces import CUT

__all__ = ["UnknownQuality", "ask_unknown", "measure_unknown"]

_KEPT = 0.95


@dataclass(frozen=True)
class UnknownQuality:
    """Measures of `unknown_score` on texts with a label (known) and texts with none (unknown).

    Attributes:
        unknown_texts: Number of unknown texts.
        auroc: Probability that an unknown text has a greater score than a known one; 0.5 is chance.
        aupr: Mean precision over the unknown texts in the order of their scores; the share of unknown texts is chance.
        recall_at_95: Share of unknown texts found by the threshold that keeps 95 % of these known texts.
        in_scope_kept: Share of known texts that the file's own threshold keeps; None for a preset.
        unknown_found: Share of unknown texts that it finds; None for a preset.
    """

    unknown_texts: int
    auroc: float
    aupr: float
    recall_at_95: float
    in_scope_kept: float | None = None
    unknown_found: float | None = None


def measure_unknown(known: NDArray[Any], unknown: NDArray[Any], threshold: float | None = None) -> UnknownQuality:
    """Measures scores; texts with equal scores share their rank.

    Args:
        known: Scores of texts with a label.
        unknown: Scores of texts with none, at least one.
        threshold: The file's threshold, if it has one.

    Example:
        >>> found = measure_unknown(np.array([-9, -8, -3, -2]), np.array([-5, -1]), threshold=-4.0)
        >>> found.auroc, round(found.aupr, 3), found.in_scope_kept, found.unknown_found
        (0.75, 0.75, 0.5, 0.5)
    """
    known, unknown = np.sort(np.asarray(known, np.float64)), np.sort(np.asarray(unknown, np.float64))
    below, not_above = (np.searchsorted(known, unknown, side=side) for side in ("left", "right"))
    precisions = _at_least(unknown, unknown) / (_at_least(unknown, unknown) + _at_least(known, unknown))
    kept = known[int(np.ceil(_KEPT * len(known) - 1e-9)) - 1]
    return UnknownQuality(
        unknown_texts=len(unknown),
        auroc=float((below + not_above).mean() / 2 / len(known)),
        aupr=float(precisions.mean()),
        recall_at_95=float((unknown > kept).mean()),
        in_scope_kept=None if threshold is None else float((known <= threshold).mean()),
        unknown_found=None if threshold is None else float((unknown > threshold).mean()),
    )


def _at_least(ordered: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The number of scores that are at least each value."""
    found: NDArray[np.int64] = len(ordered) - np.searchsorted(ordered, values, side="left")
    return found


def ask_unknown(
    path: Path, texts: Sequence[str], unknown_texts: Sequence[str], *, long_texts: str = CUT
) -> UnknownQuality | None:
    """Measures a file that has `unknown_score`, or a preset directory, whose score Keras computes.

    Args:
        path: The file or directory. A preset is measured on the beginning of long texts.
        texts: Texts with a label.
        unknown_texts: Texts with none.
        long_texts: What a file reads of long texts, as in `TextClassifier`.

    Returns:
        The measures, or None for a file without `unknown_score`.

    Example:
        >>> ask_unknown(Path("intents.tflite"), ["play music"], ["who won the match ?"]) is None
        True
        >>> ask_unknown(Path("intents"), ["play music"], ["who won the match ?"]).unknown_texts
        1
    """
    if path.is_dir():
        return _ask_preset(path, texts, unknown_texts)
    with native_log_hidden():
        classifier = TextClassifier(path, long_texts=long_texts)
    with classifier:
        rule = classifier.metadata.unknown_rule
        if rule is None:
            return None
        known, unknown = (
            np.array([answer.unknown_score for answer in classifier.classify_batch(some)], np.float64)
            for some in (texts, unknown_texts)
        )
        return measure_unknown(known, unknown, rule.threshold)


def _ask_preset(path: Path, texts: Sequence[str], unknown_texts: Sequence[str]) -> UnknownQuality:
    from edgedistil.presets.loading import load_labelled_classifier
    from edgedistil_converters.model.keras_logits import keras_logits
    from edgedistil_converters.preparation.unknown_texts import energies

    classifier = load_labelled_classifier(path).classifier
    known, unknown = (energies(keras_logits(classifier, some)) for some in (texts, unknown_texts))
    return measure_unknown(known, unknown)

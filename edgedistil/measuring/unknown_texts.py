"""How well a model tells texts with one of its labels from texts with none."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistil.data import LabelledTexts
from edgedistil.presets.loading import LABELS_FILE
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.artifact import read_artifact
from edgedistil_runtime.errors import DataError
from edgedistil_runtime.native_log import native_log_hidden
from edgedistil_runtime.pieces import CUT

__all__ = ["UnknownQuality", "ask_unknown", "divide_unknown", "measure_unknown"]

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


def divide_unknown(examples: LabelledTexts, paths: Iterable[Path]) -> tuple[LabelledTexts, tuple[str, ...]]:
    """Takes the texts out that are labelled with the name that a file has for texts with none of its labels.

    Args:
        examples: Labelled texts.
        paths: Files and preset directories. A name that is a label of any of them stays a label.

    Returns:
        The other texts, and those that were taken out.

    Raises:
        DataError: All texts would be taken out.

    Example:
        >>> examples = LabelledTexts(("play", "who won ?"), ("music", "other"))
        >>> divide_unknown(examples, [Path("intents.tflite")])[1]  # a file without a name for them
        ()
    """
    names, labels = set[str](), set[str]()
    for path in paths:
        if path.is_dir():
            file = path / LABELS_FILE
            labels |= set(file.read_text(encoding="utf-8-sig").splitlines()) if file.is_file() else set()
            continue
        metadata = read_artifact(path).metadata
        labels |= set(metadata.labels)
        names |= {metadata.unknown_rule.label} if metadata.unknown_rule else set()
    names -= labels
    rows = [row for row, label in enumerate(examples.labels) if label not in names]
    if not rows:
        raise DataError(
            f"{examples.name}: all texts are labelled {', '.join(sorted(names))}, as texts with none of the labels. "
            "Pass labelled texts too, or texts with none of the labels as `unknown_texts`."
        )
    unknown = tuple(text for text, label in zip(examples.texts, examples.labels, strict=True) if label in names)
    known = replace(
        examples,
        texts=tuple(examples.texts[row] for row in rows),
        labels=tuple(examples.labels[row] for row in rows),
    )
    return known, unknown


def _ask_preset(path: Path, texts: Sequence[str], unknown_texts: Sequence[str]) -> UnknownQuality:
    from edgedistil.presets.loading import load_labelled_classifier
    from edgedistil_converters.model.keras_logits import keras_logits
    from edgedistil_converters.preparation.unknown_texts import energies

    classifier = load_labelled_classifier(path).classifier
    known, unknown = (energies(keras_logits(classifier, some)) for some in (texts, unknown_texts))
    return measure_unknown(known, unknown)

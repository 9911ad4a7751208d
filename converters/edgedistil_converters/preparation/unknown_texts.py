"""Texts with none of a classifier's labels: their score, and the threshold above which a text counts as unknown.

The score is the energy of the logits, -log(sum(exp(logits))) (Liu et al. 2020, arXiv 2010.03759): a softmax compares
the labels with one another, so a text that is like none of them can have a sure one, but all its logits are small. The
graph computes it from the logits that it has, whatever the scheme.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistil_converters.model.keras_hub import read_output_activation
from edgedistil_converters.model.keras_logits import keras_logits
from edgedistil_converters.preparation.prepared import PreparedClassifier
from edgedistil_runtime.contract import UNKNOWN_TEXTS
from edgedistil_runtime.errors import ConversionError

__all__ = [
    "DEFAULT_KEPT",
    "ENOUGH_TEXTS",
    "balanced_threshold",
    "check_unknown_rule",
    "energies",
    "fit_unknown_rule",
    "threshold_for_share",
]

ENOUGH_TEXTS = 100  # with labels, to fit a share of them
DEFAULT_KEPT = 0.97
_ENOUGH_UNKNOWN = 20

Floats = NDArray[np.float64]


def energies(logits: NDArray[Any]) -> Floats:
    """Returns the energy of each row of logits, float[texts, outputs] -> float64[texts].

    Example:
        >>> energies(np.array([[9.0, 0.0], [0.5, 0.5]])).round(1).tolist()
        [-9.0, -1.2]
    """
    rows = np.asarray(logits, np.float64)
    largest = rows.max(axis=1)
    found: Floats = -largest - np.log(np.exp(rows - largest[:, None]).sum(axis=1))
    return found


def threshold_for_share(scores: NDArray[Any], share: float) -> float:
    """Returns the smallest threshold that at least a share of the scores does not exceed.

    Example:
        >>> threshold_for_share(np.array([-5.0, -4.0, -9.0, -7.0]), 0.75)
        -5.0
    """
    ordered = np.sort(np.asarray(scores, np.float64))
    # 1e-9 so that 0.97 of 100 is 97, whose product is a little more.
    return float(ordered[max(math.ceil(share * len(ordered) - 1e-9), 1) - 1])


def balanced_threshold(known: NDArray[Any], unknown: NDArray[Any]) -> float:
    """Returns the threshold with the largest mean of two shares: known texts kept, and unknown texts found.

    It is halfway between two scores; of equally good thresholds, the largest, which keeps the most.

    Args:
        known: Scores of texts with one of the labels.
        unknown: Scores of texts with none.

    Example:
        >>> balanced_threshold(np.array([-9.0, -8.0, -3.0]), np.array([-5.0, -2.0, -1.0]))
        -2.5
    """
    values = np.unique(np.concatenate([known, unknown]))
    candidates = np.concatenate([(values[:-1] + values[1:]) / 2, values[-1:]])
    kept = np.searchsorted(np.sort(known), candidates, side="right") / len(known)
    found = 1 - np.searchsorted(np.sort(unknown), candidates, side="right") / len(unknown)
    balance = kept + found
    return float(candidates[np.flatnonzero(balance >= balance.max() - 1e-12)[-1]])


def fit_unknown_rule(
    prepared: PreparedClassifier,
    label: str,
    texts: Sequence[str],
    class_numbers: Sequence[int | None],
    *,
    in_scope_kept: float | None = None,
    unknown_texts: Sequence[str] = (),
    source: str = "texts",
) -> PreparedClassifier:
    """Fits, in Keras, the threshold above which a text has none of the labels.

    A file that is converted from the result has the output `unknown_score`, and the label and the threshold in its
    metadata.

    Args:
        prepared: The classifier, after all that changes its weights.
        label: Name for texts with none of the labels.
        texts: Texts that the classifier was not trained on.
        class_numbers: Number of each text's class; texts with None are left out.
        in_scope_kept: Share of the texts to keep, more than 0 and less than 1. None: with unknown texts, the share with
            the best balance, see `balanced_threshold`; without, 0.97.
        unknown_texts: Texts with none of the labels, if there are some.
        source: Origin of the texts, for the record.

    Returns:
        The classifier with the rule in its record, under `unknown_texts`.

    Raises:
        ConversionError: The label is one of the classifier's, the share is out of its range, there are too few texts,
            or the classifier has no softmax.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> prepared = PreparedClassifier(load_classifier("intents"), ["lights", "music", "weather"], "intents")
        >>> fit_unknown_rule(prepared, "music", [], [])
        Traceback (most recent call last):
        edgedistil_runtime.errors.ConversionError: `unknown_label` names texts that have none of the labels. ...
    """
    check_unknown_rule(prepared, label, in_scope_kept)
    known = [text for text, number in zip(texts, class_numbers, strict=True) if number is not None]
    _check_texts(known, unknown_texts, source)
    scores = energies(keras_logits(prepared.classifier, known))
    others = energies(keras_logits(prepared.classifier, unknown_texts)) if unknown_texts else np.empty(0)
    if in_scope_kept is None and unknown_texts:
        threshold = balanced_threshold(scores, others)
    else:
        threshold = threshold_for_share(scores, DEFAULT_KEPT if in_scope_kept is None else in_scope_kept)
    record: dict[str, Any] = {
        "label": label,
        "threshold": threshold,
        "score": "energy",
        "texts": len(known),
        "source": source,
        "in_scope_kept": float((scores <= threshold).mean()),
    }
    if unknown_texts:
        record |= {"unknown_texts": len(unknown_texts), "unknown_found": float((others > threshold).mean())}
    return replace(prepared, record={**prepared.record, UNKNOWN_TEXTS: record})


def check_unknown_rule(prepared: PreparedClassifier, label: str, in_scope_kept: float | None) -> None:
    """Checks, before any work, that a classifier can have the rule.

    Raises:
        ConversionError: See `fit_unknown_rule`.
    """
    prepared.require_one_label("Texts of none of the labels can be recognized (`unknown_label`) for")
    is_one_line = label.strip() and label.splitlines() == [label] and "\t" not in label  # a tab ends it in the output
    if not is_one_line or label in prepared.labels:
        raise ConversionError(
            "`unknown_label` names texts that have none of the labels. It must be one line of text without a tab, and "
            f"none of {', '.join(list(prepared.labels)[:10])}. Received: {label!r}."
        )
    if in_scope_kept is not None and not 0 < in_scope_kept < 1:
        raise ConversionError(
            "`in_scope_kept` must be a share greater than 0 and less than 1. "
            f"Received: {in_scope_kept}. For 97 %: 0.97."
        )
    activation = read_output_activation(prepared.classifier)
    if activation == "sigmoid":
        raise ConversionError(
            "`unknown_label` needs a classifier that compares labels by a softmax. Received: activation='sigmoid'. "
            "Train one with two or more labels, or leave out `unknown_label`."
        )


def _check_texts(known: Sequence[str], unknown: Sequence[str], source: str) -> None:
    if len(known) < ENOUGH_TEXTS:
        raise ConversionError(
            f"The threshold for `unknown_label` is fitted on at least {ENOUGH_TEXTS} labelled texts that the "
            f"classifier was not trained on. Received: {len(known)} ({source}). Pass more (`verification_texts`)."
        )
    if unknown and len(unknown) < _ENOUGH_UNKNOWN:
        raise ConversionError(
            f"There must be at least {_ENOUGH_UNKNOWN} texts with none of the labels (`unknown_texts`), or none. "
            f"Received: {len(unknown)}."
        )

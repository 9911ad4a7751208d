"""Calibrates scores: finds the temperature that makes them probabilities of being right, and divides the logits by it.

Temperature scaling (Guo et al. 2017, arXiv 1706.04599, section 4.2): softmax(logits / T), with the T that makes the
right labels of held-out texts most likely. The order of the classes is that of the logits, so no label changes. The
division is done in the weights of the last layer, before anything is quantized: it costs nothing on a device, every
target gets it, and int8 ranges are measured on the logits that the file has.

A multi-label classifier has sigmoid(logits / T), and its thresholds move with the logits: each text gets the labels
that it got before.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistil_converters.model.keras_hub import read_output_activation
from edgedistil_converters.model.keras_logits import keras_logits
from edgedistil_converters.preparation.prepared import PreparedClassifier
from edgedistil_converters.verification.keras_answers import answer_with_keras
from edgedistil_converters.verification.reliability import (
    Reliability,
    at_temperature,
    log_likelihoods,
    measure_reliability,
    measure_set_reliability,
)
from edgedistil_runtime.contract import SCORE_CALIBRATION
from edgedistil_runtime.errors import ConversionError
from edgedistil_runtime.golden_cases import with_both_classes

__all__ = ["ENOUGH_TEXTS", "calibrate_scores", "fit_set_temperature", "fit_temperature"]

ENOUGH_TEXTS = 100
_LOWEST, _HIGHEST = 0.05, 20.0
_FURTHEST_THRESHOLD = 12.0  # logit: in float32, probabilities there still differ by less than a thousandth of a logit
_STEPS = 60  # of golden-section search: the interval shrinks by 0.618 each time

Floats = NDArray[np.float64]


def fit_temperature(probabilities: NDArray[Any], classes: Sequence[int], *, are_independent: bool = False) -> float:
    """Returns the temperature at which the right classes are most likely, 0.05 to 20.

    One text more than there are counts, whose right class is any with the same probability. Without it, texts that all
    have the right label would make the temperature 0 and every score 1 (as in Platt's scaling, Platt 1999, section 2.2,
    where the targets are not quite 0 and 1).

    Args:
        probabilities: Probabilities at temperature 1, float[texts, outputs]; one output p is the second of two classes.
        classes: Number of each text's right class.
        are_independent: The outputs are sigmoids; see `at_temperature`.

    Example:
        >>> sure = np.array([[0.99, 0.01]] * 10)  # right in 8 of 10 cases
        >>> temperature = fit_temperature(sure, [0] * 8 + [1] * 2)
        >>> at_temperature(sure[:1], temperature).round(2).tolist()
        [[0.77, 0.23]]
    """
    rows = np.asarray(probabilities, np.float64)
    if rows.shape[1] == 1:
        rows = np.asarray([with_both_classes(row) for row in rows])
    numbers = np.asarray(classes)
    share = 1 / (len(rows) + 1)  # of the text that is added
    if are_independent and np.asarray(probabilities).shape[1] > 1:
        is_right = np.arange(rows.shape[1]) == numbers[:, None]
        rows = np.where(is_right, rows, 1 - rows).reshape(-1, 1)
        rows = np.concatenate([rows, 1 - rows], axis=1)  # each output chooses between two classes; the first is right
        numbers = np.zeros(len(rows), int)
    texts = np.arange(len(rows))

    def loss(logarithm: float) -> float:
        likelihoods = log_likelihoods(rows, float(np.exp(logarithm)))
        right = likelihoods[texts, numbers].mean()
        return float(-(1 - share) * right - share * likelihoods.mean())

    return float(np.exp(_minimum(loss, np.log(_LOWEST), np.log(_HIGHEST))))


def fit_set_temperature(logits: NDArray[Any], targets: NDArray[Any], thresholds: Sequence[float]) -> float:
    """Returns the temperature at which the right label sets are most likely, as `fit_temperature`.

    Args:
        logits: Logits of the labels, float[texts, labels].
        targets: True for the labels that a text has, bool[texts, labels].
        thresholds: Smallest probability of each label that is given; at the temperature, none is nearer to 0 or 1 than
            the sigmoid of 12.

    Example:
        >>> logits = np.array([[4.6, -4.6]] * 10)  # 0.99 and 0.01, right in 8 of 10 cases
        >>> temperature = fit_set_temperature(logits, np.array([[True, False]] * 8 + [[False, True]] * 2), (0.5, 0.5))
        >>> (1 / (1 + np.exp(-logits[0] / temperature))).round(2).tolist()
        [0.77, 0.23]
    """
    rows, is_right = np.asarray(logits, np.float64), np.asarray(targets) > 0.5
    share = 1 / (len(rows) + 1)  # of the text that is added
    furthest = max(abs(_logit(threshold)) for threshold in thresholds)

    def loss(logarithm: float) -> float:
        scaled = rows / np.exp(logarithm)
        of_label, of_none = np.logaddexp(0, -scaled), np.logaddexp(0, scaled)
        right = np.where(is_right, of_label, of_none).mean()
        return float((1 - share) * right + share * (of_label + of_none).mean() / 2)

    lowest = max(_LOWEST, furthest / _FURTHEST_THRESHOLD)
    return float(np.exp(_minimum(loss, np.log(lowest), np.log(_HIGHEST))))


def _logit(probability: float) -> float:
    return math.log(probability) - math.log1p(-probability)


def _minimum(function: Any, low: float, high: float) -> float:
    """The place of the only minimum of a function; the loss is convex in 1 / T, so it has one."""
    ratio = (np.sqrt(5) - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = function(left), function(right)
    for _ in range(_STEPS):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = function(right)
    return (low + high) / 2


def calibrate_scores(
    prepared: PreparedClassifier,
    texts: Sequence[str],
    class_numbers: Sequence[int | None] | Sequence[Collection[int] | None],
    *,
    source: str = "texts",
) -> PreparedClassifier:
    """Fits the temperature on held-out texts and divides the classifier's logits by it.

    Args:
        prepared: The classifier; the weights of its last layer are changed.
        texts: Texts that it was not trained on.
        class_numbers: Number of each text's right class, or for a multi-label classifier the numbers of all its labels;
            texts with None are left out.
        source: Origin of the texts, for the record.

    Returns:
        The classifier; its reference, its thresholds and its range of logits at that temperature, if it has them; and
        the temperature with its effect in Keras in its record, under `score_calibration`.

    Raises:
        ConversionError: There are fewer than 100 labelled texts.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> prepared = PreparedClassifier(load_classifier("intents"), ["lights", "music", "weather"], "intents")
        >>> calibrate_scores(prepared, ["lights on"], [0])
        Traceback (most recent call last):
        edgedistil_runtime.errors.ConversionError: Scores are calibrated on at least 100 labelled texts ...
    """
    known = [(text, number) for text, number in zip(texts, class_numbers, strict=True) if number is not None]
    _check_kind(prepared, [number for _, number in known])
    if len(known) < ENOUGH_TEXTS:
        raise ConversionError(
            f"Scores are calibrated on at least {ENOUGH_TEXTS} labelled texts that the classifier was not trained on. "
            f"Received: {len(known)} ({source}). Pass more (`verification_texts`), or leave out `calibrate_scores`."
        )
    classifier, given = prepared.classifier, [text for text, _ in known]
    are_independent = read_output_activation(classifier) == "sigmoid"
    if prepared.thresholds:
        temperature, measures = _fit_sets(prepared, given, [number for _, number in known])
    else:
        temperature, measures = _fit(classifier, given, [number for _, number in known], are_independent)
    for weight in (classifier.output_dense.kernel, classifier.output_dense.bias):
        weight.assign(weight.numpy() / temperature)
    record = {"temperature": temperature, "texts": len(known), "source": source, **measures}
    return replace(
        _rescaled(prepared, temperature, are_independent=are_independent),
        record={**prepared.record, SCORE_CALIBRATION: record},
    )


def _check_kind(prepared: PreparedClassifier, given: Sequence[Any]) -> None:
    is_multi_label = bool(prepared.thresholds)
    odd = [number for number in given if isinstance(number, Collection) != is_multi_label]
    if odd:
        due = "a multi-label classifier: the numbers of all labels" if is_multi_label else "it: the number of the class"
        raise ConversionError(
            f"The classifier's scores are calibrated on what is right for {due} of each text. Received: {odd[0]!r}."
        )


def _fit(
    classifier: Any, texts: Sequence[str], classes: Sequence[Any], are_independent: bool
) -> tuple[float, dict[str, Any]]:
    """The temperature, and measures before and after."""
    probabilities = np.array([answer.probabilities for answer in answer_with_keras(classifier, texts)])
    temperature = fit_temperature(probabilities, classes, are_independent=are_independent)
    after = at_temperature(probabilities, temperature, are_independent=are_independent)
    pairs = {"before": probabilities, "after": after}
    return temperature, {name: _measures(measure_reliability(rows, classes)) for name, rows in pairs.items()}


def _fit_sets(prepared: PreparedClassifier, texts: Sequence[str], sets: Sequence[Any]) -> tuple[float, dict[str, Any]]:
    logits = keras_logits(prepared.classifier, texts)
    targets = np.zeros(logits.shape, bool)
    for row, numbers in enumerate(sets):
        targets[row, list(numbers)] = True
    temperature = fit_set_temperature(logits, targets, prepared.thresholds)
    pairs = {"before": _sigmoid(logits), "after": _sigmoid(logits / temperature)}
    return temperature, {name: _measures(measure_set_reliability(rows, targets)) for name, rows in pairs.items()}


def _sigmoid(logits: NDArray[Any]) -> Floats:
    found: Floats = np.exp(-np.logaddexp(0, -np.asarray(logits, np.float64)))
    return found


def _measures(found: Reliability) -> Mapping[str, float]:
    return {"calibration_error": found.calibration_error, "brier_score": found.brier_score}


def _rescaled(prepared: PreparedClassifier, temperature: float, *, are_independent: bool) -> PreparedClassifier:
    """The reference, thresholds and range of the logits, which are the classifier's as it was, at the temperature."""
    reference, ranges = prepared.reference, prepared.ranges
    if reference is not None:
        rows = at_temperature(
            np.array([answer.probabilities for answer in reference]), temperature, are_independent=are_independent
        )
        reference = [
            replace(answer, probabilities=tuple(map(float, row))) for answer, row in zip(reference, rows, strict=True)
        ]
    if ranges is not None and "logits" in ranges:
        low, high = ranges["logits"]
        ranges = {**ranges, "logits": (low / temperature, high / temperature)}
    thresholds = tuple(float(_sigmoid(np.array(_logit(one) / temperature))) for one in prepared.thresholds)
    return replace(prepared, reference=reference, ranges=ranges, thresholds=thresholds)

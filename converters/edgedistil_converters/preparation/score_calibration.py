"""Calibrates scores: finds the temperature that makes them probabilities of being right, and divides the logits by it.

Temperature scaling (Guo et al. 2017, arXiv 1706.04599, section 4.2): softmax(logits / T), with the T that makes the
right labels of held-out texts most likely. The order of the classes is that of the logits, so no label changes. The
division is done in the weights of the last layer, before anything is quantized: it costs nothing on a device, every
target gets it, and int8 ranges are measured on the logits that the file has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistil_converters.model.keras_hub import read_output_activation
from edgedistil_converters.preparation.prepared import PreparedClassifier
from edgedistil_converters.verification.keras_answers import answer_with_keras
from edgedistil_converters.verification.reliability import (
    at_temperature,
    log_likelihoods,
    measure_reliability,
)
from edgedistil_runtime.contract import SCORE_CALIBRATION
from edgedistil_runtime.errors import ConversionError
from edgedistil_runtime.golden_cases import with_both_classes

__all__ = ["ENOUGH_TEXTS", "calibrate_scores", "fit_temperature"]

ENOUGH_TEXTS = 100
_LOWEST, _HIGHEST = 0.05, 20.0
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
    prepared: PreparedClassifier, texts: Sequence[str], class_numbers: Sequence[int | None], *, source: str = "texts"
) -> PreparedClassifier:
    """Fits the temperature on held-out texts and divides the classifier's logits by it.

    Args:
        prepared: The classifier; the weights of its last layer are changed.
        texts: Texts that it was not trained on.
        class_numbers: Number of each text's right class; texts with None are left out.
        source: Origin of the texts, for the record.

    Returns:
        The classifier; its reference and its range of logits at that temperature, if it has them; and the temperature
        with its effect in Keras in its record, under `score_calibration`.

    Raises:
        ConversionError: There are fewer than 100 labelled texts.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> prepared = PreparedClassifier(load_classifier("intents"), ["lights", "music", "weather"], "intents")
        >>> calibrate_scores(prepared, ["lights on"], [0])
        Traceback (most recent call last):
        edgedistil_runtime.errors.ConversionError: Scores are calibrated on at least 100 labelled texts ...
    """
    prepared.require_one_label("Scores can be calibrated (`calibrate_scores`) for")
    known = [(text, number) for text, number in zip(texts, class_numbers, strict=True) if number is not None]
    if len(known) < ENOUGH_TEXTS:
        raise ConversionError(
            f"Scores are calibrated on at least {ENOUGH_TEXTS} labelled texts that the classifier was not trained on. "
            f"Received: {len(known)} ({source}). Pass more (`verification_texts`), or leave out `calibrate_scores`."
        )
    classifier, classes = prepared.classifier, [number for _, number in known]
    are_independent = read_output_activation(classifier) == "sigmoid"
    answers = answer_with_keras(classifier, [text for text, _ in known])
    probabilities = np.array([answer.probabilities for answer in answers])
    temperature = fit_temperature(probabilities, classes, are_independent=are_independent)
    after = at_temperature(probabilities, temperature, are_independent=are_independent)
    for weight in (classifier.output_dense.kernel, classifier.output_dense.bias):
        weight.assign(weight.numpy() / temperature)
    record = {
        "temperature": temperature,
        "texts": len(known),
        "source": source,
        "before": _measures(probabilities, classes),
        "after": _measures(after, classes),
    }
    return replace(
        _rescaled(prepared, temperature, are_independent=are_independent),
        record={**prepared.record, SCORE_CALIBRATION: record},
    )


def _measures(probabilities: Floats, classes: Sequence[int]) -> Mapping[str, float]:
    found = measure_reliability(probabilities, classes)
    return {"calibration_error": found.calibration_error, "brier_score": found.brier_score}


def _rescaled(prepared: PreparedClassifier, temperature: float, *, are_independent: bool) -> PreparedClassifier:
    """The reference and the range of the logits, which belong to the classifier as it was, at the temperature."""
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
    return replace(prepared, reference=reference, ranges=ranges)

"""How far a model's scores are probabilities of being right, for `evaluate` and `report`."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistil_converters.verification.reliability import (
    Reliability,
    at_temperature,
    measure_reliability,
    measure_set_reliability,
)

__all__ = ["ScoreQuality", "measure_scores", "measure_set_scores"]

_MOST_AWAY_FROM_1 = 0.02  # the probabilities of a softmax sum to 1, up to the steps of int8


@dataclass(frozen=True)
class ScoreQuality:
    """Measures of a model's scores.

    Attributes:
        given: Measures of the scores as the model gives them.
        temperature: What the logits of a calibrated file are divided by; 1 for any other model.
        uncalibrated: Measures of the scores without that division; `None` if there is none.
    """

    given: Reliability
    temperature: float = 1.0
    uncalibrated: Reliability | None = None


def measure_scores(
    probabilities: NDArray[Any], expected: Sequence[str], labels: Sequence[str], *, temperature: float = 1.0
) -> ScoreQuality:
    """Measures scores on labelled texts.

    Args:
        probabilities: Probability of every class, float[texts, labels].
        expected: Right label of each text.
        labels: Labels of the classifier, in its order; one of a single output, whose other class is everything else.
        temperature: What the logits were divided by.

    Example:
        >>> scores = measure_scores(np.array([[0.8, 0.2], [0.7, 0.3]]), ["on", "off"], ["on", "off"], temperature=0.5)
        >>> round(scores.given.brier_score, 2), round(scores.uncalibrated.brier_score, 2)
        (0.53, 0.48)
    """
    if len(labels) == 1:
        classes = [int(label == labels[0]) for label in expected]
    else:
        number = {label: place for place, label in enumerate(labels)}
        classes = [number[label] for label in expected]
    rows = np.asarray(probabilities, np.float64)
    are_softmax = rows.shape[1] == 1 or bool((abs(rows.sum(axis=1) - 1) < _MOST_AWAY_FROM_1).all())
    before = None
    if temperature != 1 and are_softmax:
        before = measure_reliability(at_temperature(rows, 1 / temperature), classes)
    return ScoreQuality(measure_reliability(rows, classes), temperature, before)


def measure_set_scores(
    probabilities: NDArray[Any], expected: Sequence[Collection[str]], labels: Sequence[str], *, temperature: float = 1.0
) -> ScoreQuality:
    """Measures the scores of a multi-label model, see `measure_set_reliability`.

    Args:
        probabilities: Probability of every label, float[texts, labels].
        expected: Right labels of each text.
        labels: Labels of the classifier, in its order.
        temperature: What the logits were divided by.

    Example:
        >>> rows = np.array([[0.8, 0.1], [0.9, 0.1]])
        >>> scores = measure_set_scores(rows, [["on"], []], ["on", "off"], temperature=2.0)
        >>> round(scores.given.brier_score, 2), round(scores.uncalibrated.brier_score, 2)
        (0.43, 0.49)
    """
    rows = np.asarray(probabilities, np.float64)
    targets = np.array([[label in few for label in labels] for few in map(set, expected)])
    before = None
    if temperature != 1:
        before = measure_set_reliability(at_temperature(rows, 1 / temperature, are_independent=True), targets)
    return ScoreQuality(measure_set_reliability(rows, targets), temperature, before)

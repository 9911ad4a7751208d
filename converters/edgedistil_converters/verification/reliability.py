"""Measures how well scores can be taken for probabilities of being right.

Of the texts with a score of about 0.8, about 80 % should have the right label. The expected calibration error is the
mean difference, weighted by texts (Naeini et al. 2015, AAAI; Guo et al. 2017, arXiv 1706.04599, section 2).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistil_runtime.golden_cases import with_both_classes

__all__ = [
    "NUM_BINS",
    "Reliability",
    "ScoreBin",
    "at_temperature",
    "log_likelihoods",
    "measure_reliability",
    "measure_set_reliability",
]

NUM_BINS = 15
_SMALLEST = 1e-30  # bounds the logarithm of a probability that underflowed

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ScoreBin:
    """The texts whose score is in an interval; of a multi-label classifier, the pairs of a text and a label.

    Attributes:
        low, high: Ends of the interval; `high` belongs to it.
        texts: Number of texts.
        mean_score: Mean score of the texts; 0 if there are none.
        accuracy: Share of the texts with the right label; 0 if there are none.
    """

    low: float
    high: float
    texts: int
    mean_score: float
    accuracy: float


@dataclass(frozen=True)
class Reliability:
    """Scores of a classifier compared with how often it is right; a score is the probability of the label.

    Attributes:
        texts: Number of texts, or of pairs of a text and a label.
        calibration_error: Expected calibration error, 0 to 1: mean over texts of the difference between the accuracy
            and the mean score of the text's bin.
        brier_score: Mean over texts of the sum of squared differences between the probabilities and 1 for the right
            class, 0 for the others: 0 is best, with one label 2 is worst (Brier 1950, Monthly Weather Review 78).
        bins: 15 bins of equal width from 0 to 1: the reliability diagram.
    """

    texts: int
    calibration_error: float
    brier_score: float
    bins: tuple[ScoreBin, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns the measures as plain data."""
        return asdict(self)


def measure_reliability(probabilities: NDArray[Any], classes: Sequence[int]) -> Reliability:
    """Measures the scores of texts whose right class is known.

    Args:
        probabilities: Probability of every class, float[texts, outputs]; one output p is the second of two classes.
        classes: Number of each text's right class, at least one.

    Example:
        >>> scores = np.array([[0.9, 0.1], [0.9, 0.1], [0.3, 0.7], [0.3, 0.7]])
        >>> found = measure_reliability(scores, [0, 0, 1, 0])
        >>> round(found.calibration_error, 3), round(found.brier_score, 3)  # (0.1 + 0.1 + 0.2 + 0.2) / 4
        (0.15, 0.3)
        >>> found.bins[-2].texts, found.bins[-2].mean_score, found.bins[-2].accuracy
        (2, 0.9, 1.0)
    """
    rows = np.asarray([with_both_classes(row) for row in np.asarray(probabilities, np.float64)])
    scores, is_right = rows.max(axis=1), rows.argmax(axis=1) == np.asarray(classes)
    bins = _bins(scores, is_right)
    rows[np.arange(len(rows)), classes] -= 1
    return Reliability(
        texts=len(rows),
        calibration_error=_calibration_error(bins),
        brier_score=float((rows**2).sum(axis=1).mean()),
        bins=bins,
    )


def measure_set_reliability(probabilities: NDArray[Any], targets: NDArray[Any]) -> Reliability:
    """Measures the scores of a multi-label classifier: each is the probability that a text has a label.

    The bins hold pairs of a text and a label with a probability above 1/15. Most pairs have a smaller one, with which
    the calibration error would be about 0.

    Args:
        probabilities: Probability of every label, float[texts, labels].
        targets: True for the labels that a text has, bool[texts, labels].

    Example:
        >>> scores = np.array([[0.9, 0.01], [0.7, 0.01]])
        >>> found = measure_set_reliability(scores, np.array([[True, False], [False, False]]))
        >>> round(found.calibration_error, 3), round(found.brier_score, 3)  # (0.1 + 0.7) / 2, (0.01 + 0.49) / 2
        (0.4, 0.25)
    """
    rows, is_right = np.asarray(probabilities, np.float64), np.asarray(targets) > 0.5
    is_counted = rows > 1 / NUM_BINS
    bins = _bins(rows[is_counted], is_right[is_counted])
    return Reliability(
        texts=int(is_counted.sum()),
        calibration_error=_calibration_error(bins),
        brier_score=float(((rows - is_right) ** 2).sum(axis=1).mean()),
        bins=bins,
    )


def _bins(scores: Floats, is_right: NDArray[np.bool_]) -> tuple[ScoreBin, ...]:
    # ceil: the upper end belongs to a bin, so that a score of 1 is in the last one.
    places = np.clip(np.ceil(scores * NUM_BINS).astype(int) - 1, 0, NUM_BINS - 1)
    bins = []
    for place in range(NUM_BINS):
        chosen = places == place
        count = int(chosen.sum())
        mean, accuracy = (float(values[chosen].mean()) if count else 0.0 for values in (scores, is_right))
        bins.append(ScoreBin(place / NUM_BINS, (place + 1) / NUM_BINS, count, mean, accuracy))
    return tuple(bins)


def _calibration_error(bins: Sequence[ScoreBin]) -> float:
    count = sum(one.texts for one in bins)
    return sum(one.texts * abs(one.accuracy - one.mean_score) for one in bins) / max(count, 1)


def at_temperature(probabilities: NDArray[Any], temperature: float, *, are_independent: bool = False) -> Floats:
    """Returns the probabilities that the same logits have at a temperature, float64[texts, outputs].

    Args:
        probabilities: Probabilities at temperature 1, float[texts, outputs].
        temperature: What the logits are divided by.
        are_independent: The outputs are sigmoids, as a single output always is, and not one softmax.

    Example:
        >>> at_temperature(np.array([[0.9, 0.1]]), 2).round(3).tolist()
        [[0.75, 0.25]]
        >>> at_temperature(np.array([[0.9]]), 2).round(3).tolist()
        [[0.75]]
    """
    rows = np.asarray(probabilities, np.float64)
    if are_independent or rows.shape[1] == 1:
        return np.exp(log_likelihoods(np.stack([1 - rows, rows], axis=-1), temperature)[..., 1])
    return np.exp(log_likelihoods(rows, temperature))


def log_likelihoods(probabilities: Floats, temperature: float) -> Floats:
    """Returns the logarithms of the probabilities that the same logits have at a temperature, over the last axis."""
    logits = np.log(np.maximum(probabilities, _SMALLEST)) / temperature
    logits -= logits.max(axis=-1, keepdims=True)
    result: Floats = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return result

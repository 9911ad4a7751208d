"""The threshold of each label of a multi-label classifier, fitted on validation texts for its F1.

The threshold with the best F1 on a few texts is often far from the best one on others (Yang 2001, "A study of
thresholding strategies for text categorization", https://doi.org/10.1145/383952.383975), so two things make it steady:

* A probability near the threshold counts in part, as if its logit had noise. The best threshold is then in the middle
  of a gap between the logits of texts with and without the label, where a quantized file decides as Keras does.
* Every label gets some texts more, with the mean counts of all labels. A label with few validation texts has about the
  threshold that is best for all labels together, and one with many its own.
"""

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["DEFAULT_THRESHOLD", "fit_thresholds"]

DEFAULT_THRESHOLD = 0.5  # where a logit is 0
_NOISE = 0.5  # width of the logistic noise of a logit
_SHARED_TEXTS = 30  # texts with the label, beside its own; chosen by benchmarks/several_labels.py --shared-texts
_STEP = 0.05  # between two logits that may be thresholds
_FURTHEST = 3.0  # their largest absolute value: thresholds are from 0.047 to 0.953
_FURTHEST_COUNTED = 8.0  # logits beyond it count as this one
_SMALLEST = 1e-7


def fit_thresholds(
    probabilities: NDArray[np.float32], targets: NDArray[np.float32], *, shared_texts: int = _SHARED_TEXTS
) -> tuple[float, ...]:
    """Fits the smallest probability with which each label is given.

    Args:
        probabilities: Of each label for validation texts, float32 [texts, labels].
        targets: 1 for the labels that a text has, else 0, float32 [texts, labels].
        shared_texts: Texts that each label gets with the mean counts of all labels.

    Returns:
        A number from 0.047 to 0.953 for each label; 0.5 if no text has a label.

    Example:
        >>> probabilities = np.array([[0.9, 0.3], [0.8, 0.25], [0.1, 0.02], [0.2, 0.01]] * 25, "float32")
        >>> targets = np.array([[1, 1], [1, 1], [0, 0], [0, 0]] * 25)
        >>> [round(one, 1) for one in fit_thresholds(probabilities, targets)]
        [0.4, 0.1]
    """
    is_right = targets > 0.5
    positives = is_right.sum(axis=0)[:, None]  # [labels, 1]
    if not positives.any():
        return (DEFAULT_THRESHOLD,) * len(positives)
    grid = np.arange(-_FURTHEST, _FURTHEST + _STEP / 2, _STEP)
    bins = np.arange(-_FURTHEST_COUNTED, _FURTHEST_COUNTED + _STEP / 2, _STEP)
    reach = 1 / (1 + np.exp((grid - bins[:, None]) / _NOISE))  # [bins, grid], probability to reach a threshold
    numbers = _bin_numbers(probabilities)
    hits = _histogram(numbers, is_right, len(bins)) @ reach  # [labels, grid]
    given = _histogram(numbers, np.ones_like(is_right), len(bins)) @ reach
    share = shared_texts / positives.sum()
    hits, given = hits + share * hits.sum(axis=0), given + share * given.sum(axis=0)
    f1 = 2 * hits / (positives + shared_texts + given)
    best = np.asarray(grid[f1.argmax(axis=1)], "float64").tolist()
    return tuple(round(1 / (1 + math.exp(-logit)), 4) for logit in best)


def _bin_numbers(probabilities: NDArray[np.float32]) -> NDArray[np.int64]:
    """Bin of the logit of each probability, int64 [texts, labels]."""
    likely = np.clip(probabilities.astype("float64"), _SMALLEST, 1 - _SMALLEST)
    logits = np.clip(np.log(likely) - np.log1p(-likely), -_FURTHEST_COUNTED, _FURTHEST_COUNTED)
    return np.asarray(np.rint((logits + _FURTHEST_COUNTED) / _STEP), "int64")


def _histogram(numbers: NDArray[np.int64], is_counted: NDArray[np.bool_], bins: int) -> NDArray[np.int64]:
    """Number of texts in each bin, int64 [labels, bins]."""
    labels = numbers.shape[1]
    flat = (numbers + bins * np.arange(labels))[is_counted]
    return np.asarray(np.bincount(flat, minlength=labels * bins).reshape(labels, bins), "int64")

"""Accuracy, macro-F1 and cross-entropy of predicted probabilities."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["macro_f1", "measure"]

_SMALLEST_PROBABILITY = 1e-7
_DIGITS = 6


def measure(probabilities: NDArray[np.float32], classes: NDArray[np.int64]) -> dict[str, Any]:
    """Metrics of predictions against the truth.

    Args:
        probabilities: float32 [texts, classes], rows that sum to 1.
        classes: int64 [texts], the true class numbers.

    Returns:
        `accuracy`, `macro_f1`, `loss` (mean cross-entropy in nats) and `rows`, rounded to six digits.
    """
    predicted = probabilities.argmax(axis=1)
    of_truth = probabilities[np.arange(len(classes)), classes]
    values: Mapping[str, float] = {
        "accuracy": float((predicted == classes).mean()),
        "macro_f1": macro_f1(predicted, classes, probabilities.shape[1]),
        "loss": float(-np.log(np.maximum(of_truth, _SMALLEST_PROBABILITY)).mean()),
    }
    return {**{name: round(value, _DIGITS) for name, value in values.items()}, "rows": len(classes)}


def macro_f1(predicted: NDArray[np.int64], classes: NDArray[np.int64], num_classes: int) -> float:
    """Mean over the classes of 2·TP / (2·TP + FP + FN); a class neither present nor predicted is left out."""
    scores = []
    for index in range(num_classes):
        hits = int(((predicted == index) & (classes == index)).sum())
        total = int((predicted == index).sum() + (classes == index).sum())
        if total:
            scores.append(2 * hits / total)
    return float(np.mean(scores))

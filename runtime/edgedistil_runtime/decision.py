"""From the probabilities of a text to its labels: the best one, or all that reach their thresholds.

A model with one softmax, or with one output, gives every text one label. A multi-label model has an independent sigmoid
for each label, and gives a text all labels whose probability reaches the label's threshold: none, one or several.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgedistil_runtime.errors import ArtifactError

__all__ = ["Decision", "with_both_classes"]


def with_both_classes(probabilities: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the probabilities of both classes if there is one output p: 1 - p and p.

    Example:
        >>> with_both_classes(np.array([0.75])).tolist()
        [0.25, 0.75]
    """
    return np.append(1 - probabilities, probabilities) if len(probabilities) == 1 else probabilities


@dataclass(frozen=True)
class Decision:
    """How labels follow from probabilities.

    Attributes:
        thresholds: Smallest probability of each label that a multi-label model gives, in the order of its outputs;
            empty for a model that gives every text one label.

    Raises:
        ArtifactError: A threshold is not greater than 0 and less than 1.

    Example:
        >>> Decision().chosen(np.array([0.2, 0.7, 0.1])), Decision((0.5, 0.6, 0.1)).chosen(np.array([0.6, 0.3, 0.9]))
        ((1,), (2, 0))
        >>> Decision((0.5, 0.5)).chosen(np.array([0.4, 0.3]))
        ()
    """

    thresholds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check the thresholds."""
        if not all(0 < threshold < 1 for threshold in self.thresholds):
            raise ArtifactError(
                f"Each of `thresholds` must be greater than 0 and less than 1. Received: {list(self.thresholds)[:10]}."
            )

    @property
    def is_multi_label(self) -> bool:
        """True if a text may have no label, or several."""
        return bool(self.thresholds)

    def chosen(self, probabilities: npt.NDArray[Any]) -> tuple[int, ...]:
        """Return the numbers of the labels, the most probable first; of one output p, 1 if p is above 0.5, else 0."""
        if not self.is_multi_label:
            return (int(np.argmax(with_both_classes(probabilities))),)
        order = np.argsort(-probabilities, kind="stable")
        return tuple(int(number) for number in order if probabilities[number] >= self.thresholds[number])

    def is_same(self, first: npt.NDArray[Any], second: npt.NDArray[Any]) -> bool:
        """Return True if both give the same labels, in any order.

        Example:
            >>> Decision((0.5, 0.5)).is_same(np.array([0.6, 0.9]), np.array([0.8, 0.7]))
            True
        """
        return set(self.chosen(first)) == set(self.chosen(second))

    def margin(self, expected: npt.NDArray[Any], received: npt.NDArray[Any]) -> float:
        """Return how sure `expected` is of the labels that `received` changes: 0 if it changes none, at most 1.

        It is the probability of the best label minus that of the other one. In a multi-label model, it is the largest
        distance of a changed label from its threshold, as a share of the distance that is possible on that side.

        Example:
            >>> round(Decision().margin(np.array([0.7, 0.3]), np.array([0.4, 0.6])), 2)
            0.4
            >>> Decision((0.5, 0.8)).margin(np.array([0.75, 0.6]), np.array([0.4, 0.9]))
            0.5
        """
        if not self.is_multi_label:
            rows = with_both_classes(expected)
            return float(rows[self.chosen(expected)[0]] - rows[self.chosen(received)[0]])
        changed = set(self.chosen(expected)) ^ set(self.chosen(received))
        return max((self._sureness(number, expected) for number in changed), default=0.0)

    def surest(self, numbers: Iterable[int], probabilities: npt.NDArray[Any]) -> int:
        """Return the one of some labels of a multi-label model whose probability is furthest from its threshold."""
        return max(sorted(numbers), key=lambda number: self._sureness(number, probabilities))

    def sure_labels(self, probabilities: npt.NDArray[Any], margin: float) -> tuple[int, ...]:
        """Return the labels that are ahead of all others, or of their thresholds, by a margin as in `margin`.

        Example:
            >>> Decision((0.5, 0.5)).sure_labels(np.array([0.9, 0.6]), 0.5)
            (0,)
            >>> Decision().sure_labels(np.array([0.6]), 0.1)  # of one output
            (1,)
        """
        if self.is_multi_label:
            return tuple(one for one in self.chosen(probabilities) if self._sureness(one, probabilities) >= margin)
        ordered = np.sort(with_both_classes(probabilities))
        return self.chosen(probabilities) if ordered[-1] - ordered[-2] >= margin else ()

    def is_close_call(self, expected: npt.NDArray[Any], received: npt.NDArray[Any], tolerance: float) -> bool:
        """Return True if differences of `tolerance` explain that the labels of `received` are others.

        Example:
            >>> Decision((0.5, 0.5)).is_close_call(np.array([0.52, 0.1]), np.array([0.48, 0.1]), 0.1)
            True
        """
        if not self.is_multi_label:
            ordered = np.sort(with_both_classes(expected))
            return bool(ordered[-1] - ordered[-2] < tolerance)
        changed = set(self.chosen(expected)) ^ set(self.chosen(received))
        return all(abs(expected[number] - self.thresholds[number]) <= tolerance for number in changed)

    def _sureness(self, number: int, probabilities: npt.NDArray[Any]) -> float:
        probability, threshold = float(probabilities[number]), self.thresholds[number]
        room = 1 - threshold if probability >= threshold else threshold
        return abs(probability - threshold) / room

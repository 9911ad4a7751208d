"""From the probabilities of a text to its labels: the best one, or all that reach their thresholds.

A model with one softmax, or with one output, gives every text one label. A multi-label model has an independent sigmoid
for each label, and gives a text all labels whose probability reaches the label's threshold: none, one or several.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from edgedistil_runtime.errors import ArtifactError

__all__ = ["Decision"]


Row = Any  # a list of numbers or an array; this module does without NumPy, which command lines need not import


@dataclass(frozen=True)
class Decision:
    """How labels follow from probabilities.

    Attributes:
        thresholds: Smallest probability of each label that a multi-label model gives, in the order of its outputs;
            empty for a model that gives every text one label.

    Raises:
        ArtifactError: A threshold is not greater than 0 and less than 1.

    Example:
        >>> Decision().chosen([0.2, 0.7, 0.1]), Decision((0.5, 0.6, 0.1)).chosen([0.6, 0.3, 0.9])
        ((1,), (2, 0))
        >>> Decision((0.5, 0.5)).chosen([0.4, 0.3])
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

    def chosen(self, probabilities: Row) -> tuple[int, ...]:
        """Return the numbers of the labels, the most probable first; of one output p, 1 if p is above 0.5, else 0."""
        if not self.is_multi_label:
            return (_best(_with_both_classes(probabilities)),)
        order = sorted(range(len(probabilities)), key=lambda number: -float(probabilities[number]))
        # As Python's numbers: NumPy would round a threshold to float32 before it compares.
        return tuple(number for number in order if float(probabilities[number]) >= self.thresholds[number])

    def is_same(self, first: Row, second: Row) -> bool:
        """Return True if both give the same labels, in any order.

        Example:
            >>> Decision((0.5, 0.5)).is_same([0.6, 0.9], [0.8, 0.7])
            True
        """
        return set(self.chosen(first)) == set(self.chosen(second))

    def margin(self, expected: Row, received: Row) -> float:
        """Return how sure `expected` is of the labels that `received` changes: 0 if it changes none, at most 1.

        It is the probability of the best label minus that of the other one. In a multi-label model, it is the largest
        distance of a changed label from its threshold, as a share of the distance that is possible on that side.

        Example:
            >>> round(Decision().margin([0.7, 0.3], [0.4, 0.6]), 2)
            0.4
            >>> Decision((0.5, 0.8)).margin([0.75, 0.6], [0.4, 0.9])
            0.5
        """
        if not self.is_multi_label:
            row = _with_both_classes(expected)
            return float(row[self.chosen(expected)[0]] - row[self.chosen(received)[0]])
        changed = set(self.chosen(expected)) ^ set(self.chosen(received))
        return max((self._sureness(number, expected) for number in changed), default=0.0)

    def surest(self, numbers: Iterable[int], probabilities: Row) -> int:
        """Return the one of some labels of a multi-label model whose probability is furthest from its threshold."""
        return max(sorted(numbers), key=lambda number: self._sureness(number, probabilities))

    def sure_labels(self, probabilities: Row, margin: float) -> tuple[int, ...]:
        """Return the labels that are ahead of all others, or of their thresholds, by a margin as in `margin`.

        Example:
            >>> Decision((0.5, 0.5)).sure_labels([0.9, 0.6], 0.5)
            (0,)
            >>> Decision().sure_labels([0.6], 0.1)  # of one output
            (1,)
        """
        if self.is_multi_label:
            return tuple(one for one in self.chosen(probabilities) if self._sureness(one, probabilities) >= margin)
        return self.chosen(probabilities) if _lead(probabilities) >= margin else ()

    def is_close_call(self, expected: Row, received: Row, tolerance: float) -> bool:
        """Return True if differences of `tolerance` explain that the labels of `received` are others.

        Example:
            >>> Decision((0.5, 0.5)).is_close_call([0.52, 0.1], [0.48, 0.1], 0.1)
            True
        """
        if not self.is_multi_label:
            return _lead(expected) < tolerance
        changed = set(self.chosen(expected)) ^ set(self.chosen(received))
        return all(abs(expected[number] - self.thresholds[number]) <= tolerance for number in changed)

    def _sureness(self, number: int, probabilities: Row) -> float:
        probability, threshold = float(probabilities[number]), self.thresholds[number]
        room = 1 - threshold if probability >= threshold else threshold
        return abs(probability - threshold) / room


def _with_both_classes(probabilities: Row) -> Row:
    """The probabilities of both classes if there is one output p: 1 - p and p."""
    return (1 - probabilities[0], probabilities[0]) if len(probabilities) == 1 else probabilities


def _best(row: Row) -> int:
    return max(range(len(row)), key=lambda number: float(row[number]))


def _lead(probabilities: Row) -> float:
    """The largest probability minus the second largest."""
    second, first = sorted(map(float, _with_both_classes(probabilities)))[-2:]
    return first - second

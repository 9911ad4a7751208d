"""Single texts of a report on multi-label models: those with other labels than the reference's, and sure mistakes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgedistil.data import MultiLabelTexts
from edgedistil.measuring.measurements import ChangedSet, Changes, LabelChange, SetMistake
from edgedistil.measuring.mistakes import DIGITS, shortened

__all__ = ["SetAnswers", "confident_set_mistakes", "count_set_changes"]


@dataclass(frozen=True, eq=False)
class SetAnswers:
    """Probabilities from a multi-label model.

    Attributes:
        labels: Labels, in the order of the columns.
        probabilities: float32 [texts, labels].
        thresholds: Smallest probability of each label that is given.

    Example:
        >>> SetAnswers(["on", "off"], np.array([[0.4, 0.9], [0.2, 0.1]]), (0.4, 0.5)).label_sets
        [('off', 'on'), ()]
    """

    labels: Sequence[str]
    probabilities: NDArray[np.float32]
    thresholds: tuple[float, ...]

    @property
    def is_given(self) -> NDArray[np.bool_]:
        """True for the labels that each text is given, bool [texts, labels]."""
        return np.asarray(self.probabilities.astype("float64") >= np.asarray(self.thresholds))

    @property
    def label_sets(self) -> list[tuple[str, ...]]:
        """Labels of each text, the best first."""
        best_first = np.argsort(-self.probabilities, axis=1, kind="stable").tolist()
        chosen = self.is_given.tolist()
        return [tuple(self.labels[n] for n in order if row[n]) for order, row in zip(best_first, chosen, strict=True)]

    def in_order(self, labels: Sequence[str]) -> "SetAnswers":
        """The same with the labels in another order."""
        places = [list(self.labels).index(label) for label in labels]
        thresholds = tuple(self.thresholds[place] for place in places)
        return SetAnswers(labels, np.ascontiguousarray(self.probabilities[:, places]), thresholds)


def count_set_changes(
    examples: MultiLabelTexts, reference: SetAnswers, given: SetAnswers, num_examples: int
) -> Changes:
    """Compares a model's sets of labels with the reference's.

    Args:
        examples: Texts and right labels.
        reference: The reference's answers.
        given: The model's answers, with the labels in the same order.
        num_examples: Changed texts to keep, as in `Changes.examples`.

    Example:
        >>> examples = MultiLabelTexts(("lights", "music"), (("on",), ("on", "off")))
        >>> reference = SetAnswers(["on", "off"], np.array([[0.9, 0.1], [0.9, 0.4]]), (0.5, 0.5))
        >>> given = SetAnswers(["on", "off"], np.array([[0.9, 0.6], [0.9, 0.6]]), (0.5, 0.5))
        >>> changes = count_set_changes(examples, reference, given, num_examples=1)
        >>> changes.broken, changes.repaired, changes.examples[0].given
        (1, 1, ('on', 'off'))
    """
    sets = list(zip(map(set, examples.label_sets), reference.label_sets, given.label_sets, strict=True))
    differs = reference.is_given != given.is_given
    distances = np.where(differs, abs(reference.probabilities - np.asarray(reference.thresholds)), 0).max(axis=1)
    changed = [row for row in np.argsort(-distances, kind="stable").tolist() if differs[row].any()]
    broken = [row for row in changed if set(sets[row][1]) == sets[row][0]]
    repaired = [row for row in changed if set(sets[row][2]) == sets[row][0]]
    otherwise = [row for row in changed if sets[row][0] not in (set(sets[row][1]), set(sets[row][2]))]
    kept = [*broken, *repaired, *otherwise][:num_examples]
    return Changes(
        same=len(sets) - len(changed),
        broken=len(broken),
        repaired=len(repaired),
        otherwise=len(otherwise),
        examples=tuple(
            ChangedSet(
                text=shortened(examples.texts[row]),
                right=examples.label_sets[row],
                reference=sets[row][1],
                given=sets[row][2],
                changed=tuple(_changes(reference, given, row, np.flatnonzero(differs[row]).tolist())),
            )
            for row in kept
        ),
    )


def _changes(reference: SetAnswers, given: SetAnswers, row: int, numbers: Sequence[int]) -> Iterator[LabelChange]:
    for number in numbers:
        yield LabelChange(
            reference.labels[number],
            round(float(reference.probabilities[row, number]), DIGITS),
            reference.thresholds[number],
            round(float(given.probabilities[row, number]), DIGITS),
            given.thresholds[number],
        )


def confident_set_mistakes(examples: MultiLabelTexts, given: SetAnswers, num_examples: int) -> tuple[SetMistake, ...]:
    """Returns the labels that a model is surest of and wrong: those that it gives, then those that it does not give.

    Args:
        examples: Texts and right labels.
        given: The model's answers.
        num_examples: Mistakes of both kinds to return at most, half of each if there are enough.

    Example:
        >>> examples = MultiLabelTexts(("lights", "music"), (("on",), ("off",)))
        >>> given = SetAnswers(["on", "off"], np.array([[0.9, 0.6], [0.75, 0.125]]), (0.5, 0.5))
        >>> [(one.text, one.label, one.is_given) for one in confident_set_mistakes(examples, given, 20)]
        [('music', 'on', True), ('lights', 'off', True), ('music', 'off', False)]
    """
    is_right = np.array([[label in some for label in given.labels] for some in map(set, examples.label_sets)])
    is_given = given.is_given
    wrong = _sorted(is_given & ~is_right, -given.probabilities)
    missing = _sorted(~is_given & is_right, given.probabilities)
    of_wrong = max(num_examples - num_examples // 2, num_examples - len(missing))
    chosen = [*wrong[:of_wrong], *missing[: num_examples - min(of_wrong, len(wrong))]]
    return tuple(
        SetMistake(
            text=shortened(examples.texts[row]),
            right=examples.label_sets[row],
            label=given.labels[number],
            is_given=bool(is_given[row, number]),
            score=round(float(given.probabilities[row, number]), DIGITS),
            threshold=given.thresholds[number],
        )
        for row, number in chosen
    )


def _sorted(is_chosen: NDArray[np.bool_], order: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Rows and columns that are chosen, the smallest numbers of `order` first."""
    rows, columns = np.nonzero(is_chosen)
    ordered = np.argsort(order[rows, columns], kind="stable")
    return list(zip(rows[ordered].tolist(), columns[ordered].tolist(), strict=True))

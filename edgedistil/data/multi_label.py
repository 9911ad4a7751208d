"""Texts with any number of labels each, for training: their labels, and a division that keeps all of them."""

import random
from dataclasses import dataclass

from edgedistil.data.classes import class_names
from edgedistil.data.label_sets import MultiLabelTexts
from edgedistil_runtime.errors import DataError

__all__ = ["MultiLabelTrainingData", "divide_label_sets"]

_FEW_TEXTS = 30  # of a label, on average; a tenth of fewer is too little to choose an epoch or thresholds by


@dataclass(frozen=True)
class MultiLabelTrainingData:
    """Examples of a training run, as `TrainingData`, whose texts have any number of labels.

    Attributes:
        training: Examples that the weights are fitted to.
        validation: Examples that choose the best epoch and the thresholds; `None` if all are trained on.
        test: Examples that are measured once, at the end; `None` if there are none.

    Raises:
        DataError: The training texts have one label each, there are fewer than two labels, or a label has no training
            text.

    Example:
        >>> texts = MultiLabelTexts(("late", "late and broken", "hi"), (("delivery",), ("delivery", "damage"), ()))
        >>> MultiLabelTrainingData(texts).labels
        ('damage', 'delivery')
    """

    training: MultiLabelTexts
    validation: MultiLabelTexts | None = None
    test: MultiLabelTexts | None = None

    def __post_init__(self) -> None:
        known = self.training.counts()
        never = [column for column in self.training.columns if column not in known]
        if never:
            raise DataError(
                f"{self.training.name}: every label (`label_columns`) needs a text that has it. "
                f"Received: no 1 in {_listed(never)}"
            )
        if len(known) < 2:
            raise DataError(
                f"{self.training.name}: a classifier needs at least two labels. "
                f"Received: {_listed(list(known)) or 'no label in any row'}"
            )
        if all(len(labels) == 1 for labels in self.training.label_sets):
            raise DataError(
                f"{self.training.name}: every text has one label, and an ordinary classifier, whose scores sum to 1, "
                "is the right one. Train without `label_separator` or `label_columns`, with a label instead of a list "
                f"in each row. Received: {len(self.training):,} texts, all with one label"
            )
        for part, data in (("validation", self.validation), ("test", self.test)):
            unknown = sorted(data.counts().keys() - known.keys()) if data else []
            if data and unknown:
                raise DataError(
                    f"{data.name}: a label of the {part} data must have examples in the training data. Unknown: "
                    f"{_listed(unknown)}. Known: {_listed(sorted(known))}"
                )

    @classmethod
    def prepare(
        cls,
        training: MultiLabelTexts,
        *,
        validation: MultiLabelTexts | None = None,
        test: MultiLabelTexts | None = None,
        validation_fraction: float | None = None,
        seed: int = 0,
    ) -> "MultiLabelTrainingData":
        """Takes the validation examples as given, or holds out a stratified share of the training examples.

        Args:
            training: Examples to train on.
            validation: Examples to validate on; `None` takes them out of `training`.
            test: Examples to test on.
            validation_fraction: Share of `training` to hold out; 0 holds nothing out. `None` is 0 if a label has fewer
                than 30 texts on average, and 0.1 otherwise.
            seed: Seed of the choice.
        """
        whole = cls(training, validation, test)
        if validation_fraction is None:
            counts = training.counts()
            validation_fraction = 0.0 if sum(counts.values()) < _FEW_TEXTS * len(counts) else 0.1
        if validation is not None or not validation_fraction:
            return whole
        return cls(*divide_label_sets(training, validation_fraction, seed=seed), test)

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels; the index of a label here is its column in the classifier's output."""
        return class_names(self.training.counts())


def divide_label_sets(data: MultiLabelTexts, fraction: float, *, seed: int) -> tuple[MultiLabelTexts, MultiLabelTexts]:
    """Divides texts so that every label has about its share in the second part, and a text at least in the first.

    The labels are gone through from the rarest to the most frequent, and each takes what its share still lacks, after
    the iterative stratification of Sechidis et al. 2011 (https://doi.org/10.1007/978-3-642-23808-6_10).

    Args:
        data: Texts.
        fraction: Share of the second part, between 0 and 1.
        seed: Seed of the choice.

    Example:
        >>> texts = MultiLabelTexts(tuple("abcdefgh"), (("x",), ("x", "y"), ("y",), (), ("x",), ("y",), (), ("z",)))
        >>> larger, smaller = divide_label_sets(texts, 0.34, seed=0)
        >>> len(larger), sorted(smaller.counts().items())
        (6, [('x', 1), ('y', 1)])
    """
    if not 0 < fraction < 1:
        raise DataError(f"The validation fraction must lie between 0 and 1, for instance 0.1. Received: {fraction}")
    rows_of: dict[str, list[int]] = {}
    for row, labels in enumerate(data.label_sets):
        for label in labels:
            rows_of.setdefault(label, []).append(row)
    generator = random.Random(seed)
    chosen: set[int] = set()
    undecided = set(range(len(data)))
    for label in sorted(rows_of, key=lambda label: (len(rows_of[label]), label)):
        rows = rows_of[label]
        due = min(len(rows) - 1, max(1, round(len(rows) * fraction))) - len(chosen.intersection(rows))
        free = [row for row in rows if row in undecided]
        chosen.update(generator.sample(free, max(0, min(len(free), due))))
        undecided.difference_update(free)
    without = sorted(undecided)
    chosen.update(generator.sample(without, round(len(without) * fraction)))
    for rows in rows_of.values():  # all texts of a label may have been taken for rarer ones
        if chosen.issuperset(rows):
            chosen.remove(rows[0])
    return data.rows([row for row in range(len(data)) if row not in chosen]), data.rows(sorted(chosen))


def _listed(names: list[str], limit: int = 8) -> str:
    shown = ", ".join(repr(name) for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"

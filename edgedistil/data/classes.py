"""Classes of labelled texts: their order, the examples each must have, and the split that keeps all of them."""

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from edgedistil.data.reading import LabelledTexts
from edgedistil_runtime.errors import DataError

__all__ = ["TrainingData", "class_names", "split"]


def class_names(labels: Iterable[str]) -> tuple[str, ...]:
    """The distinct labels in a stable order: whole numbers by value, everything else by code point.

    Example:
        >>> class_names(["spam", "ham", "spam"])
        ('ham', 'spam')
        >>> class_names(["10", "2"])
        ('2', '10')
    """
    names = set(labels)
    if all(name.isascii() and name.isdigit() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def split(data: LabelledTexts, fraction: float, *, seed: int) -> tuple[LabelledTexts, LabelledTexts]:
    """Divide examples so that every class keeps at least one in each part.

    Args:
        data: the examples; every class needs two.
        fraction: the share of the second part, between 0 and 1, taken from every class.
        seed: the same seed gives the same parts.

    Returns:
        The larger and the smaller part, each in the order of `data`.

    Raises:
        DataError: a class has one example, or the fraction is not between 0 and 1.
    """
    if not 0 < fraction < 1:
        raise DataError(f"The validation fraction must lie between 0 and 1, for instance 0.1. Received: {fraction}")
    rows_of: dict[str, list[int]] = {}
    for row, label in enumerate(data.labels):
        rows_of.setdefault(label, []).append(row)
    alone = sorted(label for label, rows in rows_of.items() if len(rows) == 1)
    if alone:
        raise DataError(
            f"{data.name}: a class needs at least two examples to be divided into training and validation. "
            "Add examples, remove the class, or divide them yourself and pass `validation` too. "
            f"Received: one example of {_listed(alone)}"
        )
    generator = random.Random(seed)
    held_out: set[int] = set()
    for label in sorted(rows_of):
        rows = rows_of[label]
        held_out.update(generator.sample(rows, min(len(rows) - 1, max(1, round(len(rows) * fraction)))))
    return (
        _subset(data, [row for row in range(len(data)) if row not in held_out]),
        _subset(data, sorted(held_out)),
    )


@dataclass(frozen=True)
class TrainingData:
    """What a training run reads: every validation and test class is one that training shows.

    Attributes:
        training: the examples that the weights are fitted to.
        validation: the examples that choose the best epoch.
        test: examples that are measured once, at the end; may be absent.
    """

    training: LabelledTexts
    validation: LabelledTexts
    test: LabelledTexts | None = None

    def __post_init__(self) -> None:
        known = set(self.training.labels)
        if len(known) < 2:
            raise DataError(
                f"{self.training.name} has a single class, and a classifier needs at least two. "
                f"Received: {len(self.training)} examples, all of class {_listed(sorted(known))}"
            )
        for part, data in (("validation", self.validation), ("test", self.test)):
            unknown = sorted(set(data.labels) - known) if data else []
            if data and unknown:
                row_counts = Counter(data.labels)
                raise DataError(
                    f"{data.name}: a class of the {part} data must have examples in the training data. Unknown: "
                    f"{_listed(unknown)} ({sum(row_counts[label] for label in unknown)} rows). "
                    f"Known: {_listed(sorted(known))}"
                )

    @classmethod
    def prepare(
        cls,
        training: LabelledTexts,
        *,
        validation: LabelledTexts | None = None,
        test: LabelledTexts | None = None,
        validation_fraction: float = 0.1,
        seed: int = 0,
    ) -> "TrainingData":
        """Take the validation examples as given, or hold a stratified share of the training examples out.

        Raises:
            DataError: a single class, a class with too few examples, or a class that training does not show.
        """
        if len(set(training.labels)) > 1 and validation is None:
            training, validation = split(training, validation_fraction, seed=seed)
        return cls(training, validation or training, test)

    @property
    def labels(self) -> tuple[str, ...]:
        """The class names; a class's position here is its column in the classifier's output."""
        return class_names(self.training.labels)


def _subset(data: LabelledTexts, rows: list[int]) -> LabelledTexts:
    return LabelledTexts(tuple(data.texts[row] for row in rows), tuple(data.labels[row] for row in rows), data.path)


def _listed(names: list[str], limit: int = 8) -> str:
    shown = ", ".join(repr(name) for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"

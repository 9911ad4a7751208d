"""Classes of labelled texts: their order, the examples that each needs, and a split that keeps all of them."""

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from edgedistil.data.reading import LabelledTexts
from edgedistil_runtime.errors import DataError

__all__ = ["TrainingData", "class_names", "has_few_texts", "split"]

_FEW_TEXTS = 30  # a class; a tenth of fewer is too little to choose an epoch by


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
    """Divides examples so that every class keeps at least one in each part.

    Args:
        data: Examples, at least two of every class.
        fraction: Share of the second part, between 0 and 1, taken from every class.
        seed: Seed of the choice; the same seed gives the same parts.

    Returns:
        The larger and the smaller part, each in the order of `data`.

    Raises:
        DataError: a class has one example, or the fraction is not between 0 and 1.

    Example:
        >>> texts = LabelledTexts(("a", "b", "c", "d", "e"), ("on", "on", "on", "off", "off"))
        >>> larger, smaller = split(texts, 0.2, seed=0)
        >>> len(larger), sorted(smaller.labels)
        (3, ['off', 'on'])
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


def has_few_texts(data: LabelledTexts) -> bool:
    """Returns True with fewer than 30 texts a class on average, which some defaults of training depend on.

    Example:
        >>> has_few_texts(LabelledTexts(("a", "b"), ("on", "off")))
        True
    """
    return len(data) < _FEW_TEXTS * len(set(data.labels))


@dataclass(frozen=True)
class TrainingData:
    """Examples of a training run; validation and test data have only classes that the training data have.

    Attributes:
        training: Examples that the weights are fitted to.
        validation: Examples that choose the best epoch; `None` if all are trained on.
        test: Examples that are measured once, at the end; `None` if there are none.

    Example:
        >>> texts = LabelledTexts(("hi", "hello", "bye", "see you"), ("greeting", "greeting", "farewell", "farewell"))
        >>> data = TrainingData.prepare(texts, validation_fraction=0.5)
        >>> data.labels, len(data.training), len(data.validation)
        (('farewell', 'greeting'), 2, 2)
    """

    training: LabelledTexts
    validation: LabelledTexts | None = None
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
                differs_by_blanks = {label.strip() for label in unknown} <= {label.strip() for label in known}
                hint = ". They differ by blanks: pass `strip_labels`" if differs_by_blanks else ""
                raise DataError(
                    f"{data.name}: a class of the {part} data must have examples in the training data. Unknown: "
                    f"{_listed(unknown)} ({sum(row_counts[label] for label in unknown)} rows). "
                    f"Known: {_listed(sorted(known))}{hint}"
                )

    @classmethod
    def prepare(
        cls,
        training: LabelledTexts,
        *,
        validation: LabelledTexts | None = None,
        test: LabelledTexts | None = None,
        validation_fraction: float | None = None,
        seed: int = 0,
    ) -> "TrainingData":
        """Takes the validation examples as given, or holds out a stratified share of the training examples.

        Args:
            training: Examples to train on.
            validation: Examples to validate on; `None` takes them out of `training`.
            test: Examples to test on.
            validation_fraction: Share of `training` to hold out; 0 holds nothing out, and there is no validation then.
                `None` is 0 if there are fewer than 30 texts a class, which training needs more, and 0.1 otherwise.
            seed: Seed of the choice.

        Raises:
            DataError: there is a single class, a class with too few examples, or a class that is not in `training`.
        """
        classes = len(set(training.labels))
        if validation_fraction is None:
            validation_fraction = 0.0 if has_few_texts(training) else 0.1
        if classes > 1 and validation is None and validation_fraction:
            training, validation = split(training, validation_fraction, seed=seed)
        return cls(training, validation, test)

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names; the index of a class here is its column in the classifier's output."""
        return class_names(self.training.labels)


def _subset(data: LabelledTexts, rows: list[int]) -> LabelledTexts:
    return LabelledTexts(tuple(data.texts[row] for row in rows), tuple(data.labels[row] for row in rows), data.path)


def _listed(names: list[str], limit: int = 8) -> str:
    shown = ", ".join(repr(name) for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"

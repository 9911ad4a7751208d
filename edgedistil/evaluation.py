"""How good a classifier is on labelled texts: accuracy, F1, and where it goes wrong."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgedistil_runtime.errors import DataError

__all__ = ["ClassScores", "Evaluation", "evaluate_labels"]


@dataclass(frozen=True)
class ClassScores:
    """Scores of one class.

    Attributes:
        label: the class.
        precision: share of the texts labelled so that are so; 0 where nothing was labelled so.
        recall: share of the texts that are so that were labelled so; 0 where there are none.
        f1: harmonic mean of the two.
        support: texts of the class.
    """

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Evaluation:
    """Scores of a classifier on a data set.

    Attributes:
        texts: how many were classified.
        accuracy: share with the right label.
        macro_f1: mean of the F1 of the classes that occur, in the data or in the answers, each class alike.
        classes: scores by class, in the classifier's order.
        confusion: rows are the right labels, columns the given ones, both in the classifier's order.
    """

    texts: int
    accuracy: float
    macro_f1: float
    classes: tuple[ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...]

    def to_dict(self) -> dict[str, Any]:
        """The scores as plain data."""
        return asdict(self)


def evaluate_labels(expected: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> Evaluation:
    """Scores predicted labels against the right ones.

    Args:
        expected: the right label of each text.
        predicted: the classifier's.
        labels: all labels of the classifier, in its order.

    Raises:
        DataError: no texts, or a right label that the classifier does not know.

    Example:
        >>> evaluate_labels(["a", "b"], ["a", "a"], ["a", "b"]).accuracy
        0.5
    """
    unknown = sorted(set(expected) - set(labels))
    if unknown:
        raise DataError(
            f"The data has labels that the model does not know: {', '.join(unknown[:10])}. "
            f"The model's labels: {', '.join(labels[:20])}. Evaluate on data with the labels it was trained on."
        )
    if not expected:
        raise DataError("There is nothing to evaluate: no texts were given.")
    pairs = Counter(zip(expected, predicted, strict=True))
    classes = tuple(_class_scores(label, pairs, labels) for label in labels)
    given = {label for _, label in pairs}
    occurring = [scores.f1 for scores in classes if scores.support or scores.label in given]
    return Evaluation(
        texts=len(expected),
        accuracy=sum(pairs[label, label] for label in labels) / len(expected),
        macro_f1=sum(occurring) / len(occurring),
        classes=classes,
        confusion=tuple(tuple(pairs[right, given] for given in labels) for right in labels),
    )


def _class_scores(label: str, pairs: Counter[tuple[str, str]], labels: Sequence[str]) -> ClassScores:
    right = pairs[label, label]
    support = sum(pairs[label, other] for other in labels)
    given = sum(pairs[other, label] for other in labels)
    return ClassScores(
        label=label,
        precision=right / given if given else 0.0,
        recall=right / support if support else 0.0,
        f1=2 * right / (given + support) if given + support else 0.0,
        support=support,
    )

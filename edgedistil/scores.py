"""Scores of a classifier on labelled texts: accuracy, precision, recall, F1 and confusions."""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgedistil_runtime.errors import DataError

__all__ = ["ClassScores", "ConfusedPair", "Evaluation", "evaluate_labels", "score_probabilities"]

_SMALLEST_PROBABILITY = 1e-7  # bounds the loss of a text whose class got probability 0
_DIGITS = 6

_Label = TypeVar("_Label", bound=Hashable)


@dataclass(frozen=True)
class ClassScores:
    """Scores of one class.

    Attributes:
        label: The class.
        precision: Share of the texts with this predicted label that belong to the class; 0 if there are none.
        recall: Share of the texts of the class with this predicted label; 0 if there are none.
        f1: Harmonic mean of precision and recall.
        support: Number of texts of the class.
    """

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class ConfusedPair:
    """Two labels of which a classifier gives one for the other.

    Attributes:
        right: Right label.
        given: Label from the classifier.
        texts: Number of texts.
    """

    right: str
    given: str
    texts: int


@dataclass(frozen=True)
class Evaluation:
    """Scores of a classifier on a data set.

    Attributes:
        texts: Number of texts.
        accuracy: Share of the texts with the right label.
        macro_f1: Unweighted mean F1 of the classes that occur in the data or among the predictions.
        classes: Scores of each class, in the classifier's order.
        confusion: Counts [right label][predicted label], both in the classifier's order.

    Example:
        >>> evaluate_labels(["on"], ["on"], ["on", "off"]).to_dict()["classes"][0]
        {'label': 'on', 'precision': 1.0, 'recall': 1.0, 'f1': 1.0, 'support': 1}
    """

    texts: int
    accuracy: float
    macro_f1: float
    classes: tuple[ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...]

    def confused_pairs(self, most: int = 20) -> tuple[ConfusedPair, ...]:
        """The pairs of labels that are confused most; equal counts in the order of the classes.

        Args:
            most: Pairs to return at most.

        Example:
            >>> evaluate_labels(["on", "off", "off"], ["off", "off", "on"], ["on", "off"]).confused_pairs(most=1)
            (ConfusedPair(right='on', given='off', texts=1),)
        """
        labels = [scores.label for scores in self.classes]
        pairs = [
            ConfusedPair(labels[right], labels[given], count)
            for right, row in enumerate(self.confusion)
            for given, count in enumerate(row)
            if count and right != given
        ]
        return tuple(sorted(pairs, key=lambda pair: -pair.texts)[:most])

    def to_dict(self) -> dict[str, Any]:
        """The scores as plain data."""
        return asdict(self)


def evaluate_labels(expected: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> Evaluation:
    """Scores predicted labels against the right ones.

    Args:
        expected: Right label of each text.
        predicted: Label that the classifier gives each text.
        labels: All labels of the classifier, in its order.

    Raises:
        DataError: there are no texts, or the classifier does not know a right label.

    Example:
        >>> evaluation = evaluate_labels(["on", "off", "off"], ["on", "on", "off"], ["off", "on"])
        >>> round(evaluation.accuracy, 3), round(evaluation.macro_f1, 3)
        (0.667, 0.667)
        >>> evaluation.confusion  # one "off" was taken for "on"
        ((1, 1), (0, 1))
        >>> evaluation.classes[0].recall
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
    support, given = _margins(pairs)
    return Evaluation(
        texts=len(expected),
        accuracy=_accuracy(pairs),
        macro_f1=_macro_f1(pairs, labels),
        classes=tuple(_class_scores(label, pairs[label, label], support[label], given[label]) for label in labels),
        confusion=tuple(tuple(pairs[right, predicted] for predicted in labels) for right in labels),
    )


def score_probabilities(probabilities: NDArray[np.float32], classes: NDArray[np.int64]) -> dict[str, Any]:
    """Scores predicted probabilities against the right classes.

    Args:
        probabilities: float32 [texts, classes], rows that sum to 1.
        classes: int64 [texts], right class numbers.

    Returns:
        `accuracy`, `macro_f1`, `loss` (mean cross-entropy in nats) and `rows`, rounded to six digits.

    Example:
        >>> scores = score_probabilities(np.array([[0.9, 0.1], [0.6, 0.4]], "float32"), np.array([0, 1]))
        >>> scores["accuracy"], scores["rows"]
        (0.5, 2)
    """
    pairs = Counter(zip(classes.tolist(), probabilities.argmax(axis=1).tolist(), strict=True))
    of_right = probabilities[np.arange(len(classes)), classes]
    values = {
        "accuracy": _accuracy(pairs),
        "macro_f1": _macro_f1(pairs, range(probabilities.shape[1])),
        "loss": float(-np.log(np.maximum(of_right, _SMALLEST_PROBABILITY)).mean()),
    }
    return {**{name: round(value, _DIGITS) for name, value in values.items()}, "rows": len(classes)}


# A pair is (right label, predicted label); its count is a number of texts.


def _accuracy(pairs: Counter[tuple[_Label, _Label]]) -> float:
    return sum(count for (right, given), count in pairs.items() if right == given) / pairs.total()


def _macro_f1(pairs: Counter[tuple[_Label, _Label]], labels: Sequence[_Label]) -> float:
    """Mean F1 of the classes, without those that are neither present nor predicted."""
    support, given = _margins(pairs)
    scores = [
        _f1(pairs[label, label], support[label] + given[label]) for label in labels if support[label] + given[label]
    ]
    return sum(scores) / len(scores)


def _f1(hits: int, total: int) -> float:
    """2·TP / (2·TP + FP + FN); `total` is the denominator: texts of the class and texts with its label."""
    return 2 * hits / total if total else 0.0


def _margins(pairs: Counter[tuple[_Label, _Label]]) -> tuple[Counter[_Label], Counter[_Label]]:
    """Texts of each class, and texts with each predicted label."""
    support: Counter[_Label] = Counter()
    given: Counter[_Label] = Counter()
    for (right, predicted), count in pairs.items():
        support[right] += count
        given[predicted] += count
    return support, given


def _class_scores(label: str, hits: int, support: int, given: int) -> ClassScores:
    return ClassScores(
        label=label,
        precision=hits / given if given else 0.0,
        recall=hits / support if support else 0.0,
        f1=_f1(hits, support + given),
        support=support,
    )

"""Scores of a multi-label classifier by the sets of labels that it gives: micro and macro F1, equal sets."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistil.scores import ClassScores, ConfusedPair
from edgedistil_runtime.errors import DataError

__all__ = ["SetEvaluation", "evaluate_label_sets", "score_label_sets"]

_SMALLEST_PROBABILITY = 1e-7
_DIGITS = 6


@dataclass(frozen=True)
class SetEvaluation:
    """Scores of a multi-label classifier on a data set.

    Attributes:
        texts: Number of texts.
        micro_f1: F1 of all decisions, a decision being a text and a label.
        macro_f1: Unweighted mean F1 of the labels that occur in the data or are given.
        subset_accuracy: Share of the texts with exactly the right labels.
        labels_per_text: Mean number of labels that a text has in the data.
        classes: Scores of each label, in the classifier's order; `support` is the number of texts that have it.
        confusions: Pairs of a right label that texts are not given and a wrong one that they are, the most frequent
            first; equal counts in the order of the classes.

    Example:
        >>> evaluate_label_sets([["a"], ["a", "b"]], [["a"], ["b"]], ["a", "b"]).to_dict()["classes"][0]["recall"]
        0.5
    """

    texts: int
    micro_f1: float
    macro_f1: float
    subset_accuracy: float
    labels_per_text: float
    classes: tuple[ClassScores, ...]
    confusions: tuple[ConfusedPair, ...] = ()

    def confused_pairs(self, most: int = 20) -> tuple[ConfusedPair, ...]:
        """The first of the confusions.

        Args:
            most: Pairs to return at most.

        Example:
            >>> evaluate_label_sets([["a", "c"]], [["b", "c"]], ["a", "b", "c"]).confused_pairs()
            (ConfusedPair(right='a', given='b', texts=1),)
        """
        return self.confusions[:most]

    def to_dict(self) -> dict[str, Any]:
        """The scores as plain data, without the confusions, of which there may be very many."""
        return {name: value for name, value in asdict(self).items() if name != "confusions"}


def evaluate_label_sets(
    expected: Sequence[Collection[str]], given: Sequence[Collection[str]], labels: Sequence[str]
) -> SetEvaluation:
    """Scores sets of labels against the right ones.

    Args:
        expected: Right labels of each text.
        given: Labels of each text from the classifier.
        labels: All labels of the classifier.

    Raises:
        DataError: There are no texts, or `expected` has a label that the classifier does not know.

    Example:
        >>> scores = evaluate_label_sets([["a"], ["a", "b"], []], [["a"], ["b"], ["b"]], ["a", "b"])
        >>> round(scores.micro_f1, 3), round(scores.macro_f1, 3), round(scores.subset_accuracy, 3)
        (0.667, 0.667, 0.333)
    """
    counts = Counter(chain.from_iterable(map(set, expected)))
    unknown = sorted(counts.keys() - set(labels))
    if unknown:
        raise DataError(
            f"The data has labels that the model does not know: {', '.join(unknown[:10])}. "
            f"The model's labels: {', '.join(labels[:20])}. Evaluate on data with the labels it was trained on."
        )
    if not expected:
        raise DataError("There is nothing to evaluate: no texts were given.")
    pairs = [(set(right), set(found)) for right, found in zip(expected, given, strict=True)]
    hits = Counter(chain.from_iterable(right & found for right, found in pairs))
    received = Counter(chain.from_iterable(found for _, found in pairs))
    classes = tuple(_class_scores(label, hits[label], counts[label], received[label]) for label in labels)
    scored = [one.f1 for one in classes if counts[one.label] + received[one.label]]
    return SetEvaluation(
        texts=len(pairs),
        micro_f1=_f1(hits.total(), counts.total() + received.total()),
        macro_f1=sum(scored) / len(scored) if scored else 0.0,
        subset_accuracy=sum(right == found for right, found in pairs) / len(pairs),
        labels_per_text=counts.total() / len(pairs),
        classes=classes,
        confusions=_confusions(pairs, labels),
    )


def score_label_sets(
    probabilities: NDArray[np.float32], targets: NDArray[np.float32], thresholds: Sequence[float]
) -> dict[str, Any]:
    """Scores probabilities, of which those that reach their thresholds are given, as `evaluate_label_sets`.

    Args:
        probabilities: float32 [texts, labels].
        targets: 1 for the labels that a text has and 0 for the others, float32 [texts, labels].
        thresholds: Smallest probability of each label that is given.

    Returns:
        `micro_f1`, `macro_f1`, `subset_accuracy`, `loss` (cross-entropy of a text in nats, the sum over its labels) and
        `rows`, rounded to six digits.

    Example:
        >>> scores = score_label_sets(np.array([[0.9, 0.4], [0.6, 0.1]]), np.array([[1, 0], [0, 0]]), [0.7, 0.5])
        >>> scores["micro_f1"], scores["subset_accuracy"], scores["rows"]
        (1.0, 1.0, 2)
    """
    is_right, is_given = targets > 0.5, probabilities.astype("float64") >= np.asarray(thresholds)
    hits, total = (is_right & is_given).sum(axis=0), is_right.sum(axis=0) + is_given.sum(axis=0)
    scored = [_f1(int(hits[n]), int(total[n])) for n in np.flatnonzero(total)]
    likely = np.clip(probabilities, _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
    values = {
        "micro_f1": _f1(int(hits.sum()), int(total.sum())),
        "macro_f1": sum(scored) / len(scored) if scored else 0.0,
        "subset_accuracy": float((is_right == is_given).all(axis=1).mean()),
        "loss": float(-np.log(np.where(is_right, likely, 1 - likely)).sum(axis=1).mean()),
    }
    return {**{name: round(value, _DIGITS) for name, value in values.items()}, "rows": len(targets)}


def _confusions(pairs: Sequence[tuple[set[str], set[str]]], labels: Sequence[str]) -> tuple[ConfusedPair, ...]:
    counts = Counter(chain.from_iterable(product(right - found, found - right) for right, found in pairs))
    place = {label: number for number, label in enumerate(labels)}
    ordered = sorted(counts.items(), key=lambda item: (-item[1], place[item[0][0]], place[item[0][1]]))
    return tuple(ConfusedPair(right, given, texts) for (right, given), texts in ordered)


def _f1(hits: int, total: int) -> float:
    """2·TP / (2·TP + FP + FN); `total` is the denominator: texts that have the label and texts that are given it."""
    return 2 * hits / total if total else 0.0


def _class_scores(label: str, hits: int, support: int, given: int) -> ClassScores:
    precision, recall = hits / given if given else 0.0, hits / support if support else 0.0
    return ClassScores(label, precision, recall, _f1(hits, support + given), support)

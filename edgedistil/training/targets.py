"""Targets of training: the class of each text as a number, and the weight of the text in the loss."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgedistil.data import LabelledTexts, MultiLabelTexts
from edgedistil.data.classes import has_few_texts

__all__ = ["class_numbers", "class_weights", "label_sets", "smoothing"]


def class_numbers(data: LabelledTexts, labels: Sequence[str]) -> NDArray[np.int64]:
    """Index of each text's label in `labels`, int64[texts].

    Example:
        >>> class_numbers(LabelledTexts(("a", "b"), ("on", "off")), ["off", "on"]).tolist()
        [1, 0]
    """
    number_of = {label: number for number, label in enumerate(labels)}
    return np.array([number_of[label] for label in data.labels], dtype="int64")


def label_sets(data: MultiLabelTexts, labels: Sequence[str]) -> NDArray[np.float32]:
    """1 for the labels of each text and 0 for the others, float32[texts, labels].

    Example:
        >>> label_sets(MultiLabelTexts(("a", "b"), (("on", "off"), ())), ["off", "dim", "on"]).tolist()
        [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    """
    number_of = {label: number for number, label in enumerate(labels)}
    found = np.zeros((len(data), len(labels)), "float32")
    for row, few in enumerate(data.label_sets):
        found[row, [number_of[label] for label in few]] = 1
    return found


def smoothing(share: float | None, data: LabelledTexts) -> float:
    """Share of the target that is spread over all classes.

    Args:
        share: The share; `None` is 0.1, and 0 with few texts (docs/training.md).
        data: Training texts.

    Example:
        >>> smoothing(None, LabelledTexts(("a", "b"), ("on", "off")))
        0.0
    """
    if share is not None:
        return share
    return 0.0 if has_few_texts(data) else 0.1


def class_weights(classes: NDArray[np.int64], kind: str) -> NDArray[np.float32]:
    """Weight of each training text in the loss; the mean weight is 1.

    Args:
        classes: Class of each text, int64[texts].
        kind: `none` gives every text the weight 1; `balanced` gives every class the same share of the loss.

    Example:
        >>> [round(weight, 3) for weight in class_weights(np.array([0, 0, 0, 1]), "balanced").tolist()]
        [0.667, 0.667, 0.667, 2.0]
    """
    if kind == "none":
        return np.ones(len(classes), "float32")
    _, index, counts = np.unique(classes, return_inverse=True, return_counts=True)
    return np.asarray(len(classes) / (len(counts) * counts[index]), "float32")

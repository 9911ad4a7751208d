"""Targets of training: the class of each text as a number, and the weight of the text in the loss."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgedistil.data import LabelledTexts, MultiLabelTexts
from edgedistil.data.classes import has_few_texts
from edgedistil_runtime.errors import DataError

__all__ = ["class_numbers", "class_weights", "classifier_targets", "label_sets", "smoothing"]


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


def classifier_targets(
    texts: LabelledTexts | MultiLabelTexts, labels: tuple[str, ...], *, is_multi_label: bool
) -> NDArray[np.int32]:
    """Targets for a classifier that is trained already, whose labels may be spelled in another way.

    Args:
        texts: Texts with one label each, or for a multi-label classifier with any number.
        labels: Labels of the classifier, in the order of its outputs.
        is_multi_label: The classifier gives a text any number of labels.

    Returns:
        Index of each text's class, int32[texts]; for a classifier of one output, 1 for its label and 0 for all others;
        for a multi-label classifier, 1 for the labels of each text and 0 for the others, int32[texts, labels].

    Raises:
        DataError: The texts are of the other kind, or have labels that the classifier does not know.

    Example:
        >>> classifier_targets(MultiLabelTexts(("a", "b"), (("on",), ())), ("on", "off"), is_multi_label=True).tolist()
        [[1, 0], [0, 0]]
        >>> classifier_targets(LabelledTexts(("a", "b"), ("on", "off")), ("on", "off"), is_multi_label=False).tolist()
        [0, 1]
    """
    has_sets = isinstance(texts, MultiLabelTexts)
    if is_multi_label != has_sets:
        found = ("any number of labels", "one label")[:: -1 if is_multi_label else 1]
        raise DataError(
            f"{texts.name}: the texts have {found[0]} each, and the classifier gives a text {found[1]}. Several labels "
            "are read from lists in JSON and Parquet, or with `label_separator` or `label_columns`."
        )
    if isinstance(texts, MultiLabelTexts):
        texts = texts.spelled_as(labels)
        _check_known(texts.name, set(texts.counts()), labels)
        return label_sets(texts, labels).astype("int32")
    texts = texts.spelled_as(labels)
    if len(labels) == 1:
        return _one_output(texts, labels[0])
    _check_known(texts.name, set(texts.labels), labels)
    return class_numbers(texts, labels).astype("int32")


def _one_output(texts: LabelledTexts, label: str) -> NDArray[np.int32]:
    found = set(texts.labels)
    if not (label in found and len(found) > 1):
        raise DataError(
            f"{texts.name}: a classifier of one output separates {label} from everything else, and needs texts of "
            f"both. Received: {', '.join(sorted(found)[:8])}."
        )
    return np.array([one == label for one in texts.labels], "int32")


def _check_known(name: str, found: set[str], labels: Sequence[str]) -> None:
    unknown = sorted(found - set(labels))
    if unknown:
        raise DataError(
            f"{name}: labels must be among the classifier's: {', '.join(labels[:8])}. "
            f"Received: {', '.join(unknown[:8])}. To train a head for other labels, use `edgedistil train`."
        )

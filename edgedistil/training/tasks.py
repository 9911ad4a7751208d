"""What the labels of texts mean to a training: one class for each text, or any number of labels.

Both tasks turn texts into targets, logits into probabilities, and these into scores. A multi-label task also fits the
threshold of each label.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgedistil.data import LabelledTexts, MultiLabelTexts, MultiLabelTrainingData, TrainingData
from edgedistil.scores import score_probabilities
from edgedistil.set_scores import score_label_sets
from edgedistil.training.keras_outputs import sigmoid, softmax
from edgedistil.training.settings import TrainingSettings
from edgedistil.training.targets import class_numbers, label_sets
from edgedistil.training.thresholds import DEFAULT_THRESHOLD, fit_thresholds
from edgedistil_runtime.errors import DataError

__all__ = ["AnyTrainingData", "MultiLabel", "OneLabel", "Task", "activation_of", "task_of"]

AnyTrainingData = TrainingData | MultiLabelTrainingData


class Task(Protocol):
    """What the labels of texts mean."""

    def targets(self, texts: Any) -> NDArray[Any]:
        """Targets of texts, [texts, ...]."""

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities of the labels, float32[texts, labels]."""

    def thresholds(self, probabilities: NDArray[np.float32] | None, targets: NDArray[Any] | None) -> tuple[float, ...]:
        """Smallest probability of each label that is given, fitted to validation texts if there are any."""

    def score(
        self, probabilities: NDArray[np.float32], targets: NDArray[Any], thresholds: Sequence[float]
    ) -> dict[str, Any]:
        """Scores by name, among them `loss` and `rows`."""

    def never_given(
        self, probabilities: NDArray[np.float32], targets: NDArray[Any], thresholds: Sequence[float]
    ) -> tuple[str, ...]:
        """Labels that texts have and that no text is given."""

    def check(self, settings: TrainingSettings) -> None:
        """Refuses settings of another task."""


def task_of(data: AnyTrainingData) -> Task:
    """The task of a training.

    Example:
        >>> texts = MultiLabelTexts(("late", "late and broken"), (("delivery",), ("delivery", "damage")))
        >>> task_of(MultiLabelTrainingData(texts)).targets(texts).tolist()
        [[0.0, 1.0], [1.0, 1.0]]
    """
    return MultiLabel(data.labels) if isinstance(data, MultiLabelTrainingData) else OneLabel(data.labels)


def activation_of(data: AnyTrainingData) -> str | None:
    """Activation of a new classifier for the data: a sigmoid for each label of several, else none."""
    return "sigmoid" if isinstance(data, MultiLabelTrainingData) else None


class OneLabel:
    """Every text has one class.

    Args:
        labels: Classes.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels

    def targets(self, texts: LabelledTexts) -> NDArray[np.int64]:
        """Class of each text, int64[texts]."""
        return class_numbers(texts, self._labels)

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Softmax of the logits."""
        return softmax(logits)

    def thresholds(self, probabilities: NDArray[np.float32] | None, targets: NDArray[Any] | None) -> tuple[float, ...]:
        """None."""
        return ()

    def score(
        self, probabilities: NDArray[np.float32], targets: NDArray[np.int64], thresholds: Sequence[float]
    ) -> dict[str, Any]:
        """As `score_probabilities`."""
        return score_probabilities(probabilities, targets)

    def never_given(
        self, probabilities: NDArray[np.float32], targets: NDArray[np.int64], thresholds: Sequence[float]
    ) -> tuple[str, ...]:
        """Classes of some texts that are the best one of no text."""
        given = set(probabilities.argmax(axis=1).tolist())
        present = Counter(targets.tolist())
        return tuple(label for number, label in enumerate(self._labels) if present[number] and number not in given)

    def check(self, settings: TrainingSettings) -> None:
        """Refuses settings of a multi-label task.

        Example:
            >>> OneLabel(["a", "b"]).check(TrainingSettings(monitor="micro_f1"))
            Traceback (most recent call last):
            edgedistil_runtime.errors.DataError: `monitor` is micro_f1 only for texts with several labels. ...
        """
        if settings.monitor == "micro_f1":
            raise DataError(
                "`monitor` is micro_f1 only for texts with several labels. With one label each, it is the accuracy. "
                "Received: texts with one label each"
            )


class MultiLabel:
    """Every text has any number of labels.

    Args:
        labels: All labels.

    Example:
        >>> MultiLabel(["a", "b"]).thresholds(None, None)
        (0.5, 0.5)
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels

    def targets(self, texts: MultiLabelTexts) -> NDArray[np.float32]:
        """1 for the labels of each text and 0 for the others, float32[texts, labels]."""
        return label_sets(texts, self._labels)

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Sigmoids of the logits."""
        return sigmoid(logits)

    def thresholds(self, probabilities: NDArray[np.float32] | None, targets: NDArray[Any] | None) -> tuple[float, ...]:
        """As `fit_thresholds`; 0.5 without validation texts."""
        if probabilities is None or targets is None:
            return (DEFAULT_THRESHOLD,) * len(self._labels)
        return fit_thresholds(probabilities, targets)

    def score(
        self, probabilities: NDArray[np.float32], targets: NDArray[np.float32], thresholds: Sequence[float]
    ) -> dict[str, Any]:
        """As `score_label_sets`."""
        return score_label_sets(probabilities, targets, thresholds)

    def never_given(
        self, probabilities: NDArray[np.float32], targets: NDArray[np.float32], thresholds: Sequence[float]
    ) -> tuple[str, ...]:
        """Labels of some texts whose probability reaches its threshold in no text."""
        is_given = (probabilities >= np.asarray(thresholds)).any(axis=0)
        return tuple(self._labels[n] for n in np.flatnonzero(targets.any(axis=0) & ~is_given).tolist())

    def check(self, settings: TrainingSettings) -> None:
        """Refuses settings of a task with one label.

        Example:
            >>> MultiLabel(["a", "b"]).check(TrainingSettings(class_weights="balanced"))
            Traceback (most recent call last):
            edgedistil_runtime.errors.DataError: ... several labels ... `class_weights` none. Received: balanced
        """
        legal = {
            "monitor": (settings.monitor, settings.monitor != "accuracy", "micro_f1, macro_f1 or loss"),
            "class_weights": (settings.class_weights, settings.class_weights == "none", "none"),
            "label_smoothing": (settings.label_smoothing, not settings.label_smoothing, "0"),
        }
        for name, (received, is_legal, expected) in legal.items():
            if not is_legal:
                raise DataError(
                    f"Training on texts with several labels needs `{name}` {expected}. Received: {received}"
                )

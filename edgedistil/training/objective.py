"""The objective of training: the target of each row of token ids, the loss, and the accuracy that is reported.

With soft targets, a student is trained on the answers of a teacher (https://arxiv.org/abs/1503.02531). The loss of a
text is

    share * T² * KL(softmax(teacher / T) || softmax(student / T)) + (1 - share) * weight * cross-entropy with the label

and a text without a label has only the first part. T² keeps the size of its gradients when T changes. If a text may
have several labels, both parts are sums over the labels, of a sigmoid each (`edgedistil.training.set_losses`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgedistil.data import MultiLabelTrainingData
from edgedistil.training.keras_outputs import sigmoid, softmax
from edgedistil.training.set_losses import NO_LABELS, LabelSetsLoss, SetDistillationLoss, SubsetAccuracy
from edgedistil.training.settings import TrainingSettings
from edgedistil.training.targets import class_numbers, class_weights, label_sets, smoothing
from edgedistil.training.tasks import AnyTrainingData
from edgedistil_runtime.errors import DataError

__all__ = [
    "DistillationLoss",
    "LabelledAccuracy",
    "Objective",
    "SoftTargets",
    "head_targets",
    "label_objective",
    "label_sets_objective",
    "make_objective",
    "set_teacher_objective",
    "teacher_objective",
    "texts_to_fit",
]


@dataclass(frozen=True, eq=False)
class SoftTargets:
    """A teacher's answers to the training texts, and to more texts that have no label.

    Attributes:
        logits: Logits for the training texts, float32[training texts, classes]; texts and classes are in the order of
            the training data and of its labels.
        more_texts: Texts without labels, to train on too.
        more_logits: Logits for them, float32[more texts, classes]; `None` if there are none.
        vectors: What the teacher's head reads of all texts, the training texts first, float32[texts, width]; `None` if
            it was not asked.
        hidden: Means over the tokens of all texts, the training texts first, after a layer of the teacher for each
            layer of the student, without that of the pooling, float32[texts, layers, width]; `None` if it was not
            asked.

    Example:
        >>> targets = SoftTargets(np.zeros((5, 3)), ("turn it off",), np.array([[4, 0, 1]]))
        >>> targets.all_logits.shape
        (6, 3)
        >>> SoftTargets(np.zeros((5, 3)), ("turn it off",))
        Traceback (most recent call last):
        edgedistil_runtime.errors.DataError: Every text needs logits ... Received: 1 more texts and logits (0, 3)
    """

    logits: NDArray[np.float32]
    more_texts: Sequence[str] = ()
    more_logits: NDArray[np.float32] | None = None
    vectors: NDArray[np.float32] | None = None
    hidden: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        more = np.zeros((0, self.logits.shape[1])) if self.more_logits is None else self.more_logits
        if more.shape != (len(self.more_texts), self.logits.shape[1]):
            raise DataError(
                f"Every text needs logits for the {self.logits.shape[1]} classes of the training texts. "
                f"Received: {len(self.more_texts)} more texts and logits {more.shape}"
            )
        if not (np.isfinite(self.logits).all() and np.isfinite(more).all()):
            raise DataError("The logits of a teacher must be finite numbers. Received: some that are not")
        texts = len(self.logits) + len(more)
        for name, found, rank in (("vectors", self.vectors, 2), ("hidden", self.hidden, 3)):
            if found is None:
                continue
            if found.ndim != rank or len(found) != texts or not np.isfinite(found).all():
                raise DataError(
                    f"The vectors of a teacher must be finite, and one for each of the {texts} texts. "
                    f"Received: {name} {found.shape}"
                )

    @property
    def all_logits(self) -> NDArray[np.float32]:
        """Logits for the training texts and then for the others, float32[texts, classes]."""
        more = () if self.more_logits is None else (self.more_logits,)
        return np.ascontiguousarray(np.concatenate([self.logits, *more]), "float32")


@dataclass(frozen=True, eq=False)
class Objective:
    """The objective of a training.

    Attributes:
        targets: Target of each row of token ids, float32[rows, ...].
        weights: Weight of each row in the loss, float32[rows].
        loss: Keras loss that takes these targets.
        accuracy: Keras metric that takes these targets.
    """

    targets: NDArray[np.float32]
    weights: NDArray[np.float32]
    loss: Any
    accuracy: Any


def texts_to_fit(data: AnyTrainingData, soft_targets: SoftTargets | None) -> tuple[str, ...]:
    """The training texts, and after them those without labels.

    Example:
        >>> from edgedistil.data import LabelledTexts, TrainingData
        >>> data = TrainingData(LabelledTexts(("a", "b"), ("x", "y")))
        >>> texts_to_fit(data, SoftTargets(np.zeros((2, 2)), ("c",), np.zeros((1, 2))))
        ('a', 'b', 'c')
    """
    return (*data.training.texts, *(soft_targets.more_texts if soft_targets else ()))


def make_objective(
    data: AnyTrainingData, rows: NDArray[np.int64], settings: TrainingSettings, soft_targets: SoftTargets | None
) -> Objective:
    """The objective for the pieces of `texts_to_fit`.

    Args:
        data: Data of the training.
        rows: Number of the text that each piece is from, int64[pieces], ascending.
        settings: Settings of the training.
        soft_targets: Answers of a teacher; `None` is training on the labels only.

    Example:
        >>> from edgedistil.data import LabelledTexts, TrainingData
        >>> data = TrainingData(LabelledTexts(("a long text", "b"), ("x", "y")))
        >>> make_objective(data, np.array([0, 0, 1]), TrainingSettings(), None).targets.tolist()
        [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    """
    # The texts with a label come first, and their pieces too.
    if isinstance(data, MultiLabelTrainingData):
        targets = label_sets(data.training, data.labels)[rows[rows < len(data.training)]]
        if soft_targets is None:
            return label_sets_objective(targets)
        return set_teacher_objective(targets, soft_targets.all_logits[rows], settings)
    classes = class_numbers(data.training, data.labels)[rows[rows < len(data.training)]]
    smoothed = smoothing(settings.label_smoothing, data.training)
    if soft_targets is None:
        return label_objective(classes, len(data.labels), settings.class_weights, smoothed)
    return teacher_objective(classes, soft_targets.all_logits[rows], settings, smoothed)


def head_targets(objective: Objective, teacher_share: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Targets and weights for `fit_linear_head`, with the same minimum as the loss of an objective at temperature 1.

    Args:
        objective: Objective with a teacher.
        teacher_share: As in `TrainingSettings`.

    Returns:
        Probabilities of the classes, or of each label by itself, float32[rows, classes], and weight of each row,
        float32[rows].

    Example:
        >>> objective = teacher_objective(np.array([1]), np.zeros((2, 2)), TrainingSettings(), 0.0)
        >>> targets, weights = head_targets(objective, 0.5)
        >>> targets.tolist(), weights.tolist()
        ([[0.25, 0.75], [0.5, 0.5]], [1.0, 0.5])
    """
    labels, teacher = objective.targets[:, 0], objective.targets[:, 1]
    if isinstance(objective.loss, SetDistillationLoss):
        return _set_head_targets(labels, sigmoid(teacher), teacher_share)
    teacher = softmax(teacher)
    mixed = (1 - teacher_share) * labels + teacher_share * teacher
    weights = mixed.sum(axis=1)
    return np.asarray(mixed / np.maximum(weights, 1e-9)[:, None], "float32"), np.asarray(weights, "float32")


def _set_head_targets(
    labels: NDArray[np.float32], teacher: NDArray[np.float32], share: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    is_labelled = labels[:, 0] != NO_LABELS
    mixed = np.where(is_labelled[:, None], (1 - share) * labels + share * teacher, teacher)
    return np.asarray(mixed, "float32"), np.where(is_labelled, 1, share).astype("float32")


def label_objective(classes: NDArray[np.int64], num_classes: int, kind: str, smoothed: float) -> Objective:
    """Cross-entropy with the labels.

    Args:
        classes: Class of each row, int64[rows].
        num_classes: Number of classes.
        kind: Kind of `class_weights`.
        smoothed: Share of a target that is spread over all classes.

    Example:
        >>> label_objective(np.array([1, 0]), 2, "none", 0.1).targets.tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    return Objective(
        np.eye(num_classes, dtype="float32")[classes],
        class_weights(classes, kind),
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothed),
        keras.metrics.CategoricalAccuracy(name="accuracy"),
    )


def label_sets_objective(targets: NDArray[np.float32]) -> Objective:
    """Binary cross-entropy with each label, added up over the labels, for texts with several labels.

    Args:
        targets: 1 for the labels of each row and 0 for the others, float32[rows, labels].

    Example:
        >>> objective = label_sets_objective(np.array([[1.0, 0.0, 1.0]], "float32"))
        >>> round(float(objective.loss(objective.targets, np.zeros((1, 3)))), 4)  # 3 * log(2)
        2.0794
    """
    return Objective(
        targets,
        np.ones(len(targets), "float32"),
        LabelSetsLoss(name="label_sets_loss"),
        SubsetAccuracy("subset_accuracy"),
    )


def set_teacher_objective(
    targets: NDArray[np.float32], logits: NDArray[np.float32], settings: TrainingSettings
) -> Objective:
    """The teacher's answers for all rows, and binary cross-entropy with the labels of the first rows.

    Args:
        targets: 1 for the labels of each of the first rows and 0 for the others, float32[labelled rows, labels].
        logits: Answers of the teacher, float32[rows, labels].
        settings: Temperature, share of the teacher and kind of loss are used.

    Example:
        >>> objective = set_teacher_objective(np.eye(2)[:1], np.zeros((2, 2)), TrainingSettings())
        >>> objective.targets[:, 0].tolist()  # the second row has no labels to learn
        [[1.0, 0.0], [-1.0, -1.0]]
    """
    stacked = np.full((len(logits), 2, logits.shape[1]), NO_LABELS, "float32")
    stacked[: len(targets), 0] = targets
    stacked[:, 1] = logits
    loss = SetDistillationLoss(settings.temperature, settings.teacher_share, settings.distillation_loss)
    return Objective(stacked, np.ones(len(stacked), "float32"), loss, SubsetAccuracy("subset_accuracy"))


def teacher_objective(
    classes: NDArray[np.int64], logits: NDArray[np.float32], settings: TrainingSettings, smoothed: float
) -> Objective:
    """The teacher's answers for all rows, and cross-entropy with the labels for the first rows, which have some.

    Args:
        classes: Class of each of the first rows, int64[labelled rows].
        logits: Answers of the teacher, float32[rows, classes].
        settings: Temperature, share of the teacher, kind of loss and class weights are used.
        smoothed: Share of a label's target that is spread over all classes.

    Example:
        >>> objective = teacher_objective(np.array([1]), np.zeros((2, 2)), TrainingSettings(), 0.0)
        >>> objective.targets[:, 0].tolist()  # labels: the second row has none
        [[0.0, 1.0], [0.0, 0.0]]
    """
    num_classes = logits.shape[1]
    targets = np.zeros((len(logits), 2, num_classes), "float32")
    labels = (1 - smoothed) * np.eye(num_classes)[classes] + smoothed / num_classes
    # A weight of a row would count for the teacher too: cross-entropy is linear in its target.
    targets[: len(classes), 0] = labels * class_weights(classes, settings.class_weights)[:, None]
    targets[:, 1] = logits
    loss = DistillationLoss(settings.temperature, settings.teacher_share, settings.distillation_loss)
    return Objective(targets, np.ones(len(targets), "float32"), loss, LabelledAccuracy(name="accuracy"))


class DistillationLoss(keras.losses.Loss):  # type: ignore[misc]
    """The loss of logits against labels and a teacher; targets are float32[batch, 2, classes].

    The first row of a target is the label's probabilities times the weight of the text, 0 for a text without a label;
    the second one is the teacher's logits.

    Args:
        temperature: As in `TrainingSettings`.
        teacher_share: As in `TrainingSettings`.
        kind: `distillation_loss` of `TrainingSettings`.

    Example:
        >>> loss = DistillationLoss(temperature=2.0, teacher_share=1.0)
        >>> targets = np.array([[[1.0, 0.0], [3.0, 0.0]]])
        >>> [round(float(loss(targets, np.array([student]))), 3) for student in ([3.0, 0.0], [0.0, 0.0])]
        [0.0, 0.872]
    """

    def __init__(self, temperature: float, teacher_share: float, kind: str = "kl") -> None:
        super().__init__(name="distillation_loss")
        self._temperature, self._share, self._kind = temperature, teacher_share, kind

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the loss of each text, float32[batch]."""
        labels, teacher = y_true[:, 0], y_true[:, 1]  # each [batch, classes]
        of_labels = -tf.reduce_sum(labels * tf.nn.log_softmax(y_pred), axis=-1)
        return self._share * self._of_teacher(teacher, y_pred) + (1.0 - self._share) * of_labels

    def _of_teacher(self, teacher: Any, student: Any) -> Any:
        if self._kind == "mse":
            return tf.reduce_mean(tf.square(student - teacher), axis=-1)
        expected = tf.nn.log_softmax(teacher / self._temperature)
        given = tf.nn.log_softmax(student / self._temperature)
        return self._temperature**2 * tf.reduce_sum(tf.exp(expected) * (expected - given), axis=-1)


class LabelledAccuracy(keras.metrics.Mean):  # type: ignore[misc]
    """Accuracy on the texts that have a label; the targets are those of `DistillationLoss`.

    Example:
        >>> accuracy = LabelledAccuracy(name="accuracy")
        >>> labels = [[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]
        >>> accuracy.update_state([[label, [5.0, 0.0]] for label in labels], [[0.1, 0.2]] * 3)
        >>> float(accuracy.result())
        0.5
    """

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch; `sample_weight` is not used."""
        labels = tf.convert_to_tensor(y_true)[:, 0]
        is_right = tf.equal(tf.argmax(labels, axis=-1), tf.argmax(y_pred, axis=-1))
        is_labelled = tf.reduce_max(labels, axis=-1) > 0
        super().update_state(tf.cast(is_right, tf.float32), tf.cast(is_labelled, tf.float32))

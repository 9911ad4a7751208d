"""Losses and the accuracy of texts with several labels: a sigmoid for each label."""

from typing import Any

import keras
import tensorflow as tf

__all__ = ["NO_LABELS", "LabelSetsLoss", "SetDistillationLoss", "SubsetAccuracy"]

NO_LABELS = -1.0
"""Target of every label of a text whose labels are unknown, which only a teacher answers."""


class LabelSetsLoss(keras.losses.Loss):  # type: ignore[misc]
    """Sum over the labels of the cross-entropy of a sigmoid, from logits.

    The mean over hundreds of labels, of which a text has a few, would give gradients near Adam's epsilon.
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the loss of each text, float32[batch]."""
        return tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(y_true, y_pred.dtype), y_pred), axis=-1)


class SetDistillationLoss(keras.losses.Loss):  # type: ignore[misc]
    """The loss of logits against label sets and a teacher; targets are float32[batch, 2, labels].

    The first row of a target is 1 for the labels of the text and 0 for the others, or `NO_LABELS`; the second one is
    the teacher's logits. Everything is added up over the labels; the divergence of two sigmoids is that of two
    distributions with two classes, and `mse` is the square of the difference.

    Args:
        temperature: As in `TrainingSettings`.
        teacher_share: As in `TrainingSettings`.
        kind: `distillation_loss` of `TrainingSettings`.

    Example:
        >>> import numpy as np
        >>> loss = SetDistillationLoss(temperature=1.0, teacher_share=0.5)
        >>> targets = np.array([[[1.0, 0.0], [0.0, 0.0]], [[-1.0, -1.0], [0.0, 0.0]]])
        >>> loss.call(targets, np.zeros((2, 2))).numpy().round(3).tolist()  # log(2), and nothing to learn
        [0.693, 0.0]
    """

    def __init__(self, temperature: float, teacher_share: float, kind: str = "kl") -> None:
        super().__init__(name="set_distillation_loss")
        self._temperature, self._share, self._kind = temperature, teacher_share, kind

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the loss of each text, float32[batch]."""
        labels, teacher = (tf.cast(y_true[:, place], y_pred.dtype) for place in (0, 1))
        of_labels = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(tf.maximum(labels, 0), y_pred), axis=-1)
        share = (1.0 - self._share) * tf.cast(_is_labelled(labels), y_pred.dtype)
        return self._share * self._of_teacher(teacher, y_pred) + share * of_labels

    def _of_teacher(self, teacher: Any, student: Any) -> Any:
        if self._kind == "mse":
            return tf.reduce_sum(tf.square(student - teacher), axis=-1)
        teacher, student = teacher / self._temperature, student / self._temperature
        expected = tf.sigmoid(teacher)
        of_both = [tf.nn.sigmoid_cross_entropy_with_logits(expected, logits) for logits in (student, teacher)]
        return self._temperature**2 * tf.reduce_sum(of_both[0] - of_both[1], axis=-1)


class SubsetAccuracy(keras.metrics.Mean):  # type: ignore[misc]
    """Share of the texts for which exactly the right labels have logits of 0 or more.

    Targets are those of `LabelSetsLoss` or of `SetDistillationLoss`; texts whose labels are unknown do not count.

    Example:
        >>> import numpy as np
        >>> accuracy = SubsetAccuracy("subset_accuracy")
        >>> accuracy.update_state(np.array([[1, 0], [1, 1]]), np.array([[2.0, -1.0], [2.0, -1.0]]))
        >>> float(accuracy.result())
        0.5
    """

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch; `sample_weight` is not used."""
        targets = tf.cast(y_true, tf.float32)
        if targets.shape.rank == 3:
            targets = targets[:, 0]
        is_right = tf.reduce_all(tf.equal(targets > 0, tf.convert_to_tensor(y_pred) >= 0), axis=-1)
        super().update_state(tf.cast(is_right, tf.float32), tf.cast(_is_labelled(targets), tf.float32))


def _is_labelled(targets: Any) -> Any:
    """True for texts whose labels are known, bool[batch]; targets are [batch, labels]."""
    return targets[:, 0] > NO_LABELS

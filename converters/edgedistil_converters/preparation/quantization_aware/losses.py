"""The loss of training: distance to the labels and to the outputs of the float classifier.

Imported only in the child process.
"""

from typing import Any

import tensorflow as tf

from edgedistil_converters.preparation.quantization_aware.settings import QATSettings

__all__ = ["text_losses"]


def text_losses(logits: Any, targets: Any, teacher: Any, settings: QATSettings, *, is_sigmoid: bool) -> Any:
    """Returns the loss of each text, float32[b].

    A weighted sum of the cross-entropy with the targets and the Kullback-Leibler divergence from the teacher's outputs
    at a temperature. The divergence is multiplied by the square of the temperature, so that its gradient is as large as
    that of the cross-entropy (https://arxiv.org/abs/1503.02531, section 2). Each sigmoid output is a classification by
    itself: for them, both are the mean over the classes.

    Args:
        logits: Logits of the student, float32[b, num_classes].
        targets: Indices of the labels, int32[b]; or, for several labels, 0 or 1 for each, int32[b, num_classes].
        teacher: Logits of the float classifier, float32[b, num_classes].
        settings: The temperature, and the weight of the divergence.
        is_sigmoid: True if the classifier ends in a sigmoid, False if in a softmax.

    Example:
        >>> student, teacher = tf.constant([[2.0, 0.0], [0.0, 2.0]]), tf.constant([[2.0, 0.0], [2.0, 0.0]])
        >>> settings = QATSettings(distillation_weight=1.0)  # only the divergence
        >>> text_losses(student, tf.constant([0, 0]), teacher, settings, is_sigmoid=False).numpy().round(3).tolist()
        [0.0, 1.848...]
    """
    losses = (_sigmoid_hard, _sigmoid_soft) if is_sigmoid else (_softmax_hard, _softmax_soft)
    hard, soft = losses[0](logits, targets), losses[1](logits / settings.temperature, teacher / settings.temperature)
    share = settings.distillation_weight
    return (1 - share) * hard + share * settings.temperature**2 * soft


def _softmax_hard(logits: Any, targets: Any) -> Any:
    return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)


def _softmax_soft(logits: Any, teacher: Any) -> Any:
    difference = tf.nn.log_softmax(teacher) - tf.nn.log_softmax(logits)
    return tf.reduce_sum(tf.nn.softmax(teacher) * difference, axis=-1)


def _sigmoid_hard(logits: Any, targets: Any) -> Any:
    classes = logits.shape[-1]
    if len(targets.shape) == 2:
        expected = tf.cast(targets, tf.float32)
    else:
        expected = tf.cast(targets, tf.float32)[:, None] if classes == 1 else tf.one_hot(targets, classes)
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(expected, logits), axis=-1)


def _sigmoid_soft(logits: Any, teacher: Any) -> Any:
    expected = tf.sigmoid(teacher)
    cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(expected, logits)
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(expected, teacher)
    return tf.reduce_mean(cross_entropy - entropy, axis=-1)

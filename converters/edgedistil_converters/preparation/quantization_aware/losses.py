"""What training makes small: the distance to the labels and to the float classifier.

Loaded in the child process only.
"""

from typing import Any

import tensorflow as tf

from edgedistil_converters.preparation.quantization_aware.settings import QATSettings

__all__ = ["text_losses"]


def text_losses(logits: Any, targets: Any, teacher: Any, settings: QATSettings, *, is_sigmoid: bool) -> Any:
    """The loss of each text, float32[b].

    Cross-entropy with the targets, and the Kullback-Leibler divergence from the teacher's softened answer times the
    square of the temperature, which keeps its gradient as large as the other's (https://arxiv.org/abs/1503.02531,
    section 2). Sigmoid outputs answer one by one: for them it is the mean of both over the classes.

    Args:
        logits: float32[b, num_classes], the student's.
        targets: int32[b].
        teacher: float32[b, num_classes], the float classifier's logits.
        settings: temperature and weight.
        is_sigmoid: whether the classifier ends in a sigmoid, or in a softmax.
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
    due = tf.cast(targets, tf.float32)[:, None] if classes == 1 else tf.one_hot(targets, classes)
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(due, logits), axis=-1)


def _sigmoid_soft(logits: Any, teacher: Any) -> Any:
    due = tf.sigmoid(teacher)
    cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(due, logits)
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(due, teacher)
    return tf.reduce_mean(cross_entropy - entropy, axis=-1)

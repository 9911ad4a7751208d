"""A new head that starts as a linear classifier of the pretrained encoder's outputs.

Fine-tuning changes a pretrained encoder most while its head is still random. A head that is fitted first leaves the
encoder as it is where it is good already ("linear probing, then fine-tuning", https://arxiv.org/abs/2202.10054), and
with few texts it gives most of the accuracy.

The head's hidden layer has a ReLU. With kernel [I, -I] it keeps every value, as relu(x) and relu(-x), so that the head
is exactly linear at first: logits = relu(x) W - relu(-x) W = x W.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

__all__ = ["fit_linear_head", "has_linear_head", "linear_head_width", "prior_logits", "set_linear_head"]

_STEPS = 300
_LEARNING_RATE = 0.05


def linear_head_width(backbone: Any) -> int:
    """Width that the head's hidden layer needs: two units for each value of the encoder."""
    return 2 * int(backbone.hidden_dim)


def fit_linear_head(
    features: NDArray[np.float32],
    targets: NDArray[np.float32],
    weights: NDArray[np.float32] | None = None,
    *,
    is_multi_label: bool = False,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fits a logistic regression: cross-entropy, and an L2 penalty as scikit-learn's with C = 1.

    Args:
        features: Outputs of the encoder, float32[texts, width].
        targets: Probabilities of the classes, float32[texts, classes].
        weights: Weight of each text, float32[texts]; `None` is 1.
        is_multi_label: Fit a logistic regression for each label, instead of a multinomial one for all classes.

    Returns:
        Kernel, float32[width, classes], and bias, float32[classes].

    Example:
        >>> features = np.array([[1, 0], [2, 0], [0, 1], [0, 3]], "float32")
        >>> kernel, bias = fit_linear_head(features, np.eye(2, dtype="float32")[[0, 0, 1, 1]])
        >>> (features @ kernel + bias).argmax(axis=1)
        array([0, 0, 1, 1])
    """
    kernel = tf.Variable(tf.zeros([features.shape[1], targets.shape[1]]))
    bias = tf.Variable(prior_logits(targets) if is_multi_label else tf.zeros([targets.shape[1]]))
    schedule = keras.optimizers.schedules.CosineDecay(_LEARNING_RATE, _STEPS)
    optimizer = keras.optimizers.Adam(schedule)
    inputs, outputs = tf.constant(features), tf.constant(targets)
    of_text = tf.ones([len(features)]) if weights is None else tf.constant(weights)
    penalty = 0.5 / len(features)

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def step() -> None:
        with tf.GradientTape() as tape:
            losses = _losses(outputs, inputs @ kernel + bias, is_multi_label=is_multi_label)
            loss = tf.reduce_mean(of_text * losses) + penalty * tf.reduce_sum(tf.square(kernel))
        optimizer.apply(tape.gradient(loss, [kernel, bias]), [kernel, bias])

    optimizer.build([kernel, bias])
    for _ in range(_STEPS):
        step()
    return kernel.numpy(), bias.numpy()


def _losses(targets: Any, logits: Any, *, is_multi_label: bool) -> Any:
    if is_multi_label:
        return tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits), axis=-1)
    return tf.nn.softmax_cross_entropy_with_logits(targets, logits)


def prior_logits(targets: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logit of the share of the texts that have each label, with one more text with and one without it.

    As the bias of a new head, it keeps the loss of hundreds of labels, of which a text has a few, from being all about
    them at first (https://arxiv.org/abs/1708.02002, section 3.3).

    Args:
        targets: 1 for the labels of each text and 0 for the others, float32[texts, labels].

    Example:
        >>> prior_logits(np.array([[1, 0], [1, 0], [1, 0]], "float32")).round(3).tolist()
        [1.386..., -1.386...]
    """
    having = targets.sum(axis=0)
    return np.asarray(np.log((having + 1) / (len(targets) - having + 1)), "float32")


def has_linear_head(classifier: Any) -> bool:
    """Returns True if the kernel of the head's hidden layer is [I, -I], as `set_linear_head` makes it.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> has_linear_head(load_classifier("intents"))
        False
    """
    kernel = np.asarray(classifier.pooled_dense.kernel)
    return kernel.shape[1] == 2 * len(kernel) and bool((kernel == _two_units_for_each(len(kernel))).all())


def set_linear_head(classifier: Any, kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
    """Makes a head compute x @ kernel + bias of the encoder's first position x.

    Args:
        classifier: A `keras_hub.models.DistilBertTextClassifier` whose head is `linear_head_width` wide.
        kernel: float32[width, classes].
        bias: float32[classes].
    """
    hidden, output = classifier.pooled_dense, classifier.output_dense
    hidden.kernel.assign(_two_units_for_each(len(kernel)))
    hidden.bias.assign(np.zeros(hidden.bias.shape, "float32"))
    output.kernel.assign(np.concatenate([kernel, -kernel]))
    output.bias.assign(bias)


def _two_units_for_each(width: int) -> NDArray[np.float32]:
    """[I, -I], float32[width, 2 * width]."""
    identity = np.eye(width, dtype="float32")
    return np.concatenate([identity, -identity], axis=1)

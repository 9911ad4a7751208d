"""Outputs of a Keras classifier for many texts."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgedistil.training.batches import TokenizedTexts, evaluation_batches, tokenize

__all__ = ["Predictor", "gives_probabilities", "predict_probabilities"]

_BATCH_SIZE = 64


class Predictor:
    """A classifier that is traced once and evaluated again and again while its weights change.

    Args:
        classifier: A `keras_hub.models.DistilBertTextClassifier`.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> classifier = load_classifier("intents")
        >>> texts = tokenize(classifier.preprocessor, ["play music", "is it raining ?"])
        >>> Predictor(classifier).probabilities(texts).sum(axis=1).round(5)
        array([1., 1.], dtype=float32)
    """

    def __init__(self, classifier: Any) -> None:
        inputs = tf.TensorSpec((None, None), tf.int32)
        self._classifier = classifier
        self._run = tf.function(
            lambda batch: classifier(batch, training=False),
            input_signature=[{"token_ids": inputs, "padding_mask": inputs}],
        )

    def outputs(self, texts: TokenizedTexts) -> NDArray[np.float32]:
        """Logits or probabilities, whichever the classifier returns: float32 [texts, classes]."""
        outputs = np.zeros((len(texts), self._classifier.num_classes), "float32")
        for rows, batch in evaluation_batches(texts, batch_size=_BATCH_SIZE):
            outputs[rows] = self._run(batch).numpy()
        return outputs

    def probabilities(self, texts: TokenizedTexts) -> NDArray[np.float32]:
        """Probability of every class for every text: float32 [texts, classes]."""
        outputs = self.outputs(texts)
        if gives_probabilities(self._classifier):
            return outputs
        return softmax(outputs)


def predict_probabilities(classifier: Any, texts: Sequence[str]) -> NDArray[np.float32]:
    """Probability of every class for every text: float32 [texts, classes].

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> predict_probabilities(load_classifier("intents"), ["turn the lights on"]).argmax(axis=1)
        array([0])
    """
    return Predictor(classifier).probabilities(tokenize(classifier.preprocessor, texts))


def gives_probabilities(classifier: Any) -> bool:
    """Returns True if the classifier ends in a softmax or sigmoids; its outputs are logits otherwise, as by default.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> gives_probabilities(load_classifier("intents"))
        False
        >>> gives_probabilities(load_classifier("intents", activation="softmax"))
        True
    """
    return classifier.activation in (keras.activations.softmax, keras.activations.sigmoid)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Softmax over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), dtype="float32")


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sigmoid of each logit."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -80, 80))), "float32")  # exp(88) is the largest float32

"""Probabilities that a Keras classifier gives, many texts at a time."""

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
    """A classifier, traced once, that is asked again and again while its weights change.

    Args:
        classifier: a `keras_hub.models.DistilBertTextClassifier`.
    """

    def __init__(self, classifier: Any) -> None:
        inputs = tf.TensorSpec((None, None), tf.int32)
        self._classifier = classifier
        self._run = tf.function(
            lambda batch: classifier(batch, training=False),
            input_signature=[{"token_ids": inputs, "padding_mask": inputs}],
        )

    def outputs(self, texts: TokenizedTexts) -> NDArray[np.float32]:
        """What the classifier puts out, logits or probabilities: float32 [texts, classes]."""
        outputs = np.zeros((len(texts), self._classifier.num_classes), "float32")
        for rows, batch in evaluation_batches(texts, batch_size=_BATCH_SIZE):
            outputs[rows] = self._run(batch).numpy()
        return outputs

    def probabilities(self, texts: TokenizedTexts) -> NDArray[np.float32]:
        """The probability of every class for every text: float32 [texts, classes]."""
        outputs = self.outputs(texts)
        if gives_probabilities(self._classifier):
            return outputs
        return softmax(outputs)


def predict_probabilities(classifier: Any, texts: Sequence[str]) -> NDArray[np.float32]:
    """Probabilities of every class for every text: float32 [texts, classes]."""
    return Predictor(classifier).probabilities(tokenize(classifier.preprocessor, texts))


def gives_probabilities(classifier: Any) -> bool:
    """Whether the classifier ends in a softmax; otherwise its outputs are logits, as KerasHub has it."""
    return bool(classifier.activation is keras.activations.softmax)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Softmax over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), dtype="float32")

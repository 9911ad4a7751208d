"""Computes the reference that a file is compared with: the outputs of the Keras classifier."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistil_converters.model.keras_hub import read_output_activation
from edgedistil_converters.model.keras_token_ids import keras_features, row_lengths, scalar_values
from edgedistil_converters.verification.texts import VerificationInput
from edgedistil_runtime.artifact import GoldenCase

__all__ = ["answer_with_keras"]

_BATCH = 16


def answer_with_keras(classifier: Any, inputs: Iterable[VerificationInput]) -> list[GoldenCase]:
    """Returns token ids and probabilities of the float Keras classifier, in the order of the inputs.

    Args:
        classifier: A `DistilBertTextClassifier` with its preprocessor.
        inputs: Texts or pairs of texts. A NUL ends a text, as in KerasHub's graph path, and a lone surrogate is read as
            U+FFFD.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> [answer] = answer_with_keras(load_classifier("intents"), ["turn the lights on"])
        >>> len(answer.token_ids), len(answer.probabilities)
        (6, 3)
    """
    parts = [tuple(map(scalar_values, (one,) if isinstance(one, str) else one)) for one in inputs]
    answers: dict[int, GoldenCase] = {}
    for count in (1, 2):
        chosen = [i for i, texts in enumerate(parts) if len(texts) == count]
        for first in range(0, len(chosen), _BATCH):
            numbers = chosen[first : first + _BATCH]
            answers |= zip(numbers, _answer_batch(classifier, [parts[i] for i in numbers]), strict=True)
    return [answers[i] for i in range(len(parts))]


def _answer_batch(classifier: Any, batch: Sequence[tuple[str, ...]]) -> list[GoldenCase]:
    """Outputs for one batch of texts, or one batch of pairs."""
    token_ids, mask = keras_features(classifier.preprocessor, *zip(*batch, strict=True))
    lengths = row_lengths(token_ids, int(classifier.preprocessor.tokenizer.end_token_id))
    longest = int(lengths.max())  # columns that contain only padding cost time and change nothing
    features = {"token_ids": token_ids[:, :longest], "padding_mask": mask[:, :longest]}
    outputs = np.asarray(classifier(features, training=False), np.float64)
    probabilities = outputs if read_output_activation(classifier) != "logits" else _softmax(outputs)
    return [
        GoldenCase(one[0], tuple(map(int, ids[:length])), tuple(map(float, row)), *one[1:])
        for one, ids, length, row in zip(batch, token_ids, lengths, probabilities, strict=True)
    ]


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: NDArray[np.float64] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return result

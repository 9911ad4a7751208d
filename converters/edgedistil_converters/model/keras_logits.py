"""Logits of a Keras classifier, also of one whose outputs are probabilities."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistil_converters.model.keras_token_ids import keras_features

__all__ = ["keras_logits"]

_BATCH = 64


def keras_logits(classifier: Any, texts: Sequence[str]) -> NDArray[np.float64]:
    """Computes the logits of texts, with texts of similar length in one batch.

    Args:
        classifier: A `DistilBertTextClassifier` with its preprocessor; an activation of its outputs is left out.
        texts: At least one text. A NUL ends a text, and a lone surrogate counts as U+FFFD.

    Returns:
        float64[texts, outputs].

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> keras_logits(load_classifier("intents"), ["turn the lights on", "play music"]).shape
        (2, 3)
    """
    import keras

    output_dense = classifier.output_dense
    hidden = keras.Model(classifier.inputs, classifier.get_layer(output_dense.name).input)
    token_ids, mask = keras_features(classifier.preprocessor, texts)
    lengths = mask.shape[1] - np.argmax(mask[:, ::-1], axis=1)
    order, found = np.argsort(lengths, kind="stable"), []
    for first in range(0, len(order), _BATCH):
        rows = order[first : first + _BATCH]
        longest = int(lengths[rows].max())
        batch = {"token_ids": token_ids[rows, :longest], "padding_mask": mask[rows, :longest]}
        found.append(np.asarray(hidden(batch, training=False), np.float64))
    kernel, bias = (np.asarray(weight, np.float64) for weight in (output_dense.kernel, output_dense.bias))
    logits: NDArray[np.float64] = np.concatenate(found)[np.argsort(order, kind="stable")] @ kernel + bias
    return logits

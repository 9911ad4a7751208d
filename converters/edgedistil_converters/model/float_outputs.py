"""Computes the outputs of weights in float, before anything is rounded or converted."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgedistil_converters.graph.classifier import EdgeGraph
from edgedistil_converters.graph.embeddings import FloatTable
from edgedistil_converters.model.weights import ClassifierWeights

__all__ = ["float_probabilities"]

_BATCH = 64


def float_probabilities(weights: ClassifierWeights, rows: Sequence[Sequence[int]], pad_id: int) -> NDArray[np.float32]:
    """Return the probabilities of float weights in the graph that is converted, float32[rows, num_classes].

    Args:
        weights: Weights of a classifier.
        rows: Token ids without padding.
        pad_id: Id of `[PAD]`.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> from edgedistil_converters.model.keras_hub import read_weights
        >>> float_probabilities(read_weights(load_classifier("intents")), [[2, 5, 3], [2, 3]], 0).shape
        (2, 3)
    """
    graph = EdgeGraph(weights, FloatTable(weights.token_embeddings), FloatTable(weights.position_embeddings))
    specs = [tf.TensorSpec([None, None], tf.int32)]
    classify = tf.function(lambda ids: graph.classify_batch(ids, pad_id), input_signature=specs, autograph=False)
    found = np.zeros((len(rows), weights.num_classes), np.float32)
    order = sorted(range(len(rows)), key=lambda number: len(rows[number]))  # rows of like length go together
    for first in range(0, len(order), _BATCH):
        numbers = order[first : first + _BATCH]
        batch = np.full((len(numbers), len(rows[numbers[-1]])), pad_id, np.int32)
        for padded, number in zip(batch, numbers, strict=True):
            padded[: len(rows[number])] = rows[number]
        found[numbers] = classify(batch).numpy()
    return found

"""Quantization-aware training of a Keras classifier on labelled texts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgedistil_converters.graph.embeddings import FloatTable
from edgedistil_converters.graph.encoder import EdgeGraph
from edgedistil_converters.model.keras_hub import read_weights, write_weights
from edgedistil_converters.model.keras_token_ids import unpadded_rows
from edgedistil_converters.model.weights import ClassifierWeights
from edgedistil_converters.preparation.quantization_aware.launch import train_quantization_aware
from edgedistil_converters.preparation.quantization_aware.settings import QATData, QATEpoch, QATSettings
from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_converters.quantization.ranges import Ranges

__all__ = ["QuantizationAwareTraining", "train_classifier"]

_BATCH = 64


@dataclass(frozen=True)
class QuantizationAwareTraining:
    """What training left behind beside the weights, which are in the classifier.

    Attributes:
        ranges: of activations, for `convert_classifier`.
        history: how well the simulated int8 did before training and after each epoch.
    """

    ranges: Ranges
    history: tuple[QATEpoch, ...]


def train_classifier(
    classifier: Any,
    texts: Sequence[str],
    class_numbers: Sequence[int],
    settings: QATSettings,
    *,
    plan: QuantizationPlan,
    folder: Path,
    on_progress: Callable[[int, int, int, float], None] | None = None,
) -> QuantizationAwareTraining:
    """Trains a classifier to live with int8, and puts the weights that it then has into it.

    Args:
        classifier: a `DistilBertTextClassifier` with its preprocessor; its weights are changed.
        texts: what to train on, its own training texts at best.
        class_numbers: the number of each text's label.
        settings: how to train.
        plan: what the file will be, of int8-qat.
        folder: for checkpoints; see `train_quantization_aware`.
        on_progress: called after every step with epoch, step, steps and loss.

    Raises:
        ConversionError: the classifier, the plan or the data do not fit, a package is missing, or training failed.
    """
    weights = read_weights(classifier)
    pad_id = int(classifier.preprocessor.tokenizer.pad_token_id)
    rows = unpadded_rows(classifier.preprocessor, texts)
    data = QATData(tuple(rows), np.asarray(class_numbers, np.int32), _probabilities(weights, rows, pad_id))
    result = train_quantization_aware(
        weights, data, settings, plan=plan, pad_id=pad_id, folder=folder, on_progress=on_progress
    )
    write_weights(classifier, result.weights)
    return QuantizationAwareTraining(ranges=result.ranges, history=result.history)


def _probabilities(weights: ClassifierWeights, rows: Sequence[Sequence[int]], pad_id: int) -> NDArray[np.float32]:
    """The float classifier's answers, float32[rows, num_classes]; rows of like length go together."""
    graph = EdgeGraph(weights, FloatTable(weights.token_embeddings), FloatTable(weights.position_embeddings))
    classify = tf.function(
        lambda ids: graph.classify_batch(ids, pad_id), input_signature=[tf.TensorSpec([None, None], tf.int32)]
    )
    found = np.zeros((len(rows), weights.num_classes), np.float32)
    order = sorted(range(len(rows)), key=lambda number: len(rows[number]))
    for first in range(0, len(order), _BATCH):
        numbers = order[first : first + _BATCH]
        batch = np.full((len(numbers), len(rows[numbers[-1]])), pad_id, np.int32)
        for padded, number in zip(batch, numbers, strict=True):
            padded[: len(rows[number])] = rows[number]
        found[numbers] = classify(batch).numpy()
    return found

"""Quantization-aware training of a Keras classifier on labelled texts, as a step before its conversion."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistil_converters.model.float_outputs import float_probabilities
from edgedistil_converters.model.keras_hub import read_weights, write_weights
from edgedistil_converters.model.keras_token_ids import unpadded_rows
from edgedistil_converters.preparation.prepared import ConversionOptions, PreparedClassifier
from edgedistil_converters.preparation.quantization_aware.launch import train_quantization_aware
from edgedistil_converters.preparation.quantization_aware.settings import QATData, QATSettings
from edgedistil_converters.verification.keras_answers import answer_with_keras
from edgedistil_converters.verification.texts import verification_inputs
from edgedistil_runtime.errors import ConversionError

__all__ = ["train_with_quantization"]


def train_with_quantization(
    prepared: PreparedClassifier,
    texts: Sequence[str],
    targets: Sequence[int] | NDArray[np.int32],
    settings: QATSettings,
    *,
    options: ConversionOptions,
    folder: Path,
    on_progress: Callable[[int, int, int, float], None] | None = None,
) -> PreparedClassifier:
    """Trains a classifier so that its outputs change little in int8, and writes the new weights into it.

    Args:
        prepared: The classifier; its weights are changed.
        texts: Training texts, at best those that the classifier was trained on.
        targets: Index of each text's label; for a classifier of one output, 1 for its label and 0 for others; for a
            multi-label classifier, 1 for the labels of each text and 0 for the others, int32[texts, labels].
        settings: How to train.
        options: How it will be converted, with a plan of `int8-qat`.
        folder: Folder for checkpoints; see `train_quantization_aware`.
        on_progress: Called after every step with epoch, step, steps and loss.

    Returns:
        The classifier with its learned ranges, its outputs before training as the reference, and the settings and
        history of training in its record, under `quantization_aware_training`.

    Raises:
        ConversionError: The classifier, the plan or the data do not fit, a package is missing, or training failed.
    """
    numbers = np.asarray(targets, np.int32)
    if prepared.thresholds and numbers.ndim != 2:
        raise ConversionError(
            "A multi-label classifier is trained on 0 or 1 for each label of each text (`targets`), int32[texts, "
            f"labels]. Received: shape {numbers.shape}."
        )
    classifier = prepared.classifier
    reference = prepared.reference
    if reference is None:  # computed here, because training changes the classifier
        reference = answer_with_keras(classifier, verification_inputs(options.verification_texts, options.interface))
    weights = read_weights(classifier)
    pad_id = int(classifier.preprocessor.tokenizer.pad_token_id)
    rows = unpadded_rows(classifier.preprocessor, texts)
    data = QATData(tuple(rows), numbers, float_probabilities(weights, rows, pad_id))
    result = train_quantization_aware(
        weights, data, settings, plan=options.plan, pad_id=pad_id, folder=folder, on_progress=on_progress
    )
    write_weights(classifier, result.weights)
    history = [asdict(epoch) for epoch in result.history]
    record = {**asdict(settings), "texts": len(texts), "history": history}
    return replace(
        prepared,
        reference=reference,
        ranges=dict(result.ranges),
        record={**prepared.record, "quantization_aware_training": record},
    )

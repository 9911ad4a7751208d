"""Refuses a classifier, data, settings and soft targets that do not fit each other, before any training."""

from typing import Any

import keras

from edgedistil.data import MultiLabelTrainingData
from edgedistil.training.objective import SoftTargets
from edgedistil.training.pooling import num_encoder_layers
from edgedistil.training.settings import TrainingSettings
from edgedistil.training.tasks import AnyTrainingData, task_of
from edgedistil_runtime.errors import DataError, PresetError

__all__ = ["check_team_settings", "check_training"]


def check_training(
    classifier: Any, data: AnyTrainingData, settings: TrainingSettings, soft_targets: SoftTargets | None
) -> None:
    """Checks that a classifier, data, settings and soft targets fit each other.

    Raises:
        PresetError: Keras computes in another type than float32 and float64, or the classifier has no preprocessor,
            another number of outputs than the data have classes, or no sigmoids for several labels.
        DataError: settings are of another task, or the soft targets of other texts, classes or layers.
    """
    if keras.config.floatx() not in ("float32", "float64"):
        raise PresetError(
            "Training computes in float32 or float64. Received: Keras' floatx "
            f"{keras.config.floatx()}. Set it in keras.json or by keras.config.set_floatx"
        )
    if classifier.preprocessor is None:
        raise PresetError("Training needs a classifier with a preprocessor, to tokenize the texts. Received: none")
    if classifier.num_classes != len(data.labels):
        raise PresetError(
            f"The classifier has {classifier.num_classes} outputs and the training data have {len(data.labels)} "
            f"classes. Load it with num_classes={len(data.labels)}"
        )
    task_of(data).check(settings)
    if isinstance(data, MultiLabelTrainingData) and classifier.activation is not keras.activations.sigmoid:
        raise PresetError(
            "A classifier for several labels has a sigmoid for each. Load it with activation='sigmoid'. Received: "
            f"activation={getattr(classifier.activation, '__name__', None)!r}"
        )
    if soft_targets and soft_targets.logits.shape != (len(data.training), len(data.labels)):
        raise DataError(
            "Soft targets need a row for each training text and a column for each class: "
            f"({len(data.training)}, {len(data.labels)}). Received: {soft_targets.logits.shape}"
        )
    _check_vectors(classifier, settings, soft_targets)


def _check_vectors(classifier: Any, settings: TrainingSettings, soft_targets: SoftTargets | None) -> None:
    if settings.vector_loss and (soft_targets is None or soft_targets.vectors is None):
        raise DataError("`vector_loss` needs a teacher's vectors: `soft_targets` with `vectors`. Received: none")
    if not settings.hidden_loss:
        return
    if soft_targets is None or soft_targets.hidden is None:
        raise DataError("`hidden_loss` needs a teacher's layers: `soft_targets` with `hidden`. Received: none")
    layers, given = num_encoder_layers(classifier.backbone), soft_targets.hidden.shape[1]
    if int(classifier.backbone.num_layers) < 2:
        raise DataError(
            "`hidden_loss` needs a layer below the one that the head reads. Received: a student of one layer. Pass one "
            "of more layers, or `vector_loss` instead"
        )
    if given != layers:
        raise DataError(
            f"`hidden` of `soft_targets` must be of as many layers as the student has, {layers}. Received: {given}"
        )


def check_team_settings(settings: TrainingSettings, workers: int) -> None:
    """Refuses settings that several workers cannot follow.

    Args:
        settings: Settings of the training.
        workers: Number of workers.

    Raises:
        DataError: it is compiled with XLA, or there are fewer texts in a step than workers.

    Example:
        >>> check_team_settings(TrainingSettings(batch_size=2), 4)
        Traceback (most recent call last):
        edgedistil_runtime.errors.DataError: `batch_size` must be at least the number of workers, 4: they divide ...
    """
    if settings.is_jit_compiled:
        raise DataError(
            "A step of several workers is not compiled with XLA (`is_jit_compiled`), because the sum over the workers "
            f"is not part of what XLA compiles. Leave it out, or train in one process. Received: {workers} workers"
        )
    if settings.batch_size < workers:
        raise DataError(
            f"`batch_size` must be at least the number of workers, {workers}: they divide the texts of each step. "
            f"Received: {settings.batch_size}"
        )

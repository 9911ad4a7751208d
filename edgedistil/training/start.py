"""Classifiers that training starts from: a preset with a new head, or a new backbone with its own vocabulary."""

from collections.abc import Sequence
from typing import Any

import keras

from edgedistil.builder import build_backbone, build_classifier, build_preprocessor, learn_vocabulary
from edgedistil.data import TrainingData
from edgedistil.presets.loading import load_classifier
from edgedistil.sizes import BackboneSize
from edgedistil.training.settings import TrainingSettings

__all__ = ["from_preset", "from_scratch"]


def from_preset(
    preset: str, data: TrainingData, settings: TrainingSettings, *, keeps_sequence_length: bool = False
) -> Any:
    """A preset's backbone and preprocessor with a new head that has an output for every class of the data.

    Args:
        preset: As in `load_classifier`.
        data: Training data; its labels are the classes.
        settings: Seed, dropout and sequence length are used.
        keeps_sequence_length: Cut texts to the preset's sequence length instead of the settings'.

    Raises:
        PresetError: as `load_classifier`.

    Example:
        >>> from edgedistil.data import read_labelled_texts
        >>> data = TrainingData.prepare(read_labelled_texts("train.csv"))
        >>> from_preset("intents", data, TrainingSettings(sequence_length=16)).num_classes
        3
    """
    keras.utils.set_random_seed(settings.seed)
    return load_classifier(
        preset,
        num_classes=len(data.labels),
        sequence_length=None if keeps_sequence_length else settings.sequence_length,
        dropout=settings.dropout,
    )


def from_scratch(
    size: str | BackboneSize,
    data: TrainingData,
    settings: TrainingSettings,
    *,
    vocabulary: int | Sequence[str] = 8000,
    lowercase: bool = True,
    strip_accents: bool = False,
) -> Any:
    """A new classifier for the data.

    Args:
        size: Name or numbers, as in `build_backbone`.
        data: Training data; the vocabulary is learned from its training texts.
        settings: Seed, dropout and sequence length are used.
        vocabulary: Word pieces, or how many to learn at most.
        lowercase: Fold the case of texts.
        strip_accents: Remove the accents of texts.

    Raises:
        PresetError: an unknown size.
        DataError: a vocabulary that cannot be used, or too small a number of pieces.

    Example:
        >>> from edgedistil.data import read_labelled_texts
        >>> data = TrainingData.prepare(read_labelled_texts("train.csv"))
        >>> classifier = from_scratch("tiny", data, TrainingSettings(sequence_length=16), vocabulary=200)
        >>> classifier.backbone.num_layers, classifier.num_classes
        (2, 3)
    """
    keras.utils.set_random_seed(settings.seed)
    if isinstance(vocabulary, int):
        vocabulary = learn_vocabulary(data.training.texts, vocabulary, lowercase=lowercase, strip_accents=strip_accents)
    preprocessor = build_preprocessor(
        vocabulary,
        lowercase=lowercase,
        strip_accents=strip_accents,
        sequence_length=settings.sequence_length,
    )
    backbone = build_backbone(
        size,
        vocabulary_size=len(vocabulary),
        max_sequence_length=settings.sequence_length,
        dropout=settings.dropout,
    )
    return build_classifier(backbone, len(data.labels), preprocessor=preprocessor, dropout=settings.dropout)

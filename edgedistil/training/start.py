"""What training starts from: a preset with a new head, or a new backbone with a vocabulary of its own."""

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
    """A preset's backbone and preprocessor under a new head with an output for every class of the data.

    Args:
        preset: as `load_classifier`.
        data: its labels are the classes.
        settings: seed, dropout and sequence length are taken from here.
        keeps_sequence_length: whether texts are cut where the preset cuts them, whatever the settings say.

    Raises:
        PresetError: as `load_classifier`.
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
        size: a name or numbers, as `build_backbone` takes them.
        data: its training texts are what the vocabulary is learned from.
        settings: seed, dropout and sequence length are taken from here.
        vocabulary: word pieces, or how many to learn at most.
        lowercase: fold the case of texts.
        strip_accents: remove the accents of texts.

    Raises:
        PresetError: an unknown size.
        DataError: a vocabulary that cannot be used, or too small a number of pieces.
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

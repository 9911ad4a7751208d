"""Classifiers that training starts from: a preset with a new head, or a new backbone with its own vocabulary."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edgedistil.builder import build_backbone, build_classifier, build_preprocessor, learn_vocabulary
from edgedistil.data import MultiLabelTrainingData
from edgedistil.presets.loading import load_classifier
from edgedistil.presets.pooling import pools_by_mean
from edgedistil.sizes import BackboneSize
from edgedistil.training.batches import tokenize
from edgedistil.training.head import fit_linear_head, linear_head_width, prior_logits, set_linear_head
from edgedistil.training.initialization import set_glorot_kernels
from edgedistil.training.long_texts import divide_texts
from edgedistil.training.network import Evaluator, TrainingNetwork, pieces_that_occur, with_rows
from edgedistil.training.objective import SoftTargets, head_targets, make_objective, texts_to_fit
from edgedistil.training.pooling import with_mean_pooling
from edgedistil.training.settings import TrainingSettings
from edgedistil.training.targets import label_sets, smoothing
from edgedistil.training.tasks import AnyTrainingData, activation_of

__all__ = ["from_preset", "from_scratch", "with_new_head"]

_MOST_UNLABELLED = 20_000  # enough for a linear head, whose fit takes all texts in every step


def from_preset(
    preset: str,
    data: AnyTrainingData,
    settings: TrainingSettings,
    *,
    keeps_sequence_length: bool = False,
    soft_targets: SoftTargets | None = None,
) -> Any:
    """A preset's backbone and preprocessor with a new head that has an output for every class of the data.

    The head is fitted to the outputs of the backbone, see `edgedistil.training.head`, so that the classifier is already
    as good as a linear one. With mean pooling, the backbone gets one more layer, see `edgedistil.training.pooling`.

    Args:
        preset: As in `load_classifier`.
        data: Training data; its labels are the classes.
        settings: Seed, dropout, sequence length, long texts, pooling and class weights are used.
        keeps_sequence_length: Cut texts to the preset's sequence length instead of the settings'.
        soft_targets: Answers of a teacher, to which the head is fitted too.

    Raises:
        PresetError: as `load_classifier`.

    Example:
        >>> from edgedistil.data import TrainingData, read_labelled_texts
        >>> data = TrainingData.prepare(read_labelled_texts("train.csv"))
        >>> from_preset("intents", data, TrainingSettings(sequence_length=16)).num_classes
        3
    """
    keras.utils.set_random_seed(settings.seed)
    loaded = load_classifier(
        preset,
        num_classes=len(data.labels),
        sequence_length=None if keeps_sequence_length else settings.sequence_length,
        dropout=settings.dropout,
    )
    pooling = settings.pooling
    if pooling == "auto":
        pooling = "mean" if pools_by_mean(preset) else "first"
    backbone = with_mean_pooling(loaded.backbone) if pooling == "mean" else loaded.backbone
    return with_new_head(backbone, loaded.preprocessor, data, settings, soft_targets=soft_targets)


def with_new_head(
    backbone: Any,
    preprocessor: Any,
    data: AnyTrainingData,
    settings: TrainingSettings,
    *,
    soft_targets: SoftTargets | None = None,
) -> Any:
    """A classifier of an encoder, with a head that is fitted to the encoder's outputs.

    Args:
        backbone: A `keras_hub.models.DistilBertBackbone`; its first output position is read.
        preprocessor: Its preprocessor.
        data: As in `from_preset`.
        settings: As in `from_preset`.
        soft_targets: As in `from_preset`.

    Example:
        >>> from edgedistil.data import TrainingData, read_labelled_texts
        >>> data = TrainingData.prepare(read_labelled_texts("train.csv"))
        >>> loaded = load_classifier("intents")
        >>> with_new_head(loaded.backbone, loaded.preprocessor, data, TrainingSettings(sequence_length=16)).num_classes
        3
    """
    keras.utils.set_random_seed(settings.seed)
    classifier = build_classifier(
        backbone,
        len(data.labels),
        preprocessor=preprocessor,
        activation=activation_of(data),
        dropout=settings.dropout,
        hidden_dim=linear_head_width(backbone),
    )
    _fit_head(classifier, data, settings, soft_targets)
    return classifier


def _fit_head(
    classifier: Any, data: AnyTrainingData, settings: TrainingSettings, soft_targets: SoftTargets | None
) -> None:
    """Fits the new head to the outputs of the pretrained encoder, which stays as it is."""
    divided = divide_texts(classifier.preprocessor, texts_to_fit(data, soft_targets), settings.long_texts)
    kept = _rows_for_head(divided.rows, len(data.training), settings.seed)
    objective = make_objective(data, divided.rows[kept], settings, soft_targets)
    is_multi_label = isinstance(data, MultiLabelTrainingData)
    if soft_targets is not None:
        targets, weights = head_targets(objective, settings.teacher_share)
    elif isinstance(data, MultiLabelTrainingData):
        targets, weights = objective.targets, objective.weights
    else:
        # Smoothed like the loss of fine-tuning, whose first steps would otherwise only make the head less sure.
        share = np.float32(smoothing(settings.label_smoothing, data.training))
        targets = objective.targets + share * (np.float32(1 / len(data.labels)) - objective.targets)
        weights = objective.weights
    texts = tokenize(classifier.preprocessor, [divided.texts[row] for row in kept])
    pieces = pieces_that_occur([texts])
    features = Evaluator(TrainingNetwork(classifier, pieces)).features(with_rows(texts, pieces))
    set_linear_head(classifier, *fit_linear_head(features, targets, weights, is_multi_label=is_multi_label))


def _rows_for_head(rows: NDArray[np.int64], num_labelled: int, seed: int) -> NDArray[np.int64]:
    """All pieces of texts with a label, and at most 20,000 of the others, which come after them."""
    labelled = int((rows < num_labelled).sum())
    others = len(rows) - labelled
    chosen = np.arange(others)
    if others > _MOST_UNLABELLED:
        chosen = np.sort(np.random.default_rng(seed).choice(others, _MOST_UNLABELLED, replace=False))
    return np.concatenate([np.arange(labelled), labelled + chosen])


def from_scratch(
    size: str | BackboneSize,
    data: AnyTrainingData,
    settings: TrainingSettings,
    *,
    vocabulary: int | Sequence[str] = 8000,
    lowercase: bool = True,
    strip_accents: bool = False,
    more_texts: Sequence[str] = (),
) -> Any:
    """A new classifier for the data.

    Args:
        size: Name or numbers, as in `build_backbone`.
        data: Training data; the vocabulary is learned from its training texts.
        settings: Seed, dropout and sequence length are used.
        vocabulary: Word pieces, or how many to learn at most.
        lowercase: Fold the case of texts.
        strip_accents: Remove the accents of texts.
        more_texts: Texts without labels, from which the vocabulary is learned too.

    Raises:
        PresetError: an unknown size.
        DataError: a vocabulary that cannot be used, or too small a number of pieces.

    Example:
        >>> from edgedistil.data import TrainingData, read_labelled_texts
        >>> data = TrainingData.prepare(read_labelled_texts("train.csv"))
        >>> classifier = from_scratch("tiny", data, TrainingSettings(sequence_length=16), vocabulary=200)
        >>> classifier.backbone.num_layers, classifier.num_classes
        (2, 3)
    """
    keras.utils.set_random_seed(settings.seed)
    if isinstance(vocabulary, int):
        vocabulary = learn_vocabulary(
            (*data.training.texts, *more_texts), vocabulary, lowercase=lowercase, strip_accents=strip_accents
        )
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
    classifier = build_classifier(
        backbone,
        len(data.labels),
        preprocessor=preprocessor,
        activation=activation_of(data),
        dropout=settings.dropout,
    )
    set_glorot_kernels(classifier, settings.seed)
    if isinstance(data, MultiLabelTrainingData):
        classifier.output_dense.bias.assign(prior_logits(label_sets(data.training, data.labels)))
    return classifier

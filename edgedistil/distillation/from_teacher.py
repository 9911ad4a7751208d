"""A student that starts from its teacher: fewer layers, a smaller width, and the word pieces that its texts need."""

from typing import Any

import numpy as np

from edgedistil.distillation.soft_targets import TeacherAnswers
from edgedistil.distillation.students import student_from
from edgedistil.sizes import BackboneSize
from edgedistil.training.batches import tokenize
from edgedistil.training.pooling import has_mean_pooling, with_mean_pooling, without_mean_pooling
from edgedistil.training.settings import TrainingSettings
from edgedistil.training.start import with_new_head
from edgedistil.training.tasks import AnyTrainingData
from edgedistil_converters.model.keras_token_ids import token_id_rows
from edgedistil_converters.preparation.pieces import texts_with_piece
from edgedistil_converters.preparation.pruning import choose_preprocessor_pieces, preprocessor_with_pieces
from edgedistil_converters.quantization.calibration import sampled
from edgedistil_runtime.errors import PresetError

__all__ = ["from_teacher"]

_SAMPLE = 512  # texts on which the teacher's hidden states are looked at


def from_teacher(
    classifier: Any,
    size: tuple[int, int],
    data: AnyTrainingData,
    settings: TrainingSettings,
    answers: TeacherAnswers,
    *,
    vocabulary_size: int | None = None,
) -> Any:
    """A smaller classifier whose encoder starts from that of its teacher, see `student_from`.

    Heads are as wide as the teacher's, and the feed-forward layers have its proportion to the width. If the teacher
    averages over tokens, so does the student. The new head is fitted to the teacher's answers.

    Args:
        classifier: The teacher's `keras_hub.models.DistilBertTextClassifier`.
        size: Number of layers, without that of the pooling, and width.
        data: Training data.
        settings: Seed, dropout, sequence length and long texts are used.
        answers: The teacher's answers.
        vocabulary_size: Number of word pieces; `None` keeps those that the training and the unlabelled texts need, and
            all single characters.

    Raises:
        PresetError: the student would have more layers than its teacher or be wider, or the width is no multiple of a
            head's.
        ConversionError: the vocabulary is too small.

    Example:
        >>> from edgedistil.data import TrainingData, read_labelled_texts
        >>> from edgedistil.distillation.soft_targets import ask_teacher
        >>> from edgedistil.distillation.teacher import Teacher
        >>> from edgedistil.presets.loading import load_labelled_classifier
        >>> teacher, data = load_labelled_classifier("intents"), TrainingData.prepare(read_labelled_texts("train.csv"))
        >>> answers = ask_teacher(Teacher(teacher), data)
        >>> settings = TrainingSettings(sequence_length=16)
        >>> student = from_teacher(teacher.classifier, (1, 16), data, settings, answers)
        >>> student.backbone.num_layers, student.backbone.hidden_dim
        (1, 16)
    """
    encoder = without_mean_pooling(classifier.backbone)
    preprocessor = _as_long_as(settings.sequence_length, classifier)
    texts = (*data.training.texts, *answers.unlabelled)
    counts = texts_with_piece(token_id_rows(preprocessor, texts), preprocessor.tokenizer.vocabulary_size())
    kept = choose_preprocessor_pieces(preprocessor, counts, vocabulary_size=vocabulary_size).kept
    backbone = student_from(
        encoder,
        _backbone_size(encoder, *size),
        np.asarray(kept, "int64"),
        texts=tokenize(preprocessor, sampled(texts, _SAMPLE)),
        max_sequence_length=settings.sequence_length,
    )
    if has_mean_pooling(classifier.backbone):
        backbone = with_mean_pooling(backbone)
    smaller = preprocessor_with_pieces(preprocessor, kept)
    return with_new_head(backbone, smaller, data, settings, soft_targets=answers.soft_targets)


def _as_long_as(sequence_length: int, classifier: Any) -> Any:
    """A copy of the teacher's preprocessor with another sequence length."""
    longest = int(classifier.backbone.max_sequence_length)
    if sequence_length > longest:
        raise PresetError(
            f"A student that starts from its teacher has at most its {longest} positions. Pass a smaller "
            f"`sequence_length`. Received: {sequence_length}"
        )
    pieces = np.arange(classifier.preprocessor.tokenizer.vocabulary_size(), dtype="int32")
    preprocessor = preprocessor_with_pieces(classifier.preprocessor, pieces)
    preprocessor.sequence_length = sequence_length
    return preprocessor


def _backbone_size(teacher: Any, num_layers: int, hidden_dim: int) -> BackboneSize:
    if num_layers > teacher.num_layers or hidden_dim > teacher.hidden_dim:
        raise PresetError(
            "The size of a student (`from_teacher`) may be at most that of its teacher, "
            f"{teacher.num_layers}x{teacher.hidden_dim}. Received: {num_layers}x{hidden_dim}. "
            "Choose fewer layers or a smaller width"
        )
    head, factor = teacher.hidden_dim // teacher.num_heads, teacher.intermediate_dim / teacher.hidden_dim
    if hidden_dim % head:
        raise PresetError(
            f"The width of a student (`from_teacher`) must be a multiple of {head}, the width of its teacher's heads. "
            f"Received: {hidden_dim}"
        )
    return BackboneSize(num_layers, hidden_dim, hidden_dim // head, int(factor * hidden_dim))

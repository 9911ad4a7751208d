"""A teacher: a trained classifier that is asked for its logits, which a student learns.

Its network is read as training reads it (`edgedistil.training.network`), so a teacher in any format that
`load_labelled_classifier` takes can be asked, whatever its last activation is.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edgedistil.data import MultiLabelTrainingData
from edgedistil.data.spelling import spelled_as
from edgedistil.distillation.answer_cache import AnswerCache, texts_digest
from edgedistil.distillation.coverage import Coverage, measure_coverage
from edgedistil.presets.loading import LabelledClassifier, NoTrainedHead, load_labelled_classifier
from edgedistil.training.batches import TokenizedTexts, tokenize
from edgedistil.training.long_texts import divide_texts, mean_by_text
from edgedistil.training.network import Evaluator, TrainingNetwork
from edgedistil.training.tasks import AnyTrainingData
from edgedistil_converters.model.keras_hub import read_architecture, read_output_activation
from edgedistil_converters.tokenizer.settings import read_tokenizer
from edgedistil_runtime.errors import DataError, PresetError
from edgedistil_runtime.pieces import CUT

__all__ = ["Teacher"]

_TEXTS_AT_ONCE = 2048
_KEPT_GROWTH = 1.2
_MOST_LABELS = 8

OnProgress = Callable[[int, int], None]
_Answer = Callable[[TokenizedTexts], NDArray[np.float32]]


class Teacher:
    """A trained classifier that answers texts with logits.

    Args:
        trained: The classifier and its labels.
        long_texts: What it reads of a long text, as in `TextClassifier`. With `windows`, its answer is the mean of the
            logits of a text's pieces.

    Attributes:
        name: Name or handle of its preset, or the name of its directory; never a whole path.
        labels: Class names, in the order of its outputs.
        thresholds: Smallest probability of each label that a multi-label teacher gives; empty for one label.

    Raises:
        PresetError: its outputs are sigmoids and it has no thresholds, or it has no preprocessor.

    Example:
        >>> teacher = Teacher.load("intents")
        >>> logits = teacher.logits(["play music", "is it raining ?"], ["weather", "music", "lights"])
        >>> logits.shape, logits.argmax(axis=1)
        ((2, 3), array([1, 0]))
    """

    def __init__(self, trained: LabelledClassifier, *, long_texts: str = CUT) -> None:
        self.name, self.labels, self.thresholds = trained.source, trained.labels, trained.thresholds
        has_sigmoids = read_output_activation(trained.classifier) == "sigmoid"
        if (has_sigmoids and not self.thresholds) or trained.classifier.preprocessor is None:
            raise PresetError(
                "A teacher (`teacher`) must take texts, and choose one class of several or have thresholds for several "
                f"labels. Received: {self.name}, which has sigmoid outputs without thresholds or no preprocessor"
            )
        self._preprocessor, self._long_texts = trained.classifier.preprocessor, long_texts
        self._classifier = trained.classifier
        # With all pieces: the table is then the same for all texts, and the network is traced once.
        pieces = np.arange(int(trained.classifier.backbone.vocabulary_size), dtype="int64")
        self._evaluator = Evaluator(TrainingNetwork(trained.classifier, pieces))

    @classmethod
    def load(cls, preset: str | Path, *, long_texts: str = CUT) -> "Teacher":
        """Loads a teacher.

        Args:
            preset: A directory that `edgedistil train` wrote, or another preset with a trained head.
            long_texts: As for the class.

        Raises:
            PresetError: the preset cannot be found or read, or has no trained head.
        """
        try:
            return cls(load_labelled_classifier(preset), long_texts=long_texts)
        except NoTrainedHead as error:
            raise PresetError(
                "A teacher (`teacher`) must know the classes: a directory that `edgedistil train` wrote. "
                f"Received: {preset}, which has no trained head. Train it first, with `edgedistil train`"
            ) from error

    @cached_property
    def digest(self) -> str:
        """Digest of its weights, its tokenizer and what it reads of long texts: equal digests give equal answers."""
        settings, vocabulary = read_tokenizer(self._preprocessor)
        shape = asdict(read_architecture(self._classifier))
        epsilon = float(self._classifier.backbone.embeddings_layer_norm.epsilon)
        digest = hashlib.sha256(json.dumps([self._long_texts, asdict(settings), vocabulary, shape, epsilon]).encode())
        for weight in self._classifier.weights:  # without their paths, which number the models of a process
            digest.update(str(tuple(weight.shape)).encode())
            digest.update(np.ascontiguousarray(weight).data)
        return digest.hexdigest()

    def check_data(self, data: AnyTrainingData) -> None:
        """Checks that the teacher has the labels of the data, and gives a text as many as the data do.

        Raises:
            DataError: it has other labels, or gives one label and texts have several, or the other way round.

        Example:
            >>> from edgedistil.data import MultiLabelTexts, MultiLabelTrainingData
            >>> texts = MultiLabelTexts(("play", "dim it"), (("lights", "music"), ("lights",)))
            >>> Teacher.load("intents").check_data(MultiLabelTrainingData(texts))
            Traceback (most recent call last):
            edgedistil_runtime.errors.DataError: A teacher (`teacher`) must give a text any number of labels, ...
        """
        has_sets = isinstance(data, MultiLabelTrainingData)
        if has_sets != bool(self.thresholds):
            due, other = ("any number of labels", "one label")[:: 1 if has_sets else -1]
            raise DataError(
                f"A teacher (`teacher`) must give a text {due}, as the training data do. Received: {self.name}, which "
                f"gives {other}. Train a teacher on the same data, with `edgedistil train`"
            )
        self.check_labels(data.labels)

    def thresholds_of(self, labels: Sequence[str]) -> tuple[float, ...]:
        """The thresholds of a multi-label teacher, in the order of the labels of the data."""
        return tuple(self.thresholds[self.labels.index(label)] for label in self._in_own_spelling(labels))

    def check_labels(self, labels: Sequence[str]) -> None:
        """Checks that the teacher has the labels of the data, in any order.

        Raises:
            DataError: labels are missing, or it has others.

        Example:
            >>> Teacher.load("intents").check_labels(["lights", "music", "heating"])
            Traceback (most recent call last):
            edgedistil_runtime.errors.DataError: A teacher (`teacher`) must have the labels of the training data, ...
        """
        asked = set(self._in_own_spelling(labels))
        missing, extra = sorted(asked - set(self.labels)), sorted(set(self.labels) - asked)
        if not missing and not extra:
            return
        differences = [
            f"{word} {_listed(names)}" for word, names in (("without", missing), ("with also", extra)) if names
        ]
        raise DataError(
            "A teacher (`teacher`) must have the labels of the training data, in any order. "
            f"Received: {self.name}, {' and '.join(differences)}. Train a teacher on the same labels"
        )

    def logits(
        self,
        texts: Sequence[str],
        labels: Sequence[str],
        *,
        cache: AnswerCache | None = None,
        on_progress: OnProgress | None = None,
    ) -> NDArray[np.float32]:
        """Answers texts.

        Args:
            texts: Texts.
            labels: Labels of the data, in the order that the logits shall have.
            cache: Answers of earlier calls, which are used and kept; those of an interrupted call too.
            on_progress: Called with the number of texts that are answered, and of all texts.

        Returns:
            Logits, float32[texts, classes].

        Raises:
            DataError: the teacher has other labels.
            OutputError: the answers cannot be kept.
        """
        self.check_labels(labels)
        found = self._answer_all(texts, self._evaluator.logits, len(self.labels), cache, on_progress)
        return found[:, [self.labels.index(label) for label in self._in_own_spelling(labels)]]

    def vectors(
        self, texts: Sequence[str], *, cache: AnswerCache | None = None, on_progress: OnProgress | None = None
    ) -> NDArray[np.float32]:
        """Returns what its head reads of texts, float32[texts, width]; arguments are those of `logits`.

        Example:
            >>> Teacher.load("intents").vectors(["play music", "is it raining ?"]).shape
            (2, 16)
        """
        width = int(self._classifier.backbone.hidden_dim)
        return self._answer_all(texts, self._evaluator.features, width, cache, on_progress)

    def coverage(self, texts: Sequence[str]) -> Coverage:
        """Counts the words of texts that its vocabulary has.

        Example:
            >>> Teacher.load("intents").coverage(["play some music louder", "gib mir Musik"])
            Coverage(words=7, whole=3, unknown=3)
        """
        return measure_coverage(self._preprocessor, texts)

    def _answer_all(
        self,
        texts: Sequence[str],
        answer: _Answer,
        width: int,
        cache: AnswerCache | None,
        on_progress: OnProgress | None,
    ) -> NDArray[np.float32]:
        """Logits in the order of the teacher's labels, or vectors, float32[texts, width]."""
        digest = texts_digest(f"{self.digest} {answer.__name__}", texts)
        none = np.zeros((0, width), "float32")
        found = cache.read(digest, (len(texts), width)) if cache else none
        if len(found) % _TEXTS_AT_ONCE and len(found) < len(texts):
            found = none  # not written here
        kept = len(found)
        while len(found) < len(texts):
            if on_progress:
                on_progress(len(found), len(texts))
            more = self._answer(texts[len(found) : len(found) + _TEXTS_AT_ONCE], answer)
            found = np.concatenate([found, more])
            # Not after every step: the file is written as a whole.
            if cache and (len(found) == len(texts) or len(found) > _KEPT_GROWTH * kept):
                cache.write(digest, found)
                kept = len(found)
        return found

    def _answer(self, texts: Sequence[str], answer: _Answer) -> NDArray[np.float32]:
        divided = divide_texts(self._preprocessor, texts, self._long_texts)
        return mean_by_text(answer(tokenize(self._preprocessor, divided.texts)), divided)

    def _in_own_spelling(self, labels: Sequence[str]) -> tuple[str, ...]:
        """The labels as the teacher spells them, which may have been trained on `True` or `3.0`."""
        return cast(tuple[str, ...], spelled_as(labels, self.labels))


def _listed(names: Sequence[Any]) -> str:
    shown = ", ".join(repr(name) for name in names[:_MOST_LABELS])
    return shown if len(names) <= _MOST_LABELS else f"{shown} and {len(names) - _MOST_LABELS} more"

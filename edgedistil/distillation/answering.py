"""What all teachers have in common: labels, and answers to many texts, which are kept in files.

Several workers have one of them ask, and get its answers: those of several machines would differ in their last digits,
and no two workers may train on different targets.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from edgedistil.data import MultiLabelTrainingData
from edgedistil.data.spelling import spelled_as
from edgedistil.distillation.answer_cache import AnswerCache, texts_digest
from edgedistil.distillation.coverage import Coverage
from edgedistil.training.tasks import AnyTrainingData
from edgedistil_runtime.errors import DataError

if TYPE_CHECKING:
    from edgedistil.training.team import Team

__all__ = ["HIDDEN", "AnyTeacher", "OnProgress", "evenly_chosen"]

HIDDEN = "hidden "  # a kind of answer, before the numbers of the layers

_TEXTS_AT_ONCE = 2048
_KEPT_GROWTH = 1.2
_MOST_LABELS = 8

OnProgress = Callable[[int, int], None]


class AnyTeacher(ABC):
    """A trained classifier that answers texts: `Teacher` in Keras, or `FileTeacher`.

    Attributes:
        name: Name or handle of its preset, or the name of its directory or file; never a whole path.
        labels: Class names, in the order of its outputs.
        width: Width of its layers; 0 if it returns its answers only.
        num_layers: Number of its layers, without that of the pooling; 0 if it returns its answers only.
        thresholds: Smallest probability of each label that a multi-label teacher gives; empty for one label.
        calibration: Number by which its logits were divided to calibrate its scores; 1 if they were not.
    """

    name: str
    labels: tuple[str, ...]
    width: int = 0
    num_layers: int = 0
    thresholds: tuple[float, ...] = ()
    calibration: float = 1.0
    _team: "Team | None" = None

    @property
    @abstractmethod
    def digest(self) -> str:
        """Digest of everything that its answers depend on: equal digests give equal answers."""

    @abstractmethod
    def coverage(self, texts: Sequence[str]) -> Coverage | None:
        """Counts the words of texts that its vocabulary has; `None` if it does not return token ids."""

    @abstractmethod
    def _answer(self, texts: Sequence[str], kind: str) -> NDArray[np.float32]:
        """Answers some texts, float32[texts, width]; the kind is `logits`, `features`, or `HIDDEN` and layers."""

    def share(self, team: "Team") -> None:
        """Has worker 0 of a team answer from now on; the others get its answers.

        Args:
            team: The workers, which all have this teacher.

        Raises:
            WorkerError: Another worker has another teacher, or was lost.
        """
        team.check_equal({"the teacher (`teacher`)": self.digest.encode()})
        self._team = team

    def check_data(self, data: AnyTrainingData) -> None:
        """Checks that the teacher has the labels of the data, and gives a text as many as the data do.

        Raises:
            DataError: it has other labels, or gives one label and texts have several, or the other way round.

        Example:
            >>> from edgedistil.data import MultiLabelTexts
            >>> from edgedistil.distillation.teacher import Teacher
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
        """The thresholds of a multi-label teacher, in the order of the labels of the data; none of another one."""
        if not self.thresholds:
            return ()
        return tuple(self.thresholds[self.labels.index(label)] for label in self._in_own_spelling(labels))

    def check_labels(self, labels: Sequence[str]) -> None:
        """Checks that the teacher has the labels of the data, in any order.

        Raises:
            DataError: labels are missing, or it has others.

        Example:
            >>> from edgedistil.distillation.teacher import Teacher
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
        found = self._answer_all(texts, "logits", len(self.labels), cache, on_progress)
        return found[:, [self.labels.index(label) for label in self._in_own_spelling(labels)]]

    def vectors(
        self, texts: Sequence[str], *, cache: AnswerCache | None = None, on_progress: OnProgress | None = None
    ) -> NDArray[np.float32]:
        """Returns what its head reads of texts, float32[texts, width]; arguments are those of `logits`.

        Raises:
            DataError: it returns its answers only.

        Example:
            >>> from edgedistil.distillation.teacher import Teacher
            >>> Teacher.load("intents").vectors(["play music", "is it raining ?"]).shape
            (2, 16)
        """
        self.require_network("vector_loss")
        return self._answer_all(texts, "features", self.width, cache, on_progress)

    def hidden(
        self,
        texts: Sequence[str],
        num_layers: int,
        *,
        cache: AnswerCache | None = None,
        on_progress: OnProgress | None = None,
    ) -> NDArray[np.float32]:
        """Returns means over the tokens after some layers, evenly chosen, float32[texts, layers, width].

        Args:
            texts: Texts.
            num_layers: Number of the student's layers, see `evenly_chosen`.
            cache: As in `logits`.
            on_progress: As in `logits`.

        Raises:
            DataError: it returns its answers only.

        Example:
            >>> from edgedistil.distillation.teacher import Teacher
            >>> Teacher.load("intents").hidden(["play music", "is it raining ?"], 1).shape
            (2, 1, 16)
        """
        self.require_network("hidden_loss")
        kind = HIDDEN + ",".join(map(str, evenly_chosen(num_layers, self.num_layers)))
        found = self._answer_all(texts, kind, num_layers * self.width, cache, on_progress)
        return found.reshape(len(texts), num_layers, self.width)

    def require_network(self, parameter: str) -> None:
        """Refuses a teacher that returns its answers only, if a parameter needs more.

        Raises:
            DataError: it does.

        Example:
            >>> from edgedistil.distillation.teacher import Teacher
            >>> Teacher.load("intents").require_network("vector_loss")
            >>> Teacher.load("intents.tflite").require_network("vector_loss")
            Traceback (most recent call last):
            edgedistil_runtime.errors.DataError: `vector_loss` needs what is computed inside a teacher, and a file ...
        """
        if not self.width:
            raise DataError(
                f"`{parameter}` needs what is computed inside a teacher, and a file returns its answers only. "
                f"Received: {self.name}. Pass the directory that the file was converted from as `teacher`, or leave "
                f"`{parameter}` out"
            )

    def _answer_all(
        self,
        texts: Sequence[str],
        kind: str,
        width: int,
        cache: AnswerCache | None,
        on_progress: OnProgress | None,
    ) -> NDArray[np.float32]:
        """Logits in the order of the teacher's labels, or another kind of answer, float32[texts, width]."""
        is_asked = self._team is None or self._team.is_chief
        found = np.zeros((0, width), "float32")
        if is_asked:
            found = self._own_answers(texts, kind, width, cache, on_progress)
        return self._team.array_from_chief(found) if self._team else found

    def _own_answers(
        self,
        texts: Sequence[str],
        kind: str,
        width: int,
        cache: AnswerCache | None,
        on_progress: OnProgress | None,
    ) -> NDArray[np.float32]:
        """The same, of this process."""
        digest = texts_digest(f"{self.digest} {kind}", texts)
        none = np.zeros((0, width), "float32")
        found = cache.read(digest, (len(texts), width)) if cache else none
        if len(found) % _TEXTS_AT_ONCE and len(found) < len(texts):
            found = none  # not written here
        kept = len(found)
        while len(found) < len(texts):
            if on_progress:
                on_progress(len(found), len(texts))
            more = self._answer(texts[len(found) : len(found) + _TEXTS_AT_ONCE], kind)
            found = np.concatenate([found, more])
            # Not after every step: the file is written as a whole.
            if cache and (len(found) == len(texts) or len(found) > _KEPT_GROWTH * kept):
                cache.write(digest, found)
                kept = len(found)
        return found

    def _in_own_spelling(self, labels: Sequence[str]) -> tuple[str, ...]:
        """The labels as the teacher spells them, which may have been trained on `True` or `3.0`."""
        return cast(tuple[str, ...], spelled_as(labels, self.labels))


def evenly_chosen(num_layers: int, of_teacher: int) -> tuple[int, ...]:
    """Returns the teacher's layer for each layer of a student, from 1 up; the last one for the last one.

    Example:
        >>> evenly_chosen(2, 6), evenly_chosen(4, 6), evenly_chosen(3, 2)
        ((3, 6), (2, 3, 5, 6), (1, 2, 2))
    """
    return tuple(-(-number * of_teacher // num_layers) for number in range(1, num_layers + 1))


def _listed(names: Sequence[Any]) -> str:
    shown = ", ".join(repr(name) for name in names[:_MOST_LABELS])
    return shown if len(names) <= _MOST_LABELS else f"{shown} and {len(names) - _MOST_LABELS} more"

"""What a student learns: the answers of a teacher to training texts, texts without labels, and augmented texts."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgedistil.distillation.answer_cache import AnswerCache
from edgedistil.distillation.answering import AnyTeacher
from edgedistil.distillation.augmentation import augment
from edgedistil.distillation.coverage import Coverage
from edgedistil.training.objective import SoftTargets
from edgedistil.training.tasks import AnyTrainingData, task_of
from edgedistil_runtime.errors import DataError

__all__ = ["TeacherAnswers", "ask_teacher"]

_DIGITS = 4


@dataclass(frozen=True, eq=False)
class TeacherAnswers:
    """The answers of a teacher, and facts about them.

    Attributes:
        soft_targets: Answers as `train` takes them.
        teacher: Name of the teacher.
        digest: Digest of the teacher.
        texts: Number of texts that were answered: `training`, `unlabelled` and `augmented`.
        coverage: Coverage of the training texts, and of the unlabelled ones if there are any; empty if the teacher is a
            file that returns no token ids.
        left_out: Number of texts without labels that were not used, because they are repeated or are in the data.
        validation: Metrics of the teacher on the validation data; `None` if there are none.
        files: Name, digest and number of texts of each file of texts without labels, if the caller adds them.
        calibration: Number by which the teacher's logits were divided to calibrate its scores; 1 if they were not.
    """

    soft_targets: SoftTargets
    teacher: str
    digest: str
    texts: Mapping[str, int]
    coverage: Mapping[str, Coverage]
    left_out: int = 0
    validation: Mapping[str, Any] | None = None
    files: Sequence[Mapping[str, Any]] = ()
    calibration: float = 1.0

    @property
    def unlabelled(self) -> Sequence[str]:
        """The texts without labels that were answered, without the augmented ones."""
        return self.soft_targets.more_texts[: self.texts["unlabelled"]]

    def to_dict(self) -> dict[str, Any]:
        """The facts as plain data, for training.json."""
        return {
            "name": self.teacher,
            "sha256": self.digest,
            "texts": dict(self.texts),
            "left_out": self.left_out,
            "unlabelled_files": [dict(file) for file in self.files],
            "coverage": {
                part: {"whole": round(found.whole_share, _DIGITS), "known": round(found.known_share, _DIGITS)}
                for part, found in self.coverage.items()
            },
            **({} if self.calibration == 1 else {"calibration": self.calibration}),
            "metrics": {} if self.validation is None else {"validation": dict(self.validation)},
        }

    def __str__(self) -> str:
        counts = ", ".join(f"{count:,} {part}" for part, count in self.texts.items() if count)
        line = f"teacher {self.teacher}: answered texts: {counts}"
        if self.calibration != 1:
            line += f"; its scores are calibrated, and the answers with them (temperature {self.calibration:.3g})"
        if self.left_out:
            line += f"; {self.left_out:,} unlabelled left out, which are in the data or repeated"
        if self.validation:
            name, title = ("accuracy", "accuracy") if "accuracy" in self.validation else ("micro_f1", "micro-F1")
            line += f"; its {title} on the validation data: {self.validation[name]:.4f}"
        return line

    def warnings(self) -> tuple[str, ...]:
        """Sentences about texts that the teacher can hardly read.

        Example:
            >>> coverage = {"unlabelled": Coverage(words=100, whole=50, unknown=20)}
            >>> answers = TeacherAnswers(SoftTargets(np.zeros((1, 2))), "big", "00ff", {}, coverage)
            >>> print(*answers.warnings())
            The vocabulary of the teacher big has 50 % of the words of the unlabelled texts; it spells 30 % in ...
        """
        return tuple(
            found.warning(f"teacher {self.teacher}", part) for part, found in self.coverage.items() if found.is_low
        )


def ask_teacher(
    teacher: AnyTeacher,
    data: AnyTrainingData,
    *,
    unlabelled: Sequence[str] = (),
    augmented_per_text: int = 0,
    has_vectors: bool = False,
    hidden_layers: int = 0,
    seed: int = 0,
    cache: AnswerCache | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> TeacherAnswers:
    """Asks a teacher for all that a student learns.

    Args:
        teacher: The teacher.
        data: Data to train the student on.
        unlabelled: Texts without labels. Those that are in the data, validation and test data included, are left out:
            a student that is trained on validation texts could not be validated.
        augmented_per_text: Number of new texts for each training text.
        has_vectors: Ask for what its head reads of the texts too, for `vector_loss`.
        hidden_layers: Number of the student's layers, without that of the pooling, for `hidden_loss`: ask for means
            over the tokens after as many of the teacher's; 0 does not ask.
        seed: Seed of the new texts.
        cache: Answers of earlier calls.
        on_progress: Called with the number of texts that are answered, and of all texts; a text counts again for its
            vectors, and for the teacher's layers.

    Raises:
        DataError: the teacher has other labels, gives another number of them or returns its answers only, or the number
            of new texts is below 0.
        OutputError: the answers cannot be kept.

    Example:
        >>> from edgedistil.data import TrainingData, read_labelled_texts
        >>> from edgedistil.distillation.teacher import Teacher
        >>> data = TrainingData.prepare(read_labelled_texts("test.csv"))
        >>> answers = ask_teacher(Teacher.load("intents"), data, unlabelled=["the music is on", "play music"])
        >>> answers.texts, answers.left_out
        ({'training': 15, 'unlabelled': 1, 'augmented': 0}, 1)
    """
    if augmented_per_text < 0:
        raise DataError(f"`augmented_per_text` must be a whole number from 0 up. Received: {augmented_per_text}")
    teacher.check_data(data)
    for parameter, is_asked in (("vector_loss", has_vectors), ("hidden_loss", hidden_layers > 0)):
        if is_asked:
            teacher.require_network(parameter)
    texts = _texts_to_answer(data, unlabelled, augmented_per_text, seed)
    validation = {"validation": data.validation.texts if data.validation else ()}
    given = [some for some in texts.values() if some]
    times = has_vectors + (hidden_layers > 0)
    progress = _Progress(on_progress, _count([*texts.values(), *validation.values()]) + times * _count(given))
    # Each part has its own file in the cache, so that more texts do not ask for all again.
    logits = {
        part: teacher.logits(some, data.labels, cache=cache, on_progress=progress.of(some))
        for part, some in (texts | validation).items()
    }
    metrics = vectors = hidden = None
    if data.validation:
        task = task_of(data)
        probabilities, targets = task.probabilities(logits["validation"]), task.targets(data.validation)
        metrics = task.score(probabilities, targets, teacher.thresholds_of(data.labels))
    if has_vectors:
        found = [teacher.vectors(some, cache=cache, on_progress=progress.of(some)) for some in given]
        vectors = np.concatenate(found)
    if hidden_layers:
        found = [teacher.hidden(some, hidden_layers, cache=cache, on_progress=progress.of(some)) for some in given]
        hidden = np.concatenate(found)
    more_texts = (*texts["unlabelled"], *texts["augmented"])
    more_logits = np.concatenate([logits["unlabelled"], logits["augmented"]])
    return TeacherAnswers(
        soft_targets=SoftTargets(logits["training"], more_texts, more_logits, vectors, hidden),
        teacher=teacher.name,
        digest=teacher.digest,
        texts={part: len(some) for part, some in texts.items()},
        left_out=len(unlabelled) - len(texts["unlabelled"]),
        coverage=_coverage(teacher, {part: texts[part] for part in ("training", "unlabelled") if texts[part]}),
        validation=metrics,
        calibration=teacher.calibration,
    )


def _texts_to_answer(
    data: AnyTrainingData, unlabelled: Sequence[str], augmented_per_text: int, seed: int
) -> dict[str, Sequence[str]]:
    """The texts of each part, without unlabelled ones that are repeated or in the data."""
    parts = [part.texts for part in (data.training, data.validation, data.test) if part]
    known = {text for texts in parts for text in texts}
    usable = tuple(text for text in dict.fromkeys(unlabelled) if text not in known)
    augmented = augment(data.training, augmented_per_text, seed=seed, known={*known, *usable})
    return {"training": data.training.texts, "unlabelled": usable, "augmented": augmented}


class _Progress:
    """Progress over several calls of a teacher.

    Args:
        show: Called with the number of texts that are answered, and of all texts; `None` shows nothing.
        total: Number of texts of all calls.
    """

    def __init__(self, show: Callable[[int, int], None] | None, total: int) -> None:
        self._show, self._total, self._before = show, total, 0

    def of(self, texts: Sequence[str]) -> Callable[[int, int], None]:
        """Returns what shows the progress of the next call, on these texts."""
        before, self._before = self._before, self._before + len(texts)

        def show(done: int, _: int) -> None:
            if self._show:
                self._show(before + done, self._total)

        return show


def _coverage(teacher: AnyTeacher, parts: Mapping[str, Sequence[str]]) -> dict[str, Coverage]:
    found = {part: teacher.coverage(texts) for part, texts in parts.items()}
    return {part: coverage for part, coverage in found.items() if coverage}


def _count(parts: Iterable[Sequence[str]]) -> int:
    return sum(len(texts) for texts in parts)

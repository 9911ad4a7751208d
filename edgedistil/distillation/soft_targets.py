"""What a student learns: the answers of a teacher to training texts, texts without labels, and augmented texts."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistil.distillation.answer_cache import AnswerCache
from edgedistil.distillation.augmentation import augment
from edgedistil.distillation.coverage import Coverage
from edgedistil.distillation.teacher import Teacher
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
        coverage: Coverage of the training texts, and of the unlabelled ones if there are any.
        left_out: Number of texts without labels that were not used, because they are repeated or are in the data.
        validation: Metrics of the teacher on the validation data; `None` if there are none.
        files: Name, digest and number of texts of each file of texts without labels, if the caller adds them.
    """

    soft_targets: SoftTargets
    teacher: str
    digest: str
    texts: Mapping[str, int]
    coverage: Mapping[str, Coverage]
    left_out: int = 0
    validation: Mapping[str, Any] | None = None
    files: Sequence[Mapping[str, Any]] = ()

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
            "metrics": {} if self.validation is None else {"validation": dict(self.validation)},
        }

    def __str__(self) -> str:
        counts = ", ".join(f"{count:,} {part}" for part, count in self.texts.items() if count)
        line = f"teacher {self.teacher}: answered texts: {counts}"
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
    teacher: Teacher,
    data: AnyTrainingData,
    *,
    unlabelled: Sequence[str] = (),
    augmented_per_text: int = 0,
    has_vectors: bool = False,
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
        seed: Seed of the new texts.
        cache: Answers of earlier calls.
        on_progress: Called with the number of texts that are answered, and of all texts.

    Raises:
        DataError: the teacher has other labels or gives another number of them, or the number of new texts is below 0.
        OutputError: the answers cannot be kept.

    Example:
        >>> from edgedistil.data import TrainingData, read_labelled_texts
        >>> data = TrainingData.prepare(read_labelled_texts("test.csv"))
        >>> answers = ask_teacher(Teacher.load("intents"), data, unlabelled=["the music is on", "play music"])
        >>> answers.texts, answers.left_out
        ({'training': 15, 'unlabelled': 1, 'augmented': 0}, 1)
    """
    if augmented_per_text < 0:
        raise DataError(f"`augmented_per_text` must be a whole number from 0 up. Received: {augmented_per_text}")
    teacher.check_data(data)
    parts = [part.texts for part in (data.training, data.validation, data.test) if part]
    known = {text for texts in parts for text in texts}
    usable = tuple(text for text in dict.fromkeys(unlabelled) if text not in known)
    augmented = augment(data.training, augmented_per_text, seed=seed, known={*known, *usable})
    texts = {"training": data.training.texts, "unlabelled": usable, "augmented": augmented}
    validation = data.validation.texts if data.validation else ()
    logits = _ask(teacher, data.labels, {**texts, "validation": validation}, cache, on_progress)
    metrics = None
    if data.validation:
        task = task_of(data)
        thresholds = teacher.thresholds_of(data.labels) if teacher.thresholds else ()
        metrics = task.score(task.probabilities(logits["validation"]), task.targets(data.validation), thresholds)
    more_logits = np.concatenate([logits["unlabelled"], logits["augmented"]])
    vectors = None
    if has_vectors:
        vectors = np.concatenate([teacher.vectors(found, cache=cache) for found in texts.values() if found])
    return TeacherAnswers(
        soft_targets=SoftTargets(logits["training"], (*usable, *augmented), more_logits, vectors),
        teacher=teacher.name,
        digest=teacher.digest,
        texts={part: len(found) for part, found in texts.items()},
        left_out=len(unlabelled) - len(usable),
        coverage={part: teacher.coverage(texts[part]) for part in ("training", "unlabelled") if texts[part]},
        validation=metrics,
    )


def _ask(
    teacher: Teacher,
    labels: Sequence[str],
    parts: Mapping[str, Sequence[str]],
    cache: AnswerCache | None,
    on_progress: Callable[[int, int], None] | None,
) -> dict[str, NDArray[np.float32]]:
    """The logits of each part; each has its own file in the cache, so that more texts do not ask for all again."""
    total, done = _count(parts.values()), 0
    found = {}
    for part, texts in parts.items():

        def show(of_part: int, _: int, before: int = done) -> None:
            if on_progress:
                on_progress(before + of_part, total)

        found[part] = teacher.logits(texts, labels, cache=cache, on_progress=show)
        done += len(texts)
    return found


def _count(parts: Iterable[Sequence[str]]) -> int:
    return sum(len(texts) for texts in parts)

"""A teacher of several workers: worker 0 asks it, and the others get its answers.

Answers of several machines would differ in their last digits, and no two workers may train on different targets.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgedistil.distillation.answer_cache import AnswerCache
from edgedistil.distillation.answering import AnyTeacher, OnProgress
from edgedistil.distillation.coverage import Coverage
from edgedistil.training.team import Team

__all__ = ["SharedTeacher"]


class SharedTeacher(AnyTeacher):
    """The teacher that all workers have, asked by one of them.

    Args:
        teacher: The teacher; the same on all workers.
        team: The workers.

    Raises:
        WorkerError: Another worker has another teacher, or was lost.
    """

    def __init__(self, teacher: AnyTeacher, team: Team) -> None:
        self._teacher, self._team = teacher, team
        self.name, self.labels, self.thresholds = teacher.name, teacher.labels, teacher.thresholds
        self.width, self.num_layers, self.calibration = teacher.width, teacher.num_layers, teacher.calibration
        team.check_equal({"the teacher (`teacher`)": teacher.digest.encode()})

    @property
    def digest(self) -> str:
        """Digest of the teacher."""
        return self._teacher.digest

    def coverage(self, texts: Sequence[str]) -> Coverage | None:
        """Counts the words of texts that its vocabulary has."""
        return self._teacher.coverage(texts)

    def _answer(self, texts: Sequence[str], kind: str) -> NDArray[np.float32]:
        return self._teacher._answer(texts, kind)

    def _answer_all(
        self,
        texts: Sequence[str],
        kind: str,
        width: int,
        cache: AnswerCache | None,
        on_progress: OnProgress | None,
    ) -> NDArray[np.float32]:
        found = np.zeros((0, width), "float32")
        if self._team.is_chief:
            found = super()._answer_all(texts, kind, width, cache, on_progress)
        return self._team.array_from_chief(found)

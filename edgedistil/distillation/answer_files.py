"""A teacher's answers in files that `edgedistil predict -o` wrote, as a student learns them.

If it was asked for all labels (`top`), a row has the probability of each: `label`, `score`, `label_2`, `score_2` and so
on. With fewer, what is left of 1 is divided equally between the others.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistil.data import MultiLabelTrainingData
from edgedistil.data.reading import read_rows
from edgedistil.data.rows import Row, is_blank, usable_rows, value_at
from edgedistil.data.spelling import label_name, spelled_as
from edgedistil.distillation.file_teacher import logits_of, set_logits_of
from edgedistil.distillation.soft_targets import TeacherAnswers
from edgedistil.training.objective import SoftTargets
from edgedistil.training.record import file_record
from edgedistil.training.tasks import AnyTrainingData, task_of
from edgedistil_runtime.errors import DataError

__all__ = ["read_teacher_answers"]

_LAST_COLUMN = "is_truncated"  # of what `predict` adds to a row; its name ends like this, after a prefix
_MOST_SHOWN = 3


def read_teacher_answers(
    paths: Sequence[Path], data: AnyTrainingData, *, text_column: str = "text", delimiter: str | None = None
) -> TeacherAnswers:
    r"""Reads answers to all training texts, and to any number of texts without labels.

    A text that several rows have is read from the first one. Answers to validation texts measure the teacher; those to
    test texts are left out.

    Args:
        paths: Files.
        data: Data to train the student on.
        text_column: Column, or JSON key, of the text.
        delimiter: Separator of a CSV or TSV file; None finds it in the header.

    Raises:
        DataError: A file cannot be read or has no answers, they are of other labels, or training texts have none.

    Example:
        >>> from edgedistil.data import LabelledTexts, TrainingData
        >>> _ = Path("answers.csv").write_text(
        ...     "text,label,score,label_2,score_2,is_truncated\non,a,0.8,b,0.2,false\n"
        ...     "off,b,0.9,a,0.1,false\nelse,b,0.5,a,0.5,false\n"
        ... )
        >>> data = TrainingData(LabelledTexts(("on", "off"), ("a", "b")))
        >>> answers = read_teacher_answers([Path("answers.csv")], data)
        >>> answers.soft_targets.more_texts, answers.soft_targets.logits.round(2).tolist()
        (('else',), [[0.69..., -0.69...], [-1.10..., 1.10...]])
    """
    found: dict[str, NDArray[np.float32]] = {}
    records: list[dict[str, Any]] = []
    for path in paths:
        rows = 0
        reader = _Reader(path, data, text_column)
        for text, probabilities in usable_rows(read_rows(path, (text_column,), delimiter=delimiter), reader.read):
            if text is not None and probabilities is not None:
                found.setdefault(text, probabilities)
                rows += 1
        records.append({**file_record(path), "rows": rows})
    _check_complete(found, data, paths)
    held_out = {text for part in (data.validation, data.test) if part for text in part.texts}
    labelled = set(data.training.texts)
    more = tuple(text for text in found if text not in labelled and text not in held_out)
    to_logits = set_logits_of if isinstance(data, MultiLabelTrainingData) else logits_of
    classes = len(data.labels)

    def logits(texts: Sequence[str]) -> NDArray[np.float32]:
        return to_logits(np.array([found[text] for text in texts], "float32").reshape(len(texts), classes))

    digest = hashlib.sha256("".join(str(record["sha256"]) for record in records).encode()).hexdigest()
    return TeacherAnswers(
        soft_targets=SoftTargets(logits(data.training.texts), more, logits(more)),
        teacher=" and ".join(path.name for path in paths),
        digest=digest,
        texts={"training": len(data.training), "unlabelled": len(more), "augmented": 0},
        coverage={},
        left_out=len(found) - len(labelled) - len(more),
        validation=_metrics(found, data),
        files=records,
    )


class _Reader:
    """Reads the rows of a file; the first row says which columns its answers are in."""

    def __init__(self, path: Path, data: AnyTrainingData, text_column: str) -> None:
        self._path, self._text_column = path, text_column
        self._labels, self._places = data.labels, {label: number for number, label in enumerate(data.labels)}
        self._has_sets = isinstance(data, MultiLabelTrainingData)
        self._columns: list[tuple[str, str]] = []

    def read(self, row: Row) -> tuple[str | None, NDArray[np.float32] | None]:
        """Text and probabilities of the classes; None for a blank text, or a row without an answer."""
        self._columns = self._columns or self._answer_columns(row.values)
        text = value_at(row.values, self._text_column)
        if is_blank(text) or is_blank(row.values[self._columns[0][0]]):
            return None, None
        return text, self._probabilities(row)

    def _answer_columns(self, values: Mapping[str, Any]) -> list[tuple[str, str]]:
        prefixes = [name.removesuffix(_LAST_COLUMN) for name in values if name.endswith(_LAST_COLUMN)]
        if len(prefixes) != 1:
            raise DataError(
                f"{self._path} must have the answers of one teacher (`teacher_answers`), as `edgedistil predict` "
                f"writes them with `output` and `top`. Received: the columns {', '.join(values)}"
            )
        prefix, found = prefixes[0], []
        if (f"{prefix}labels" in values) != self._has_sets:
            due, other = ("any number of labels", "one label")[:: 1 if self._has_sets else -1]
            raise DataError(
                f"{self._path}: a teacher (`teacher_answers`) must give a text {due}, as the training data do. "
                f"Received: answers with {other}"
            )
        ends = ["", *(f"_{rank}" for rank in range(2, len(values)))]
        for end in ends:
            pair = (f"{prefix}label{end}", f"{prefix}score{end}")
            if not all(name in values for name in pair):
                break
            found.append(pair)
        least = len(self._labels) if self._has_sets else 2
        if len(found) < least:
            raise DataError(
                f"{self._path} must have the scores of {'all' if self._has_sets else 'several'} labels: write it with "
                f"`top` {len(self._labels)}. Received: {len(found)} in each row"
            )
        return found

    def _probabilities(self, row: Row) -> NDArray[np.float32]:
        names = spelled_as([label_name(row.values[label]) for label, _ in self._columns], self._labels)
        probabilities = np.full(len(self._labels), np.nan)
        for name, (_, score) in zip(names, self._columns, strict=True):
            if name not in self._places:
                raise DataError(
                    f"{self._path}, {row.where}: a teacher (`teacher_answers`) must have the labels of the training "
                    f"data. Received: {name!r}"
                )
            probabilities[self._places[name]] = self._score(row, score)
        others = np.isnan(probabilities)
        if others.any():
            probabilities[others] = max(0.0, 1.0 - float(np.nansum(probabilities))) / int(others.sum())
        return probabilities.astype("float32")

    def _score(self, row: Row, column: str) -> float:
        try:
            score = float(row.values[column])
        except (TypeError, ValueError):
            score = math.nan
        if not 0 <= score <= 1:
            raise DataError(
                f"{self._path}, {row.where}: a score is a number from 0 to 1. Received: {row.values[column]!r} in "
                f"{column}"
            )
        return score


def _check_complete(found: Mapping[str, NDArray[np.float32]], data: AnyTrainingData, paths: Sequence[Path]) -> None:
    missing = [text for text in data.training.texts if text not in found]
    if missing:
        shown = ", ".join(repr(text) for text in missing[:_MOST_SHOWN])
        raise DataError(
            f"A teacher must answer all training texts. {', '.join(path.name for path in paths)} has no answer to "
            f"{len(missing)} of {len(data.training)}: {shown}{', ...' if len(missing) > _MOST_SHOWN else ''}. Label "
            "the training data too, with `edgedistil predict`, and pass both files (`teacher_answers`)"
        )


def _metrics(found: Mapping[str, NDArray[np.float32]], data: AnyTrainingData) -> dict[str, Any] | None:
    """Scores of the answers to the validation texts; None if there are none or they are not all answered."""
    held_out = data.validation
    if (
        held_out is None
        or isinstance(data, MultiLabelTrainingData)
        or any(text not in found for text in held_out.texts)
    ):
        return None
    task = task_of(data)
    return task.score(np.array([found[text] for text in held_out.texts]), task.targets(held_out), ())

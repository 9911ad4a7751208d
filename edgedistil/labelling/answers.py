"""The columns that a model's answers become: their names, types and values."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow

from edgedistil_runtime.errors import DataError

if TYPE_CHECKING:
    from edgedistil_runtime import Classification
    from edgedistil_runtime.metadata import ArtifactMetadata

__all__ = ["AnswerColumns", "answer_columns"]


@dataclass(frozen=True)
class AnswerColumns:
    """The new columns of an output.

    Attributes:
        names: Names, in the order of the columns: `label`, `score`, `label_2`, `score_2`, ..., `is_truncated`. First
            comes `labels` if the model gives several, and before the last `unknown_score` and `is_unknown` if it
            recognizes texts with none of its labels.
        top: Labels for each row.
        has_sets: The model gives several labels.
        has_unknown: The model recognizes texts with none of its labels.
        label_separator: What separates the labels in the cells of `labels`; None for lists.

    Example:
        >>> AnswerColumns(("label", "score", "is_truncated"), top=1).values([None])
        {'label': [None], 'score': [None], 'is_truncated': [None]}
    """

    names: tuple[str, ...]
    top: int
    has_sets: bool = False
    has_unknown: bool = False
    label_separator: str | None = None

    def values(self, answers: "Sequence[Classification | None]") -> dict[str, list[Any]]:
        """The cells of each column; those of a row without an answer are None."""
        columns: list[list[Any]] = [[one and self._cell(one.labels or ()) for one in answers]] if self.has_sets else []
        columns += [[one and one.label for one in answers], [one and one.score for one in answers]]
        columns.extend(self._further_columns(answers))
        if self.has_unknown:
            columns += [[one and one.unknown_score for one in answers], [one and one.is_unknown for one in answers]]
        columns.append([one and one.is_truncated for one in answers])
        return dict(zip(self.names, columns, strict=True))

    def types(self) -> dict[str, Any]:
        """The Arrow type of each column, which its values have even if all of them are None."""
        label, score, flag = pyarrow.string(), pyarrow.float64(), pyarrow.bool_()
        sets = [pyarrow.list_(label) if self.label_separator is None else label] if self.has_sets else []
        unknown = [score, flag] if self.has_unknown else []
        return dict(zip(self.names, [*sets, *[label, score] * self.top, *unknown, flag], strict=True))

    def _cell(self, labels: tuple[str, ...]) -> str | list[str]:
        return list(labels) if self.label_separator is None else self.label_separator.join(labels)

    def _further_columns(self, answers: "Sequence[Classification | None]") -> Iterator[list[Any]]:
        ranked = [answer.top(self.top) if answer else [(None, None)] * self.top for answer in answers]
        for rank in range(1, self.top):
            yield [one[rank][0] for one in ranked]
            yield [one[rank][1] for one in ranked]


def answer_columns(
    metadata: "ArtifactMetadata", *, top: int = 1, prefix: str = "", label_separator: str | None = None
) -> AnswerColumns:
    """The columns for a model's answers.

    Args:
        metadata: The model's metadata.
        top: Labels for each row; all of them if there are fewer.
        prefix: Prefix of the names.
        label_separator: What separates the labels of a multi-label model; None for lists.

    Raises:
        DataError: The model gives one label, or the separator is empty, or a label contains it.

    Example:
        >>> from edgedistil_runtime import read_artifact
        >>> answer_columns(read_artifact("intents.tflite").metadata, top=2, prefix="p_").names
        ('p_label', 'p_score', 'p_label_2', 'p_score_2', 'p_is_truncated')
    """
    _check_separator(label_separator, metadata)
    top = min(top, len(metadata.labels))
    has_sets, has_unknown = metadata.decision.is_multi_label, metadata.unknown_rule is not None
    ends = ["" if rank == 1 else f"_{rank}" for rank in range(1, top + 1)]
    ranked = (f"{name}{end}" for end in ends for name in ("label", "score"))
    first = ("labels",) if has_sets else ()
    unknown = ("unknown_score", "is_unknown") if has_unknown else ()
    names = tuple(f"{prefix}{name}" for name in (*first, *ranked, *unknown, "is_truncated"))
    return AnswerColumns(names, top, has_sets, has_unknown, label_separator)


def _check_separator(separator: str | None, metadata: "ArtifactMetadata") -> None:
    """Refuses a separator that cannot tell the labels apart."""
    if separator is None:
        return
    if not metadata.decision.is_multi_label:
        raise DataError(
            "Labels are separated (`label_separator`) in the output of a multi-label model. "
            f"Received: {metadata.name}, which gives every text one label. Leave out `label_separator`."
        )
    containing = [label for label in metadata.labels if separator in label]
    if containing:
        raise DataError(
            "`label_separator` must be a text that no label contains. "
            f"Received: {separator!r}, and the label {containing[0]!r}. Choose another one, or none for lists."
        )

"""Reads texts with any number of labels each: lists, cells with a separator, or a column of 0 and 1 for each label."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from edgedistil.data.cells import check_label, check_text
from edgedistil.data.opening import format_of
from edgedistil.data.reading import SkippedCounter, data_rows, no_examples
from edgedistil.data.remarks import Remarks
from edgedistil.data.rows import BadRow, Row, is_blank, usable_rows
from edgedistil.data.spelling import label_name, spelled_as, surrounded_by_blanks
from edgedistil_runtime.errors import DataError

__all__ = ["MultiLabelTexts", "guess_label_separator", "has_label_lists", "read_label_sets"]

LabelSet = tuple[str, ...]

_WITH_LISTS = (".jsonl", ".ndjson", ".json", ".parquet")
_SEPARATORS = "|;,"  # that labels are found to contain
_SHARE_TO_REMARK = 0.05  # of the rows
_IS_SET: Mapping[str | None, bool] = {"0": False, "false": False, "1": True, "true": True}


@dataclass(frozen=True)
class MultiLabelTexts:
    """Texts with any number of labels each.

    Attributes:
        texts: Texts, none of them blank.
        label_sets: Labels of each text, in the same order: distinct, in the order of the file, maybe none.
        path: File that they come from; `None` if they were made in memory.
        columns: Columns of the file that are labels; empty if the labels are in one column.
        remarks: Rows of the file that were skipped, and labels with blanks around them.

    Example:
        >>> texts = MultiLabelTexts(("too late and broken", "thanks"), (("delivery", "damage"), ()))
        >>> len(texts), texts.name, sorted(texts.counts().items())
        (2, 'the given texts', [('damage', 1), ('delivery', 1)])
    """

    texts: tuple[str, ...]
    label_sets: tuple[LabelSet, ...]
    path: Path | None = None
    columns: tuple[str, ...] = ()
    remarks: Remarks = field(default_factory=Remarks, compare=False)

    def __post_init__(self) -> None:
        if len(self.texts) != len(self.label_sets):
            raise DataError(
                "Every text needs one list of labels, which may be empty. "
                f"Received: {len(self.texts)} texts and {len(self.label_sets)} lists"
            )

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def name(self) -> str:
        """File name, for messages; never a whole path."""
        return self.path.name if self.path else "the given texts"

    def counts(self) -> dict[str, int]:
        """Number of texts of each label that occurs."""
        found: dict[str, int] = {}
        for label in chain.from_iterable(self.label_sets):
            found[label] = found.get(label, 0) + 1
        return found

    def rows(self, numbers: Sequence[int]) -> "MultiLabelTexts":
        """Some of the texts, without the remarks."""
        texts = tuple(self.texts[number] for number in numbers)
        return replace(
            self, texts=texts, label_sets=tuple(self.label_sets[number] for number in numbers), remarks=Remarks()
        )

    def spelled_as(self, labels: Sequence[str]) -> "MultiLabelTexts":
        """The same texts with labels in the spelling of a classifier, as `LabelledTexts.spelled_as`.

        Example:
            >>> MultiLabelTexts(("a",), (("true", "3"),)).spelled_as(("3.0", "True")).label_sets
            (('True', '3.0'),)
        """
        own = tuple(self.counts())
        spelling = dict(zip(own, spelled_as(own, labels), strict=True))
        return replace(self, label_sets=tuple(tuple(spelling[one] or one for one in few) for few in self.label_sets))


def read_label_sets(
    path: str | Path,
    *,
    text_column: str = "text",
    label_column: str = "label",
    label_separator: str | None = None,
    label_columns: Sequence[str] = (),
    delimiter: str | None = None,
    strip_labels: bool = False,
) -> MultiLabelTexts:
    r"""Reads texts and the labels of each; an empty list, or an empty cell with a separator, is no label.

    A row without a text is skipped and counted, and so is one whose list is null or whose label columns are all blank.

    Args:
        path: As in `read_labelled_texts`.
        text_column: Column, or JSON key, of the text.
        label_column: Column, or JSON key, of the labels: a list, or with `label_separator` a string.
        label_separator: What separates the labels in a cell, such as `|`.
        label_columns: A column for each label, whose cells are 0 or 1, instead of `label_column`.
        delimiter: Separator of a CSV or TSV file; None finds it in the header.
        strip_labels: Remove blanks around labels.

    Raises:
        DataError: The file, a column or rows cannot be used; the message names which.

    Example:
        >>> _ = Path("tags.csv").write_text("text,label\ntoo late,delivery\nlate and broken,delivery|damage\nhi,\n")
        >>> read_label_sets("tags.csv", label_separator="|").label_sets
        (('delivery',), ('delivery', 'damage'), ())
        >>> _ = Path("tags.jsonl").write_text('{"text": "hi", "delivery": 0, "damage": 1}')
        >>> read_label_sets("tags.jsonl", label_columns=["delivery", "damage"]).label_sets
        (('damage',),)
    """
    source, columns = Path(path), tuple(label_columns)
    _check_format(label_separator, columns)
    if columns:
        read, labels_in = _zeros_and_ones(source, columns), columns
    else:
        read, labels_in = _one_cell(source, label_column, label_separator, strip=strip_labels), (label_column,)

    def example(row: Row) -> tuple[Row, str | None, LabelSet | None]:
        text = row.values[text_column]
        if is_blank(text):
            labels = [value for column in labels_in if not is_blank(value := row.values[column])]
            return row, None, () if any(labels) else None
        return row, check_text(text, text_column, source, row.where), read(row)

    texts, sets, skipped = [], [], SkippedCounter()
    for row, text, labels in usable_rows(data_rows(source, (text_column, *labels_in), delimiter=delimiter), example):
        if text is None or labels is None:
            skipped.add(row, text, labels)
        else:
            texts.append(text)
            sets.append(labels)
    if not texts:
        raise no_examples(source, skipped.summary())
    remarks = Remarks(skipped.summary(), *surrounded_by_blanks(chain.from_iterable(sets)))
    return MultiLabelTexts(tuple(texts), tuple(sets), source, columns, remarks)


def has_label_lists(path: str | Path, *, label_column: str = "label") -> bool:
    """True if the first label of a file is a list, as JSON and Parquet can have it; False also for a bad file.

    Example:
        >>> _ = Path("tags.jsonl").write_text('{"text": "hi", "label": ["greeting", "short"]}')
        >>> has_label_lists("tags.jsonl"), has_label_lists("train.csv")
        (True, False)
    """
    if format_of(Path(path)) not in _WITH_LISTS:
        return False
    try:
        for row in data_rows(Path(path), (label_column,)):
            if isinstance(row, BadRow):
                return False
            if not is_blank(value := row.values[label_column]):
                return isinstance(value, list)
    except DataError:  # the reader of its labels names it
        return False
    return False


def guess_label_separator(labels: Sequence[str]) -> str | None:
    """The character that seems to separate labels, if class names look like several labels written together.

    At least a twentieth of the rows have the character, and some of its parts are classes too, or parts of others.

    Example:
        >>> guess_label_separator(["late", "late|broken", "broken|dirty", "dirty"])
        '|'
        >>> guess_label_separator(["books, films", "food, drinks"]) is None
        True
    """
    for separator in _SEPARATORS:
        joined = [label for label in labels if separator in label]
        if not joined or len(joined) < _SHARE_TO_REMARK * len(labels):
            continue
        classes = set(labels)
        parts = [part.strip() for label in sorted({*joined}) for part in label.split(separator)]
        if len(set(parts)) < len(parts) or classes.intersection(parts):
            return separator
    return None


def _check_format(separator: str | None, columns: tuple[str, ...]) -> None:
    if separator is not None and columns:
        raise DataError(
            "Labels are in one column (`label_separator`) or in a column for each (`label_columns`). Received: both"
        )
    if separator is not None and (not separator or "\n" in separator or "\r" in separator):
        raise DataError(f"`label_separator` must be a character or a word, such as '|'. Received: {separator!r}")
    if columns and (len(set(columns)) < 2 or len(set(columns)) < len(columns)):
        raise DataError(f"`label_columns` must be two or more different columns. Received: {', '.join(columns)}")


_Read = Callable[[Row], LabelSet | None]


def _zeros_and_ones(path: Path, columns: tuple[str, ...]) -> _Read:
    """Reads a row with a column for each label."""

    def read(row: Row) -> LabelSet | None:
        if all(is_blank(row.values[column]) for column in columns):
            return None
        return tuple(check_label(column, column, path, row.where) for column in columns if is_set(row, column))

    def is_set(row: Row, column: str) -> bool:
        value = row.values[column]
        found = _IS_SET.get(label_name(value.strip() if isinstance(value, str) else value))
        if found is None:
            remedy = "Write 1 if the text has the label, and 0 if it does not"
            raise BadRow(
                path, row.where, f"the cell in the label column {column!r} must be 0 or 1", remedy, repr(value)
            )
        return found

    return read


def _one_cell(path: Path, column: str, separator: str | None, *, strip: bool) -> _Read:
    """Reads a row whose labels are a list, or a string with a separator."""

    def read(row: Row) -> LabelSet | None:
        value = row.values[column]
        if value is None:
            return None
        if isinstance(value, list):
            return _distinct(checked(row, item, value) for item in value)
        if separator is None:
            reason = f"the labels in column {column!r} must be a list"
            remedy = "Write a list in every row, or pass `label_separator` for strings such as 'a|b'"
            raise BadRow(path, row.where, reason, remedy, repr(value))
        if is_blank(value):
            return ()
        parts = value.split(separator) if isinstance(value, str) else [value]
        return _distinct(checked(row, part, value) for part in parts)

    def checked(row: Row, item: Any, value: Any) -> str:
        if is_blank(item):
            reason = f"a label in column {column!r} is empty"
            raise BadRow(path, row.where, reason, "Write a class name there, or remove it", repr(value))
        name = check_label(item, column, path, row.where, strip=strip)
        if separator is not None and separator in name:  # only in a list
            reason = f"a label in column {column!r} contains the separator {separator!r}"
            raise BadRow(path, row.where, reason, "Choose another `label_separator`, or none for lists", repr(value))
        return name

    return read


def _distinct(labels: Iterable[str]) -> LabelSet:
    return tuple(dict.fromkeys(labels))

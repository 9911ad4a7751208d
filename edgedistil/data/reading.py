"""Reads texts and labels from files and directories; every error names the file and the row.

Rows are numbered as a spreadsheet or an editor shows them: the header of a CSV or TSV file is row 1 and its first
example row 2; in JSON Lines a row is a line; in Parquet and in a JSON list, which have no header row, the first example
is row 1. docs/data.md lists the formats and the choices.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol, cast

from edgedistil.data.cells import check_label, check_text, check_utf8
from edgedistil.data.folder_rows import folder_rows
from edgedistil.data.json_rows import json_line_rows, json_rows
from edgedistil.data.opening import GZIP, format_of
from edgedistil.data.parquet_rows import parquet_rows
from edgedistil.data.remarks import Remarks, SkippedRows
from edgedistil.data.rows import BadRow, Row, has_value, is_blank, usable_rows, value_at
from edgedistil.data.separated import check_delimiter, separated_rows
from edgedistil.data.spelling import label_name, spelled_as, surrounded_by_blanks
from edgedistil_runtime.errors import DataError

__all__ = [
    "LEGAL_EXTENSIONS",
    "LabelledTexts",
    "SkippedCounter",
    "check_data_file",
    "data_rows",
    "no_examples",
    "read_labelled_texts",
    "read_rows",
    "read_text_rows",
    "read_texts",
    "read_texts_and_labels",
]


class _Reader(Protocol):
    def __call__(self, path: Path, columns: tuple[str, ...], *, is_whole: bool = False) -> Iterator[Row | BadRow]: ...


_READERS: Mapping[str, _Reader] = {
    ".csv": separated_rows,
    ".tsv": separated_rows,
    ".jsonl": json_line_rows,
    ".ndjson": json_line_rows,
    ".json": json_rows,
    ".parquet": parquet_rows,
}
LEGAL_EXTENSIONS = (*_READERS, *(extension + GZIP for extension in _READERS if extension != ".parquet"))
_MOST_SKIPPED_NAMED = 10


@dataclass(frozen=True)
class LabelledTexts:
    """Texts with a label each.

    Attributes:
        texts: Texts, none of them blank.
        labels: Label of each text, in the same order.
        path: File that they come from; `None` if they were made in memory.
        remarks: Rows of the file that were skipped, and labels with blanks around them.

    Example:
        >>> texts = LabelledTexts(("turn it on", "turn it off"), ("on", "off"))
        >>> len(texts), texts.name
        (2, 'the given texts')
    """

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    path: Path | None = None
    remarks: Remarks = field(default_factory=Remarks, compare=False)

    def __post_init__(self) -> None:
        if len(self.texts) != len(self.labels):
            raise DataError(
                f"Every text needs one label. Received: {len(self.texts)} texts and {len(self.labels)} labels"
            )

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def name(self) -> str:
        """File name, for messages; never a whole path."""
        return self.path.name if self.path else "the given texts"

    def spelled_as(self, labels: Sequence[str]) -> "LabelledTexts":
        """The same texts with labels in the spelling of a classifier, which may have been trained on `True` or `3.0`.

        Example:
            >>> LabelledTexts(("a", "b"), ("true", "3")).spelled_as(("3.0", "True")).labels
            ('True', '3.0')
        """
        return replace(self, labels=cast(tuple[str, ...], spelled_as(self.labels, labels)))


def read_labelled_texts(
    path: str | Path,
    *,
    text_column: str = "text",
    label_column: str = "label",
    delimiter: str | None = None,
    strip_labels: bool = False,
) -> LabelledTexts:
    r"""Reads texts and their labels.

    A row whose text or label is blank is skipped and counted.

    Args:
        path: A file with one of `LEGAL_EXTENSIONS`, or a directory with a folder of `.txt` files for each class.
        text_column: Column, or JSON key, of the text; `data.text` is also the key `text` in the object `data`.
        label_column: Column, or JSON key, of the label. Booleans become `true` and `false`, whole numbers lose their
            fraction, and other numbers become their decimal string.
        delimiter: Separator of a CSV or TSV file; None finds it in the header.
        strip_labels: Remove blanks around labels.

    Returns:
        The examples in the order of the file.

    Raises:
        DataError: The file, a column or rows cannot be used; the message names which.

    Example:
        >>> texts = read_labelled_texts("train.csv")
        >>> sorted(set(texts.labels)), texts.texts[0]
        (['lights', 'music', 'weather'], 'turn the lights on')
        >>> _ = Path("gaps.csv").write_text("text;label\nhi; greeting\n;\nbye;\n")
        >>> gaps = read_labelled_texts("gaps.csv", strip_labels=True)
        >>> gaps.labels, gaps.remarks.skipped.count
        (('greeting',), 2)
    """
    source = Path(path)
    texts: list[str] = []
    labels: list[str] = []
    skipped = SkippedCounter()
    example = partial(_example, columns=(text_column, label_column), path=source, strip_labels=strip_labels)
    for row, text, label in usable_rows(data_rows(source, (text_column, label_column), delimiter=delimiter), example):
        if text is None or label is None:
            skipped.add(row, text, label)
        else:
            texts.append(text)
            labels.append(label)
    if not texts:
        raise no_examples(source, skipped.summary())
    return LabelledTexts(tuple(texts), tuple(labels), source, Remarks(skipped.summary(), *surrounded_by_blanks(labels)))


def _example(
    row: Row, columns: tuple[str, str], path: Path, *, strip_labels: bool
) -> tuple[Row, str | None, str | None]:
    """The row, its text and its label; None for a blank one."""
    text, label = (row.values[column] for column in columns)
    return (
        row,
        None if is_blank(text) else check_text(text, columns[0], path, row.where),
        None if is_blank(label) else check_label(label, columns[1], path, row.where, strip=strip_labels),
    )


class SkippedCounter:
    """Counts skipped rows.

    Example:
        >>> counter = SkippedCounter()
        >>> counter.add(Row(3, {}), text=None, label="on")
        >>> counter.summary().describe()
        '1 row skipped: 1 row without a text (row 3)'
    """

    def __init__(self) -> None:
        self._rows = {"blank_rows": 0, "blank_texts": 0, "missing_labels": 0}
        self._first: list[str] = []

    def add(self, row: Row, text: str | None, label: object) -> None:
        """Counts a row; None for what it lacks."""
        kind = "missing_labels" if text is not None else "blank_rows" if label is None else "blank_texts"
        self._rows[kind] += 1
        if len(self._first) < _MOST_SKIPPED_NAMED:
            self._first.append(row.where)

    def summary(self) -> SkippedRows:
        """The numbers so far."""
        return SkippedRows(**self._rows, first=tuple(self._first))


def read_texts(path: str | Path, text_column: str = "text", *, delimiter: str | None = None) -> tuple[str, ...]:
    """Reads texts without labels, as calibration needs them; blank texts are skipped, and a label column is ignored.

    Args:
        path: A file or directory as in `read_labelled_texts`.
        text_column: Column, or JSON key, of the text.
        delimiter: Separator of a CSV or TSV file; None finds it in the header.

    Returns:
        The texts in the order of the file.

    Raises:
        DataError: The file, the column or rows cannot be used; the message names which.

    Example:
        >>> len(read_texts("texts.csv"))
        15
    """
    rows = read_text_rows(path, (text_column,), delimiter=delimiter)
    texts = tuple(text for (text,) in rows if text is not None)
    if not texts:
        raise no_examples(path)
    return texts


def read_text_rows(
    path: str | Path, columns: tuple[str, ...], *, delimiter: str | None = None
) -> list[tuple[str | None, ...]]:
    r"""Reads one or several texts of every row, blank ones too.

    Args:
        path: A file or directory as in `read_labelled_texts`.
        columns: Columns, or JSON keys, of the texts.
        delimiter: Separator of a CSV or TSV file; None finds it in the header.

    Returns:
        The texts of each row, in the order of `columns`; None for a blank one.

    Raises:
        DataError: The file, a column or rows cannot be used; the message names which.

    Example:
        >>> _ = Path("gaps.csv").write_text("id;text\n1;hi\n2;\n")
        >>> read_text_rows("gaps.csv", ("text",))
        [('hi',), (None,)]
    """
    source = Path(path)

    def texts_of(row: Row) -> tuple[str | None, ...]:
        cells = ((row.values[column], column) for column in columns)
        return tuple(None if is_blank(cell) else check_text(cell, column, source, row.where) for cell, column in cells)

    rows = list(usable_rows(data_rows(source, columns, delimiter=delimiter), texts_of))
    if not rows:
        raise no_examples(source)
    return rows


def read_texts_and_labels(
    path: str | Path,
    *,
    text_column: str = "text",
    label_column: str = "label",
    delimiter: str | None = None,
    strip_labels: bool = False,
) -> tuple[tuple[str, ...], tuple[str | None, ...]]:
    """Reads texts, and their labels as far as there are any; blank texts are skipped.

    Args:
        path: A file or directory as in `read_labelled_texts`.
        text_column: Column, or JSON key, of the text.
        label_column: Column, or JSON key, of the label.
        delimiter: Separator of a CSV or TSV file; None finds it in the header.
        strip_labels: Remove blanks around labels.

    Returns:
        The texts in the order of the file, and the label of each or None; no labels if no row has one.

    Raises:
        DataError: The file, the text column or rows cannot be used; the message names which.

    Example:
        >>> read_texts_and_labels("test.csv")[1][:2], read_texts_and_labels("texts.csv")[1]
        (('lights', 'lights'), ())
    """
    texts: list[str] = []
    labels: list[str | None] = []
    for row in read_rows(path, (text_column,), delimiter=delimiter):
        text = value_at(row.values, text_column)
        if is_blank(text):
            continue
        value = value_at(row.values, label_column) if has_value(row.values, label_column) else None
        value = value.strip() if isinstance(value, str) and strip_labels else value
        label = None if is_blank(value) else label_name(value)
        texts.append(text)
        labels.append(label)
    if not texts:
        raise no_examples(path)
    return tuple(texts), tuple(labels) if any(labels) else ()


def read_rows(path: str | Path, text_columns: tuple[str, ...], *, delimiter: str | None = None) -> Iterator[Row]:
    """Reads whole rows one after another, in bounded memory (except a `.json` list).

    Args:
        path: A file or directory as in `read_labelled_texts`.
        text_columns: Columns, or JSON keys, of texts.
        delimiter: Separator of a CSV or TSV file; None finds it in the header.

    Yields:
        Each row with all its columns; its texts are UTF-8 strings, or blank, and so is every other string in it.

    Raises:
        DataError: The file, a column or rows cannot be used; the message names which.

    Example:
        >>> row = next(read_rows("test.csv", ("text",)))
        >>> row.number, row.values
        (2, {'text': 'turn the lights on', 'label': 'lights'})
    """
    source = Path(path)

    def checked(row: Row) -> Row:
        for column in text_columns:
            value = value_at(row.values, column)
            if not is_blank(value):
                check_text(value, column, source, row.where)
        for value in (*row.values, *row.values.values()):
            check_utf8(value, source, row.where)
        return row

    yield from usable_rows(data_rows(source, text_columns, is_whole=True, delimiter=delimiter), checked)


def data_rows(
    path: Path, columns: tuple[str, ...], *, is_whole: bool = False, delimiter: str | None = None
) -> Iterator[Row | BadRow]:
    """Reads the rows of a file as they are, and errors in the places of those that lack a column.

    Args:
        path: A file or directory as in `read_labelled_texts`.
        columns: Columns, or JSON keys, to read.
        is_whole: Read all columns, not only these.
        delimiter: Separator of a CSV or TSV file; None finds it in the header.

    Raises:
        DataError: The file or a column cannot be used.
    """
    check_delimiter(delimiter)
    check_data_file(path)
    if path.is_dir():
        return folder_rows(path, columns, is_whole=is_whole)
    reader = _READERS[format_of(path)]
    if reader is separated_rows:
        return separated_rows(path, columns, is_whole=is_whole, delimiter=delimiter)
    return reader(path, columns, is_whole=is_whole)


def check_data_file(path: Path) -> None:
    """Checks a path before it is read.

    Raises:
        DataError: The extension is not legal, there is no such file, it is no regular file, or it is empty.

    Example:
        >>> check_data_file(Path("train.csv"))
        >>> check_data_file(Path("train.xlsx"))
        Traceback (most recent call last):
        edgedistil_runtime.errors.DataError: The extension of a data file must be one of .csv, ...
    """
    if path.is_dir():
        return
    is_compressed = path.suffix.lower() == GZIP
    if format_of(path) not in _READERS or (is_compressed and format_of(path) == ".parquet"):
        raise DataError(
            f"The extension of a data file must be one of {', '.join(_READERS)}, or one of these but .parquet with "
            f"{GZIP} after it; or give a directory with a folder of .txt files for each class. Received: {path}"
        )
    if not path.exists():
        raise DataError(f"There is no data file {path}. Check the path; it is taken relative to {Path.cwd()}")
    if not path.is_file():
        raise DataError(f"A data file must be a regular file or a directory. Received: {path}, which is neither")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes). It needs a row for every text")


def no_examples(path: str | Path, skipped: SkippedRows | None = None) -> DataError:
    """The error for a file without rows that can be used."""
    if skipped and skipped.count:
        return DataError(f"{path} has no example in it. Received: {skipped.describe()}")
    return DataError(f"{path} has no example in it. Received: a file without a single row of data")

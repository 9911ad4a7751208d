"""Reads texts and labels from CSV, TSV, JSON Lines and Parquet; every error names the file and the row.

Rows are numbered as a spreadsheet or an editor shows them: the header of a CSV or TSV file is row 1 and its first
example row 2; in JSON Lines a row is a line; in Parquet, which has no header row, the first example is row 1.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from edgedistil.data import tables
from edgedistil.data.tables import Row
from edgedistil_runtime.errors import DataError

__all__ = [
    "LEGAL_EXTENSIONS",
    "LabelledTexts",
    "check_data_file",
    "check_text",
    "no_examples",
    "read_labelled_texts",
    "read_rows",
    "read_texts",
    "read_texts_and_labels",
]


class _Reader(Protocol):
    def __call__(self, path: Path, columns: tuple[str, ...], *, is_whole: bool = False) -> Iterator[Row]: ...


_READERS: Mapping[str, _Reader] = {
    ".csv": tables.csv_rows,
    ".tsv": tables.tsv_rows,
    ".jsonl": tables.json_line_rows,
    ".ndjson": tables.json_line_rows,
    ".json": tables.json_line_rows,
    ".parquet": tables.parquet_rows,
}
LEGAL_EXTENSIONS = tuple(_READERS)


@dataclass(frozen=True)
class LabelledTexts:
    """Texts with a label each.

    Attributes:
        texts: Texts, none of them blank.
        labels: Label of each text, in the same order.
        path: File that they come from; `None` if they were made in memory.

    Example:
        >>> texts = LabelledTexts(("turn it on", "turn it off"), ("on", "off"))
        >>> len(texts), texts.name
        (2, 'the given texts')
    """

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    path: Path | None = None

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


def read_labelled_texts(path: str | Path, *, text_column: str = "text", label_column: str = "label") -> LabelledTexts:
    """Reads texts and their labels.

    Args:
        path: A `.csv`, `.tsv`, `.jsonl`, `.ndjson`, `.json` (one JSON object a line) or `.parquet` file.
        text_column: Column, or JSON key, of the text.
        label_column: Column, or JSON key, of the label; numbers become their decimal string.

    Returns:
        The examples in the order of the file.

    Raises:
        DataError: the file, a column or a row cannot be used; the message names which.

    Example:
        >>> texts = read_labelled_texts("train.csv")
        >>> sorted(set(texts.labels)), texts.texts[0]
        (['lights', 'music', 'weather'], 'turn the lights on')
    """
    source = Path(path)
    texts: list[str] = []
    labels: list[str] = []
    for row in _rows(source, (text_column, label_column)):
        texts.append(check_text(row.values[text_column], text_column, source, row.number))
        labels.append(_label(row, label_column, source))
    if not texts:
        raise no_examples(source)
    return LabelledTexts(tuple(texts), tuple(labels), source)


def read_texts(path: str | Path, text_column: str = "text") -> tuple[str, ...]:
    """Reads texts without labels, as calibration needs them; a label column is ignored.

    Args:
        path: A file as in `read_labelled_texts`.
        text_column: Column, or JSON key, of the text.

    Returns:
        The texts in the order of the file.

    Raises:
        DataError: the file, the column or a row cannot be used; the message names which.

    Example:
        >>> len(read_texts("texts.csv"))
        15
    """
    source = Path(path)
    texts = tuple(
        check_text(row.values[text_column], text_column, source, row.number) for row in _rows(source, (text_column,))
    )
    if not texts:
        raise no_examples(source)
    return texts


def read_texts_and_labels(
    path: str | Path, *, text_column: str = "text", label_column: str = "label"
) -> tuple[tuple[str, ...], tuple[str | None, ...]]:
    """Reads texts, and their labels as far as there are any.

    Args:
        path: A file as in `read_labelled_texts`.
        text_column: Column, or JSON key, of the text.
        label_column: Column, or JSON key, of the label.

    Returns:
        The texts in the order of the file, and the label of each or None; no labels if no row has one.

    Raises:
        DataError: the file, the text column or a row cannot be used; the message names which.

    Example:
        >>> read_texts_and_labels("test.csv")[1][:2], read_texts_and_labels("texts.csv")[1]
        (('lights', 'lights'), ())
    """
    texts: list[str] = []
    labels: list[str | None] = []
    for row in read_rows(path, (text_column,)):
        texts.append(row.values[text_column])
        label = _label_name(row.values.get(label_column))
        labels.append(label if label and label.strip() else None)
    if not texts:
        raise no_examples(path)
    return tuple(texts), tuple(labels) if any(labels) else ()


def read_rows(path: str | Path, text_columns: tuple[str, ...]) -> Iterator[Row]:
    """Reads whole rows one after another, in bounded memory.

    Args:
        path: A file as in `read_labelled_texts`.
        text_columns: Columns, or JSON keys, of texts.

    Yields:
        Each row with all its columns; its texts are checked as in `read_texts`, and every string in it is UTF-8.

    Raises:
        DataError: the file, a column or a row cannot be used; the message names which.

    Example:
        >>> row = next(read_rows("test.csv", ("text",)))
        >>> row.number, row.values
        (2, {'text': 'turn the lights on', 'label': 'lights'})
    """
    source = Path(path)
    for row in _rows(source, text_columns, is_whole=True):
        for column in text_columns:
            check_text(row.values[column], column, source, row.number)
        for value in (*row.values, *row.values.values()):
            _encodable(value if isinstance(value, str) else _shown(value), row.number, source)
        yield row


def _rows(path: Path, columns: tuple[str, ...], *, is_whole: bool = False) -> Iterator[Row]:
    check_data_file(path)
    return _READERS[path.suffix.lower()](path, columns, is_whole=is_whole)


def check_data_file(path: Path) -> None:
    """Checks a path before it is read.

    Raises:
        DataError: the extension is not legal, there is no such file, it is a directory, or it is empty.

    Example:
        >>> check_data_file(Path("train.csv"))
        >>> check_data_file(Path("train.xlsx"))
        Traceback (most recent call last):
        edgedistil_runtime.errors.DataError: The extension of a data file must be one of .csv, ...
    """
    if path.suffix.lower() not in _READERS:
        raise DataError(f"The extension of a data file must be one of {', '.join(LEGAL_EXTENSIONS)}. Received: {path}")
    if not path.exists():
        raise DataError(f"There is no data file {path}. Check the path; it is taken relative to {Path.cwd()}")
    if not path.is_file():
        raise DataError(f"A data file must be a regular file. Received: {path}, which is a directory")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes). It needs a row for every text")


def no_examples(path: str | Path) -> DataError:
    """The error for a file without rows."""
    return DataError(f"{path} has no example in it. Received: a file without a single row of data")


def check_text(value: object, column: str, path: Path, number: int) -> str:
    """Returns the value of a text column in row `number`.

    Raises:
        DataError: the value is no string, is blank, or cannot be encoded as UTF-8.

    Example:
        >>> check_text("hello", "text", Path("a.csv"), 2)
        'hello'
        >>> check_text(" ", "text", Path("a.csv"), 3)
        Traceback (most recent call last):
        edgedistil_runtime.errors.DataError: a.csv, row 3: the text in column 'text' is empty. ...
    """
    if not isinstance(value, str):
        raise DataError(f"{path}, row {number}: the text in column {column!r} must be a string. Received: {value!r}")
    if not value.strip():
        raise DataError(
            f"{path}, row {number}: the text in column {column!r} is empty. "
            f"Write a text there or remove the row. Received: {value!r}"
        )
    return _encodable(value, number, path)


def _label(row: Row, column: str, path: Path) -> str:
    value = row.values[column]
    name = _label_name(value)
    if name is None or not name.strip():
        state = "missing" if value is None or name is not None else "neither a string nor a number"
        raise DataError(
            f"{path}, row {row.number}: the label in column {column!r} is {state}. "
            f"Write a class name there or remove the row. Received: {value!r}"
        )
    if "\n" in name or "\r" in name:
        raise DataError(
            f"{path}, row {row.number}: a label must fit on one line, since labels.txt holds one a line. "
            f"Received: {value!r}"
        )
    return _encodable(name, row.number, path)


def _label_name(value: Any) -> str | None:
    """The class name in a cell, or `None` if it holds none."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        # A column of whole numbers with a gap in it is stored as floats: 3 and 3.0 are one class.
        return str(int(value)) if value.is_integer() else str(value)
    return None


def _shown(value: object) -> str:
    """A string that contains every character of a value's strings."""
    return json.dumps(value, ensure_ascii=False, default=str)


def _encodable(value: str, number: int, path: Path) -> str:
    try:
        value.encode("utf-8")  # fails only on surrogates
    except UnicodeEncodeError as error:
        if 0xDC80 <= ord(value[error.start]) <= 0xDCFF:  # a byte that is not UTF-8, see `tables`
            raise tables.not_utf8(path, number) from error
        raise DataError(
            f"{path}, row {number}: a string holds half of a character, a lone surrogate, which JSON can write as an "
            f"escape and UTF-8 cannot. Remove it or complete it. Received: {value[:40]!r}"
        ) from error
    return value

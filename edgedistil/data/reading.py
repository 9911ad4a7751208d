"""Read texts and labels from CSV, TSV, JSON Lines and Parquet; every complaint names the file and the row.

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
    """Texts and the label of each.

    Attributes:
        texts: the texts, none of them blank.
        labels: the label of each text, as many as there are texts.
        path: the file they come from, or `None` when they were made in memory.
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
        """The file name, for messages; never a whole path."""
        return self.path.name if self.path else "the given texts"


def read_labelled_texts(path: str | Path, *, text_column: str = "text", label_column: str = "label") -> LabelledTexts:
    """Read texts with their labels.

    Args:
        path: a `.csv`, `.tsv`, `.jsonl`, `.ndjson`, `.json` (one JSON object a line) or `.parquet` file.
        text_column: the column, or JSON key, that holds the text.
        label_column: the column, or JSON key, that holds the label; numbers become their decimal string.

    Returns:
        The examples in the order of the file.

    Raises:
        DataError: the file, a column or a row cannot be used; the message names which.

    Example:
        >>> sorted(set(read_labelled_texts("train.csv").labels))
        ['lights', 'music', 'weather']
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
    """Read texts only, as calibration needs them; a label column may be there and is not looked at.

    Args:
        path: a file as in `read_labelled_texts`.
        text_column: the column, or JSON key, that holds the text.

    Returns:
        The texts in the order of the file.

    Raises:
        DataError: the file, the column or a row cannot be used; the message names which.
    """
    source = Path(path)
    texts = tuple(
        check_text(row.values[text_column], text_column, source, row.number) for row in _rows(source, (text_column,))
    )
    if not texts:
        raise no_examples(source)
    return texts


def read_rows(path: str | Path, text_columns: tuple[str, ...]) -> Iterator[Row]:
    """Read whole rows one after another, in bounded memory.

    Args:
        path: a file as in `read_labelled_texts`.
        text_columns: the columns, or JSON keys, that hold texts.

    Yields:
        Each row with all its columns; its texts are checked as in `read_texts`, and every string in it is UTF-8.

    Raises:
        DataError: the file, a column or a row cannot be used; the message names which.
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
    """Refuse what is no data file, before it is read.

    Raises:
        DataError: its extension is not legal, there is no such file, it is a directory or empty.
    """
    if path.suffix.lower() not in _READERS:
        raise DataError(
            f"The kind of a data file is told by its extension, one of {', '.join(LEGAL_EXTENSIONS)}. Received: {path}"
        )
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
    """The value of a text column in row `number`, if it is a text.

    Raises:
        DataError: it is no string, blank, or cannot be UTF-8.
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
    """The class name a cell stands for, or `None` where it stands for none."""
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
    """A string that holds every character of a value's strings."""
    return json.dumps(value, ensure_ascii=False, default=str)


def _encodable(value: str, number: int, path: Path) -> str:
    try:
        value.encode("utf-8")  # which only surrogates prevent
    except UnicodeEncodeError as error:
        if 0xDC80 <= ord(value[error.start]) <= 0xDCFF:  # which stand for bytes, see `tables`
            raise tables.not_utf8(path, number) from error
        raise DataError(
            f"{path}, row {number}: a string holds half of a character, a lone surrogate, which JSON can write as an "
            f"escape and UTF-8 cannot. Remove it or complete it. Received: {value[:40]!r}"
        ) from error
    return value

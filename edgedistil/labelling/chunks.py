"""Chunks: some rows of an input with all their values, as records or as a table.

Text files contain strings and JSON values, and JSON rows need not have the same keys: they are kept as records.
Parquet has typed columns (times, decimals, lists), which Python values would lose: they are kept as an Arrow table.
A writer takes the form that it needs.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow

from edgedistil.data.rows import not_utf8
from edgedistil_runtime.errors import DataError

__all__ = ["Chunk", "RecordChunk", "TableChunk"]


class Chunk(Protocol):
    """Successive rows of an input.

    Attributes:
        texts: Text of each row; None if it is blank, and the row gets no label.
        text_pairs: Second text of each row, as `texts`; `None` if the input has one text a row.
        first_number: Number of the first row, as an editor shows it.
        fraction: Share of the input that has been read at the chunk's end; `None` if unknown.
    """

    @property
    def texts(self) -> tuple[str | None, ...]: ...  # noqa: D102  (described above)

    @property
    def text_pairs(self) -> tuple[str | None, ...] | None: ...  # noqa: D102

    @property
    def first_number(self) -> int: ...  # noqa: D102

    @property
    def fraction(self) -> float | None: ...  # noqa: D102

    def records(self) -> list[dict[str, Any]]:
        """Each row as JSON values by column."""

    def table(self) -> Any:
        """The rows as a `pyarrow.Table`."""

    def content(self) -> bytes:
        """Bytes that are equal if and only if the rows are equal."""


@dataclass(frozen=True)
class RecordChunk:
    """Rows of a text file.

    Example:
        >>> chunk = RecordChunk(("hi",), None, 2, None, ({"text": "hi", "n": 1},), Path("a.jsonl"))
        >>> chunk.table().column("n").to_pylist()
        [1]
    """

    texts: tuple[str | None, ...]
    text_pairs: tuple[str | None, ...] | None
    first_number: int
    fraction: float | None
    rows: tuple[Mapping[str, Any], ...]
    path: Path

    def records(self) -> list[dict[str, Any]]:
        """The rows as they were read."""
        return [dict(row) for row in self.rows]

    def table(self) -> Any:
        """The rows as columns with the types of their values: strings, if the file is CSV.

        Raises:
            DataError: the values of a column have no common type.
        """
        columns = dict.fromkeys(column for row in self.rows for column in row)
        return pyarrow.table({column: self._array(column) for column in columns})

    def content(self) -> bytes:
        """The rows as JSON."""
        return json.dumps(self.rows).encode()

    def _array(self, column: str) -> Any:
        try:
            array = pyarrow.array([row.get(column) for row in self.rows])
        except (pyarrow.ArrowException, OverflowError) as error:
            raise self._no_type(column, str(error)) from error
        if "struct<>" in str(array.type):
            raise self._no_type(column, "an object without a key")
        return array

    def _no_type(self, column: str, reason: str) -> DataError:
        last = self.first_number + len(self.rows) - 1
        return DataError(
            f"{self.path}, near rows {self.first_number} to {last}: a column of a Parquet file has one type, and the "
            f"values of {column!r} have no common one. Write .jsonl, which keeps them as they are. Received: {reason}"
        )


@dataclass(frozen=True)
class TableChunk:
    """Rows of a Parquet file.

    Example:
        >>> import datetime
        >>> table = pyarrow.table({"text": ["hi"], "day": [datetime.date(2024, 2, 29)]})
        >>> TableChunk(("hi",), None, 1, None, table, Path("a.parquet")).records()
        [{'text': 'hi', 'day': '2024-02-29'}]
    """

    texts: tuple[str | None, ...]
    text_pairs: tuple[str | None, ...] | None
    first_number: int
    fraction: float | None
    rows: Any  # pyarrow.Table
    path: Path

    def records(self) -> list[dict[str, Any]]:
        """Each row as JSON values; types that JSON lacks (times, decimals) become the string that Arrow writes.

        Raises:
            DataError: a column holds bytes, or a string that is not UTF-8.
        """
        names = self.rows.column_names
        columns = [self._json_values(name) for name in names]
        return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]

    def table(self) -> Any:
        """The rows with the file's own types."""
        return self.rows

    def content(self) -> bytes:
        """The texts; for the other columns see `sources.file_mark`."""
        return json.dumps([self.texts, self.text_pairs]).encode()

    def _json_values(self, name: str) -> list[Any]:
        column = self.rows.column(name)
        try:
            values: list[Any] = _to_json_type(column).to_pylist()
        except UnicodeDecodeError as error:
            raise not_utf8(self.path, f"row {self.first_number + _first_not_utf8(column)}") from error
        except (pyarrow.ArrowException, ValueError) as error:  # ValueError: nanoseconds within a list
            raise DataError(
                f"{self.path}: the column {name!r} has the type {column.type}, which a text file cannot hold. Write "
                f".parquet, which keeps it as it is. Received: {error}"
            ) from error
        return values


def _to_json_type(column: Any) -> Any:
    kind = column.type
    types = pyarrow.types
    if types.is_dictionary(kind):
        return _to_json_type(column.cast(kind.value_type))
    if types.is_nested(kind) or types.is_null(kind) or types.is_boolean(kind) or types.is_integer(kind):
        return column
    if types.is_floating(kind) or types.is_string(kind) or types.is_large_string(kind):
        return column
    return column.cast(pyarrow.string())


def _first_not_utf8(column: Any) -> int:
    for index, cell in enumerate(column):
        try:
            cell.as_py()
        except UnicodeDecodeError:
            return index
    return 0

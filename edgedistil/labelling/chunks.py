"""A chunk of an input, with everything that its rows hold, as records or as a table.

Text files hold strings and JSON values, and JSON rows need not have the same keys: they travel as records. Parquet
holds typed columns (times, decimals, lists) that Python values would blur: they travel as an Arrow table. A writer
asks for the form it needs.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow

from edgedistil.data.tables import not_utf8
from edgedistil_runtime.errors import DataError

__all__ = ["Chunk", "RecordChunk", "TableChunk"]


class Chunk(Protocol):
    """Successive rows of an input.

    Attributes:
        texts: the text of each row.
        text_pairs: the second text of each, or `None` where the input has one text a row.
        first_number: the number of the first row, as an editor shows it.
        fraction: the share of the input that has been read at the chunk's end, or `None` where it is not known.
    """

    @property
    def texts(self) -> tuple[str, ...]: ...  # noqa: D102  (all four are told above)

    @property
    def text_pairs(self) -> tuple[str, ...] | None: ...  # noqa: D102

    @property
    def first_number(self) -> int: ...  # noqa: D102

    @property
    def fraction(self) -> float | None: ...  # noqa: D102

    def records(self) -> list[dict[str, Any]]:
        """Each row as JSON values by column."""

    def table(self) -> Any:
        """The rows as a `pyarrow.Table`."""

    def content(self) -> bytes:
        """Bytes that are equal where the rows are equal."""


@dataclass(frozen=True)
class RecordChunk:
    """Rows of a text file."""

    texts: tuple[str, ...]
    text_pairs: tuple[str, ...] | None
    first_number: int
    fraction: float | None
    rows: tuple[Mapping[str, Any], ...]
    path: Path

    def records(self) -> list[dict[str, Any]]:
        """The rows as they were read."""
        return [dict(row) for row in self.rows]

    def table(self) -> Any:
        """The rows as columns of the types that their values have: strings, where the file is CSV.

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
    """Rows of a Parquet file."""

    texts: tuple[str, ...]
    text_pairs: tuple[str, ...] | None
    first_number: int
    fraction: float | None
    rows: Any  # pyarrow.Table
    path: Path

    def records(self) -> list[dict[str, Any]]:
        """Each row as JSON values: what JSON has no literal for (times, decimals) as the string Arrow writes.

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
        """The texts alone; the source tells other columns apart by the file's footer."""
        return json.dumps([self.texts, self.text_pairs]).encode()

    def _json_values(self, name: str) -> list[Any]:
        column = self.rows.column(name)
        try:
            values: list[Any] = _to_json_type(column).to_pylist()
        except UnicodeDecodeError as error:
            raise not_utf8(self.path, self.first_number + _first_not_utf8(column)) from error
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

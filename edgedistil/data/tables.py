"""Rows of CSV, TSV, JSON Lines and Parquet files: a number and values, of the requested columns or of all.

No file is held in memory: rows are read as they are requested. Text files are decoded with Python's `surrogateescape`:
a byte that is not UTF-8 becomes a lone surrogate in its row, so that the error can name the row instead of a byte
offset.
"""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from edgedistil_runtime.errors import DataError

__all__ = [
    "Row",
    "csv_rows",
    "json_line_rows",
    "not_utf8",
    "open_parquet",
    "parquet_batches",
    "parquet_rows",
    "tsv_rows",
]

_PARQUET_ROWS_AT_ONCE = 1024
_PARQUET_BUFFER = 1 << 20  # bytes read ahead in a column; without it, a whole row group is read at once


@dataclass(frozen=True)
class Row:
    """One example.

    Attributes:
        number: Row number as an editor shows it.
        values: Column name -> value.
        position: Approximate number of bytes of the file read so far; 0 if unknown.
    """

    number: int
    values: Mapping[str, Any]
    position: int = 0


def not_utf8(path: Path, number: int) -> DataError:
    """The error for bytes that are not UTF-8, in row `number` of `path`.

    Example:
        >>> print(not_utf8(Path("data.csv"), 3))
        data.csv, row 3: these bytes are not UTF-8. Save the file as UTF-8, ...
    """
    return DataError(
        f"{path}, row {number}: these bytes are not UTF-8. Save the file as UTF-8, for instance with "
        f"`iconv -f latin1 -t utf-8 {path.name}` if it is Latin-1"
    )


def csv_rows(path: Path, columns: tuple[str, ...], *, is_whole: bool = False) -> Iterator[Row]:
    """Rows of a comma-separated file with a header (RFC 4180).

    Example:
        >>> next(csv_rows(Path("test.csv"), ("label",)))
        Row(number=2, values={'label': 'lights'}, position=...)
    """
    return _separated_rows(path, columns, ",", is_whole=is_whole)


def tsv_rows(path: Path, columns: tuple[str, ...], *, is_whole: bool = False) -> Iterator[Row]:
    """Rows of a tab-separated file with a header; quoting as in CSV.

    Example:
        >>> path = Path("rows.tsv")
        >>> _ = path.write_text("text,label".replace(",", chr(9)) + chr(10) + "hi,yes".replace(",", chr(9)))
        >>> next(tsv_rows(path, ("text", "label"))).values
        {'text': 'hi', 'label': 'yes'}
    """
    return _separated_rows(path, columns, "\t", is_whole=is_whole)


def _separated_rows(path: Path, columns: tuple[str, ...], delimiter: str, *, is_whole: bool) -> Iterator[Row]:
    number = 0
    header: list[str] | None = None
    with _opened(path, newline="") as stream:
        # strict: an unclosed quote would otherwise swallow the rest of the file into one field, silently.
        reader = csv.reader(stream, delimiter=delimiter, strict=True)
        try:
            for cells in reader:
                number += 1
                if not cells:
                    continue
                if header is None:
                    header = _header(path, cells, columns)
                    columns = _unique(path, header, tuple(header) if is_whole else columns)
                else:
                    yield Row(number, _cells(path, number, header, cells, columns), stream.buffer.tell())
        except csv.Error as error:
            raise DataError(
                f"{path}, row {number + 1}: this is not well-formed {path.suffix[1:].upper()}: {error}. A field that "
                'holds a quote must be quoted, with the quote doubled: "say ""hi"""'
            ) from error
    if header is None:
        raise DataError(f"{path} has no header row. Its first row must name the columns: {', '.join(columns)}")


def _header(path: Path, header: list[str], columns: tuple[str, ...]) -> list[str]:
    require_columns(path, header, columns)
    return header


def _unique(path: Path, header: list[str], columns: tuple[str, ...]) -> tuple[str, ...]:
    for column in columns:
        if header.count(column) > 1:
            raise DataError(f"{path} has more than one column {column!r}. Received: {', '.join(header)}")
    return columns


def _cells(path: Path, number: int, header: list[str], cells: list[str], columns: tuple[str, ...]) -> dict[str, str]:
    if len(cells) != len(header):
        raise DataError(
            f"{path}, row {number}: the header has {len(header)} columns and this row has {len(cells)}. "
            f"A text that holds the separator must be quoted. Received: {cells!r:.120}"
        )
    return {column: cells[header.index(column)] for column in columns}


def json_line_rows(path: Path, columns: tuple[str, ...], *, is_whole: bool = False) -> Iterator[Row]:
    """Rows of a file with one JSON object a line (https://jsonlines.org).

    Example:
        >>> path = Path("rows.jsonl")
        >>> _ = path.write_text('{"text": "hi", "n": 1}')
        >>> next(json_line_rows(path, ("text",), is_whole=True)).values
        {'text': 'hi', 'n': 1}
    """
    with _opened(path, newline="\n") as stream:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                values = _json_object(path, number, line.removesuffix("\n"), columns, is_whole=is_whole)
                yield Row(number, values, stream.buffer.tell())


def _json_object(path: Path, number: int, line: str, columns: tuple[str, ...], *, is_whole: bool) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        if any("\ud800" <= character <= "\udfff" for character in line):
            raise not_utf8(path, number) from error
        raise DataError(
            f"{path}, row {number}: this line is not one whole JSON value: {error}. "
            f'Legal: {{"text": "hello", "label": "greeting"}}. Received: {line:.120}'
        ) from error
    if not isinstance(value, dict):
        raise DataError(
            f"{path}, row {number}: every line must be a JSON object; a file that is one JSON list is not "
            f'JSON Lines. Legal: {{"text": "hello", "label": "greeting"}}. Received: {line:.120}'
        )
    require_columns(path, list(value), columns, number)
    return value if is_whole else {column: value[column] for column in columns}


def parquet_rows(path: Path, columns: tuple[str, ...], *, is_whole: bool = False) -> Iterator[Row]:
    """Rows of a Parquet file.

    Example:
        >>> import pyarrow.parquet
        >>> pyarrow.parquet.write_table(pyarrow.table({"text": ["hi", "bye"], "n": [1, 2]}), "rows.parquet")
        >>> [row.values["n"] for row in parquet_rows(Path("rows.parquet"), ("n",))]
        [1, 2]
    """
    names = None if is_whole else list(columns)
    number = 0
    with open_parquet(path, columns) as file:
        for batch in parquet_batches(path, file, _PARQUET_ROWS_AT_ONCE, names):
            arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
            for index in range(batch.num_rows):
                number += 1
                try:
                    values = {column: array[index].as_py() for column, array in arrays.items()}
                except UnicodeDecodeError as error:
                    raise not_utf8(path, number) from error
                yield Row(number, values)


def open_parquet(path: Path, columns: tuple[str, ...]) -> Any:
    """Opens a Parquet file, which must have the columns; close it after use.

    Returns:
        A `pyarrow.parquet.ParquetFile` that reads about a megabyte ahead in each column.

    Raises:
        DataError: the file cannot be read or lacks a column.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path, buffer_size=_PARQUET_BUFFER, pre_buffer=False)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}") from error
    try:
        require_columns(path, list(file.schema_arrow.names), columns)
    except DataError:
        file.close()
        raise
    return file


def parquet_batches(path: Path, file: Any, rows: int, columns: list[str] | None = None) -> Iterator[Any]:
    """The `pyarrow.RecordBatch`es of an open Parquet file, with at most `rows` rows each."""
    import pyarrow

    try:
        yield from file.iter_batches(batch_size=rows, columns=columns)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}") from error


def require_columns(path: Path, present: Sequence[str], wanted: tuple[str, ...], number: int | None = None) -> None:
    """Checks that a header, or the keys of a JSON object, contain the wanted columns.

    Raises:
        DataError: a column is missing.
    """
    missing = [column for column in wanted if column not in present]
    if missing:
        where = f"{path}, row {number}:" if number else f"{path}:"
        listed = ", ".join(map(repr, present)) or "none"
        # A header that is not UTF-8 must still be printable.
        listed = listed.encode("utf-8", "replace").decode("utf-8")
        raise DataError(
            f"{where} there is no column {' and no column '.join(map(repr, missing))}. The columns that exist: "
            f"{listed}. Name the right ones: `text_column`, and `label_column` or `text_pair_column` if they are read"
        )


def _opened(path: Path, *, newline: str) -> TextIO:
    # utf-8-sig: Excel and Notepad begin a file with a byte order mark, which is not part of the first column's name.
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline=newline)

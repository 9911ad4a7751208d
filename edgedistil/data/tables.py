"""Rows of the four kinds of file, each as a number and the values of the columns that were asked for.

Text files are decoded with Python's `surrogateescape`, so that a byte that is not UTF-8 travels as a lone surrogate
to the row it belongs to, and the complaint can name the row instead of a byte offset.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgedistil_runtime.errors import DataError

__all__ = ["Row", "csv_rows", "json_line_rows", "not_utf8", "parquet_rows", "tsv_rows"]


@dataclass(frozen=True)
class Row:
    """One example: its number as an editor shows it, and its values by column name."""

    number: int
    values: Mapping[str, Any]


def not_utf8(path: Path, number: int) -> DataError:
    """The error for bytes that are not UTF-8, in row `number` of `path`."""
    return DataError(
        f"{path}, row {number}: these bytes are not UTF-8. Save the file as UTF-8, for instance with "
        f"`iconv -f latin1 -t utf-8 {path.name}` if it is Latin-1"
    )


def csv_rows(path: Path, columns: tuple[str, ...]) -> Iterator[Row]:
    """Rows of a comma-separated file with a header (RFC 4180)."""
    return _separated_rows(path, columns, ",")


def tsv_rows(path: Path, columns: tuple[str, ...]) -> Iterator[Row]:
    """Rows of a tab-separated file with a header; quoting as in CSV."""
    return _separated_rows(path, columns, "\t")


def _separated_rows(path: Path, columns: tuple[str, ...], delimiter: str) -> Iterator[Row]:
    # strict: an unclosed quote would otherwise swallow the rest of the file into one field, silently.
    reader = csv.reader(io.StringIO(_decoded(path), newline=""), delimiter=delimiter, strict=True)
    number = 0
    header: list[str] | None = None
    try:
        for cells in reader:
            number += 1
            if not cells:
                continue
            if header is None:
                header = _header(path, cells, columns)
            else:
                yield Row(number, _cells(path, number, header, cells, columns))
    except csv.Error as error:
        raise DataError(
            f"{path}, row {number + 1}: this is not well-formed {path.suffix[1:].upper()}: {error}. A field that "
            'holds a quote must be quoted, with the quote doubled: "say ""hi"""'
        ) from error
    if header is None:
        raise DataError(f"{path} has no header row. Its first row must name the columns: {', '.join(columns)}")


def _header(path: Path, header: list[str], columns: tuple[str, ...]) -> list[str]:
    require_columns(path, header, columns)
    for column in columns:
        if header.count(column) > 1:
            raise DataError(f"{path} has more than one column {column!r}. Received: {', '.join(header)}")
    return header


def _cells(path: Path, number: int, header: list[str], cells: list[str], columns: tuple[str, ...]) -> dict[str, str]:
    if len(cells) != len(header):
        raise DataError(
            f"{path}, row {number}: the header has {len(header)} columns and this row has {len(cells)}. "
            f"A text that holds the separator must be quoted. Received: {cells!r:.120}"
        )
    return {column: cells[header.index(column)] for column in columns}


def json_line_rows(path: Path, columns: tuple[str, ...]) -> Iterator[Row]:
    """Rows of a file with one JSON object a line (https://jsonlines.org)."""
    for number, line in enumerate(_decoded(path).split("\n"), start=1):
        if line.strip():
            yield Row(number, _json_object(path, number, line, columns))


def _json_object(path: Path, number: int, line: str, columns: tuple[str, ...]) -> dict[str, Any]:
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
    return {column: value[column] for column in columns}


def parquet_rows(path: Path, columns: tuple[str, ...]) -> Iterator[Row]:
    """Rows of a Parquet file."""
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
        require_columns(path, list(file.schema_arrow.names), columns)
        table = file.read(columns=list(columns))
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}") from error
    arrays = [table.column(column) for column in columns]
    for index in range(table.num_rows):
        try:
            values = {column: array[index].as_py() for column, array in zip(columns, arrays, strict=True)}
        except UnicodeDecodeError as error:
            raise not_utf8(path, index + 1) from error
        yield Row(index + 1, values)


def require_columns(path: Path, present: Sequence[str], wanted: tuple[str, ...], number: int | None = None) -> None:
    """Refuse a header, or the keys of a JSON object, in which a wanted column is missing."""
    missing = [column for column in wanted if column not in present]
    if missing:
        where = f"{path}, row {number}:" if number else f"{path}:"
        listed = ", ".join(map(repr, present)) or "none"
        # A header that is not UTF-8 must still be printable.
        listed = listed.encode("utf-8", "replace").decode("utf-8")
        raise DataError(
            f"{where} there is no column {' and no column '.join(map(repr, missing))}. The columns that exist: "
            f"{listed}. Name the right ones with --text-column and --label-column"
        )


def _decoded(path: Path) -> str:
    # utf-8-sig: Excel and Notepad begin a file with a byte order mark, which is no part of the first column's name.
    return path.read_bytes().decode("utf-8-sig", "surrogateescape")

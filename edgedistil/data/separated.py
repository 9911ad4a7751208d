"""Rows of CSV and TSV files, whatever separates their cells.

They are read with Python's `csv` module, one row after another in bounded memory. `pyarrow.csv` was tried: it reads no
cell that is longer than a block, drops blank lines, and names no row for bytes that are not UTF-8 or for a quote that
is never closed.
"""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgedistil.data.opening import OpenText, format_of, open_text
from edgedistil.data.rows import BadRow, Row, is_blank, missing_columns, not_utf8
from edgedistil_runtime.errors import DataError

__all__ = ["SEPARATORS", "check_delimiter", "separated_rows"]

SEPARATORS = (",", ";", "\t", "|")
_BLANKS = ' \r\n"' + "".join(SEPARATORS)  # what a row without content consists of
_DECLARATION = re.compile(r'"?sep=(.)"?[,;\t|]*[\r\n]*', re.IGNORECASE)
_LONGEST_HEADER = 1 << 20
_LONGEST_CELL = 1 << 28
# The module has one limit for all readers, 131,072 characters. With none at all, a quote that is never closed would
# read the rest of a file into memory, however large.
csv.field_size_limit(max(_LONGEST_CELL, csv.field_size_limit()))


def check_delimiter(delimiter: str | None) -> None:
    r"""Checks a separator.

    Raises:
        DataError: It is not one character, or it is one with another meaning.

    Example:
        >>> check_delimiter(";")
        >>> check_delimiter('"')
        Traceback (most recent call last):
        edgedistil_runtime.errors.DataError: A separator (`delimiter`) must be one character, ... Received: '"'
    """
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n\0'):
        raise DataError(
            "A separator (`delimiter`) must be one character, such as ';', ',', '|' or a tab, and no quote or line "
            f"end. Leave it out, and it is found by itself. Received: {delimiter!r}"
        )


def separated_rows(
    path: Path, columns: tuple[str, ...], *, is_whole: bool = False, delimiter: str | None = None
) -> Iterator[Row | BadRow]:
    r"""Reads a file with a header and a separator between cells; quotes are as in RFC 4180.

    Args:
        path: File to read.
        columns: Columns that the header must have.
        is_whole: Read all columns, not only these.
        delimiter: The separator; None finds it in the header.

    Yields:
        Each row, or an error in its place. A row without content has an empty string in every column.

    Raises:
        DataError: The header cannot be used.

    Example:
        >>> next(separated_rows(Path("test.csv"), ("label",)))
        Row(number=2, values={'label': 'lights'}, position=..., fraction=..., name='')
        >>> _ = Path("german.csv").write_text("text;label\nhallo;Gruß\n", encoding="utf-8")
        >>> next(separated_rows(Path("german.csv"), ("text", "label"))).values
        {'text': 'hallo', 'label': 'Gruß'}
    """
    with open_text(path, newline="") as file:
        layout = _read_layout(path, file, columns, delimiter)
        wanted = _unique(path, layout.header, _all_columns(path, layout) if is_whole else columns)
        unnamed = [place for place, name in enumerate(layout.header) if is_whole and not name and name not in wanted]
        yield from _rows(path, file, layout, wanted, unnamed)


@dataclass(frozen=True)
class _Layout:
    """The header row.

    Attributes:
        header: Name of each column; empty for an unnamed one.
        number: Number of the header row.
        delimiter: Separator of the cells.
    """

    header: tuple[str, ...]
    number: int
    delimiter: str


def _rows(
    path: Path, file: OpenText, layout: _Layout, columns: tuple[str, ...], unnamed: list[int]
) -> Iterator[Row | BadRow]:
    # strict: an unclosed quote would otherwise swallow the rest of the file into one field, silently.
    reader = csv.reader(file.stream, delimiter=layout.delimiter, strict=True)
    places = {column: layout.header.index(column) for column in columns}
    blank = dict.fromkeys(columns, "")
    number, empty_lines = layout.number, 0
    while True:
        number += 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield _malformed(path, number, error)
            empty_lines = 0
            continue
        if cells is None:  # empty lines at the end of a file are no rows
            return
        if not cells:
            empty_lines += 1
            continue
        progress = file.progress()
        for line in range(number - empty_lines, number):
            yield Row(line, blank, *progress)
        empty_lines = 0
        if len(cells) != len(layout.header) and all(map(is_blank, cells)):  # a spreadsheet's row of separators only
            yield Row(number, blank, *progress)
        else:
            yield _fault(path, number, layout, cells, unnamed) or Row(
                number, {column: cells[place] for column, place in places.items()}, *progress
            )


def _fault(path: Path, number: int, layout: _Layout, cells: list[str], unnamed: list[int]) -> BadRow | None:
    if len(cells) != len(layout.header):
        return BadRow(
            path,
            f"row {number}",
            f"the header has {len(layout.header)} columns and this row has {len(cells)}",
            "A text that holds the separator must be quoted",
            f"{cells!r:.120}",
        )
    lost = [cells[place] for place in unnamed if not is_blank(cells[place])]
    if lost:
        reason = "a cell lies in one of several columns without a name"
        return BadRow(path, f"row {number}", reason, "Name the columns", f"{lost[0]!r:.120}")
    return None


def _malformed(path: Path, number: int, error: csv.Error) -> BadRow:
    return BadRow(
        path,
        f"row {number}",
        f"this is not well-formed {format_of(path)[1:].upper()}: {error}",
        'A field that holds a quote must be quoted, with the quote doubled: "say ""hi"""',
    )


def _read_layout(path: Path, file: OpenText, columns: tuple[str, ...], delimiter: str | None) -> _Layout:
    number = 0
    for line in file.stream:
        number += 1
        declared = _DECLARATION.fullmatch(line)
        if declared and number == 1:  # Excel's way to declare the separator
            delimiter = delimiter or declared[1]
        if declared or not line.strip(_BLANKS):
            continue
        return _choose_layout(path, number, _whole_record(line, file), columns, delimiter)
    raise DataError(f"{path} has no header row. Its first row must name the columns: {', '.join(columns)}")


def _whole_record(line: str, file: OpenText) -> str:
    """The line, and those after it as long as a quote is open."""
    while line.count('"') % 2 and len(line) < _LONGEST_HEADER:
        more = file.stream.readline()
        if not more:
            break
        line += more
    return line


def _choose_layout(path: Path, number: int, record: str, columns: tuple[str, ...], delimiter: str | None) -> _Layout:
    """The header read with the separator that makes the wanted columns, or else with the one that makes most."""
    usual = "\t" if format_of(path) == ".tsv" else ","
    candidates = [delimiter] if delimiter else sorted(SEPARATORS, key=lambda separator: separator != usual)
    headers: dict[str, tuple[str, ...]] = {}
    for candidate in candidates:
        try:
            reader = csv.reader(io.StringIO(record, newline=""), delimiter=candidate, strict=True)
            headers[candidate] = _named_as_wanted(next(reader), columns)
        except csv.Error as error:
            fault = error
    if not headers:
        raise _malformed(path, number, fault)
    for separator, header in headers.items():
        if set(columns) <= set(header):
            return _Layout(header, number, separator)
    header = max(headers.values(), key=len)
    given = f". The separator was given (`delimiter`): {delimiter!r}" if delimiter else ""
    missing = [column for column in columns if column not in header]
    raise DataError(f"{path}: {missing_columns(header, missing)}{given}")


def _named_as_wanted(header: list[str], columns: tuple[str, ...]) -> tuple[str, ...]:
    """The header, without the blanks around the name of a wanted column: "text, label" is common."""
    missing = set(columns) - set(header)
    return tuple(name.strip() if name.strip() in missing else name for name in header)


def _unique(path: Path, header: tuple[str, ...], columns: tuple[str, ...]) -> tuple[str, ...]:
    for column in columns:
        if header.count(column) > 1:
            raise DataError(f"{path} has more than one column {column!r}. Received: {', '.join(header)}")
    return columns


def _all_columns(path: Path, layout: _Layout) -> tuple[str, ...]:
    """Every column, except several unnamed ones, which a spreadsheet leaves beside a table."""
    if any("\udc80" <= character <= "\udcff" for name in layout.header for character in name):
        raise not_utf8(path, f"row {layout.number}")
    return tuple(name for name in layout.header if name or layout.header.count("") == 1)

"""Rows of JSON Lines files, and of a `.json` file that is one list of objects.

They are read with Python's `json` module: `pyarrow.json` refuses a key whose values have several types, and turns
strings that look like times into times. JSON Lines are read one after another; a list is held in memory.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgedistil.data.opening import OpenText, open_text
from edgedistil.data.rows import BadRow, Row, has_value, missing_columns, not_utf8, value_at
from edgedistil_runtime.errors import DataError

__all__ = ["json_line_rows", "json_rows"]

_LEGAL = '{"text": "hello", "label": "greeting"}'


def json_line_rows(path: Path, columns: tuple[str, ...], *, is_whole: bool = False) -> Iterator[Row | BadRow]:
    """Reads a file with one JSON object a line (https://jsonlines.org).

    Args:
        path: File to read.
        columns: Keys that every object must have; `data.text` is also the key `text` in the object `data`.
        is_whole: Read all keys, not only these.

    Yields:
        Each row, or an error in its place; blank lines are no rows.

    Example:
        >>> path = Path("rows.jsonl")
        >>> _ = path.write_text('{"text": "hi", "n": 1}')
        >>> next(json_line_rows(path, ("text",), is_whole=True)).values
        {'text': 'hi', 'n': 1}
    """
    with open_text(path, newline="\n") as file:
        yield from _line_rows(path, file, columns, is_whole=is_whole)


def json_rows(path: Path, columns: tuple[str, ...], *, is_whole: bool = False) -> Iterator[Row | BadRow]:
    """Reads a `.json` file: one list of objects, or one object a line.

    Args:
        path: File to read.
        columns: As in `json_line_rows`.
        is_whole: Read all keys, not only these.

    Yields:
        Each row, or an error in its place; the rows of a list are its items, and the first is row 1.

    Raises:
        DataError: The file begins as a list and is none, or it is one object over several lines.

    Example:
        >>> path = Path("list.json")
        >>> _ = path.write_text('[{"data": {"text": "hi"}},' + chr(10) + '{"data": {"text": "bye"}}]')
        >>> [row.values for row in json_rows(path, ("data.text",))]
        [{'data.text': 'hi'}, {'data.text': 'bye'}]
    """
    content = _list_content(path)
    if content is None:
        yield from json_line_rows(path, columns, is_whole=is_whole)
        return
    items = _list(path, content)
    for number, item in enumerate(items, start=1):
        yield _row(path, number, item, columns, is_whole=is_whole, progress=(0, number / len(items)))


def _list_content(path: Path) -> str | None:
    """The whole file if it begins as a list; None if it has an object a line."""
    with open_text(path, newline="\n") as file:
        start = file.stream.read(1)
        while start.isspace():
            start = file.stream.read(1)
        if start == "[":
            return start + file.stream.read()
        line = start + file.stream.readline()
        if start == "{" and not _is_json(line) and _is_json(line + file.stream.read()):
            raise DataError(
                f"{path} is one JSON object over several lines, and no row is read from it. Legal: one list of "
                f"objects, [{_LEGAL}, ...], or one object a line. Received: {line.rstrip():.120}"
            )
    return None


def _is_json(content: str) -> bool:
    try:
        json.loads(content)
    except (json.JSONDecodeError, RecursionError):
        return False
    return True


def _list(path: Path, content: str) -> list[Any]:
    try:
        items = json.loads(content)
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(
            f"{path} begins as a JSON list and is none: {error}. Legal: one list of objects, [{_LEGAL}, ...], or one "
            "object a line without a list around them"
        ) from error
    assert isinstance(items, list)  # because it begins with a bracket
    return items


def _line_rows(path: Path, file: OpenText, columns: tuple[str, ...], *, is_whole: bool) -> Iterator[Row | BadRow]:
    for number, line in enumerate(file.stream, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line.removesuffix("\n"))
        except (json.JSONDecodeError, RecursionError) as error:
            yield _malformed(path, number, line, error)
            continue
        yield _row(path, number, value, columns, is_whole=is_whole, progress=file.progress())


def _malformed(path: Path, number: int, line: str, error: Exception) -> BadRow:
    where = f"row {number}"
    if any("\ud800" <= character <= "\udfff" for character in line):
        return not_utf8(path, where)
    return BadRow(
        path, where, f"this line is not one whole JSON value: {error}", f"Legal: {_LEGAL}", f"{line.rstrip():.120}"
    )


def _row(
    path: Path, number: int, value: Any, columns: tuple[str, ...], *, is_whole: bool, progress: tuple[int, float]
) -> Row | BadRow:
    where = f"row {number}"
    if not isinstance(value, dict):
        return BadRow(
            path,
            where,
            "every row must be a JSON object; one list with all rows in it must be a .json file",
            f"Legal: {_LEGAL}",
            f"{json.dumps(value):.120}",
        )
    missing = [column for column in columns if not has_value(value, column)]
    if missing:
        return BadRow(path, where, missing_columns(value, missing))
    return Row(number, value if is_whole else {column: value_at(value, column) for column in columns}, *progress)

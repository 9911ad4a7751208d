"""Checks of the values in a row: texts, labels, and any string that must be UTF-8."""

import json
from pathlib import Path
from typing import Any

from edgedistil.data.rows import BadRow, is_blank, not_utf8
from edgedistil.data.spelling import label_name

__all__ = ["check_label", "check_text", "check_utf8"]


def check_text(value: object, column: str, path: Path, where: str) -> str:
    """Returns the value of a text column in a row.

    Raises:
        BadRow: The value is no string, is blank, or cannot be encoded as UTF-8.

    Example:
        >>> check_text("hello", "text", Path("a.csv"), "row 2")
        'hello'
        >>> check_text(5, "text", Path("a.jsonl"), "row 3")
        Traceback (most recent call last):
        edgedistil.data.rows.BadRow: a.jsonl, row 3: the text in column 'text' must be a string. Received: 5
    """
    if not isinstance(value, str):
        raise BadRow(path, where, f"the text in column {column!r} must be a string", received=repr(value))
    if is_blank(value):
        remedy = "Write a text there or remove the row"
        raise BadRow(path, where, f"the text in column {column!r} is empty", remedy, repr(value))
    check_utf8(value, path, where)
    return value


def check_label(value: Any, column: str, path: Path, where: str, *, strip: bool = False) -> str:
    """Returns the class name in a label column, which is not blank, in a row.

    Raises:
        BadRow: The value is neither a string nor a number, has several lines, or cannot be encoded as UTF-8.

    Example:
        >>> check_label(" on", "label", Path("a.csv"), "row 2", strip=True), check_label(3.0, "n", Path("b.jsonl"), "")
        ('on', '3')
    """
    name = label_name(value.strip() if strip and isinstance(value, str) else value)
    if name is None:
        reason = f"the label in column {column!r} is neither a string nor a number"
        raise BadRow(path, where, reason, "Write a class name there or remove the row", repr(value))
    if "\n" in name or "\r" in name:
        reason = "a label must fit on one line, since labels.txt holds one a line"
        raise BadRow(path, where, reason, received=repr(value))
    check_utf8(name, path, where)
    return name


def check_utf8(value: Any, path: Path, where: str) -> None:
    """Checks that a string, or every string in a JSON value, can be encoded as UTF-8.

    Raises:
        BadRow: It cannot.
    """
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    try:
        text.encode("utf-8")  # fails only on surrogates
    except UnicodeEncodeError as error:
        if 0xDC80 <= ord(text[error.start]) <= 0xDCFF:  # a byte that is not UTF-8, see `opening`
            raise not_utf8(path, where) from error
        raise BadRow(
            path,
            where,
            "a string holds half of a character, a lone surrogate, which JSON can write as an escape and UTF-8 cannot",
            "Remove it or complete it",
            f"{text[:40]!r}",
        ) from error

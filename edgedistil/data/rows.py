"""Rows of data files, and how the rows of a file that cannot be used become one error."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from edgedistil_runtime.errors import DataError

__all__ = ["BadRow", "Row", "has_value", "is_blank", "missing_columns", "not_utf8", "usable_rows", "value_at"]

_MOST_ROWS_LISTED = 10
_MOST_COLUMNS_LISTED = 20

_S = TypeVar("_S")
_T = TypeVar("_T")


class Row(NamedTuple):
    """One example.

    Attributes:
        number: Row number as an editor shows it.
        values: Column name -> value.
        position: Approximate number of bytes of content read so far, decompressed; 0 if unknown.
        fraction: Approximate share of the file read so far; None if unknown.
        name: Name of the row in messages, if it is not "row" and its number: the file of a text in a directory.
    """

    number: int
    values: Mapping[str, Any]
    position: int = 0
    fraction: float | None = None
    name: str = ""

    @property
    def where(self) -> str:
        """The row's name in messages.

        Example:
            >>> Row(3, {}).where, Row(3, {}, name="spam/1.txt").where
            ('row 3', 'spam/1.txt')
        """
        return self.name or f"row {self.number}"


class BadRow(DataError):
    """A row that cannot be used.

    A reader yields it in the place of the row and goes on, so that one run finds all of them.

    Args:
        path: File of the row.
        where: Name of the row: "row 3", or the file of a text in a directory.
        reason: What is wrong.
        remedy: What to do about it, which rows with the same fault share.
        received: The value, as it is printed; None if it says nothing.

    Example:
        >>> print(BadRow(Path("a.csv"), "row 3", "the text is a number", "Quote it", "5"))
        a.csv, row 3: the text is a number. Quote it. Received: 5
    """

    def __init__(self, path: Path, where: str, reason: str, remedy: str = "", received: str | None = None) -> None:
        self.path, self.where, self.remedy = path, where, remedy
        self.summary = reason if received is None else f"{reason}. Received: {received}"
        parts = (reason, remedy, "" if received is None else f"Received: {received}")
        super().__init__(f"{path}, {where}: {'. '.join(filter(None, parts))}")


def usable_rows(rows: Iterable[_S | BadRow], convert: Callable[[_S], _T]) -> Iterator[_T]:
    """Converts rows until one is bad, and then only looks for more bad rows, for one error with all of them.

    Args:
        rows: Rows of a file, and errors in the places of those that cannot be used.
        convert: Converts a row; raises `BadRow` if it cannot be used.

    Yields:
        The converted rows, in their order.

    Raises:
        BadRow: one row cannot be used.
        DataError: several rows cannot be used; the message lists the first ten and counts the others.

    Example:
        >>> path = Path("a.csv")
        >>> bad = [BadRow(path, f"row {number}", "no text", "Write one") for number in range(2, 15)]
        >>> list(usable_rows(bad, lambda row: row.values))
        Traceback (most recent call last):
        edgedistil_runtime.errors.DataError: a.csv: 13 rows cannot be used.
          row 2: no text
        ...
          row 11: no text
          and 3 more
        Write one
    """
    listed: list[BadRow] = []
    count = 0
    for row in rows:
        try:
            if isinstance(row, BadRow):
                raise row
            converted = convert(row)
        except BadRow as error:
            count += 1
            if len(listed) < _MOST_ROWS_LISTED:
                listed.append(error)
            continue
        if not count:
            yield converted
    if count == 1:
        raise listed[0]
    if count:
        raise _all_in_one(listed, count)


def _all_in_one(listed: Sequence[BadRow], count: int) -> DataError:
    lines = [f"{listed[0].path}: {count:,} rows cannot be used.", *(f"  {bad.where}: {bad.summary}" for bad in listed)]
    if count > len(listed):
        lines.append(f"  and {count - len(listed):,} more")
    remedies = dict.fromkeys(bad.remedy for bad in listed if bad.remedy)
    return DataError("\n".join([*lines, ". ".join(remedies)]).rstrip())


def not_utf8(path: Path, where: str) -> BadRow:
    """The error for bytes that are not UTF-8.

    Example:
        >>> print(not_utf8(Path("data.csv"), "row 3"))
        data.csv, row 3: these bytes are not UTF-8. Save the file as UTF-8, ...
    """
    remedy = f"Save the file as UTF-8, for instance with `iconv -f latin1 -t utf-8 {path.name}` if it is Latin-1"
    return BadRow(path, where, "these bytes are not UTF-8", remedy)


def value_at(values: Mapping[str, Any], column: str) -> Any:
    """Returns the value of a column; if no column has the name, `data.text` is the key `text` in the object `data`.

    Raises:
        KeyError: there is no such column.

    Example:
        >>> value_at({"data": {"text": "hi"}}, "data.text"), value_at({"data.text": "exact", "data": {}}, "data.text")
        ('hi', 'exact')
    """
    if column in values:
        return values[column]
    parts = column.split(".")
    for end in range(len(parts) - 1, 0, -1):
        head, rest = ".".join(parts[:end]), ".".join(parts[end:])
        inner = values.get(head)
        if isinstance(inner, Mapping) and has_value(inner, rest):
            return value_at(inner, rest)
        if head in values and inner is None:  # an object that is null has null fields
            return None
    raise KeyError(column)


def has_value(values: Mapping[str, Any], column: str) -> bool:
    """True if `value_at` finds the column.

    Example:
        >>> has_value({"data": {"text": "hi"}}, "data.text"), has_value({"data": "hi"}, "data.text")
        (True, False)
    """
    try:
        value_at(values, column)
    except KeyError:
        return False
    return True


def is_blank(value: Any) -> bool:
    """True if a cell holds nothing: null, or a string of blanks.

    Example:
        >>> is_blank(None), is_blank(" "), is_blank(0)
        (True, True, False)
    """
    return value is None or (isinstance(value, str) and not value.strip())


def missing_columns(present: Iterable[str], missing: Sequence[str]) -> str:
    """The sentences about missing columns, for an error.

    Example:
        >>> print(missing_columns(["a", "b"], ["text"]))
        there is no column 'text'. The columns that exist: 'a', 'b'. Name the right ones: ...
    """
    names = list(present)
    shown = [f"{name!r:.60}" for name in names[:_MOST_COLUMNS_LISTED]]
    shown += [f"and {len(names) - len(shown):,} more"] if len(names) > len(shown) else []
    # A header that is not UTF-8 must still be printable.
    listed = ", ".join(shown or ["none"]).encode("utf-8", "replace").decode("utf-8")
    return (
        f"there is no column {' and no column '.join(map(repr, missing))}. The columns that exist: {listed}. "
        "Name the right ones: `text_column`, and `label_column`, `label_columns` or `text_pair_column` if they are read"
    )

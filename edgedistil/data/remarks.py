"""Remarks on labelled texts that were read: rows that were skipped, and labels with blanks around them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Remarks", "SkippedRows"]

_MOST_LISTED = 5


@dataclass(frozen=True)
class SkippedRows:
    """Rows that were skipped because a cell of theirs is blank.

    Attributes:
        blank_rows: Rows with neither a text nor a label.
        blank_texts: Rows with a label only.
        missing_labels: Rows with a text only.
        first: Names of the first of these rows.

    Example:
        >>> skipped = SkippedRows(blank_rows=1, missing_labels=2, first=("row 3", "row 7", "row 8"))
        >>> skipped.count, skipped.to_dict()
        (3, {'rows': 3, 'blank_rows': 1, 'blank_texts': 0, 'missing_labels': 2})
        >>> print(skipped.describe())
        3 rows skipped: 1 blank row, 2 rows without a label (row 3, row 7, row 8)
    """

    blank_rows: int = 0
    blank_texts: int = 0
    missing_labels: int = 0
    first: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of all skipped rows."""
        return self.blank_rows + self.blank_texts + self.missing_labels

    def to_dict(self) -> dict[str, int]:
        """The numbers as plain data."""
        return {
            "rows": self.count,
            "blank_rows": self.blank_rows,
            "blank_texts": self.blank_texts,
            "missing_labels": self.missing_labels,
        }

    def describe(self) -> str:
        """The numbers in words."""
        parts = [
            *([_counted(self.blank_rows, "blank row")] if self.blank_rows else []),
            *([f"{_counted(self.blank_texts, 'row')} without a text"] if self.blank_texts else []),
            *([f"{_counted(self.missing_labels, 'row')} without a label"] if self.missing_labels else []),
        ]
        shown = self.first[:_MOST_LISTED]
        where = ", ".join([*shown, *(["..."] if self.count > len(shown) else [])])
        return f"{_counted(self.count, 'row')} skipped: {', '.join(parts)} ({where})"


@dataclass(frozen=True)
class Remarks:
    """Remarks on labelled texts.

    Attributes:
        skipped: Rows that were skipped.
        blanks: Labels that begin or end with a blank -> number of their rows.
        merged: Those of them that differ from another label only by blanks -> that label.
    """

    skipped: SkippedRows = SkippedRows()
    blanks: Mapping[str, int] = field(default_factory=dict)
    merged: Mapping[str, str] = field(default_factory=dict)

    def warn_of_blanks(self) -> str:
        """The warning about blanks around labels; empty if there are none.

        Example:
            >>> print(Remarks(blanks={" on": 2}, merged={" on": "on"}).warn_of_blanks())
            1 label begins or ends with a blank: ' on' (2 rows), another class than 'on'. Pass `strip_labels` ...
        """
        if not self.blanks:
            return ""
        shown = [
            f"{label!r} ({_counted(rows, 'row')})"
            + (f", another class than {self.merged[label]!r}" if label in self.merged else "")
            for label, rows in list(self.blanks.items())[:_MOST_LISTED]
        ]
        more = [f"and {len(self.blanks) - len(shown):,} more"] if len(self.blanks) > len(shown) else []
        verb = "begins or ends" if len(self.blanks) == 1 else "begin or end"
        return (
            f"{_counted(len(self.blanks), 'label')} {verb} with a blank: {'; '.join([*shown, *more])}. Pass "
            "`strip_labels` to remove such blanks"
        )


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"

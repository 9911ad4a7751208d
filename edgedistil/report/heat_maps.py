"""Confusion matrices as SVG: shares of each class, and differences between a model and the reference."""

import math
from collections.abc import Iterator, Sequence

from edgedistil.report.markup import Markup, element, joined, number
from edgedistil.report.plots import picture, text_width
from edgedistil.report.style import RAMP_STEPS

__all__ = ["confusion_map", "difference_map"]

Matrix = Sequence[Sequence[int]]

_MOST_NAMED = 40  # classes: up to here names beside the matrix, then every tenth number
_MOST_NUMBERED = 26  # classes: up to here counts in the cells
_LONGEST_NAME = 22  # characters
_LETTER = 6.4  # width of an average letter of 11 px


def confusion_map(matrix: Matrix, labels: Sequence[str], *, title: str, key: str) -> Markup:
    """A confusion matrix with a row for each right label and a column for each predicted one.

    A stronger colour is a larger share of the row, on a square-root scale, so that a few texts among many are visible.

    Args:
        matrix: Counts [right label][predicted label].
        labels: Labels of rows and columns.
        title: Title of the picture.
        key: Prefix of the picture's ids, unique on the page.

    Example:
        >>> svg = confusion_map([[3, 1], [0, 2]], ["on", "off"], title="Confusions", key="matrix")
        >>> "5 of 6 texts lie on the diagonal" in svg
        True
    """
    lowest = 1 if len(labels) <= _MOST_NUMBERED else 3  # a small cell shows no number, only its colour
    cells = (
        (row, column, str(count), f"s{max(lowest, round(math.sqrt(count / sum(counts)) * RAMP_STEPS['s']))}")
        for row, counts in enumerate(matrix)
        for column, count in enumerate(counts)
        if count
    )
    total = sum(map(sum, matrix))
    right = sum(matrix[i][i] for i in range(len(labels)))
    description = f"Rows are the right labels, columns the given ones. {right} of {total} texts lie on the diagonal."
    return _map(cells, labels, title, description, key)


def difference_map(matrix: Matrix, reference: Matrix, labels: Sequence[str], *, title: str, key: str) -> Markup:
    """Differences of a model's counts from the reference's: blue is better, orange is worse, numbers have their sign.

    More texts on the diagonal are better, and fewer beside it. The arguments are those of `confusion_map`.

    Example:
        >>> svg = difference_map([[4, 0], [0, 2]], [[3, 1], [0, 2]], ["on", "off"], title="Changes", key="changes")
        >>> "2 cells differ" in svg
        True
    """
    differences = [
        (row, column, count - before)
        for row, (counts, befores) in enumerate(zip(matrix, reference, strict=True))
        for column, (count, before) in enumerate(zip(counts, befores, strict=True))
        if count != before
    ]
    largest = max((abs(change) for *_, change in differences), default=1)
    cells = (
        (row, column, f"{change:+d}".replace("-", "−"), _change_class(change, row == column, largest))
        for row, column, change in differences
    )
    description = (
        "Rows are the right labels, columns the given ones. Numbers are texts more or fewer than the reference has "
        f"there; {len(differences)} cells differ."
    )
    return _map(cells, labels, title, description, key)


def _change_class(change: int, is_diagonal: bool, largest: int) -> str:
    kind = "b" if (change > 0) == is_diagonal else "w"
    return f"{kind}{max(1, round(abs(change) / largest * RAMP_STEPS[kind]))}"


def _map(
    cells: Iterator[tuple[int, int, str, str]], labels: Sequence[str], title: str, description: str, key: str
) -> Markup:
    count = len(labels)
    size = 26.0 if count <= _MOST_NUMBERED else 15.0 if count <= _MOST_NAMED else max(4.0, round(620 / count))
    names = [_shortened(label) for label in labels]
    margin = max(text_width(name, _LETTER) for name in names) + 12 if count <= _MOST_NAMED else 34.0
    side = size * count
    drawn = [_cell(*cell, size, labels) for cell in cells]
    body = element("g", _frame(side, count, size), *drawn, transform=f"translate({number(margin)} {number(margin)})")
    words = _names(names, size, margin) if count <= _MOST_NAMED else _ticks(count, size, margin)
    return picture(title, description, margin + side + 14, margin + side + 6, joined([body, words]), "map", key)


def _cell(row: int, column: int, text: str, class_: str, size: float, labels: Sequence[str]) -> Markup:
    x, y = column * size, row * size
    tooltip = f"{labels[row]}, given {labels[column]}: {text}"
    word = None
    if len(labels) <= _MOST_NUMBERED:
        small = "font-size: 10px" if len(text) < 4 else "font-size: 8px"
        word = element(
            "text", text, x=x + size / 2, y=y + size / 2 + 3.5, text_anchor="middle", class_=class_, style=small
        )
    return element(
        "g", element("title", tooltip), element("rect", x=x, y=y, width=size, height=size, class_=class_), word
    )


def _frame(side: float, count: int, size: float) -> Markup:
    """The border, and in small matrices the lines between cells."""
    lines = ""
    if count <= _MOST_NAMED:
        inner = (number(i * size) for i in range(1, count))
        lines = "".join(f"M0 {at}H{number(side)}M{at} 0V{number(side)}" for at in inner)
    outer = f"M0 0H{number(side)}V{number(side)}H0Z"
    diagonal = None if count <= _MOST_NAMED else element("line", x1=0, y1=0, x2=side, y2=side, class_="grid")
    return joined(
        [element("path", d=lines, class_="grid") if lines else None, element("path", d=outer, class_="axis"), diagonal]
    )


def _names(names: Sequence[str], size: float, margin: float) -> Markup:
    words = []
    for i, name in enumerate(names):
        center = margin + (i + 0.5) * size
        words.append(element("text", name, x=margin - 6, y=center + 4, text_anchor="end", style="font-size: 11px"))
        turn = f"translate({number(center + 4)} {number(margin - 6)}) rotate(-90)"
        words.append(element("text", name, transform=turn, style="font-size: 11px"))
    return joined(words)


def _ticks(count: int, size: float, margin: float) -> Markup:
    """Numbers of the classes, counted from 1 as in the table."""
    words = []
    for i in [0, *range(9, count, 10)]:
        center = margin + (i + 0.5) * size
        words.append(element("text", i + 1, x=margin - 6, y=center + 4, text_anchor="end", class_="soft"))
        words.append(element("text", i + 1, x=center, y=margin - 8, text_anchor="middle", class_="soft"))
    return joined(words)


def _shortened(label: str) -> str:
    return label if len(label) <= _LONGEST_NAME else label[: _LONGEST_NAME - 1] + "…"

"""Tables of the page: they have a caption and headers for rows and columns, and scroll by themselves."""

from collections.abc import Iterable, Sequence

from edgedistil.measuring.measurements import MeasuredModel, Measurements
from edgedistil.report.markup import Child, Markup, element
from edgedistil.report.plots import marker, shortened

__all__ = ["cell", "data_table", "digest", "megabytes", "model_name", "percent", "scrolled", "signed", "words"]

_LONGEST_SHORT_NAME = 24


def data_table(caption: str, columns: Sequence[Child], rows: Iterable[Sequence[Child]], *, class_: str = "") -> Markup:
    """A table whose first column names the rows; it scrolls sideways on a narrow screen.

    Args:
        caption: Caption of the table.
        columns: Header of each column.
        rows: Rows of cells, at least one; results of `cell`, `words` and `digest` are cells, other text becomes the
            cell of a number.
        class_: CSS class of the table.

    Example:
        >>> data_table("Sizes", ("model", "MB"), [("int8", megabytes(2_087_512)), ("int4", None)]).count("<td")
        2
    """
    cells = [[element("th", row[0], scope="row"), *map(_as_cell, row[1:])] for row in rows]
    head = element("tr", *(_header(column, like) for column, like in zip(columns, cells[0], strict=True)))
    body = [element("tr", *row) for row in cells]
    table = element(
        "table",
        element("caption", element("span", caption)),
        element("thead", head),
        element("tbody", *body),
        class_=class_ or None,
    )
    return scrolled(table, caption)


def scrolled(content: Markup, label: str) -> Markup:
    """Content in a box that scrolls by itself, also by keyboard (WCAG 2.2, success criterion 2.1.1).

    Example:
        >>> 'tabindex="0"' in scrolled(element("p", "wide"), "A wide paragraph")
        True
    """
    return element("div", content, class_="scroll", tabindex="0", role="region", aria_label=label)


def cell(text: Child, class_: str = "number") -> Markup:
    """A cell with a number.

    Example:
        >>> cell("3.5")
        '<td class="number">3.5</td>'
    """
    return element("td", text, class_=class_)


def words(text: Child) -> Markup:
    """A cell with words, which wrap.

    Example:
        >>> words("a < b")
        '<td class="words"><bdi>a &lt; b</bdi></td>'
    """
    return element("td", element("bdi", text), class_="words")


def digest(text: str) -> Markup:
    """A cell with a hash.

    Example:
        >>> digest("")
        '<td class="digest">–</td>'
    """
    return element("td", text or "–", class_="digest")


def percent(share: float, digits: int = 1) -> str:
    """A share of 1 in percent.

    Example:
        >>> percent(0.98765, 2).split()
        ['98.77', '%']
    """
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def signed(value: float, digits: int = 1) -> str:
    """A difference with its sign; 0 if it rounds to 0.

    Example:
        >>> signed(1.25, 2), signed(-1.25, 2), signed(-0.001, 2)
        ('+1.25', '−1.25', '0')
    """
    text = f"{value:+.{digits}f}"
    return text.replace("-", "−") if float(text) else "0"


def megabytes(size: float) -> str:
    """Bytes in megabytes (10⁶).

    Example:
        >>> megabytes(2_087_512), megabytes(265_000_000)
        ('2.09', '265')
    """
    return f"{size / 1e6:.2f}" if size < 1e8 else f"{size / 1e6:,.0f}"


def model_name(measurements: Measurements, model: MeasuredModel, *, is_short: bool = False) -> Markup:
    """A model's mark and name; the short one is for the header of a column."""
    series = measurements.models.index(model)
    mark = element("svg", marker(series, 8, 8), viewBox="0 0 16 16", class_="mark", aria_hidden="true")
    return element(
        "span",
        mark,
        element("bdi", shortened(model.short_name, _LONGEST_SHORT_NAME) if is_short else model.name),
        class_="model",
    )


def _header(column: Child, like: Markup) -> Markup:
    """The header of a column, aligned as the cell `like` below it."""
    is_left = not like.startswith('<td class="number')
    classes = [name for name, holds in (("name", is_left), ("wraps", isinstance(column, Markup))) if holds]
    return element("th", column, scope="col", class_=" ".join(classes) or None)


def _as_cell(content: Child) -> Markup:
    if isinstance(content, Markup) and content.startswith("<td"):
        return content
    return cell("–" if content is None else content)

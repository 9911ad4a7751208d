"""The page: one HTML file without scripts that loads nothing."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgedistil.measuring.measurements import Measurements
from edgedistil.report.markup import Child, Markup, element, joined
from edgedistil.report.provenance import circumstances_section, files_section, origin_section
from edgedistil.report.quality import changes_section, confusion_section
from edgedistil.report.scores import scores_section
from edgedistil.report.style import style_sheet
from edgedistil.report.texts import texts_section
from edgedistil.report.tradeoffs import latency_section, summary_section, tradeoff_section
from edgedistil_converters.files import atomic_path

__all__ = ["Section", "render_page", "write_report"]

# Nothing may be loaded and nothing may run, whatever a label contains (https://www.w3.org/TR/CSP3/).
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_SECTIONS = (
    ("summary", "Models", summary_section),
    ("tradeoffs", "Accuracy against size and time", tradeoff_section),
    ("latency", "Latency by text length", latency_section),
    ("scores", "Scores", scores_section),
    ("classes", "Classes", changes_section),
    ("confusion", "Confusions", confusion_section),
    ("texts", "Texts", texts_section),
    ("files", "Inside the files", files_section),
    ("origin", "Origin", origin_section),
    ("measured", "How it was measured", circumstances_section),
)
_HEADINGS_OF_SETS = {"tradeoffs": "Right sets against size and time", "classes": "Labels"}


@dataclass(frozen=True)
class Section:
    """A section that a caller adds to the page.

    Attributes:
        key: Its id, unique on the page.
        heading: Its heading.
        body: Its content.
    """

    key: str
    heading: str
    body: Markup


def render_page(measurements: Measurements, *, title: str | None = None, first: Sequence[Section] = ()) -> str:
    """Returns the page as HTML; equal measurements give equal pages.

    Args:
        measurements: Measurements to show.
        title: Title of the page; `None` for one about its models.
        first: Sections before those of the measurements.
    """
    headings = _HEADINGS_OF_SETS if measurements.has_label_sets else {}
    drawn = [(key, headings.get(key, heading), draw(measurements)) for key, heading, draw in _SECTIONS]
    present = [*((one.key, one.heading, one.body) for one in first), *(found for found in drawn if found[2])]
    title = title or _title(measurements)
    links = (element("li", element("a", heading, href=f"#{key}")) for key, heading, _ in present)
    main = element(
        "main",
        *(
            element(
                "section", element("h2", heading, id=f"{key}-heading"), body, id=key, aria_labelledby=f"{key}-heading"
            )
            for key, heading, body in present
        ),
    )
    header = _header(measurements, joined(links), title)
    body = [header, main, element("footer", f"edgedistil {measurements.edgedistil}")]
    return f"<!DOCTYPE html>\n{element('html', _head(measurements, title), element('body', *body), lang='en')}\n"


def write_report(
    measurements: Measurements,
    path: Path,
    *,
    force: bool = False,
    title: str | None = None,
    first: Sequence[Section] = (),
) -> None:
    """Writes the page to a file.

    Args:
        measurements: Measurements to show.
        path: File to write.
        force: Replace a file at `path`.
        title: As in `render_page`.
        first: As in `render_page`.

    Raises:
        OutputError: the file exists and `force` is false, or cannot be written.

    Example:
        >>> from edgedistil.data import read_labelled_texts
        >>> from edgedistil.measuring.models import measure
        >>> from edgedistil_runtime.benchmarking.speed import BenchmarkSettings
        >>> settings = BenchmarkSettings(runs=1, starts=1, largest_sample=2)
        >>> measured = measure([Path("intents.tflite")], read_labelled_texts("test.csv"), settings=settings)
        >>> write_report(measured, Path("report.html"))
        >>> "<script" in Path("report.html").read_text()
        False
    """
    page = render_page(measurements, title=title, first=first)
    with atomic_path(path, force=force) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _title(measurements: Measurements) -> str:
    names = [model.name for model in measurements.models]
    return names[0] if len(names) == 1 else f"{len(names)} models compared on {measurements.data.name}"


def _head(measurements: Measurements, title: str) -> Markup:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="generator", content=f"edgedistil {measurements.edgedistil}"),
        element("link", rel="icon", href="data:,"),
        element("title", f"{title} · EdgeDistil report"),
        element("style", Markup(style_sheet())),
    )


def _header(measurements: Measurements, links: Markup, title: str) -> Markup:
    data = measurements.data
    several = ", any number of them for a text" if measurements.has_label_sets else ""
    day = re.sub(r"T.*", "", measurements.measured_at)
    line: list[Child] = [
        f"{data.texts:,} labelled texts of ",
        element("bdi", data.name),
        f", {len(measurements.labels)} classes{several}; measured on {day}, {measurements.machine}.",
    ]
    return element(
        "header",
        element("h1", title),
        element("p", *line, class_="muted"),
        element("nav", element("ul", links), aria_label="Sections"),
    )

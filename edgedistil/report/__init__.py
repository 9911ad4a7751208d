"""One self-contained HTML page that compares models: scores, size, speed, and changed labels.

    page         the page: its sections in order
    tradeoffs    sections on accuracy, size and speed
    quality      sections on classes, changed texts and confusions
    scores       section on scores and their calibration
    provenance   sections on the files and the measurement
    tables       tables of the sections
    plots, axes  plots as inline SVG
    heat_maps    confusion matrices as inline SVG
    style        colours and style sheet
    markup       HTML and SVG elements, escaped

`edgedistil.measuring.models` measures what the page shows.
"""

from edgedistil.measuring.measurements import Measurements
from edgedistil.report.page import render_page, write_report

__all__ = ["Measurements", "render_page", "write_report"]

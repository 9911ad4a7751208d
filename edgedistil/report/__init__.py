"""One self-contained HTML page that compares models: how good, how large, how fast, and what changed.

measurements   what a report shows, as frozen values that JSON carries
measuring      makes them from models and labelled texts
page           draws them: sections of tables, and plots as inline SVG
"""

from edgedistil.measuring.measurements import Measurements
from edgedistil.report.page import render_page, write_report

__all__ = ["Measurements", "render_page", "write_report"]

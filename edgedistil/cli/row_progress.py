"""Progress through the rows of a file: a bar for a person who watches, nothing for anyone else."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edgedistil.cli.output import console

if TYPE_CHECKING:
    from edgedistil.prediction import Progress

__all__ = ["row_progress"]


@contextmanager
def row_progress() -> Iterator[Callable[["Progress"], None]]:
    """A function that shows how many rows are done, how fast, and what remains where that is known."""
    screen = console()
    if not screen.is_terminal:
        yield lambda _: None
        return
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    with Bar(BarColumn(), TextColumn("{task.description}"), console=screen, transient=True) as bar:
        task = bar.add_task("", total=None)
        pace = _Pace()

        def show(progress: "Progress") -> None:
            is_known = progress.fraction is not None
            bar.update(
                task, description=pace.told(progress), total=1.0 if is_known else None, completed=progress.fraction or 0
            )

        yield show


class _Pace:
    """Speed and remaining time, measured from the first call on: what an earlier run did counts for neither."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start: tuple[float, Progress] | None = None

    def told(self, progress: "Progress") -> str:
        """One line, such as `40,960 rows, 1,210 rows/s, 0:03:32 left`."""
        now = self._clock()
        if self._start is None:
            self._start = (now, progress)
        started, first = self._start
        seconds, rows = now - started, progress.rows - first.rows
        parts = [f"{progress.rows:,} rows"]
        if rows and seconds > 0:
            parts.append(f"{rows / seconds:,.0f} rows/s")
            if progress.fraction is not None and progress.fraction > (first.fraction or 0):
                left = seconds * (1 - progress.fraction) / (progress.fraction - (first.fraction or 0))
                parts.append(f"{_clock_time(left)} left")
        return ", ".join(parts)


def _clock_time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"

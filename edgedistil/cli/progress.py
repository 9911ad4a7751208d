"""Progress on stderr: a bar or a line for a person at a terminal, nothing if stderr is a file or a pipe."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edgedistil.cli.output import console

if TYPE_CHECKING:
    from rich.console import Console

    from edgedistil.labelling import Progress
    from edgedistil.training.callbacks import TrainingProgress

__all__ = ["row_progress", "stage_line", "text_progress", "training_progress"]


@contextmanager
def stage_line() -> Iterator[Callable[[str], None]]:
    """Yields a function that shows the name of the current stage."""
    screen = console()
    if not screen.is_terminal:
        yield lambda _: None
        return
    with screen.status("") as status:
        yield status.update


@contextmanager
def training_progress(
    screen: "Console", epochs: int, steps_per_epoch: int
) -> Iterator[Callable[["TrainingProgress"], None]]:
    """Yields a function that moves a bar with every step and prints a line of metrics after every epoch.

    Args:
        screen: Console to draw on; if it is no terminal, only the lines are printed.
        epochs: Epochs of the training, at most.
        steps_per_epoch: Batches in an epoch.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[state]}"),
    )
    bar = Bar(*columns, console=screen, transient=True)
    task = bar.add_task("training", total=epochs * steps_per_epoch, state="")

    def show(progress: "TrainingProgress") -> None:
        bar.start()  # only when training begins; later calls do nothing
        if progress.is_epoch_done:
            metrics = "  ".join(f"{name} {value:.4f}" for name, value in progress.metrics.items())
            screen.print(f"epoch {progress.epoch:>2}  {metrics}", highlight=False)
            return
        loss = progress.metrics.get("loss")
        bar.update(
            task,
            description=f"epoch {progress.epoch} of {epochs}",
            completed=(progress.epoch - 1) * steps_per_epoch + progress.step,
            state="" if loss is None else f"loss {loss:.3f}",
        )

    try:
        yield show
    finally:
        bar.stop()


@contextmanager
def row_progress() -> Iterator[Callable[["Progress"], None]]:
    """Yields a function that shows how many rows are done, how fast, and the remaining time if the total is known."""
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
                task,
                description=pace.format(progress),
                total=1.0 if is_known else None,
                completed=progress.fraction or 0,
            )

        yield show


@contextmanager
def text_progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """Yields a function that shows how many of all texts are done.

    Args:
        name: What is done to the texts, or by whom.
    """
    screen = console()
    if not screen.is_terminal:
        yield lambda _done, _total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=screen, transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class _Pace:
    """Speed and remaining time, measured from the first call: rows of an earlier run count for neither."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start: tuple[float, Progress] | None = None

    def format(self, progress: "Progress") -> str:
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

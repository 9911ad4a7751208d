"""The border between EdgeDistil's errors and the person at the terminal.

| error | printed on stderr | exit code |
|---|---|---|
| `EdgeDistilError`, or an `OSError` that names a file | `Error: ` and the message | 1 |
| `WorkerError`: another worker was lost | the same | 75, which asks for another try |
| wrong use of the command line | click's usage message | 2 |
| Ctrl-C | one line | 130 |
| SIGTERM | nothing | 143 |
| any other, or any of these with `--debug` | the traceback | 1 |
"""

import errno
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from edgedistil.cli.flags import with_flags
from edgedistil_runtime.errors import EdgeDistilError, WorkerError

__all__ = ["EXIT_ERROR", "EXIT_INTERRUPTED", "EXIT_WORKER", "guarded"]

EXIT_ERROR = 1
EXIT_WORKER = 75  # EX_TEMPFAIL of sysexits.h
EXIT_INTERRUPTED = 130  # 128 + SIGINT, the shells' convention
_EXIT_TERMINATED = 128 + signal.SIGTERM


def guarded(run: Callable[[], Any], *, is_debug: Callable[[], bool]) -> Any:
    """Runs a command and turns its errors into a message and an exit code.

    Args:
        run: Runs the command.
        is_debug: Called after an error; `True` prints the traceback as well.

    Returns:
        The result of `run`.

    Raises:
        SystemExit: `run` raised an error that this border handles, or the process got SIGTERM.
        click.ClickException: wrong use; click prints it and exits with 2.

    Example:
        >>> def fail():
        ...     raise EdgeDistilError("Pass another `output`.")
        >>> guarded(fail, is_debug=lambda: False)  # prints "Error: Pass another --output." on stderr
        Traceback (most recent call last):
        SystemExit: 1
    """
    try:
        with _cleaned_up_when_terminated():
            return run()
    except (click.Abort, KeyboardInterrupt):
        _explain("Interrupted: nothing half-written is left.", is_debug=is_debug())
        raise SystemExit(EXIT_INTERRUPTED) from None
    except BrokenPipeError:
        # The reader of our stdout (head, less) has closed it, which is not an error of ours.
        sys.stderr.close()
        raise SystemExit(EXIT_ERROR) from None
    except (EdgeDistilError, OSError) as error:
        message = _message(error)
        if message is None:
            raise
        _explain(f"Error: {message}", is_debug=is_debug())
        raise SystemExit(EXIT_WORKER if isinstance(error, WorkerError) else EXIT_ERROR) from None


@contextmanager
def _cleaned_up_when_terminated() -> Iterator[None]:
    """Turns SIGTERM, which would end the process at once, into an exception, so that half-written files are removed."""
    is_ours = (
        threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if not is_ours:
        yield
        return

    def end(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would interrupt the cleaning up
        raise SystemExit(_EXIT_TERMINATED)

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _message(error: EdgeDistilError | OSError) -> str | None:
    if isinstance(error, EdgeDistilError):
        return with_flags(str(error))
    if error.errno == errno.ENOSPC:
        where = f" while writing {error.filename}" if error.filename else ""
        return f"The disk is full{where}. Free some space, or write to another disk, and run the command again"
    if error.filename is not None:
        return f"{error.strerror}: {error.filename}"
    return None


def _explain(message: str, *, is_debug: bool) -> None:
    if is_debug:
        traceback.print_exc()
    click.echo(message, err=True)

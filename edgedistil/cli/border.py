"""The one border between EdgeDistil's errors and the person at the terminal.

| what happened | printed on stderr | exit code |
|---|---|---|
| `EdgeDistilError`, or an `OSError` that names a file | `Error: ` and the message | 1 |
| wrong use of the command line | click's usage message | 2 |
| Ctrl-C | one line | 130 |
| SIGTERM | nothing | 143 |
| anything else, or any of these under `--debug` | the traceback | 1 |
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
from edgedistil_runtime.errors import EdgeDistilError

__all__ = ["EXIT_ERROR", "EXIT_INTERRUPTED", "guarded"]

EXIT_ERROR = 1
EXIT_INTERRUPTED = 130  # 128 + SIGINT, the shells' convention
_EXIT_TERMINATED = 128 + signal.SIGTERM


def guarded(run: Callable[[], Any], *, is_debug: Callable[[], bool]) -> Any:
    """Run a command and turn what it raises into a message and an exit code.

    Args:
        run: the command.
        is_debug: asked when something was raised; `True` shows the traceback as well.

    Returns:
        What `run` returns.

    Raises:
        SystemExit: `run` raised something that this border translates, or the process was told to end.
        click.ClickException: wrong use; click itself prints it and exits with 2.
    """
    try:
        with _cleaned_up_when_terminated():
            return run()
    except (click.Abort, KeyboardInterrupt):
        _explain("Interrupted: nothing half-written is left.", is_debug=is_debug())
        raise SystemExit(EXIT_INTERRUPTED) from None
    except BrokenPipeError:
        # The reader of our stdout (head, less) has gone: that is its right, and no error of ours.
        sys.stderr.close()
        raise SystemExit(EXIT_ERROR) from None
    except (EdgeDistilError, OSError) as error:
        message = _message(error)
        if message is None:
            raise
        _explain(f"Error: {message}", is_debug=is_debug())
        raise SystemExit(EXIT_ERROR) from None


@contextmanager
def _cleaned_up_when_terminated() -> Iterator[None]:
    """Turns SIGTERM, which ends a process on the spot, into an exception that removes half-written files on its way."""
    is_ours = (
        threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if not is_ours:
        yield
        return

    def end(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would cut the cleaning up short
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

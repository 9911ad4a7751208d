"""The command line of the runtime: `edgedistil-runtime`, one module a command.

Each command's module has `add_parser`, which declares it, and `run`, which takes what was parsed; errors cross one
border, here. Neither `--help` nor a usage error imports NumPy, an interpreter or the server.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from edgedistil_runtime.cli import classify, info, serve
from edgedistil_runtime.cli.flags import with_flags
from edgedistil_runtime.errors import EdgeDistilError

__all__ = ["main"]

_EXAMPLES = """examples:
  edgedistil-runtime classify intent.tflite "turn on the light" "good night"
  edgedistil-runtime classify intent.tflite --top 3 --json - < texts.txt
  edgedistil-runtime info intent.tflite
  edgedistil-runtime serve intent.tflite --port 8317
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: without the program's name; by default those of the process.

    Returns:
        The exit status: 0, or 1 after an error that was printed. Wrong usage raises SystemExit(2).
    """
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a label must not fail in a terminal without its letters
    try:
        options.run(options)
    except EdgeDistilError as error:
        print(f"error: {with_flags(str(error))}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader, `head` for instance, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the flush at exit fails again
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgedistil-runtime",
        description="Run a .tflite text classifier that EdgeDistil wrote.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in (classify, info, serve):
        command.add_parser(commands)
    return parser


class _Version(argparse.Action):
    """Looks the version up only when asked: reading a distribution's metadata takes longer than all the rest."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        """Prints it and exits."""
        from edgedistil_runtime import __version__

        parser.exit(message=f"edgedistil-runtime {__version__}\n")

"""The command line of the runtime, `edgedistil-runtime`: one module per command.

A command's module has `add_parser`, which declares the command, and `run`, which gets the parsed options. Errors become
messages here, in one place. Neither `--help` nor a usage error imports NumPy, an interpreter or the server.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from edgedistil_runtime.cli import benchmark, classify, info, serve
from edgedistil_runtime.cli.flags import with_flags
from edgedistil_runtime.errors import EdgeDistilError

__all__ = ["main"]

_EXAMPLES = """examples:
  edgedistil-runtime classify intent.tflite "turn on the light" "good night"
  edgedistil-runtime classify intent.tflite --top 3 --json - < texts.txt
  edgedistil-runtime info intent.tflite
  edgedistil-runtime benchmark int8.tflite int4.tflite
  edgedistil-runtime serve intent.tflite --port 8317
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Arguments without the program's name; by default those of the process.

    Returns:
        Exit status: 0, or 1 after an error was printed. Wrong usage raises SystemExit(2).

    Example:
        >>> main(["classify", "intents.tflite", "turn the lights on", "play music"])
        lights  0...
        music   0...
        0
    """
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for labels with letters that the terminal lacks
    try:
        options.run(options)
    except EdgeDistilError as error:
        print(f"error: {with_flags(str(error))}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader has ended, for instance `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or flushing at exit fails again
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
    for command in (classify, info, benchmark, serve):
        command.add_parser(commands)
    return parser


class _Version(argparse.Action):
    """Read the version only if asked: reading a distribution's metadata takes longer than everything else."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        """Print the version and exit."""
        from edgedistil_runtime import __version__

        parser.exit(message=f"edgedistil-runtime {__version__}\n")

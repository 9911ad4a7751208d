"""`python -m edgedistil_runtime MODEL TEXT…`: labels texts from a shell, with nothing but the runtime installed."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence

from edgedistil_runtime import Classification, EdgeDistilError, TextClassifier, __version__
from edgedistil_runtime.native_log import native_log_hidden

__all__ = ["main"]

_EXAMPLES = """examples:
  python -m edgedistil_runtime intent.tflite "turn on the light" "good night"
  python -m edgedistil_runtime intent.tflite --top 3 --json - < texts.txt
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
        with native_log_hidden():
            classifier = TextClassifier(options.model, options.accelerator, options.num_threads)
        with classifier:
            for text in _texts(options.texts):
                answer = classifier.classify(text)
                print(_json(answer, options.top) if options.json else _columns(answer, options.top), flush=True)
    except EdgeDistilError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader, `head` for instance, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the flush at exit fails again
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m edgedistil_runtime",
        description="Label texts with a .tflite file that EdgeDistil wrote. One line a text: label, tab, score.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="the .tflite file")
    parser.add_argument("texts", metavar="TEXT", nargs="+", help="a text; - reads one text a line from standard input")
    parser.add_argument("--top", type=_positive, metavar="K", help="the K best labels (default: 1; with --json all)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a text")
    parser.add_argument("--accelerator", default="cpu", help="what runs the model: cpu (default)")
    parser.add_argument("--num-threads", type=_positive, metavar="N", help="threads for one text")
    parser.add_argument("--version", action="version", version=f"edgedistil-runtime {__version__}")
    return parser


def _positive(literal: str) -> int:
    number = int(literal)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1. Received: {literal}")
    return number


_positive.__name__ = "integer"  # argparse names the type in its errors


def _texts(given: Iterable[str]) -> Iterator[str]:
    for text in given:
        if text == "-":
            for line in sys.stdin.buffer:  # not text mode: its encoding is the locale's, the model's is UTF-8
                yield line.decode("utf-8", "replace").rstrip("\r\n")
        else:
            yield text


def _columns(answer: Classification, top: int | None) -> str:
    return "\t".join(f"{label}\t{score:.4f}" for label, score in answer.top(top or 1))


def _json(answer: Classification, top: int | None) -> str:
    best = dict(answer.top(top or len(answer.probabilities)))
    return json.dumps({"text": answer.text, "label": answer.label, "score": answer.score, "probabilities": best})


if __name__ == "__main__":
    sys.exit(main())

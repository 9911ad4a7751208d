"""`edgedistil-runtime classify MODEL TEXT…`: labels texts from a shell."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from edgedistil_runtime.cli.options import add_model, open_classifier, positive_integer

if TYPE_CHECKING:
    from edgedistil_runtime.classification import Classification

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    summary = "Label texts. One line a text: label, tab, score."
    parser = commands.add_parser("classify", help=summary, description=summary)
    add_model(parser)
    parser.add_argument("texts", metavar="TEXT", nargs="+", help="a text; - reads one text a line from standard input")
    parser.add_argument("--top", type=positive_integer, metavar="K", help="the K best labels (default: 1; --json: all)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a text")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Prints a line for each text as soon as it is labelled.

    Raises:
        EdgeDistilError: the model cannot be run.
    """
    with open_classifier(options) as classifier:
        for text in _texts(options.texts):
            answer = classifier.classify(text)
            line = _json(answer, options.top) if options.json else _columns(answer, options.top)
            print(line, flush=True)


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
    told = {"text": answer.text, "label": answer.label, "score": answer.score, "probabilities": best}
    return json.dumps({**told, "is_truncated": answer.is_truncated})

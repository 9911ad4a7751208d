"""`edgedistil-runtime classify MODEL TEXT…`: label texts from a shell."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from edgedistil_runtime.cli.options import add_model, open_classifier, positive_integer
from edgedistil_runtime.pieces import LONG_TEXTS

if TYPE_CHECKING:
    from edgedistil_runtime.classification import Classification

__all__: list[str] = []  # `cli.main` calls `add_parser` and `run`

_UNKNOWN = ("unknown_score", "is_unknown")


def add_parser(commands: Any) -> None:
    """Declare the command."""
    summary = (
        "Label texts. Prints one line per text: label, tab, score. A multi-label model prints all labels that reach "
        "their thresholds, or an empty line. If the model recognizes texts with none of its labels, the line of one "
        "ends with a tab and the name for them."
    )
    parser = commands.add_parser("classify", help=summary, description=summary)
    add_model(parser)
    parser.add_argument(
        "texts", metavar="TEXT", nargs="+", help="a text; - reads one text per line from standard input"
    )
    parser.add_argument(
        "--top", type=positive_integer, metavar="K", help="print the K best labels (default: 1; with --json: all)"
    )
    parser.add_argument(
        "--long-texts",
        choices=LONG_TEXTS,
        default=LONG_TEXTS[0],
        help="what is read of a text that is longer than the model's sequence length: its beginning (default), its "
        "first and last words, or all of it in overlapping windows, whose probabilities are averaged",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per text")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print a line for each text as soon as it is labelled.

    Raises:
        EdgeDistilError: The model cannot be run.
    """
    with open_classifier(options) as classifier:
        for text in _texts(options.texts):
            answer = classifier.classify(text)
            line = _json(answer, options.top) if options.json else _columns(answer, options.top)
            rule = classifier.metadata.unknown_rule
            print(f"{line}\t{rule.label}" if rule and answer.is_unknown and not options.json else line, flush=True)


def _texts(given: Iterable[str]) -> Iterator[str]:
    for text in given:
        if text == "-":
            for line in sys.stdin.buffer:  # as bytes, because text mode uses the locale's encoding
                yield line.decode("utf-8", "replace").rstrip("\r\n")
        else:
            yield text


def _columns(answer: Classification, top: int | None) -> str:
    shown = answer.top(top or 1)
    if answer.labels is not None and top is None:
        shown = [(label, answer.probabilities[label]) for label in answer.labels]
    return "\t".join(f"{label}\t{score:.4f}" for label, score in shown)


def _json(answer: Classification, top: int | None) -> str:
    best = dict(answer.top(top or len(answer.probabilities)))
    answered = {"text": answer.text, "label": answer.label, "score": answer.score, "probabilities": best}
    labels = {} if answer.labels is None else {"labels": list(answer.labels)}
    unknown = {} if answer.is_unknown is None else {key: getattr(answer, key) for key in _UNKNOWN}
    return json.dumps({**answered, **labels, **unknown, "is_truncated": answer.is_truncated})

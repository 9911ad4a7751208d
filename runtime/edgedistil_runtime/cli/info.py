"""`edgedistil-runtime info MODEL`: describe a file and what runs it on this machine."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistil_runtime.cli.options import add_model, open_classifier

if TYPE_CHECKING:
    from edgedistil_runtime.classifier import TextClassifier

__all__: list[str] = []  # `cli.main` calls `add_parser` and `run`


def add_parser(commands: Any) -> None:
    """Declare the command."""
    summary = "Describe a file and what runs it on this machine. Replays its golden cases."
    parser = commands.add_parser("info", help=summary, description=summary)
    add_model(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the description.

    Raises:
        EdgeDistilError: The file is damaged, or nothing on this machine can run it.
    """
    with open_classifier(options) as classifier:
        size = Path(options.model).stat().st_size
        document = _document(classifier, size=size, is_checked=options.public_key is not None)
    text = json.dumps(document, default=str) if options.json else "\n".join(_lines(document))
    print(text)


def _document(classifier: TextClassifier, *, size: int, is_checked: bool) -> dict[str, Any]:
    signature = classifier.signature
    metadata = classifier.metadata
    tokenizer = metadata.tokenizer
    return {
        "name": metadata.name,
        "size": size,
        "labels": list(metadata.labels),
        "problem_type": metadata.problem_type,
        "thresholds": dict(zip(metadata.labels, metadata.thresholds)),
        "unknown": dataclasses.asdict(metadata.unknown_rule) if metadata.unknown_rule else None,
        "tokenizer": {
            "kind": tokenizer.kind,
            "sequence_length": tokenizer.sequence_length,
            "vocabulary_size": tokenizer.vocabulary_size,
        },
        "scheme": metadata.quantization["scheme"],
        "target": metadata.target,
        "signed_with": signature and {"fingerprint": signature.fingerprint, "is_checked": is_checked},
        "runtime": dataclasses.asdict(classifier.runtime_info),
    }


def _lines(document: dict[str, Any], indent: str = "") -> list[str]:
    """Return the document for people: one line per value, nested values indented, empty values left out."""
    width = max((len(key) for key in document), default=0) + 2
    lines = []
    for key, value in document.items():
        if isinstance(value, dict) and value:
            lines += [f"{indent}{key}", *_lines(value, indent + "  ")]
        elif value not in (None, "", [], (), {}):
            lines.append(f"{indent}{key:<{width}}{_value(key, value)}")
    return lines


def _value(key: str, value: Any) -> str:
    if key == "size":
        return f"{value / 1e6:.2f} MB"
    if isinstance(value, (list, tuple)):
        return f"{len(value)}: {', '.join(map(str, value))}"
    return f"{value:.3g}" if isinstance(value, float) else str(value)

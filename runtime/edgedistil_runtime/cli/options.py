"""What several commands take: the model, where it runs, and numbers within bounds."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from edgedistil_runtime.contract import CPU
from edgedistil_runtime.native_log import native_log_hidden

if TYPE_CHECKING:
    from edgedistil_runtime.classifier import TextClassifier

__all__ = ["add_model", "open_classifier", "positive_integer", "positive_seconds"]


def add_model(parser: argparse.ArgumentParser) -> None:
    """Adds the model and how it is to be run."""
    parser.add_argument("model", metavar="MODEL", help="the .tflite file")
    parser.add_argument("--accelerator", default=CPU, help="cpu (default), or what the file is for: gpu, edgetpu")
    parser.add_argument("--device", help="which Edge TPU: usb, pci, :0, usb:1")
    parser.add_argument("--fallback", action="store_true", help="let the CPU stand in for an accelerator, and say so")
    parser.add_argument("--num-threads", type=positive_integer, metavar="N", help="threads for one text")


def open_classifier(options: argparse.Namespace) -> TextClassifier:
    """Loads the model that `add_model` declared; the interpreter's remarks are shown only if that fails.

    Raises:
        EdgeDistilError: the file is not sound, or nothing here can run it.
    """
    from edgedistil_runtime.classifier import TextClassifier

    with native_log_hidden():
        return TextClassifier(
            options.model,
            options.accelerator,
            options.num_threads,
            device=options.device,
            fallback=options.fallback,
        )


def positive_integer(literal: str) -> int:
    """An integer of at least 1, as argparse reads one."""
    number = int(literal)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1. Received: {literal}")
    return number


def positive_seconds(literal: str) -> float:
    """A number of seconds greater than 0 and at most an hour, as argparse reads one."""
    number = float(literal)
    if not 0 < number <= 3600:
        raise argparse.ArgumentTypeError(f"must be greater than 0 and at most 3600. Received: {literal}")
    return number


positive_integer.__name__ = "integer"  # argparse names the type in its errors
positive_seconds.__name__ = "number"

"""Options of several commands: the model, where it runs, and numbers within bounds."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from edgedistil_runtime.contract import CPU
from edgedistil_runtime.native_log import native_log_hidden

if TYPE_CHECKING:
    from edgedistil_runtime.classifier import TextClassifier

__all__ = ["add_model", "open_classifier", "positive_integer", "positive_seconds"]


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the model and how to run it.

    Example:
        >>> parser = argparse.ArgumentParser()
        >>> add_model(parser)
        >>> vars(parser.parse_args(["intents.tflite", "--num-threads", "2"]))["num_threads"]
        2
    """
    parser.add_argument("model", metavar="MODEL", help="the .tflite file")
    parser.add_argument(
        "--accelerator", default=CPU, help="cpu (default), or the target of the file: gpu, edgetpu, coralboard"
    )
    parser.add_argument(
        "--device", help="the Edge TPU to use: usb, pci, :0, usb:1; for coralboard: sim, the vendor's simulator"
    )
    parser.add_argument(
        "--fallback", action="store_true", help="use the CPU if the accelerator is unavailable, and report it"
    )
    parser.add_argument("--num-threads", type=positive_integer, metavar="N", help="threads for one text")
    parser.add_argument(
        "--public-key", metavar="FILE", help="refuse a model that was not signed with the private key of this PEM file"
    )


def open_classifier(options: argparse.Namespace) -> TextClassifier:
    """Load the model in the options of `add_model`; the interpreter's log is shown only if loading fails.

    Raises:
        EdgeDistilError: The file is damaged, or nothing on this machine can run it.

    Example:
        >>> parser = argparse.ArgumentParser()
        >>> add_model(parser)
        >>> with open_classifier(parser.parse_args(["intents.tflite"])) as classifier:
        ...     classifier.labels
        ('lights', 'music', 'weather')
    """
    from edgedistil_runtime.classifier import TextClassifier

    with native_log_hidden():
        return TextClassifier(
            options.model,
            options.accelerator,
            options.num_threads,
            device=options.device,
            fallback=options.fallback,
            long_texts=getattr(options, "long_texts", "cut"),  # not every command has the option
            public_key=options.public_key,
        )


def positive_integer(literal: str) -> int:
    """Parse an integer of at least 1, for argparse.

    Example:
        >>> positive_integer("8")
        8
        >>> positive_integer("0")
        Traceback (most recent call last):
        ...
        argparse.ArgumentTypeError: must be at least 1. Received: 0
    """
    number = int(literal)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1. Received: {literal}")
    return number


def positive_seconds(literal: str) -> float:
    """Parse a number of seconds greater than 0 and at most an hour, for argparse.

    Example:
        >>> positive_seconds("0.5")
        0.5
    """
    number = float(literal)
    if not 0 < number <= 3600:
        raise argparse.ArgumentTypeError(f"must be greater than 0 and at most 3600. Received: {literal}")
    return number


positive_integer.__name__ = "integer"  # argparse prints the name in its errors
positive_seconds.__name__ = "number"

"""Output of the command line: results on stdout, everything else on stderr, and only for a person."""

import importlib
import json
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgedistil_runtime.native_log import native_log_hidden

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["console", "describe_unknown_rule", "import_quietly", "print_json", "stdout_console"]


def console() -> "Console":
    """A console on stderr, for progress and remarks; `is_terminal` is true if a person reads it."""
    from rich.console import Console

    return Console(stderr=True)


def stdout_console() -> "Console":
    """A console on stdout, for results; wide if piped, so that tables are not folded."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 160)


def print_json(result: Mapping[str, Any]) -> None:
    """Prints one JSON object as one line on stdout, for the next program in the pipe.

    Example:
        >>> print_json({"label": "lights", "score": 0.9})
        {"label": "lights", "score": 0.9}
    """
    sys.stdout.write(json.dumps(result, ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()


def import_quietly(*modules: str, is_computing: bool = True) -> None:
    """Imports modules that import TensorFlow, without its start-up messages.

    TensorFlow's C++ side writes to file descriptor 2 before any of its log levels apply, so that descriptor is
    diverted during the import, and its output is shown only if the import fails.

    Args:
        modules: Full module names, such as `"edgedistil.training.loop"`.
        is_computing: Run TensorFlow's first operation too; several workers are connected before it.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    with native_log_hidden():
        for module in modules:
            importlib.import_module(module)
        if is_computing:
            _first_operation()
    _quiet_python_loggers()


def _first_operation() -> None:
    """Runs TensorFlow's first operation, which logs devices and CPU features."""
    if "tensorflow" in sys.modules:
        sys.modules["tensorflow"].constant(0)


def _quiet_python_loggers() -> None:
    import logging

    for name in ("tensorflow", "absl", "huggingface_hub", "kagglehub", "h5py"):
        logging.getLogger(name).setLevel(logging.ERROR)


def describe_unknown_rule(record: Mapping[str, Any]) -> str:
    """Returns a line about the rule by which a file recognizes texts with none of its labels.

    Args:
        record: `preparation.unknown_texts` in the file's metadata.

    Example:
        >>> rule = {"label": "other", "threshold": -4.5, "texts": 300, "source": "some", "in_scope_kept": 0.97}
        >>> describe_unknown_rule(rule)
        'other: unknown_score above -4.5; fitted on 300 texts (some), of which Keras keeps 97.0%'
    """
    line = f"{record['label']}: unknown_score above {record['threshold']:.4g}"
    if "in_scope_kept" in record:
        line += f"; fitted on {record['texts']:,} texts ({record['source']}), of which Keras keeps"
        line += f" {record['in_scope_kept']:.1%}"
    if "unknown_found" in record:
        line += f", and finds {record['unknown_found']:.1%} of {record['unknown_texts']:,} others"
    return line

"""What the command line prints and where: results on stdout, everything else on stderr, and only for a person."""

import importlib
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from edgedistil_runtime.native_log import native_log_hidden

__all__ = ["console", "import_quietly", "print_json", "stdout_console"]


def console() -> Console:
    """A console on stderr, for progress and remarks; `is_terminal` says whether anyone is watching."""
    return Console(stderr=True)


def stdout_console() -> Console:
    """A console on stdout, for results; wide when piped, so that tables are not folded."""
    return Console(width=None if sys.stdout.isatty() else 160)


def print_json(result: Mapping[str, Any]) -> None:
    """Print one JSON object as one line on stdout, for the next program in the pipe."""
    sys.stdout.write(json.dumps(result, ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()


def import_quietly(*modules: str) -> None:
    """Import modules that bring TensorFlow in, without its start-up remarks.

    TensorFlow's C++ side writes to file descriptor 2 before any of its log levels apply, so that descriptor is
    diverted during the import, and what was written is shown only if the import fails.

    Args:
        modules: full module names, such as `"edgedistil.builder"`.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    with native_log_hidden():
        for module in modules:
            importlib.import_module(module)
        _first_operation()
    _quiet_python_loggers()


def _first_operation() -> None:
    """Let TensorFlow say what it says at its first operation (devices found, CPU features) while nobody listens."""
    if "tensorflow" in sys.modules:
        sys.modules["tensorflow"].constant(0)


def _quiet_python_loggers() -> None:
    import logging

    for name in ("tensorflow", "absl", "huggingface_hub", "kagglehub", "h5py"):
        logging.getLogger(name).setLevel(logging.ERROR)

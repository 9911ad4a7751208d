"""Try an accelerator in a child process, because drivers and delegates can end the process that loads them.

Both were seen with ai-edge-litert 2.3: LiteRT's GPU accelerator ended the process on a failed internal check, and so
did an Edge TPU library built for another TFLite; torq-runtime 2.3 does it on a machine without the Torq NPU. The child
(`probe_child`) loads the file on the accelerator and replays its golden cases; its end, or the error it reports,
becomes an exception here.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import Any

from edgedistil_runtime import errors
from edgedistil_runtime.child_process import python_environment, python_module_command
from edgedistil_runtime.contract import CPU

__all__ = ["probe"]

_CHILD = "edgedistil_runtime.probe_child"  # by name: it imports the classifier, which imports this module
_SECONDS = 300  # the first run on a GPU compiles shaders, which takes half a minute on a slow one


def probe(path: str | os.PathLike[str] | bytes, accelerator: str, **options: Any) -> None:
    """Load a file on an accelerator in a child process and replay its golden cases there.

    Args:
        path: An artifact or its content, which the child reads from its stdin.
        accelerator: `gpu`, `edgetpu` or `coralboard`.
        options: `num_threads` and `device` of `TextClassifier`.

    Raises:
        AcceleratorUnavailable: The child ended without a report, or did not end in time.
        EdgeDistilError: Any error that the child reported.

    Example:
        >>> probe("intents.tflite", "gpu")
        Traceback (most recent call last):
        ...
        edgedistil_runtime.errors.AcceleratorUnavailable: The file was converted for the target cpu ...
    """
    content = path if isinstance(path, bytes) else None
    location = None if isinstance(path, bytes) else os.fspath(path)
    request = json.dumps({"path": location, "accelerator": accelerator, **options})
    command = python_module_command(_CHILD, request)
    try:
        done = subprocess.run(
            command, env=python_environment(), input=content, capture_output=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise errors.AcceleratorUnavailable(
            f"The accelerator {accelerator!r} could not be tried in a child process: {error}. Use "
            f"`accelerator`={CPU!r}, or `probe`=False to try it in this process."
        ) from error
    answer = _last_json_object(done.stdout)
    if answer is None:
        raise errors.AcceleratorUnavailable(
            f"The accelerator {accelerator!r} ended the process that tried it: {_describe_exit(done.returncode)}. "
            f"{_last_line(done.stderr)}Use `accelerator`={CPU!r}, or allow `fallback`; or update the driver or library."
        )
    if answer:
        raise getattr(errors, answer["error"])(answer["message"])


def _last_json_object(output: bytes) -> dict[str, str] | None:
    lines = output.decode("utf-8", "replace").splitlines()
    try:
        found = json.loads(lines[-1]) if lines else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _describe_exit(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


def _last_line(output: bytes) -> str:
    lines = output.decode("utf-8", "replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"Its last line: {last[:300]!r}. " if last else ""

"""An accelerator tried out in a child process: drivers and delegates can end the process that loads them.

Seen with ai-edge-litert 2.3: a model on a GPU that fails a check inside of LiteRT ends the process, and an Edge TPU's
library that was built for another TFLite crashes it. A child loads the file on the accelerator and replays its golden
cases; what ends the child, or what it says, becomes an error here.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

from edgedistil_runtime import errors

__all__ = ["probe"]

# `-c` and `-m` look into the current folder first, where anyone may have put a `json.py`.
_CHILD = f"import sys; sys.path[:] = filter(None, sys.path); from {__name__} import _main; _main(sys.argv[1])"
_SECONDS = 300  # a GPU compiles its shaders at the first run, for half a minute on a slow one


def probe(path: str | os.PathLike[str], accelerator: str, **options: Any) -> None:
    """Loads a file on an accelerator in a child process and replays its golden cases there.

    Args:
        path: an artefact.
        accelerator: `gpu` or `edgetpu`.
        options: `num_threads` and `device` of `TextClassifier`.

    Raises:
        AcceleratorUnavailable: the child ended, or did not end in time.
        BackendError: of any kind, as the child raised it.
    """
    request = json.dumps({"path": os.fspath(path), "accelerator": accelerator, **options})
    command = [sys.executable, "-c", _CHILD, request]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise errors.AcceleratorUnavailable(
            f"The accelerator {accelerator!r} could not be tried out in a child process: {error}. Use "
            "accelerator='cpu', or probe=False to try it in this process."
        ) from error
    answer = _last_object(done.stdout)
    if answer is None:
        raise errors.AcceleratorUnavailable(
            f"The accelerator {accelerator!r} ended the process that tried it: {_ending(done.returncode)}. "
            f"{_last_line(done.stderr)}Use accelerator='cpu', or fallback=True; update the driver or the library."
        )
    if answer:
        raise getattr(errors, answer["error"])(answer["message"])


def _last_object(output: bytes) -> dict[str, str] | None:
    lines = output.decode("utf-8", "replace").splitlines()
    try:
        found = json.loads(lines[-1]) if lines else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _ending(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


def _last_line(output: bytes) -> str:
    lines = output.decode("utf-8", "replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"It said last: {last[:300]!r}. " if last else ""


def _main(request: str) -> None:
    """In the child: prints an empty object, or the error."""
    from edgedistil_runtime.classifier import TextClassifier

    options = json.loads(request)
    try:
        TextClassifier(options.pop("path"), **options, probe=False).close()
    except errors.EdgeDistilError as error:
        answer = {"error": type(error).__name__, "message": str(error)}
    else:
        answer = {}
    sys.stdout.write(f"\n{json.dumps(answer)}\n")  # a line of its own, whatever a driver has written before
    sys.stdout.flush()
    os._exit(0)  # a driver that crashes when it is unloaded has nothing to say about the answers

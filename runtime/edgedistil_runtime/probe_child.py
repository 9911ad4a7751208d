"""The child process of `probing.probe`: loads an artifact on an accelerator and reports the outcome.

    python -P -m edgedistil_runtime.probe_child '{"path": "intent.tflite", "accelerator": "gpu"}'

Its last line on stdout is a JSON object: empty if the golden cases came out right, else the error's class and message.
"""

from __future__ import annotations

import json
import os
import sys

from edgedistil_runtime.classifier import TextClassifier
from edgedistil_runtime.errors import EdgeDistilError

__all__ = ["main"]


def main(request: str) -> None:
    """Load the artifact, print the outcome and end the process.

    Args:
        request: JSON object of arguments for `TextClassifier`; if `path` is null, the model is read from stdin.
    """
    options = json.loads(request)
    try:
        path = options.pop("path")
        TextClassifier(sys.stdin.buffer if path is None else path, **options, probe=False).close()
    except EdgeDistilError as error:
        answer = {"error": type(error).__name__, "message": str(error)}
    else:
        answer = {}
    sys.stdout.write(f"\n{json.dumps(answer)}\n")  # on a new line, because a driver may have printed before
    sys.stdout.flush()
    os._exit(0)  # without unloading the driver: if that fails, the outcome is still the one reported


if __name__ == "__main__":
    main(sys.argv[1])

"""The child process: reads a job from a folder, trains, and writes the result there.

    python -m edgedistil_converters.preparation.quantization_aware.worker FOLDER

It prints one line of JSON per step. It must not run in a process that uses KerasHub: TFMOT replaces `tf.keras`.
"""

import contextlib
import json
import sys
from pathlib import Path
from typing import TextIO

__all__ = ["main"]


class _Reporter:
    """Reports every step to the parent. If the parent has ended, the broken pipe ends the child."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, epoch: int, step: int, steps: int, loss: float) -> None:
        event = {"epoch": epoch, "step": step, "steps": steps, "loss": loss}
        self._stream.write(json.dumps(event) + "\n")
        self._stream.flush()


def main(folder: Path) -> None:
    """Trains the job in a folder, starting from its last checkpoint."""
    from edgedistil_converters.preparation.quantization_aware.job import read_job
    from edgedistil_converters.preparation.quantization_aware.training import train

    reporter = _Reporter(sys.stdout)
    with contextlib.redirect_stdout(sys.stderr):  # keeps the output of libraries out of the JSON lines
        train(read_job(folder), folder, reporter)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

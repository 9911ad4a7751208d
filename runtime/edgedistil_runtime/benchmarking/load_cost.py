"""The cost of a start: milliseconds to the first label and peak memory, in a child process that does nothing else.

    python -m edgedistil_runtime.benchmarking.load_cost MODEL ACCELERATOR THREADS < text

The child imports only the runtime, as a program on a device would; the parent, which may hold TensorFlow and other
models, would measure itself too.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from edgedistil_runtime.child_process import python_environment, python_module_command
from edgedistil_runtime.contract import CPU
from edgedistil_runtime.errors import BackendError

__all__ = ["LoadCost", "measure_load", "peak_memory"]

_STATUS = Path("/proc/self/status")
_INTERPRETERS = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")
_LONGEST_WAIT = 600.0  # seconds


@dataclass(frozen=True)
class LoadCost:
    """Time and memory of one process.

    Attributes:
        load_ms: Milliseconds from opening the file to its first label, with the digest of the file and the replay of
            its golden cases, but without the imports of Python.
        import_ms: Milliseconds to import the Python packages: NumPy, the interpreter and the runtime.
        peak_bytes: Peak memory of the process; `None` if the system does not report it.
        bare_bytes: Peak memory before the model was opened: Python, NumPy and the interpreter.
    """

    load_ms: float
    import_ms: float
    peak_bytes: int | None
    bare_bytes: int | None


def measure_load(path: Path, text: str, *, accelerator: str = CPU, num_threads: int | None = None) -> LoadCost:
    """Opens a file in a new process and labels one text there.

    Args:
        path: A `.tflite` file that EdgeDistil wrote.
        text: Text to label.
        accelerator: As in `TextClassifier`.
        num_threads: As in `TextClassifier`.

    Raises:
        BackendError: the process failed, or took longer than ten minutes.

    Example:
        >>> cost = measure_load(Path("intents.tflite"), "turn the lights off")
        >>> cost.load_ms > 0
        True
    """
    arguments = (str(path.resolve()), accelerator, str(num_threads or 0))
    try:
        done = subprocess.run(
            python_module_command("edgedistil_runtime.benchmarking.load_cost", *arguments),
            input=text.encode("utf-8", errors="replace"),
            capture_output=True,
            env={**python_environment(), "TF_CPP_MIN_LOG_LEVEL": "3"},
            timeout=_LONGEST_WAIT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BackendError(
            f"A file must give its first label within {_LONGEST_WAIT:.0f} s in a new process. Received: {path.name}, "
            f"which gave none. See whether it runs here: edgedistil-runtime classify {shlex.quote(str(path))} hello"
        ) from error
    if done.returncode:
        last = done.stderr.decode("utf-8", errors="replace").strip().splitlines()[-1:] or ["no message"]
        raise BackendError(
            f"{path.name} could not be opened in a new process, which ended with status {done.returncode}: "
            f"{last[0][:300]}. Try: edgedistil-runtime classify {shlex.quote(str(path))} hello"
        )
    return LoadCost(**json.loads(done.stdout.splitlines()[-1]))


def peak_memory() -> int | None:
    """Peak memory of this process in bytes; `None` if the system does not report it.

    On Linux `getrusage` is not used: its figure outlives `exec`, so a child would begin with the peak of its parent.
    `VmHWM` belongs to the memory of the new program (proc_pid_status(5)).

    Example:
        >>> peak_memory() > 1_000_000
        True
    """
    try:
        lines = _STATUS.read_text("ascii", errors="replace").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return _peak_by_getrusage()


def _peak_by_getrusage() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2) of each system
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main(path: str, accelerator: str, threads: str) -> None:
    """The child: opens the file, labels the text on stdin and writes the cost to stdout as JSON."""
    started = time.perf_counter()
    from edgedistil_runtime import TextClassifier

    _import_an_interpreter()
    imported = time.perf_counter()
    bare = peak_memory()
    text = sys.stdin.buffer.read().decode("utf-8")
    opened = time.perf_counter()
    with TextClassifier(path, accelerator, int(threads) or None) as classifier:
        classifier.classify(text)
        finished = time.perf_counter()
    cost = LoadCost((finished - opened) * 1e3, (imported - started) * 1e3, peak_memory(), bare)
    sys.stdout.write(json.dumps(asdict(cost)) + "\n")


def _import_an_interpreter() -> None:
    """Imports the interpreter that the runtime will use, so that its import does not count as loading."""
    import contextlib
    import importlib

    for module in _INTERPRETERS:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
            return


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Starts the workers of a training on this machine, and watches them until all have ended.

The workers watch this process too: they read from a pipe that nobody writes to, and which the system closes when this
process ends, also by a signal that it cannot handle.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import click

from edgedistil.cli.border import EXIT_WORKER
from edgedistil.training.cluster import VARIABLE, local_cluster_variable
from edgedistil_runtime.child_process import python_environment, python_module_command
from edgedistil_runtime.errors import WorkerError

__all__ = ["Worker", "end_with_starter", "explain", "train_locally"]

_THREADS_VARIABLE = "TF_NUM_INTRAOP_THREADS"
_PIPE_VARIABLE = "EDGEDISTIL_STARTER_PIPE"  # file descriptor that a worker reads from
_POLL_SECONDS = 0.1
# The others notice within two minutes that a worker does not answer, and at once that it has ended.
_GRACE_SECONDS = 150.0
_END_SECONDS = 10.0
_LAST_LINES = 5


@dataclass
class Worker:
    """A worker's process.

    Attributes:
        process: The process.
        log: What it writes; `None` for worker 0, which writes where this process does.
        is_ended: It was ended from here.
    """

    process: "subprocess.Popen[bytes]"
    log: IO[bytes] | None = None
    is_ended: bool = False

    @property
    def code(self) -> int | None:
        """Exit code, the negative number of a signal, or `None` while it runs."""
        return self.process.poll()

    def end(self) -> None:
        """Ends it if it still runs, also if it is stopped."""
        if self.code is not None:
            return
        self.is_ended = True
        self.process.terminate()
        try:
            self.process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def last_lines(self) -> str:
        """The end of what it wrote."""
        if self.log is None:
            return ""
        self.log.seek(0)
        lines = self.log.read().decode("utf-8", "replace").strip().splitlines()
        return "\n".join(lines[-_LAST_LINES:])


def train_locally(arguments: Sequence[str], count: int, state: Path) -> None:
    """Runs `edgedistil train` as several workers.

    Args:
        arguments: Arguments of the command.
        count: Number of workers.
        state: File of the state after an epoch, which worker 0 writes.

    Raises:
        WorkerError: A worker ended before its time; the message names it.
        SystemExit: Worker 0 ended with an error, which it has printed.
    """
    with ExitStack() as stack:
        workers: list[Worker] = []
        reading, writing = os.pipe()
        stack.callback(os.close, reading)
        stack.callback(os.close, writing)  # no worker has this end
        stack.callback(_end, workers)
        ports = _free_ports(count)
        for index in range(count):
            log = stack.enter_context(tempfile.TemporaryFile()) if index else None
            command = python_module_command("edgedistil", "train", *arguments)
            environment = _environment(ports, index)
            output: dict[str, Any] = {"stdout": log, "stderr": log} if log else {}
            process = subprocess.Popen(command, env=environment, stdin=reading, **output)
            workers.append(Worker(process, log))
        _watch(workers)
        first = workers[0].code
        if first and first > 0 and first != EXIT_WORKER:
            raise SystemExit(first)
        reasons = explain(workers)
        if reasons:
            next_step = "The same command with --resume goes on after the last whole epoch"
            raise WorkerError(f"{reasons}. {next_step if state.exists() else 'No epoch was done: train again'}.")


def end_with_starter() -> None:
    """Makes this process end when the process that started it as a worker has ended; of another process, nothing."""
    descriptor = os.environ.pop(_PIPE_VARIABLE, None)
    if descriptor is not None:
        threading.Thread(target=_wait_for_end, args=(int(descriptor),), daemon=True).start()


def _wait_for_end(descriptor: int) -> None:
    try:
        while os.read(descriptor, 1):
            pass
    except OSError:
        return
    # Files are cleaned up by the main thread, if it is not in a call of TensorFlow that waits for another worker.
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_END_SECONDS)
    os._exit(EXIT_WORKER)


def explain(workers: Sequence[Worker]) -> str:
    """Says which workers ended before their time, and why; empty if none did."""
    found = []
    codes = [worker.code for worker in workers]
    # Those that only noticed that another one was gone are not the reason.
    causes = [n for n, worker in enumerate(workers) if codes[n] not in (0, EXIT_WORKER) and not worker.is_ended]
    causes = causes or [n for n, worker in enumerate(workers) if worker.is_ended]
    for number in causes or [n for n, code in enumerate(codes) if code]:
        code, lines = codes[number], workers[number].last_lines()
        if workers[number].is_ended:
            why = "did not answer and was ended"
        elif code is not None and code < 0:
            why = f"was ended by the signal {_signal_name(-code)}"
        else:
            why = f"ended with the exit code {code}"
        found.append(f"worker {number} of {len(workers)} {why}" + (f": {lines}" if lines else ""))
    return "\n".join(found)


def _end(workers: Sequence[Worker]) -> None:
    for worker in workers:
        worker.end()


def _watch(workers: Sequence[Worker]) -> None:
    """Returns when all have ended; the others are ended some time after the first one that failed."""
    deadline = None
    try:
        while any(worker.code is None for worker in workers):
            if deadline is None and any(worker.code for worker in workers):
                deadline = time.monotonic() + _GRACE_SECONDS
            if deadline is not None and time.monotonic() > deadline:
                _end(workers)
            time.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        # The terminal interrupts all of them, and worker 0 says what to do next.
        click.echo("waiting for the workers to end", err=True)
        end = time.monotonic() + _END_SECONDS
        while any(worker.code is None for worker in workers) and time.monotonic() < end:
            time.sleep(_POLL_SECONDS)
        raise


def _environment(ports: list[int], index: int) -> dict[str, str]:
    # With all cores for each, the threads of the workers would wait for each other.
    threads = max(1, _cores() // len(ports))
    return {
        _THREADS_VARIABLE: str(threads),
        **python_environment(),
        VARIABLE: local_cluster_variable(ports, index),
        _PIPE_VARIABLE: "0",
    }


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens at, all different because they are open together for a moment."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)

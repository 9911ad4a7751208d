"""Workers of a training as processes of this machine.

`make test-workers` runs these tests where the only network interface is loopback.
"""

import os
import socket
import subprocess
import sys
from contextlib import ExitStack

import pytest

from edgedistil.training.cluster import local_cluster_variable
from edgedistil_runtime.child_process import python_environment

LIMIT_SECONDS = 400  # of one training, on a busy machine


def free_ports(count):
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


@pytest.fixture(scope="session")
def run_workers():
    """Runs commands as workers of one training; returns exit code and output of each."""

    def run(*commands):
        ports = free_ports(len(commands))
        started = [
            subprocess.Popen(
                [sys.executable, *map(str, command)],
                env={
                    **python_environment(),
                    "TF_CPP_MIN_LOG_LEVEL": "3",
                    "TF_NUM_INTRAOP_THREADS": "1",
                    "TF_CONFIG": local_cluster_variable(ports, index),
                },
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for index, command in enumerate(commands)
        ]
        with ExitStack() as stack:
            for one in started:
                stack.enter_context(one)
                stack.callback(one.kill)  # before it is waited for
            outputs = [one.communicate(timeout=LIMIT_SECONDS)[0] for one in started]
        return [(one.returncode, output) for one, output in zip(started, outputs, strict=True)]

    return run


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    """The variable of a cluster that these tests may run in is not theirs."""
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert "TF_CONFIG" not in os.environ

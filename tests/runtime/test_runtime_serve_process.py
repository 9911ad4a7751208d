"""`edgedistil-runtime serve` as a process: where it listens, and how it ends."""

import contextlib
import http.client
import json
import re
import signal
import subprocess
import sys

import pytest

pytest.importorskip("starlette", reason="edgedistil-runtime[serve] is not installed")
pytest.importorskip("uvicorn", reason="edgedistil-runtime[serve] is not installed")
pytest.importorskip("prometheus_client", reason="edgedistil-runtime[serve] is not installed")

from edgedistil_runtime import EdgeDistilError
from edgedistil_runtime.serving.server import bind

from ..conftest import HANG


@pytest.fixture
def serve(echo_path):
    """Start the command; return it and, if it should start, its port."""
    processes = []

    def start_process(*arguments):
        command = [sys.executable, "-m", "edgedistil_runtime", "serve", str(echo_path), *arguments]
        processes.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        return processes[-1]

    yield start_process
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_answers_until_it_is_ended(serve, number):
    process = serve("--port", "0")
    line = process.stderr.readline()
    assert re.fullmatch(r"echo answers at http://127\.0\.0\.1:\d+\n", line)
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", int(line.rsplit(":", 1)[1]))) as connection:
        connection.request("POST", "/classify", '{"text": "hello"}', {"content-type": "application/json"})
        assert json.loads(connection.getresponse().read())["label"] == "low"
        process.send_signal(number)
        assert process.wait(HANG) == 0
    assert process.stderr.read() == ""


HANGING = """
import sys, threading
from edgedistil_runtime.backends.interpreters import InterpreterBackend
from edgedistil_runtime.cli import main

run = InterpreterBackend._run

def run_or_hang(self, signature, inputs):
    if inputs["text"][0] == ord("!"):
        threading.Event().wait()
    return run(self, signature, inputs)

InterpreterBackend._run = run_or_hang
sys.exit(main(sys.argv[1:]))
"""


def test_ends_while_a_run_hangs(echo_path):
    command = [sys.executable, "-c", HANGING, "serve", str(echo_path), "--port", "0", "--answer-seconds", "0.2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            port = int(process.stderr.readline().rsplit(":", 1)[1])
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=HANG)) as connection:
                connection.request("POST", "/classify", '{"text": "!"}', {"content-type": "application/json"})
                assert connection.getresponse().status == 504
            process.terminate()
            assert process.wait(HANG) == 1
            assert "last run of the model did not end" in process.stderr.read()
        finally:
            process.kill()


def test_warning_outside_loopback(serve):
    process = serve("--port", "0", "--host", "0.0.0.0")
    assert "there is no authentication" in process.stderr.readline()


def test_port_in_use(serve):
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        process = serve("--port", str(taken.getsockname()[1]))
        assert process.wait(HANG) == 1
        assert process.stderr.read().startswith("error: The server cannot listen there")


@pytest.mark.parametrize("host", ["a..b", "a" * 70, "\udcff"])
def test_host_that_is_no_name(host):
    with pytest.raises(EdgeDistilError, match=r"cannot listen there.*Pass an address of this machine"):
        bind(host, 0)

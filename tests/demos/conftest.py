"""The demo's script as a child process, on the artefacts that the tests of the runtime and of the Edge TPU made up."""

import importlib.util
import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ..conftest import HANG

TESTS = Path(__file__).parents[1]
SCRIPT = TESTS.parent / "demos" / "raspberry_pi" / "classify.py"
# Runs the script with mock pins that tell of each change on stderr.
WATCHED_PINS = """
import runpy, sys
from gpiozero.pins.mock import MockPin
change = MockPin._change_state
def told(pin, value):
    is_changed = change(pin, value)
    if is_changed:
        print(pin.info.name, int(value), file=sys.stderr, flush=True)
    return is_changed
MockPin._change_state = told
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def _load(name: str, path: Path):
    specification = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # dataclasses look their module up
    specification.loader.exec_module(module)
    return module


_runtime = _load("fixtures_of_the_runtime", TESTS / "runtime" / "conftest.py")
echo, echo_flatbuffer, echo_path = _runtime.echo, _runtime.echo_flatbuffer, _runtime.echo_path
metadata, vocabulary, write = _runtime.metadata, _runtime.vocabulary, _runtime.write
_coral = _load("fixtures_of_the_edgetpu", TESTS / "edgetpu" / "conftest.py")
compile_library, library, edgetpu = _coral.compile_library, _coral.library, _coral.edgetpu
texts, run_compiler, converted, compiled = _coral.texts, _coral.run_compiler, _coral.converted, _coral.compiled


class Running:
    """The script while it runs; what it has written so far."""

    def __init__(self, command, environment, stdin=subprocess.PIPE):
        self.process = subprocess.Popen(
            command, env=environment, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )
        self.written = {1: b"", 2: b""}

    def say(self, line: bytes) -> None:
        self.process.stdin.write(line + b"\n")

    def wait_for(self, words: str, stream: int = 1) -> None:
        """Reads until the words have come; on standard output, or on standard error with `stream=2`."""
        pipe = self.process.stdout if stream == 1 else self.process.stderr
        deadline = time.monotonic() + HANG
        while words.encode() not in self.written[stream]:
            ready, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
            content = os.read(pipe.fileno(), 65536) if ready else b""
            assert content, f"{words!r} did not come, but {self.written} and {self.process.poll()}"
            self.written[stream] += content

    def end(self, number: int | None = None) -> tuple[int, str, str]:
        """Sends a signal, or ends the input; returns status, output and errors."""
        if number is not None:
            self.process.send_signal(number)
        output, errors = self.process.communicate(timeout=HANG)
        return self.process.returncode, (self.written[1] + output).decode(), (self.written[2] + errors).decode()


@pytest.fixture
def script():
    """The script as a module."""
    return _load("demo_classify", SCRIPT)


@pytest.fixture
def start():
    """`start("--model", path, is_watched=True)`: the script in a process of its own; it ends with the test."""
    started = []

    def start_script(*arguments, is_watched=False, stdin=subprocess.PIPE):
        program = ["-c", WATCHED_PINS, str(SCRIPT)] if is_watched else [str(SCRIPT)]
        command = [sys.executable, *program, *map(str, arguments)]
        started.append(Running(command, os.environ | {"GPIOZERO_PIN_FACTORY": "mock"}, stdin))
        return started[-1]

    yield start_script
    for running in started:
        running.process.kill()
        running.process.communicate()


@pytest.fixture
def classify(start):
    """`classify("--model", path, lines=b"...")`: status, output and errors of a whole run."""

    def run_script(*arguments, lines=b"", is_watched=False):
        running = start(*arguments, is_watched=is_watched)
        if lines:
            running.process.stdin.write(lines)
        return running.end()

    return run_script


@pytest.fixture(scope="session")
def demo_models(make_tiny_classifier, tmp_path_factory):
    """Files by kind: one label for a text, several labels, a rule for texts with none."""
    from click.testing import CliRunner

    from edgedistil.cli import main
    from edgedistil_converters import QuantizationPlan, convert_classifier

    folder = tmp_path_factory.mktemp("models")
    paths = {name: folder / f"{name}.tflite" for name in ("single", "several", "unknown")}
    for name, options in {"single": (), "unknown": ("--unknown-label", "none of these")}.items():
        arguments = [
            "convert",
            "--preset",
            "smart_home_tiny_en",
            "--quantize",
            "fp32",
            "-o",
            str(paths[name]),
            *options,
        ]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
    classifier, labels, thresholds = make_tiny_classifier(activation="sigmoid"), ("a", "b", "c"), (0.6, 0.45, 0.75)
    plan = QuantizationPlan("fp32")
    convert_classifier(classifier, labels, paths["several"], plan=plan, thresholds=thresholds)
    return paths

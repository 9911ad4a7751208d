"""demos/raspberry_pi/classify.py on 64-bit ARM: the answers of this machine, pins that are switched, and a clean end.

Like `test_arm_answers.py` it needs the Python for ARM that `make setup-arm` makes. Pins are gpiozero's mock pins, and
left out where gpiozero is not installed.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ..conftest import HANG

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "demos" / "raspberry_pi" / "classify.py"
PYTHON = Path(os.environ.get("ARM64_PYTHON", ROOT / "build" / "arm64" / "bin" / "python"))
pytestmark = pytest.mark.skipif(
    not (PYTHON.exists() and (PYTHON.parents[1] / ".complete").exists()),
    reason=f"there is no Python for ARM at {PYTHON}: run `make setup-arm`",
)
PRESET = "smart_home_tiny_en"
PINS = "light_on=17:on,light_off=17:off,weather_query=27"
TEXTS = (
    "turn on the light in the kitchen",
    "what's the weather like tomorrow",
    "Turn off the lights",
    "größer 日本 👍",
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The bundled preset in int8."""
    from edgedistil.conversion import ConversionRequest, convert_preset
    from edgedistil_converters import QuantizationPlan

    path = tmp_path_factory.mktemp("demo") / "smart_home.tflite"
    convert_preset(ConversionRequest(PRESET, path, plan=QuantizationPlan("int8")))
    return path


@pytest.fixture
def start(tmp_path):
    """`start(python, model)`: the script in a process of its own."""
    folders = [ROOT / "runtime", tmp_path]
    found = importlib.util.find_spec("gpiozero")
    if found is not None:  # pure Python; nothing else of this machine's packages may be seen
        packages = Path(found.origin).parents[1]
        for pattern in ("gpiozero", "gpiozero-*.dist-info", "colorzero"):
            for path in packages.glob(pattern):
                (tmp_path / path.name).symlink_to(path)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment = inherited | {"PYTHONPATH": os.pathsep.join(map(str, folders)), "GPIOZERO_PIN_FACTORY": "mock"}

    def start_script(python, *arguments):
        command = [str(python), str(SCRIPT), *map(str, arguments)]
        return subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    return start_script


def test_answers_are_those_of_this_machine(start, model):
    from edgedistil_runtime import read_artifact

    tolerance = read_artifact(model).metadata.tolerance
    arguments = [argument for text in TEXTS for argument in ("--text", text)]
    answers = {}
    for python in (sys.executable, PYTHON):
        running = start(python, "--model", model, "--json", *arguments)
        output, errors = running.communicate(timeout=HANG)
        assert running.returncode == 0, errors
        answers[python] = [json.loads(line) for line in output.splitlines()]
    for here, there in zip(answers[sys.executable], answers[PYTHON], strict=True):
        assert (there["text"], there["label"]) == (here["text"], here["label"])
        assert there["score"] == pytest.approx(here["score"], rel=0, abs=tolerance)
    labels = [answer["label"] for answer in answers[PYTHON]]
    assert labels[:3] == ["light_on", "weather_query", "light_off"]


def test_pins_and_sigterm(start, model):
    pytest.importorskip("gpiozero")
    running = start(PYTHON, "--model", model, "--json", "--pins", PINS)
    pins_on = []
    for text in TEXTS[:3]:
        running.stdin.write(f"{text}\n")
        running.stdin.flush()
        pins_on.append(json.loads(running.stdout.readline())["pins_on"])
    running.send_signal(signal.SIGTERM)
    output, errors = running.communicate(timeout=HANG)
    assert pins_on == [[17], [17, 27], []]
    assert (running.returncode, output) == (0, ""), errors


def test_a_model_that_is_refused(start, tmp_path):
    running = start(PYTHON, "--model", tmp_path / "none.tflite", "--text", "hello")
    output, errors = running.communicate(timeout=HANG)
    assert (running.returncode, output) == (1, "")
    assert "error: The model file cannot be opened" in errors

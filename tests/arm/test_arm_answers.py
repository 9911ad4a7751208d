"""A file answers on 64-bit ARM what it answers here: the same token ids, the same labels, the same probabilities.

`make setup-arm` makes `build/arm64`, a Python for ARM that QEMU runs; another one is named by the environment variable
ARM64_PYTHON. Without either these tests are skipped. QEMU computes what the chip would, slowly: nothing here is timed.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ..conftest import HANG

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PYTHON = Path(os.environ.get("ARM64_PYTHON", ROOT / "build" / "arm64" / "bin" / "python"))
pytestmark = pytest.mark.skipif(
    not (PYTHON.exists() and (PYTHON.parents[1] / ".complete").exists()),
    reason=f"there is no Python for ARM at {PYTHON}: run `make setup-arm`",
)
TOLERANCE = {"fp32": 1e-6, "int8": None, "int8-static": None}
"""Of a probability; None for that with which the file itself was verified, since its kernels round differently."""
PRESET = "smart_home_tiny_en"
CHARACTERS = [0x09, 0x7F, 0xA0, 0xAD, 0xDF, 0xE9, 0x130, 0x301, 0x378, 0x1E9E, 0x200B, 0x2028, 0x3000, 0x4E00, 0xAC00]
CHARACTERS += [0xD7A3, 0xFB01, 0xFF21, 0xFFFD, 0x1F44D, 0x20000, 0x2F800, 0xE0020, 0x10FFFF, *range(0x80, 0x3000, 197)]


@pytest.fixture(scope="module")
def texts():
    from datasets.smart_home import generate
    from edgedistil_converters.verification.texts import VERIFICATION_TEXTS

    spoken = [example.text for example in generate("test")[::25]]
    around_each = [f"a{chr(character)}b {chr(character)}" for character in CHARACTERS]
    return [*VERIFICATION_TEXTS, *spoken, *around_each, "", "turn on the light " * 40, "\ud800 lights", "a" * 300]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The bundled preset by scheme: paths."""
    from datasets.smart_home import generate
    from edgedistil.conversion import ConversionRequest, convert_preset
    from edgedistil_converters import QuantizationPlan

    calibration = tuple(example.text for example in generate("train")[:200])
    folder = tmp_path_factory.mktemp("arm")
    for scheme in TOLERANCE:
        texts = calibration if scheme == "int8-static" else ()
        plan = QuantizationPlan(scheme)
        convert_preset(ConversionRequest(PRESET, folder / f"{scheme}.tflite", plan=plan, calibration_texts=texts))
    return {scheme: folder / f"{scheme}.tflite" for scheme in TOLERANCE}


def answer(python, texts, models):
    """What the script beside this file prints, by scheme; this Python's own packages are kept from an ARM one."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(python), str(HERE / "answer_texts.py"), *map(str, models.values())],
        env=environment | {"PYTHONPATH": str(ROOT / "runtime")},
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    return told["machine"], {scheme: told["answers"][str(path)] for scheme, path in models.items()}


@pytest.fixture(scope="module")
def answers(texts, models):
    """By scheme: pairs of answers, here and on ARM."""
    here, due = answer(sys.executable, texts, models)
    there, received = answer(PYTHON, texts, models)
    assert (there, here != there) == ("aarch64", True)
    return {scheme: list(zip(due[scheme], received[scheme], strict=True)) for scheme in models}


@pytest.mark.parametrize("scheme", TOLERANCE)
def test_token_ids_are_equal(answers, texts, scheme):
    differing = [texts[i] for i, (due, received) in enumerate(answers[scheme]) if due[0] != received[0]]
    assert differing == []
    assert (
        len({tuple(due[0]) for due, _ in answers[scheme]}) > len(texts) // 2
    )  # characters that the vocabulary lacks share an id


@pytest.mark.parametrize("scheme", TOLERANCE)
def test_labels_are_equal(answers, scheme):
    assert [received[1] for _, received in answers[scheme]] == [due[1] for due, _ in answers[scheme]]
    assert len({due[1] for due, _ in answers[scheme]}) > 10


@pytest.mark.parametrize("scheme", TOLERANCE)
def test_probabilities_are_equal(answers, models, scheme):
    from edgedistil_runtime import read_artifact

    due, received = (np.array([pair[side][2] for pair in answers[scheme]]) for side in (0, 1))
    largest = float(np.abs(due - received).max())
    tolerance = TOLERANCE[scheme] or read_artifact(models[scheme]).metadata.tolerance
    assert largest <= tolerance

"""Stand-ins for the vendor's programs and runner (`fake_torq.py`), and a file that was converted with them."""

import sys
from functools import partial
from pathlib import Path

import pytest

from .fake_torq import write_programs

HERE = Path(__file__).parent
COMMANDS = tuple(
    f"{verb} the {noun} {end}"
    for verb in ("turn", "play", "is")
    for noun in ("lights", "music", "rain")
    for end in ("on", "off", "?", "")
)


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """The folder of the programs, which `TORQ_TOOLS` names."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.delenv("FAKE_TORQ_MODE", raising=False)
    monkeypatch.setenv("TORQ_TOOLS", str(folder))
    return write_programs(folder)


@pytest.fixture
def convert(tiny_classifier, tiny_labels, tmp_path):
    """`convert()`: the path of a file for a Coralboard."""
    return partial(_convert, tiny_classifier, tiny_labels, tmp_path)


def _convert(classifier, labels, folder: Path) -> Path:
    from edgedistil_converters import QuantizationPlan, convert_classifier
    from edgedistil_converters.verification.texts import VERIFICATION_TEXTS

    convert_classifier(
        classifier,
        labels,
        folder / "model.tflite",
        plan=QuantizationPlan("int8-static"),
        calibration_texts=(*COMMANDS, *VERIFICATION_TEXTS),
        target="coralboard",
    )
    return folder / "model.tflite"


def _convert_with_programs(classifier, labels, folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("FAKE_TORQ_MODE", raising=False)
        patch.setenv("TORQ_TOOLS", str(write_programs(folder)))
        _convert(classifier, labels, folder)


@pytest.fixture(scope="session")
def converted(tiny_classifier, tiny_labels, made_once) -> Path:
    return made_once("coralboard", partial(_convert_with_programs, tiny_classifier, tiny_labels)) / "model.tflite"


@pytest.fixture
def vendor(tmp_path, monkeypatch):
    """The stand-in for torq-runtime, importable here and in child processes; returns its class."""
    package = tmp_path / "vendor" / "torq"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "runtime.py").write_text("from fake_torq import VMFBInferenceRunner\n")
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.delenv("FAKE_TORQ_MODE", raising=False)
    for name in ("torq", "torq.runtime", "fake_torq"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    from fake_torq import VMFBInferenceRunner

    yield VMFBInferenceRunner
    for name in ("torq", "torq.runtime", "fake_torq"):
        sys.modules.pop(name, None)

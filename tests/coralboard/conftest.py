"""Stand-ins for the vendor's programs and runner (`fake_torq.py`), and a file that was converted with them."""

import sys
from functools import partial
from pathlib import Path

import pytest

from .fake_torq import write_programs

HERE = Path(__file__).parent


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """The folder of the programs, which `TORQ_TOOLS` names."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.delenv("FAKE_TORQ_MODE", raising=False)
    monkeypatch.setenv("TORQ_TOOLS", str(folder))
    return write_programs(folder)


@pytest.fixture
def convert(convert_tiny, tmp_path):
    """`convert()`: the path of a file for a Coralboard."""
    return partial(convert_tiny, "coralboard", tmp_path)


def _convert_with_programs(convert_tiny, folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("FAKE_TORQ_MODE", raising=False)
        patch.setenv("TORQ_TOOLS", str(write_programs(folder)))
        convert_tiny("coralboard", folder)


@pytest.fixture(scope="session")
def converted(convert_tiny, made_once) -> Path:
    return made_once("coralboard", partial(_convert_with_programs, convert_tiny)) / "model.tflite"


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

"""The vendor's own programs and simulator, which `make setup-torq` brings; `TORQ_TOOLS` names their folder."""

import os
from pathlib import Path

import pytest

from edgedistil_converters.targets.torq_tools import TORQ_TOOLS, find_torq_tools
from edgedistil_runtime.errors import ConversionError

PRESET, LENGTH = "smart_home_tiny_en", 48


@pytest.fixture(scope="session")
def tools():
    try:
        return find_torq_tools()
    except ConversionError:
        pytest.skip(f"the programs for the Torq NPU are not here: run `make test-torq`, or set {TORQ_TOOLS}")


@pytest.fixture(scope="session")
def vendor_python(tools) -> str:
    python = Path(os.environ.get(TORQ_TOOLS, "")) / "python"
    if not python.is_file():
        pytest.skip("there is no Python with torq-runtime beside the programs: run `make test-torq`")
    return str(python)


@pytest.fixture(scope="session")
def calibration_texts() -> tuple[str, ...]:
    from datasets.smart_home import generate

    return tuple(example.text for example in generate("train")[::25][:300])


@pytest.fixture(scope="session")
def converted(tools, calibration_texts, tmp_path_factory) -> Path:
    """The bundled preset for a Coralboard: converted, compiled and simulated by the vendor's programs."""
    from edgedistil.conversion import ConversionRequest, convert_preset
    from edgedistil_converters import QuantizationPlan

    path = tmp_path_factory.mktemp("torq") / "smart_home.tflite"
    request = ConversionRequest(
        PRESET,
        path,
        plan=QuantizationPlan("int8-static"),
        calibration_texts=calibration_texts,
        target="coralboard",
        sequence_length=LENGTH,
    )
    convert_preset(request)
    return path

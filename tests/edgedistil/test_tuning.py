"""The fastest plan: what is kept, what is recorded, and requests that it refuses."""

from dataclasses import replace

import pytest
from click.testing import CliRunner

from edgedistil import tuning
from edgedistil.cli import main
from edgedistil.conversion import ConversionRequest
from edgedistil.tuning import MeasuredPlan, Tuning, convert_fastest
from edgedistil_converters import ModelInterface, QuantizationPlan
from edgedistil_converters.quantization.schemes import Bounds
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.benchmarking.speed import BenchmarkSettings
from edgedistil_runtime.errors import ConversionError, OutputError, ParityError

PLANS = (QuantizationPlan("fp16"), QuantizationPlan("int8"))
ONCE = BenchmarkSettings(runs=1, starts=1)
TIMES = {"fp16": 2.0, "int8": 1.0}


@pytest.fixture
def known_times(monkeypatch):
    """Files take the time of their plan in `TIMES`, whatever this machine does."""
    measure = tuning.benchmark

    def with_known_times(paths, *arguments, **options):
        found = measure(paths, *arguments, **options)
        schemes = [tuning.read_artifact(path).metadata.quantization["scheme"] for path in paths]
        models = [replace(one, p50_ms=TIMES[scheme]) for one, scheme in zip(found.models, schemes, strict=True)]
        return replace(found, models=tuple(models))

    monkeypatch.setattr(tuning, "benchmark", with_known_times)


@pytest.mark.usefixtures("known_times")
def test_the_fastest_file_is_kept_with_what_was_measured(tiny_preset, tmp_path):
    output = tmp_path / "tuned.tflite"
    conversion, found = convert_fastest(ConversionRequest(str(tiny_preset), output), plans=PLANS, settings=ONCE)
    assert found.fastest.plan == "int8"
    assert [path.name for path in tmp_path.iterdir()] == ["tuned.tflite"]
    metadata = conversion.artifact.metadata
    assert metadata.quantization["scheme"] == "int8"
    recorded = metadata.preparation["tuning"]
    assert [(plan["plan"], plan["p50_ms"]) for plan in recorded["plans"]] == [("fp16", 2.0), ("int8", 1.0)]
    assert all(plan["bytes"] > 0 and plan["agreement"] > 0.9 for plan in recorded["plans"])
    with TextClassifier(output) as classifier:  # golden cases and digests are those of the new file
        assert classifier.metadata.preparation["tuning"]["texts"] == found.texts


@pytest.mark.usefixtures("known_times")
def test_a_file_that_verification_refuses_is_not_kept(tiny_preset, tmp_path):
    # fp16 keeps all labels of the built-in texts; int8 of this model does not, by so strict a bound.
    request = ConversionRequest(str(tiny_preset), tmp_path / "a.tflite", bounds=Bounds(min_agreement=1.0))
    plans = (QuantizationPlan("fp16"), QuantizationPlan("int4"))
    conversion, found = convert_fastest(request, plans=plans, settings=ONCE)
    refused = [plan.plan for plan in found.plans if plan.refusal]
    assert conversion.artifact.metadata.quantization["scheme"] == "fp16"
    assert refused == ["int4"]


def test_no_file_if_verification_refuses_all(tiny_preset, tmp_path):
    request = ConversionRequest(str(tiny_preset), tmp_path / "a.tflite", bounds=Bounds(min_agreement=1.0))
    with pytest.raises(ParityError, match="refused the file of every plan. int4: .*`min_agreement`"):
        convert_fastest(request, plans=[QuantizationPlan("int4")], settings=ONCE)
    assert list(tmp_path.iterdir()) == []


def test_of_equal_times_the_smallest_file():
    plans = (MeasuredPlan("a", 30, 1.0, 1.0), MeasuredPlan("b", 20, 1.0, 1.0), MeasuredPlan("c", refusal="no"))
    assert Tuning(plans, 1, "").fastest.plan == "b"


@pytest.mark.parametrize("change", [{"target": "gpu"}, {"interface": ModelInterface("none")}])
def test_requests_without_text_on_a_cpu(tiny_preset, tmp_path, change):
    request = ConversionRequest(str(tiny_preset), tmp_path / "a.tflite", **change)
    with pytest.raises(ConversionError, match="timed from text to label on a CPU. Received: "):
        convert_fastest(request, plans=PLANS)


def test_an_existing_file_is_kept(tiny_preset, tmp_path):
    output = tmp_path / "a.tflite"
    output.write_bytes(b"mine")
    with pytest.raises(OutputError):
        convert_fastest(ConversionRequest(str(tiny_preset), output), plans=PLANS)
    assert output.read_bytes() == b"mine"


@pytest.mark.usefixtures("known_times")
def test_the_command_prints_the_plans(tiny_preset, tmp_path, monkeypatch):
    monkeypatch.setattr(convert_fastest, "__kwdefaults__", {**convert_fastest.__kwdefaults__, "plans": PLANS})
    arguments = ["convert", "--preset", str(tiny_preset), "--tune", "-o", str(tmp_path / "a.tflite")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    lines = [line.split(":")[0].strip() for line in result.stdout.splitlines()]
    assert lines.index("int8") < lines.index("fp16")


@pytest.mark.parametrize("options", [["--quantize", "int8"], ["--layer", "*=int8"], ["--target", "gpu"]])
def test_options_that_name_a_plan(tmp_path, options):
    arguments = ["convert", "--preset", "smart_home_tiny_en", "--tune", "-o", str(tmp_path / "a.tflite"), *options]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert f"Received: {options[0]} too" in result.output

"""A conversion for a Coralboard with stand-ins for the vendor's programs: what is written, and each refusal."""

import json

import numpy as np
import pytest

from edgedistil_converters.targets.coralboard import compile_for_torq
from edgedistil_converters.targets.torq_report import read_torq_report
from edgedistil_converters.targets.torq_tools import find_torq_tools, simulate
from edgedistil_converters.verification.simulation import SIMULATION_TOLERANCE
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.artifact import read_artifact
from edgedistil_runtime.errors import ConversionError, ParityError

HEADER = "taskId, elapsed_time(us), timestamp(us), event, location, bytes"


def test_what_a_file_has(converted):
    artifact = read_artifact(converted)
    part, encoder = artifact.metadata.encoder, artifact.encoder()
    assert artifact.metadata.target == "coralboard"
    assert part.is_compiled and encoder.compiled.startswith(b"PK")
    mask, embeddings, output = part.tensors
    assert (mask.name, mask.shape) == ("attention_mask", (1, 1, 16, 1))
    assert (embeddings.name, embeddings.shape) == ("embeddings", (1, 1, 16, 16))
    assert (output.name, output.shape, output.scale, output.zero_point) == ("probabilities", (1, 3), 1 / 256, -128)
    mapping = part.mapping
    assert (mapping["source"], mapping["chip"], mapping["on_cpu"], mapping["on_css"]) == (
        "torq-compile",
        "SL2610",
        0,
        1,
    )
    assert (mapping["mapped"], mapping["cycles"], mapping["busy"]) == (1, 17_000, {"DMA In": 100, "CSS": 16_000})
    assert mapping["reasons"] == {"mul i32[1,4,4,2] x i32[1,4,1,2] (line 6): on the CSS, the small core of the chip": 2}
    assert mapping["simulated"] == {
        "texts": len(artifact.metadata.golden_cases),
        "largest_difference": 0.0,
        "tolerance": SIMULATION_TOLERANCE,
        "label_agreement": 1.0,
    }
    assert json.loads(json.dumps(dict(mapping))) == mapping


def test_every_cpu_runs_the_file(converted):
    with TextClassifier(converted) as classifier:
        assert classifier.runtime_info.accelerator == "cpu"
        assert classifier.runtime_info.golden_cases > 3


@pytest.mark.parametrize(
    ("mode", "error", "message"),
    [
        ("wrong", ParityError, r"in the vendor's simulator a probability of .* differs by .* of \d texts have another"),
        (
            "refuses",
            ConversionError,
            r"torq-compile could not compile the encoder \(exit code 1\): .*error: .*tosa.erf",
        ),
        ("crash", ConversionError, r"torq-compile could not compile the encoder \(exit code 134\): .*Assertion `rank"),
        ("old", ConversionError, r"torq-compile needs a newer C library .*GLIBC_2.38.* not found.*`make setup-torq`"),
        ("other_hardware", ConversionError, r"torq-run-module could not simulate the encoder .*INCOMPATIBLE"),
        ("left_over", ConversionError, r"all in TOSA. Received: ops \['tfl.custom'\] left over"),
    ],
)
def test_no_file_is_written(programs, convert, monkeypatch, tmp_path, mode, error, message):
    monkeypatch.setenv("FAKE_TORQ_MODE", mode)
    with pytest.raises(error, match=message):
        convert()
    assert list(tmp_path.glob("*.tflite")) == []


def test_a_small_difference_is_allowed(programs, converted, monkeypatch):
    """The tolerance is not 0: the simulator rounds differently from LiteRT by a few steps."""
    from edgedistil_converters.verification import simulation

    monkeypatch.setattr(simulation, "simulate", lambda *arguments: simulate(*arguments) + np.int8(1))
    metadata = read_artifact(converted).metadata
    found = simulation.check_simulation(converted, metadata.golden_cases)
    assert found["largest_difference"] == pytest.approx(1 / 256)


@pytest.mark.parametrize("missing", ["torq-compile", "torq-run-module", "tosa-converter-for-tflite"])
def test_missing_programs(programs, convert, monkeypatch, missing):
    (programs / missing).unlink()
    with pytest.raises(
        ConversionError, match=rf"no {missing} in TORQ_TOOLS='.*programs'. `make setup-torq` .*`target`"
    ):
        convert()
    monkeypatch.delenv("TORQ_TOOLS")
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(ConversionError, match=rf"no {missing} on the PATH"):
        find_torq_tools()
    (programs / missing).write_text("#!/nowhere\n")
    (programs / missing).chmod(0o755)
    assert find_torq_tools().compiler == str(programs / "torq-compile")


def test_missing_programs_are_told_before_any_work(tmp_path, monkeypatch):
    from edgedistil.conversion import ConversionRequest
    from edgedistil_converters.quantization.plan import QuantizationPlan

    monkeypatch.setenv("TORQ_TOOLS", str(tmp_path))
    plan = QuantizationPlan("int8-static")
    request = ConversionRequest("none", tmp_path / "m.tflite", plan, target="coralboard", calibration_texts=("a",))
    with pytest.raises(ConversionError, match="no tosa-converter-for-tflite, torq-compile, torq-run-module in TORQ_"):
        request.check()


def test_a_program_that_does_not_start(programs, converted):
    (programs / "torq-compile").write_text("#!/nowhere/python\n")
    with pytest.raises(ConversionError, match="torq-compile did not run to its end: .*No such file.*`make setup-torq`"):
        compile_for_torq(find_torq_tools(), read_artifact(converted).encoder().model)


def test_a_plan_that_it_cannot_run(programs, tiny_classifier, tiny_labels, tmp_path):
    from edgedistil_converters import QuantizationPlan, convert_classifier

    with pytest.raises(ConversionError, match="A Coralboard cannot run a plan of int8: .*Use one of int8-static"):
        convert_classifier(
            tiny_classifier, tiny_labels, tmp_path / "m.tflite", plan=QuantizationPlan("int8"), target="coralboard"
        )


@pytest.mark.parametrize("profile", [[], [HEADER], ["task, cycles", "0, 12"]])
def test_a_profile_of_another_form(profile):
    with pytest.raises(ConversionError, match="A profile of torq-compile has rows with .*Received: "):
        read_torq_report("", profile)


def test_an_op_that_the_profile_does_not_name():
    report = read_torq_report("", [HEADER, "0,8000,0,CSS,loc(unknown),"])
    assert dict(report.css_ops) == {"unknown op (line 0)": 1}

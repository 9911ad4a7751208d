"""A conversion for a Coralboard with stand-ins for the vendor's programs: what is written, and each refusal."""

import json

import numpy as np
import pytest

from edgedistil_converters.targets.coralboard import compile_for_torq
from edgedistil_converters.targets.torq_report import read_torq_report
from edgedistil_converters.targets.torq_tools import find_torq_tools, simulate
from edgedistil_converters.verification.simulation import LARGEST_TOLERANCE, SIMULATION_TOLERANCE, SimulatedText
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.artifact import read_artifact
from edgedistil_runtime.decision import Decision
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
    simulated = dict(mapping["simulated"])
    assert 0 <= simulated.pop("largest_spread_of_kernels") < LARGEST_TOLERANCE
    assert simulated == {
        "texts": len(artifact.metadata.golden_cases),
        "largest_difference": 0.0,
        "tolerance": SIMULATION_TOLERANCE,
        "beyond_tolerance": 0,
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


def simulated_text(simulated, *kernels):
    """Of steps of 1/256: the first class of two, in the simulator and in each of LiteRT's sets of kernels."""
    rows = [np.array([steps, 256 - steps]) / 256 for steps in (simulated, *kernels)]
    return SimulatedText(rows[0], tuple(rows[1:]))


@pytest.mark.parametrize(
    ("simulated", "kernels", "is_allowed"),
    [
        (200, (184, 184, 184), True),  # 16 steps are rounding for every text
        (201, (184, 184, 184), False),
        (201, (184, 184, 192), False),  # as is twice what LiteRT's kernels differ by, if that is more
        (201, (184, 184, 193), True),
        (184 + 28, (184, 180, 184 + 14), True),
        (184 + 37, (184, 180, 184 + 14), False),
        (190 + 64, (190, 130, 190), True),  # but never more than 64
        (190 + 65, (190, 130, 190), False),
        (126, (130, 130, 130), False),  # another label, of which LiteRT is sure
        (126, (130, 130, 133), False),
        (126, (130, 130, 135), True),  # and one of which it is not: its kernels are further apart than the two labels
        (100, (150, 150, 120), False),  # sure of the label, although the difference is allowed
    ],
)
def test_what_a_text_allows(simulated, kernels, is_allowed):
    text = simulated_text(simulated, *kernels)
    assert text.is_allowed(Decision()) is is_allowed


@pytest.mark.parametrize(("simulated", "is_allowed"), [((99, 100, 57), True), ((74, 74, 108), False)])
def test_a_label_that_no_set_of_kernels_is_near_to_is_refused(simulated, is_allowed):
    """Two labels are undecided; the third is far below both, although its difference alone is allowed."""
    kernels = (np.array([102, 100, 54]) / 256, np.array([72, 130, 54]) / 256)
    text = SimulatedText(np.array(simulated) / 256, kernels)
    assert text.difference <= text.tolerance
    assert text.is_allowed(Decision()) is is_allowed


def test_labels_of_several_at_once():
    """A threshold decides each: the simulator may cross one only where LiteRT's kernels are as far apart."""
    rows = [np.array(row) / 256 for row in ([126, 40], [130, 40], [134, 40])]
    decision = Decision((0.5, 0.5))
    assert SimulatedText(rows[0], (rows[1], rows[2])).is_allowed(decision)
    assert not SimulatedText(rows[0], (rows[1], rows[1])).is_allowed(decision)


@pytest.mark.parametrize(("spread", "is_refused"), [(0, True), (20, False)])
def test_a_text_on_which_the_kernels_of_litert_differ(programs, converted, monkeypatch, spread, is_refused):
    """The simulator is 30 steps off on every text: a defect, unless LiteRT's own kernels are far apart there."""
    from edgedistil_converters.verification import simulation

    def texts(artifact, rows, tools):
        return [simulated_text(200 - 30, 200, 200 - spread) for _ in rows]

    monkeypatch.setattr(simulation, "simulate_texts", texts)
    cases = read_artifact(converted).metadata.golden_cases
    if is_refused:
        with pytest.raises(
            ParityError, match=r"at most 0.0625 is allowed where LiteRT's own kernels differ by 0, and 0"
        ):
            simulation.check_simulation(converted, cases)
    else:
        found = simulation.check_simulation(converted, cases)
        assert (found["largest_difference"], found["largest_spread_of_kernels"]) == (30 / 256, 20 / 256)
        assert found["beyond_tolerance"] == found["texts"] == len(cases)


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

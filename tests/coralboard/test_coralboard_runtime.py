"""A file for a Coralboard in the runtime, with a stand-in for the vendor's runner."""

import dataclasses
import platform
import sys

import pytest

from edgedistil_runtime import AcceleratorMismatch, AcceleratorUnavailable, BackendError, TextClassifier
from edgedistil_runtime.artifact import EncoderFlatbuffers, artifact_bytes, read_artifact
from edgedistil_runtime.backends.choice import encoder_on_cpu
from edgedistil_runtime.backends.torq import TorqEncoder

TEXTS = ("turn the lights on", "play some music", "is it raining ?", "", "größer 日本 👍")


@pytest.fixture
def board(vendor, monkeypatch):
    """This machine looks like a Coralboard; returns the stand-in's class."""
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    vendor.made.clear()
    return vendor


def on_coralboard(path, **options):
    return TextClassifier(path, "coralboard", **{"probe": False, **options})


def part_of(path, **changes):
    artifact = read_artifact(path)
    part = dataclasses.replace(artifact.metadata.encoder, **changes)
    return artifact.encoder(), part


def test_answers_of_the_npu(board, converted):
    with (
        on_coralboard(converted) as classifier,
        TextClassifier(converted, backend=encoder_on_cpu(read_artifact(converted))) as expected,
    ):
        info = classifier.runtime_info
        assert (info.accelerator, info.backend) == ("coralboard", "ai-edge-litert and torq-runtime")
        assert info.golden_cases > 3
        for text in TEXTS:
            due, found = expected.classify(text), classifier.classify(text)
            assert found.label == due.label
            assert found.probabilities == pytest.approx(due.probabilities, abs=8 / 256)  # other kernels
    assert board.made == [("torq", "astra_machina")]


def test_the_simulator_needs_no_board(vendor, converted):
    vendor.made.clear()
    with on_coralboard(converted, device="sim", probe=True) as classifier:
        assert classifier.runtime_info.backend == "ai-edge-litert and torq-runtime's simulator"
    assert vendor.made == [("torq", "sim")]


def test_the_file_of_the_runner_is_removed(board, converted):
    encoder = TorqEncoder(*part_of(converted))
    path = encoder._runner.path
    assert path.exists()
    encoder.close()
    encoder.close()
    assert not path.parent.exists()
    with pytest.raises(BackendError, match="closed"):
        encoder.run(16, {})


@pytest.mark.parametrize("machine", ["x86_64", "armv7l"])
def test_other_machines_have_no_npu(vendor, converted, monkeypatch, machine):
    monkeypatch.setattr(platform, "machine", lambda: machine)
    with pytest.raises(AcceleratorUnavailable, match=f"aarch64. Received: {machine}.*`fallback`.*`device`='sim'"):
        on_coralboard(converted)
    with on_coralboard(converted, fallback=True) as classifier:
        assert classifier.runtime_info.accelerator == "cpu"
        assert "Received: " + machine in classifier.runtime_info.fallback_reason


def test_without_the_vendors_package(converted, monkeypatch):
    monkeypatch.setitem(sys.modules, "torq", None)
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(AcceleratorUnavailable, match="needs torq-runtime, which cannot be imported.*pip install torq-"):
        on_coralboard(converted)


def test_a_package_whose_library_does_not_load(board, converted, tmp_path):
    """torq-runtime 2.3.0 then fails with a NameError, because it hides the ImportError of its library."""
    (tmp_path / "vendor" / "torq" / "runtime.py").write_text("iree_rt\n")
    with pytest.raises(AcceleratorUnavailable, match="cannot be loaded on this system: .*newer C library.*glibc 2.39"):
        on_coralboard(converted)


@pytest.mark.parametrize("device", ["usb", "SIM", ""])
def test_malformed_devices(board, converted, device):
    with pytest.raises(BackendError, match=f"must be sim or astra_machina. Received: '{device}'") as caught:
        on_coralboard(converted, device=device)
    assert not isinstance(caught.value, AcceleratorUnavailable)
    assert board.made == []


@pytest.mark.parametrize(
    ("mode", "error", "message"),
    [
        ("other_hardware", AcceleratorUnavailable, "compiled for other hardware than the Torq NPU, .*INCOMPATIBLE"),
        ("crash", AcceleratorUnavailable, "torq-runtime does not load the encoder: .*Its version must be"),
        ("declares", AcceleratorUnavailable, r"must take and give the shapes .*Received: \[\(1, 2\), \(3,\)\]"),
        ("fails", BackendError, "torq-runtime failed in the encoder: DEADLINE_EXCEEDED.*Received: .*attention_mask"),
        ("wrong", AcceleratorMismatch, "computes other probabilities"),
        ("zeros", AcceleratorMismatch, "computes other probabilities"),
    ],
)
def test_failures(board, converted, monkeypatch, mode, error, message):
    monkeypatch.setenv("FAKE_TORQ_MODE", mode)
    with pytest.raises(error, match=message):
        on_coralboard(converted)
    with on_coralboard(converted, fallback=True) as classifier:
        assert classifier.runtime_info.accelerator == "cpu"


def test_shapes_that_are_not_declared(board, converted, monkeypatch):
    monkeypatch.setenv("FAKE_TORQ_MODE", "declares_nothing")
    on_coralboard(converted).close()


def test_a_runner_that_ends_the_process(vendor, converted, monkeypatch):
    """What torq-runtime 2.3 does without an NPU; the trial in a child process makes it an error."""
    monkeypatch.setenv("FAKE_TORQ_MODE", "no_npu")
    with pytest.raises(AcceleratorUnavailable, match="ended the process that tried it: SIGABRT.*`accelerator`='cpu'"):
        on_coralboard(converted, device="sim", probe=True)


@pytest.mark.parametrize("chip", ["SR200", None])
def test_another_chip(board, converted, chip):
    encoder, part = part_of(converted)
    mapping = {**part.mapping, "chip": chip}
    with pytest.raises(AcceleratorUnavailable, match=f"must be compiled for SL2610, .* Received: one for {chip!r}"):
        TorqEncoder(encoder, dataclasses.replace(part, mapping=mapping))
    assert board.made == []


def test_an_encoder_that_is_not_compiled(board, converted):
    encoder, part = part_of(converted)
    with pytest.raises(AcceleratorUnavailable, match="not compiled for a Coralboard. Convert again"):
        TorqEncoder(EncoderFlatbuffers(encoder.model), part)


def test_a_file_for_an_edge_tpu(board, converted, tmp_path):
    """Each target has its own part, although the flatbuffer is the same."""
    artifact = read_artifact(converted)
    part = dataclasses.replace(artifact.metadata.encoder, is_compiled=False, tensors=())
    metadata = dataclasses.replace(artifact.metadata, target="edgetpu", encoder=part)
    encoder = EncoderFlatbuffers(artifact.encoder().model)
    path = tmp_path / "edgetpu.tflite"
    path.write_bytes(artifact_bytes(artifact.flatbuffer(), metadata, artifact.vocabulary, encoder=encoder))
    with pytest.raises(AcceleratorUnavailable, match="target edgetpu and has no part for 'coralboard'"):
        on_coralboard(path)
    with pytest.raises(AcceleratorUnavailable, match="target coralboard and has no part for 'edgetpu'"):
        TextClassifier(converted, "edgetpu")

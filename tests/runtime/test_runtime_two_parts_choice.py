"""A model in two parts: the choice of a backend, refusals, and the CPU as fallback."""

import dataclasses
import logging
import sys

import pytest

from edgedistil_runtime import (
    AcceleratorMismatch,
    AcceleratorUnavailable,
    BackendError,
    FakeBackend,
    LiteRTInterpreterBackend,
    TextClassifier,
)
from edgedistil_runtime.artifact import EncoderFlatbuffers, EncoderPart, GoldenCase, artifact_bytes, read_artifact
from edgedistil_runtime.backends.choice import open_backend
from edgedistil_runtime.backends.encoders import EDGETPU_LIBRARY, GPUEncoder

from .two_parts import ids, posix


@pytest.fixture
def write_target(write, echo_flatbuffer, metadata, vocabulary):
    """`write_target("edgetpu", b"...")`: Echo with an encoder that no CPU could load, and perhaps a compiled one."""

    def write_file(target, compiled=None, **changes):
        part = EncoderPart(lengths=(16, metadata.tokenizer.sequence_length), is_compiled=compiled is not None)
        changed = dataclasses.replace(metadata, target=target, encoder=part, **changes)
        encoder = EncoderFlatbuffers(b"\x1c\0\0\0TFL3 encoder", compiled)
        return write(artifact_bytes(echo_flatbuffer, changed, vocabulary, encoder=encoder), f"{target}.tflite")

    return write_file


@pytest.fixture
def hosts_closed(monkeypatch):
    """How many hosts were closed."""
    closed = []
    close = LiteRTInterpreterBackend.close
    monkeypatch.setattr(LiteRTInterpreterBackend, "close", lambda self: (closed.append(self), close(self))[1])
    return closed


# Refusals


@pytest.mark.parametrize("accelerator", ["cpu", "gpu"])
def test_a_device_is_an_edge_tpu(echo_path, accelerator):
    with pytest.raises(BackendError, match=f"several Edge TPUs, .* Received: 'usb' with '{accelerator}'"):
        TextClassifier(echo_path, accelerator, device="usb", fallback=True)


@pytest.mark.parametrize(("target", "accelerator"), [("gpu", "edgetpu"), ("edgetpu", "gpu")])
def test_other_targets(write_target, echo_path, target, accelerator):
    for path, has in ((write_target(target), target), (echo_path, "cpu")):
        with pytest.raises(
            AcceleratorUnavailable, match=f"target {has} and has no part for '{accelerator}'.*`target`="
        ):
            open_backend(read_artifact(path), accelerator)


def test_every_file_runs_on_a_cpu(write_target, echo):
    for target in ("gpu", "edgetpu"):
        backend = open_backend(read_artifact(write_target(target)))
        assert isinstance(backend, LiteRTInterpreterBackend) or backend.name == "tflite-runtime"
        backend.close()


@pytest.mark.parametrize(
    ("compiled", "device", "error", "message"),
    [
        (None, None, AcceleratorUnavailable, "not compiled for the Edge TPU"),
        (b"\x1c\0\0\0TFL3 compiled", None, AcceleratorUnavailable, "cannot be loaded: .*EDGETPU_LIBRARY"),
    ],
)
def test_the_host_is_closed_where_the_encoder_cannot_be_had(
    write_target, hosts_closed, monkeypatch, tmp_path, compiled, device, error, message
):
    pytest.importorskip("ai_edge_litert")
    monkeypatch.setenv(EDGETPU_LIBRARY, str(tmp_path / "none.so"))
    with pytest.raises(error, match=message):
        open_backend(read_artifact(write_target("edgetpu", compiled)), "edgetpu", device=device)
    assert len(hosts_closed) == 1


def test_a_gpu_needs_litert(monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with pytest.raises(AcceleratorUnavailable, match="pip install 'ai-edge-litert"):
        GPUEncoder(EncoderFlatbuffers(b""), is_exact=True)


# The CPU as fallback


def refusals(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_the_cpu_stands_in(echo_path, caplog, echo):
    with TextClassifier(echo_path, "edgetpu", device="usb", fallback=True) as classifier:
        info = classifier.runtime_info
        assert list(classifier.classify("hi").probabilities.values()) == pytest.approx(
            echo.probabilities("hi"), abs=1e-6
        )
    assert info.accelerator == "cpu"
    assert "converted for the target cpu" in info.fallback_reason
    assert refusals(caplog) == [f"The CPU is used instead of the accelerator 'edgetpu': {info.fallback_reason}"]


def test_nothing_stands_in_unasked(echo_path, caplog):
    with pytest.raises(AcceleratorUnavailable, match="converted for the target cpu"):
        TextClassifier(echo_path, "gpu")
    assert refusals(caplog) == []


def test_nothing_is_said_where_nothing_stands_in(echo_path, caplog):
    with TextClassifier(echo_path, fallback=True) as classifier:
        assert classifier.runtime_info.fallback_reason == ""
    assert refusals(caplog) == []


@pytest.mark.parametrize("accelerator", ["tpu", "CPU"])
def test_an_accelerator_that_does_not_exist_is_an_error_in_any_case(echo_path, accelerator):
    with pytest.raises(BackendError, match="one of cpu, gpu, edgetpu"):
        TextClassifier(echo_path, accelerator, fallback=True)


def test_nothing_stands_in_for_a_given_backend(fake_path):
    backend = FakeBackend(lambda signature, inputs: {"token_ids": ids(1)[None]})
    with pytest.raises(AcceleratorMismatch):
        TextClassifier(fake_path, "gpu", backend=backend, fallback=True)
    assert backend.is_closed


def test_nothing_stands_in_for_the_cpu(write, echo_flatbuffer, with_golden_case, vocabulary, echo):
    wrong = with_golden_case(GoldenCase("hi", tuple(echo.token_ids("hi")), (0.0, 0.5, 0.5)))
    with pytest.raises(AcceleratorMismatch):
        TextClassifier(write(artifact_bytes(echo_flatbuffer, wrong, vocabulary)), fallback=True)


@posix
def test_the_cpu_stands_in_after_a_trial(write_target, stand_in, caplog):
    stand_in("kill -SEGV $$")
    with TextClassifier(write_target("gpu"), "gpu", fallback=True) as classifier:
        assert "SIGSEGV" in classifier.runtime_info.fallback_reason
    assert len(refusals(caplog)) == 1


@posix
def test_a_file_without_a_part_is_not_tried(echo_path, stand_in, tmp_path):
    stand_in(f"touch '{tmp_path}/tried'")
    with pytest.raises(AcceleratorUnavailable, match="converted for the target cpu"):
        TextClassifier(echo_path, "gpu")
    assert not (tmp_path / "tried").exists()


@posix
def test_probe_false_tries_nothing(write_target, stand_in, tmp_path):
    stand_in(f"touch '{tmp_path}/tried'")
    with pytest.raises(AcceleratorUnavailable, match="not compiled for the Edge TPU"):
        TextClassifier(write_target("edgetpu"), "edgetpu", probe=False)
    assert not (tmp_path / "tried").exists()

"""Artefacts with a second part for an accelerator, run as a whole on this CPU."""

import json
import logging
import os
import sys

import numpy as np
import pytest

from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_runtime import AcceleratorUnavailable, TextClassifier
from edgedistil_runtime.artifact import read_artifact
from edgedistil_runtime.backends.choice import encoder_on_cpu
from edgedistil_runtime.errors import ConversionError, OutputError

LABELS = ["light", "music", "other"]
TEXTS = ("turn on the light", "play music, please", "", "NASA " * 40, "京都 é ü")
COMMANDS = tuple(f"{a} the {b} {c}" for a in ("turn", "play") for b in ("light", "music") for c in "abcdefgh")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("targets")


@pytest.fixture(scope="module")
def gpu_path(classifier, folder):
    from edgedistil_converters import convert_classifier

    path = folder / "gpu.tflite"
    convert_classifier(classifier, LABELS, path, plan=QuantizationPlan("fp32"), target="gpu")
    return path


@pytest.fixture(scope="module")
def edgetpu_path(classifier, folder):
    from edgedistil_converters import convert_classifier
    from edgedistil_converters.verification.texts import VERIFICATION_TEXTS

    path = folder / "edgetpu.tflite"
    plan, texts = QuantizationPlan("int8-static"), (*COMMANDS, *VERIFICATION_TEXTS)
    convert_classifier(classifier, LABELS, path, plan=plan, target="edgetpu", calibration_texts=texts)
    return path


@pytest.fixture(scope="module", params=["gpu_path", "edgetpu_path"])
def path(request):
    return request.getfixturevalue(request.param)


def in_two_parts(path):
    return TextClassifier(path, backend=encoder_on_cpu(read_artifact(path)))


def test_every_cpu_runs_the_file(path):
    """The golden cases are replayed as it is loaded."""
    with TextClassifier(path) as classifier:
        assert classifier.classify(TEXTS[0]).label in LABELS
        assert classifier.runtime_info.accelerator == "cpu"
        assert classifier.runtime_info.golden_cases > 3


def test_two_parts_answer_as_one_file(path):
    metadata = read_artifact(path).metadata
    with TextClassifier(path) as whole, in_two_parts(path) as parts:
        assert parts.runtime_info.golden_cases > 3
        for text in TEXTS:
            assert parts.tokenize(text) == whole.tokenize(text)
            due, found = (np.array(list(one.classify(text).probabilities.values())) for one in (whole, parts))
            np.testing.assert_allclose(found, due, rtol=0, atol=2 * metadata.tolerance)
        batch = parts.classify_batch(TEXTS)
        assert [answer.label for answer in batch] == [parts.classify(text).label for text in TEXTS]


def test_metadata_describe_the_encoder(gpu_path, edgetpu_path):
    gpu, edgetpu = (read_artifact(path) for path in (gpu_path, edgetpu_path))
    assert (gpu.metadata.target, edgetpu.metadata.target) == ("gpu", "edgetpu")
    length = gpu.metadata.tokenizer.sequence_length
    assert gpu.metadata.encoder.lengths == (16, length)
    assert edgetpu.metadata.encoder.lengths == (length,)
    assert gpu.metadata.encoder.mapping == {}
    mapping = edgetpu.metadata.encoder.mapping
    assert (mapping["source"], mapping["on_cpu"], mapping["reasons"]) == ("predicted", 0, {})
    for artifact in (gpu, edgetpu):
        assert not artifact.metadata.encoder.is_compiled
        assert artifact.metadata.encoder.parity["texts"] >= 30
        assert json.loads(json.dumps(artifact.metadata.encoder.parity)) == artifact.metadata.encoder.parity
        assert artifact.encoder().compiled is None
    assert gpu.metadata.encoder.parity["largest_difference"] < 1e-5


def test_embedding_tables_are_stored_once(gpu_path, classifier):
    from edgedistil_converters.model.keras_hub import read_weights
    from edgedistil_converters.tflite.structure import read_structure

    structure = read_structure(read_artifact(gpu_path).flatbuffer())
    assert structure.constant_bytes["float32"] < 1.1 * 4 * read_weights(classifier).parameters
    inputs, outputs = structure.signatures["embed"]
    assert [tensor.name for tensor in inputs] == ["token_ids"]
    assert {tensor.name for tensor in outputs} == {"embeddings", "attention_bias"}


def test_an_edge_tpu_needs_a_compiled_encoder(edgetpu_path):
    with pytest.raises(AcceleratorUnavailable, match="not compiled for the Edge TPU.*edgetpu_compiler"):
        TextClassifier(edgetpu_path, "edgetpu")


def test_a_file_for_another_target_is_refused(gpu_path, edgetpu_path):
    with pytest.raises(AcceleratorUnavailable, match="converted for the target gpu.*`target`='edgetpu'"):
        TextClassifier(gpu_path, "edgetpu")
    with pytest.raises(AcceleratorUnavailable, match="converted for the target edgetpu.*`target`='gpu'"):
        TextClassifier(edgetpu_path, "gpu")


def test_the_cpu_stands_in_where_that_is_asked_for(edgetpu_path, caplog):
    with caplog.at_level(logging.WARNING), TextClassifier(edgetpu_path, "edgetpu", fallback=True) as classifier:
        assert classifier.runtime_info.accelerator == "cpu"
        assert "not compiled" in classifier.runtime_info.fallback_reason
        assert classifier.classify(TEXTS[0]).label in LABELS
    assert "The CPU is used instead of the accelerator 'edgetpu'" in caplog.text


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a GPU is not found through Vulkan, and there may be one")
def test_a_gpu_that_is_not_there_is_an_error(gpu_path, monkeypatch):
    monkeypatch.setenv("VK_DRIVER_FILES", os.devnull)
    with pytest.raises(AcceleratorUnavailable, match="(?s)GPU accelerator could not be started.*Vulkan"):
        TextClassifier(gpu_path, "gpu")


def test_nothing_is_left_where_a_target_refuses(classifier, tmp_path):
    from edgedistil_converters import convert_classifier

    output = tmp_path / "model.tflite"
    with pytest.raises(ConversionError, match="A GPU cannot run a plan of int8-static"):
        convert_classifier(classifier, LABELS, output, plan=QuantizationPlan("int8-static"), target="gpu")
    with pytest.raises(ConversionError, match="`target` must be one of cpu, gpu, edgetpu, coralboard, npu"):
        convert_classifier(classifier, LABELS, output, target="tpu")
    with pytest.raises(OutputError):
        convert_classifier(classifier, LABELS, tmp_path / "none" / "model.tflite", target="gpu")
    assert list(tmp_path.iterdir()) == []

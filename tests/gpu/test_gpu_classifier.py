"""A whole file for a GPU: text in, probabilities out, and an encoder that the GPU computes wrongly is refused."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.artifact import EncoderFlatbuffers, artifact_bytes, read_artifact
from edgedistil_runtime.backends.choice import encoder_on_cpu

TEXTS = ("turn on the light", "play music", "", "the light is off", "?")
LABELS = ("light", "music", "other")
# As on a device, without TensorFlow, which cannot share a process with a software driver: both bring LLVM.
_CLASSIFY = """
import dataclasses, json, sys
from edgedistil_runtime import BackendError, TextClassifier
path, options, texts = json.loads(sys.argv[1])
try:
    with TextClassifier(path, "gpu", **options) as classifier:
        answers = [dict(answer.probabilities) for answer in classifier.classify_batch(texts)]
        print(json.dumps({"info": dataclasses.asdict(classifier.runtime_info), "answers": answers}))
except BackendError as error:
    print(json.dumps({"error": type(error).__name__, "message": str(error)}))
"""


@pytest.fixture(scope="module")
def path(tiny_classifier, tmp_path_factory):
    from edgedistil_converters import convert_classifier

    path = tmp_path_factory.mktemp("gpu") / "model.tflite"
    convert_classifier(tiny_classifier, LABELS, path, plan=QuantizationPlan("fp32"), target="gpu")
    return path


@pytest.fixture
def with_encoder(path, tmp_path):
    """`with_encoder(encoder)` is the same file with another encoder, and golden cases that a CPU computed with it."""

    def make(encoder):
        artifact, changed = read_artifact(path), tmp_path / "changed.tflite"
        cases = [case for case in artifact.metadata.golden_cases if len(case.token_ids) <= 16]
        metadata = replace(artifact.metadata, golden_cases=tuple(cases))

        def write():
            changed.write_bytes(
                artifact_bytes(
                    artifact.flatbuffer(),
                    metadata,
                    artifact.vocabulary,
                    encoder=EncoderFlatbuffers(encoder.flatbuffer),
                )
            )

        write()
        with TextClassifier(changed, backend=encoder_on_cpu(read_artifact(changed)), verify=False) as on_cpu:
            answers = [tuple(on_cpu.classify(case.text).probabilities.values()) for case in cases]
        metadata = replace(
            metadata,
            golden_cases=tuple(replace(case, probabilities=p) for case, p in zip(cases, answers, strict=True)),
        )
        write()
        return changed

    return make


def on_gpu(path, texts=TEXTS, **options):
    """Return the answers of a process with only the runtime, or the error that it raised."""
    request = json.dumps([str(path), options, texts])
    done = subprocess.run([sys.executable, "-c", _CLASSIFY, request], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_text_becomes_what_a_cpu_computes(path):
    result = on_gpu(path)
    info = result["info"]
    assert (info["accelerator"], info["fallback_reason"]) == ("gpu", "")
    assert info["golden_cases"] > 3 and info["largest_difference"] < 1e-5
    with TextClassifier(path) as on_cpu:
        for text, found in zip(TEXTS, result["answers"], strict=True):
            assert found == pytest.approx(dict(on_cpu.classify(text).probabilities), abs=1e-5)


def test_a_sound_encoder_is_taken(with_encoder, sound_encoder):
    assert on_gpu(with_encoder(sound_encoder), (), probe=False)["info"]["golden_cases"] > 3


@pytest.mark.parametrize("name", ["encoder_with_matrix", "encoder_with_two_ranks", "encoder_in_int8"])
def test_a_silent_error_is_a_mismatch(request, with_encoder, name):
    changed = with_encoder(request.getfixturevalue(name))
    result = on_gpu(changed, (), probe=False)
    assert result["error"] == "AcceleratorMismatch" and "computes other probabilities" in result["message"]


def test_the_cpu_stands_in(path, with_encoder, encoder_with_two_ranks):
    """The GPU computes the encoder wrongly; the rest of the file is intact."""
    artifact, changed = read_artifact(path), with_encoder(encoder_with_two_ranks)
    encoder = EncoderFlatbuffers(encoder_with_two_ranks.flatbuffer)
    changed.write_bytes(artifact_bytes(artifact.flatbuffer(), artifact.metadata, artifact.vocabulary, encoder=encoder))
    result = on_gpu(changed, fallback=True)
    assert result["info"]["accelerator"] == "cpu"
    assert "computes other probabilities" in result["info"]["fallback_reason"]
    with TextClassifier(path) as on_cpu:
        assert result["answers"] == [dict(on_cpu.classify(text).probabilities) for text in TEXTS]

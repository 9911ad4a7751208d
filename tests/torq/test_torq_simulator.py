"""The bundled preset in the vendor's simulator: right as it is converted, and refused in a form that it gets wrong."""

import dataclasses
import json
import os
import subprocess
from pathlib import Path

import pytest

from edgedistil_converters.targets.coralboard import compile_for_torq
from edgedistil_converters.targets.edgetpu import build_int8_encoder
from edgedistil_converters.targets.torq_tools import simulate
from edgedistil_converters.verification.simulation import SIMULATION_TOLERANCE, check_simulation
from edgedistil_runtime import AcceleratorUnavailable, TextClassifier
from edgedistil_runtime.artifact import EncoderFlatbuffers, GoldenCase, artifact_bytes, read_artifact
from edgedistil_runtime.errors import ConversionError, ParityError

from .conftest import LENGTH, PRESET

ROOT = Path(__file__).parents[2]
# The form that the compiler gets wrong is far off on each of these, with another label on some.
TEXTS = (
    "blast the music in the landing.",
    "send out the vacuum rboot",
    "🎉 free tickets 🎟️ click http://example.com/win?id=42 now",
)
CLASSIFY = """
import json, sys
from edgedistil_runtime import TextClassifier
path, *texts = sys.argv[1:]
with TextClassifier(path, "coralboard", device="sim", verify=False, probe=False) as classifier:
    print(json.dumps([classifier.runtime_info.backend, [classifier.classify(text).label for text in texts]]))
"""


def cases(path):
    with TextClassifier(path, verify=False) as classifier:
        return [GoldenCase(text, tuple(classifier.tokenize(text)), (1.0,)) for text in TEXTS]


@pytest.fixture(scope="module")
def changed(converted, tools, calibration_texts, tmp_path_factory):
    """`changed(target="edgetpu")`: the file with another form of the same encoder."""
    from edgedistil.presets.loading import load_labelled_classifier, set_sequence_length
    from edgedistil_converters import QuantizationPlan
    from edgedistil_converters.model.keras_token_ids import unpadded_rows
    from edgedistil_converters.model.read_classifier import read_classifier

    classifier = load_labelled_classifier(PRESET).classifier
    set_sequence_length(classifier, LENGTH, PRESET)
    read = read_classifier(classifier)
    rows = unpadded_rows(classifier.preprocessor, calibration_texts)

    def make(**form):
        built = build_int8_encoder(read.weights, read.settings, QuantizationPlan("int8-static"), rows, **form)
        compilation = compile_for_torq(tools, built.flatbuffer)
        artifact = read_artifact(converted)
        part = dataclasses.replace(artifact.metadata.encoder, tensors=compilation.tensors)
        metadata = dataclasses.replace(artifact.metadata, encoder=part)
        encoder = EncoderFlatbuffers(built.flatbuffer, compilation.module)
        path = tmp_path_factory.mktemp("changed") / "model.tflite"
        path.write_bytes(artifact_bytes(artifact.flatbuffer(), metadata, artifact.vocabulary, encoder=encoder))
        return path

    return make


def test_a_conversion(converted):
    mapping = read_artifact(converted).metadata.encoder.mapping
    assert mapping["versions"]["torq-compiler"] == "2.3.0"
    assert (mapping["chip"], mapping["on_cpu"], mapping["on_css"]) == ("SL2610", 0, 6)
    assert 1.5e6 < mapping["cycles"] < 2.5e6
    assert all(reason.startswith("mul i32") for reason in mapping["reasons"])
    assert mapping["simulated"]["texts"] == 8
    assert mapping["simulated"]["largest_difference"] <= SIMULATION_TOLERANCE


def test_texts_that_the_other_form_gets_wrong(converted):
    assert check_simulation(converted, cases(converted))["label_agreement"] == 1.0


def test_a_form_that_the_compiler_gets_wrong_is_refused(changed):
    """The Edge TPU's: if this fails, torq-compile computes it rightly, and the Coralboard's may be the same."""
    path = changed(target="edgetpu")
    with pytest.raises(ParityError, match=r"in the vendor's simulator a probability of .* differs by 0\.\d"):
        check_simulation(path, cases(path)[:1])


def test_the_vendors_runner_answers_as_the_cpu(converted, vendor_python):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    texts = TEXTS[:2]  # each takes seconds
    command = [vendor_python, "-c", CLASSIFY, str(converted), *texts]
    environment["PYTHONPATH"] = str(ROOT / "runtime")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr[-3000:]
    backend, labels = json.loads(done.stdout.splitlines()[-1])
    assert backend == "ai-edge-litert and torq-runtime's simulator"
    with TextClassifier(converted) as classifier:
        assert labels == [classifier.classify(text).label for text in texts]


def test_a_machine_without_the_npu_says_so(converted):
    with pytest.raises(AcceleratorUnavailable, match="aarch64. Received: .*`device`='sim'"):
        TextClassifier(converted, "coralboard")


def test_a_module_that_is_none(tools, tmp_path):
    (tmp_path / "encoder.vmfb").write_bytes(b"PK\x03\x04 no module")
    with pytest.raises(ConversionError, match="torq-run-module could not simulate the encoder"):
        simulate(tools, tmp_path / "encoder.vmfb", [])

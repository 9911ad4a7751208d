"""What `convert_classifier` writes: an artefact that answers as Keras does, and says so of itself."""

import json
import os
import stat
import zipfile
from importlib.metadata import version

import numpy as np
import pytest

from edgedistil_converters import QuantizationPlan, convert_classifier
from edgedistil_converters.tokenizer.settings import read_tokenizer
from edgedistil_converters.verification.golden_cases import choose_golden_cases
from edgedistil_converters.verification.keras_answers import answer_with_keras
from edgedistil_converters.verification.texts import VERIFICATION_TEXTS
from edgedistil_runtime import GoldenCase, TextClassifier, read_artifact

from .conversions import FP32, names_in

ROOM_FOR_ROUNDING = 1e-5


def probabilities(classifier, text):
    features = classifier.preprocessor([text])
    outputs = np.asarray(classifier({k: np.asarray(features[k]) for k in ("token_ids", "padding_mask")}), np.float64)
    return (np.exp(outputs) / np.exp(outputs).sum())[0]


@pytest.mark.parametrize("scheme", ["fp32", "fp16", "int8"])
def test_the_runtime_replays_the_artefact_and_answers(convert, classifier, labels, scheme):
    conversion = convert(scheme)
    tolerance = {"fp32": ROOM_FOR_ROUNDING, "fp16": 5e-3, "int8": 0.06}[scheme]
    with TextClassifier(conversion.artifact.path) as candidate:
        assert candidate.runtime_info.golden_cases == len(conversion.artifact.metadata.golden_cases) > 0
        for text in ("turn on the light", "", "NASA in Paris", "東京!"):
            answer = candidate.classify(text)
            due = probabilities(classifier, text)
            assert tuple(answer.probabilities) == labels
            np.testing.assert_allclose(list(answer.probabilities.values()), due, rtol=0, atol=tolerance)
            if np.sort(due)[-1] - np.sort(due)[-2] > 2 * tolerance:
                assert answer.label == labels[int(due.argmax())]


def test_the_metadata_say_what_is_in_the_file(convert, classifier, labels, vocabulary):
    conversion = convert("int8")
    artifact, metadata = conversion.artifact, conversion.artifact.metadata
    assert artifact == read_artifact(artifact.path)
    assert artifact.vocabulary == vocabulary
    assert metadata.name == "int8"
    assert metadata.labels == labels
    assert metadata.target == "cpu"
    assert metadata.tokenizer == read_tokenizer(classifier.preprocessor)[0]
    assert metadata.quantization == QuantizationPlan("int8").to_dict()
    assert metadata.tolerance == QuantizationPlan("int8").tolerance.largest
    assert metadata.parity == conversion.parity.to_dict()
    assert metadata.model["parameters"] == classifier.count_params()
    assert metadata.model["num_classes"] == 3
    assert metadata.oldest_runtime == conversion.structure.minimum_runtime == "2.17.0"
    assert metadata.versions == {
        name: version(name)
        for name in ("edgedistil-converters", "tensorflow", "keras", "keras-hub", "ai-edge-litert", "litert-quantizer")
    }
    assert metadata.flatbuffer_size == len(artifact.flatbuffer()) < artifact.size == artifact.path.stat().st_size
    with zipfile.ZipFile(artifact.path) as archive:
        assert archive.testzip() is None
        assert json.loads(archive.read("edgedistil.json"))["labels"] == list(labels)
        assert archive.read("labels.txt").decode() == "".join(f"{label}\n" for label in labels)


def test_the_parity_report_is_what_was_measured(convert):
    for scheme in ("fp32", "fp16", "int8"):
        parity, tolerance = convert(scheme).parity, QuantizationPlan(scheme).tolerance
        assert parity.texts == len(VERIFICATION_TEXTS)
        assert 0 < parity.mean_difference < parity.largest_difference <= tolerance.largest
        assert parity.mean_difference <= tolerance.mean
        assert 0.8 <= parity.label_agreement <= 1
    assert convert("fp32").parity.label_agreement == 1
    assert convert("fp32").parity.largest_difference < ROOM_FOR_ROUNDING
    assert convert("int8").parity.largest_difference > 1e-4  # int8 is not fp32 under another name


def test_golden_cases_are_answers_of_keras_and_cover(convert, classifier, labels):
    cases = convert("fp32").artifact.metadata.golden_cases
    answers = answer_with_keras(classifier, VERIFICATION_TEXTS)
    assert set(cases) <= set(answers)
    assert len({case.text for case in cases}) == len(cases) == 8
    lengths = [len(answer.token_ids) for answer in answers]
    assert {min(lengths), max(lengths)} <= {len(case.token_ids) for case in cases}
    assert {int(np.argmax(case.probabilities)) for case in cases} == {0, 1, 2}
    for case in cases:
        np.testing.assert_allclose(case.probabilities, probabilities(classifier, case.text), rtol=0, atol=1e-6)


def test_golden_cases_cover_a_rare_label_and_few_answers():
    common = [GoldenCase(f"text {i}", (2, *range(5, 5 + i % 4), 3), (0.9, 0.1)) for i in range(30)]
    rare = GoldenCase("rare", (2, 5, 3), (0.1, 0.9))
    chosen = choose_golden_cases([*common, rare])
    assert rare in chosen
    assert len(chosen) == 8
    assert choose_golden_cases([rare]) == (rare,)
    many = [GoldenCase(f"{i}", (2, 3), tuple(np.eye(20)[i].tolist())) for i in range(20)]
    assert len(choose_golden_cases(many)) == 8


def test_a_file_is_written_with_its_name_and_the_callers_texts(finished, classifier, labels, tmp_path):
    stages = []
    conversion = convert_classifier(
        classifier,
        list(labels),
        str(tmp_path / "model.tflite"),
        plan=FP32,
        name="my model",
        verification_texts=["one more text", "one more text", ""],
        on_stage=stages.append,
    )
    assert conversion.artifact.path == tmp_path / "model.tflite"
    assert conversion.artifact.metadata.name == "my model"
    assert conversion.parity.texts == len(VERIFICATION_TEXTS) + 1
    assert len(stages) == len(set(stages)) >= 4
    assert names_in(tmp_path) == ["model.tflite"]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "model.tflite").stat().st_mode) == 0o666 & ~mask


def test_equal_conversions_write_equal_files(finished, convert, classifier, labels, tmp_path):
    for name in ("a", "b"):
        convert_classifier(classifier, labels, tmp_path / name, plan=FP32, name="fp32")
    content = (tmp_path / "a").read_bytes()
    assert content == (tmp_path / "b").read_bytes() == convert("fp32").artifact.path.read_bytes()

"""What `edgedistil convert` does before the converter: which head, which texts, which numbers; and what it refuses."""

import logging
import re
from dataclasses import replace

import numpy as np
import pytest

from edgedistil.conversion import ConversionRequest, convert_preset
from edgedistil.data import LabelledTexts
from edgedistil_converters import LayerScheme, QuantizationPlan
from edgedistil_runtime.errors import ConversionError, DataError, OutputError

STATIC, QAT = QuantizationPlan("int8-static"), QuantizationPlan("int8-qat")


class Reached(Exception):
    """The converter, with what it was given."""


@pytest.fixture
def given(monkeypatch):
    """Runs a request up to the converter, and returns the `PreparedClassifier` that it would get."""

    def stop(prepared, options, output, **_):
        raise Reached(prepared)

    def run(request):
        monkeypatch.setattr("edgedistil_converters.convert_prepared", stop)
        with pytest.raises(Reached) as caught:
            convert_preset(request)
        return caught.value.args[0]

    return run


@pytest.fixture
def request_for(tiny_preset, tmp_path):
    """A request for the tiny preset."""
    return lambda **changes: ConversionRequest(str(tiny_preset), tmp_path / "m.tflite", **changes)


@pytest.fixture
def headless(make_tiny_classifier, tmp_path):
    """A preset with a backbone and a preprocessor that cuts texts at 10 tokens, and no head."""
    classifier = make_tiny_classifier()
    classifier.preprocessor.sequence_length = 10
    folder = tmp_path / "headless"
    classifier.backbone.save_to_preset(str(folder))
    classifier.preprocessor.save_to_preset(str(folder))
    return folder


def test_a_trained_head_stays_where_there_are_training_data(given, request_for, texts, tiny_classifier):
    prepared = given(request_for(plan=STATIC, training=texts))
    np.testing.assert_array_equal(prepared.classifier.output_dense.kernel, tiny_classifier.output_dense.kernel)
    assert prepared.labels == ("lights", "music", "weather")
    assert prepared.calibration_texts == texts.texts


def test_training_data_of_other_labels_are_refused(request_for, texts):
    others = replace(texts, labels=tuple(label.upper() for label in texts.labels))
    with pytest.raises(DataError, match="among the classifier's: lights.*Received: LIGHTS.*edgedistil train"):
        convert_preset(request_for(plan=STATIC, training=others))


def test_a_new_head_cuts_texts_where_the_preset_does(given, request_for, headless, texts):
    request = replace(request_for(training=texts), preset=str(headless))
    prepared = given(request)
    assert prepared.classifier.preprocessor.sequence_length == 10
    assert prepared.labels == ("lights", "music", "weather")
    assert prepared.record == {"head": {"texts": 15, "seed": 0}}
    assert given(replace(request, sequence_length=8)).classifier.preprocessor.sequence_length == 8


def test_names_for_the_labels_of_a_head_that_is_yet_to_be_trained_are_refused(request_for, headless, texts):
    request = replace(request_for(training=texts, labels=("a", "b", "c")), preset=str(headless))
    with pytest.raises(DataError, match="Received: `labels` too"):
        convert_preset(request)


def test_layers_are_checked_before_a_head_is_trained(request_for, headless, texts, monkeypatch):
    monkeypatch.setattr("edgedistil.training.loop.train", lambda *a, **k: pytest.fail("trained"))
    plan = QuantizationPlan("int8", (LayerScheme("no_such_layer", "fp32"),))
    with pytest.raises(ConversionError, match="matches no layer"):
        convert_preset(replace(request_for(plan=plan, training=texts), preset=str(headless)))


def test_a_static_plan_without_texts_is_refused_before_anything_is_loaded(request_for, monkeypatch):
    monkeypatch.setattr("edgedistil.conversion._prepared", lambda *a: pytest.fail("loaded"))
    with pytest.raises(ConversionError, match="`calibration_texts`"):
        convert_preset(request_for(plan=STATIC))


def test_calibration_leaves_a_trace(given, request_for, texts):
    traces = [
        given(request_for(plan=plan, calibration_texts=given_texts)).record["calibration"]
        for plan, given_texts in (
            (STATIC, texts.texts),
            (STATIC, texts.texts),
            (STATIC, texts.texts[::-1]),
            (QuantizationPlan("int4"), texts.texts[:4]),
        )
    ]
    assert [trace["texts"] for trace in traces] == [15, 15, 15, 4]
    assert re.fullmatch("[0-9a-f]{64}", traces[0]["sha256"])
    assert len({trace["sha256"] for trace in traces}) == 3
    assert traces[0] == traces[1]


def test_calibration_data_that_nothing_uses_are_told(given, request_for, texts, caplog):
    with caplog.at_level(logging.WARNING):
        assert given(request_for(plan=QuantizationPlan("fp16"), calibration_texts=texts.texts)).record == {}
    assert "calibration data are not used: a plan of fp16" in caplog.text


@pytest.fixture
def numbers(monkeypatch):
    """The class numbers that training with quantization is given; instead of training, the first class wins."""
    from edgedistil_converters.preparation.quantization_aware import QATEpoch
    from edgedistil_converters.preparation.quantization_aware.settings import QATResult

    seen = []

    def train(weights, data, settings, *, plan, pad_id, folder, on_progress):
        seen.append(data.targets.tolist())
        bias = weights.logits.bias
        logits = replace(weights.logits, bias=bias + 5 * np.eye(1, len(bias), dtype=np.float32)[0])
        before = QATEpoch(0, 0.1, accuracy=float(np.mean(data.targets == data.targets[0])), agreement=0.98)
        return QATResult(replace(weights, logits=logits), {}, (before,))

    module = "edgedistil_converters.preparation.quantization_aware.prepare"
    monkeypatch.setattr(f"{module}.train_quantization_aware", train)
    return seen


def test_the_reference_is_the_classifier_before_training_with_quantization(
    given, request_for, texts, numbers, tiny_classifier
):
    from edgedistil_converters.verification.keras_answers import answer_with_keras

    prepared = given(request_for(plan=QAT, training=texts, verification_texts=("play music",)))
    [due] = answer_with_keras(tiny_classifier, ["play music"])
    assert prepared.reference[0].text == "play music"
    np.testing.assert_allclose(prepared.reference[0].probabilities, due.probabilities, atol=1e-5)
    assert len(prepared.reference) > 30
    assert numbers == [[0] * 5 + [1] * 5 + [2] * 5]


def test_labels_that_contradict_the_classifier_are_told(given, request_for, texts, numbers, caplog):
    with caplog.at_level(logging.WARNING):
        given(request_for(plan=QAT, training=texts))
    assert "those of the classifier on only 33 % of the texts" in caplog.text


def test_a_file_where_the_checkpoints_go_is_told_before_any_work(request_for, texts, tmp_path, monkeypatch):
    monkeypatch.setattr("edgedistil.conversion._prepared", lambda *a: pytest.fail("loaded"))
    (tmp_path / "m.tflite.qat").write_text("notes")
    with pytest.raises(OutputError, match=r"m\.tflite\.qat.*Move it away"):
        convert_preset(request_for(plan=QAT, training=texts))
    assert (tmp_path / "m.tflite.qat").read_text() == "notes"


@pytest.fixture
def one_output(tiny_classifier, tmp_path):
    import keras_hub

    folder = tmp_path / "one_output"
    keras_hub.models.DistilBertTextClassifier(
        tiny_classifier.backbone, 1, preprocessor=tiny_classifier.preprocessor, activation="sigmoid"
    ).save_to_preset(str(folder))
    (folder / "labels.txt").write_text("lights\n", encoding="utf-8")
    return folder


def test_one_output_is_due_for_its_label_alone(given, request_for, one_output, texts, numbers):
    given(replace(request_for(plan=QAT, training=texts), preset=str(one_output)))
    assert numbers == [[1] * 5 + [0] * 10]


def test_one_output_needs_texts_of_both_classes(request_for, one_output):
    alone = LabelledTexts(("lights on", "lights off"), ("lights", "lights"))
    with pytest.raises(DataError, match="separates lights from everything else.*Received: lights"):
        convert_preset(replace(request_for(plan=QAT, training=alone), preset=str(one_output)))

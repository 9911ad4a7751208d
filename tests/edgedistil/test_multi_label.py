"""Multi-label checkpoints on the command line: convert, predict, inspect, and the commands that refuse them."""

import csv
import json

import numpy as np
import pyarrow.parquet
import pytest
from click.testing import CliRunner

from edgedistil.cli import main
from edgedistil.conversion import ConversionRequest, convert_preset
from edgedistil.data import LabelledTexts
from edgedistil.measuring.models import measure
from edgedistil.presets.loading import load_labelled_classifier
from edgedistil.training.keras_outputs import predict_probabilities
from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.errors import ConversionError, DataError

from .bert_checkpoints import IDS, LABELS, features, logits, make_tensors, write_checkpoint

TEXTS = ("turn the lights on", "play some music", "is it raining ?", "lights off", "cafe", "?")
MULTI_LABEL = {"problem_type": "multi_label_classification"}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoints") / "tags"
    tensors = make_tensors("bert")
    tensors["classifier.weight"] *= 4
    tensors["classifier.bias"] *= 0
    # Around 0, so that texts get no label, one or several.
    tensors["classifier.bias"] -= np.mean([logits(tensors, ids, kind="bert") for ids in IDS], axis=0)
    write_checkpoint(path, "bert", tensors=tensors, **MULTI_LABEL)
    return path


@pytest.fixture(scope="module")
def model(checkpoint, tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "tags.tflite"
    done = run("convert", "--preset", checkpoint, "--quantize", "fp32", "-o", path)
    assert "3 classes, any number of them for a text" in done.output
    return path


@pytest.fixture
def texts_file(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("\n".join(["text", *TEXTS]) + "\n")
    return path


def run(*arguments, code=0):
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == code, done.output
    return done


def run_json(*arguments):
    return json.loads(run(*arguments, "--json").output.splitlines()[-1])


def due_sets(checkpoint):
    found = load_labelled_classifier(checkpoint)
    return [
        {label for label, p in zip(found.labels, row, strict=True) if p >= 0.5}
        for row in predict_probabilities(found.classifier, TEXTS)
    ]


@pytest.mark.parametrize("kind", ["bert", "distilbert"])
def test_a_checkpoint_has_a_sigmoid_for_each_label(tmp_path, kind):
    tensors = write_checkpoint(tmp_path / "p", kind, **MULTI_LABEL)
    found = load_labelled_classifier(tmp_path / "p")
    assert found.thresholds == (0.5,) * 3
    due = [1 / (1 + np.exp(-logits(tensors, ids, kind=kind))) for ids in IDS]
    np.testing.assert_allclose(np.asarray(found.classifier(features(IDS), training=False)), due, atol=2e-5)


def test_probabilities_of_a_keras_classifier_are_its_sigmoids(checkpoint):
    assert np.ptp(predict_probabilities(load_labelled_classifier(checkpoint).classifier, TEXTS).sum(axis=1)) > 0.01


def test_the_file_gives_keras_sets(checkpoint, model):
    due = due_sets(checkpoint)
    assert len({frozenset(labels) for labels in due}) > 1 and any(len(labels) != 1 for labels in due)
    with TextClassifier(model) as classifier:
        assert [set(answer.labels) for answer in classifier.classify_batch(TEXTS)] == due


def test_predict_prints_sets(checkpoint, model):
    found = run_json("predict", model, *TEXTS)["results"]
    assert [set(one["labels"]) for one in found] == due_sets(checkpoint)
    printed = run("predict", model, TEXTS[0]).output
    assert all((label in printed) == (label in due_sets(checkpoint)[0]) for label in LABELS)


@pytest.mark.parametrize("extension", ["csv", "jsonl", "parquet"])
def test_predict_writes_sets(checkpoint, model, texts_file, tmp_path, extension):
    output = tmp_path / f"out.{extension}"
    run("predict", model, "--input", texts_file, "-o", output)
    if extension == "csv":
        rows = [{**row, "labels": json.loads(row["labels"])} for row in csv.DictReader(output.read_text().splitlines())]
    elif extension == "jsonl":
        rows = [json.loads(line) for line in output.read_text().splitlines()]
    else:
        rows = pyarrow.parquet.read_table(output).to_pylist()
    assert list(rows[0]) == ["text", "labels", "label", "score", "is_truncated"]
    assert [set(row["labels"]) for row in rows] == due_sets(checkpoint)


def test_predicted_labels_that_are_joined_can_be_evaluated(checkpoint, model, texts_file, tmp_path):
    output = tmp_path / "out.csv"
    run("predict", model, "--input", texts_file, "-o", output, "--label-separator", "|")
    rows = list(csv.DictReader(output.read_text().splitlines()))
    assert [set(filter(None, row["labels"].split("|"))) for row in rows] == due_sets(checkpoint)
    options = ("--data", output, "--label-column", "labels", "--label-separator", "|")
    found = run_json("evaluate", model, *options)["models"][0]
    assert (found["texts"], found["subset_accuracy"], found["same_sets"]) == (len(TEXTS), 1, 1)


def test_a_separator_that_does_not_tell_labels_apart(model, tiny_preset, texts_file, tmp_path):
    output = ("--input", texts_file, "-o", tmp_path / "out.csv")
    letter = LABELS[0][0]
    assert "no label contains" in run("predict", model, *output, "--label-separator", letter, code=1).output
    run("convert", "--preset", tiny_preset, "-o", tmp_path / "one.tflite")
    done = run("predict", tmp_path / "one.tflite", *output, "--label-separator", "|", code=1)
    assert "gives every text one label" in done.output
    assert "need -o" in run("predict", model, "hi", "--label-separator", "|", code=2).output


def test_inspect_shows_thresholds(model):
    found = run_json("inspect", model)
    assert found["problem_type"] == "multi_label_classification"
    assert found["thresholds"] == dict.fromkeys(LABELS, 0.5)
    assert "thresholds" in run("inspect", model).output


def test_explain_works(model):
    assert run_json("explain", model, TEXTS[0])["words"]


def test_options_for_one_label_are_refused(model, texts_file, tmp_path):
    data = tmp_path / "tagged.jsonl"
    data.write_text(json.dumps({"text": TEXTS[0], "label": [LABELS[0]]}) + "\n")
    for options in (("--unknown-data", texts_file), ("--reliability",), ("--baseline", data)):
        assert options[0] in run("evaluate", model, "--data", data, *options, code=2).output


def test_evaluate_and_report_refuse_it_by_name(checkpoint, model, tmp_path):
    data = tmp_path / "test.csv"
    data.write_text("text,label\nlights on,lights\nplay music,music\n")
    for one in (checkpoint, model):
        assert "multi-label" in run("evaluate", one, "--data", data, code=1).output
        with pytest.raises(DataError, match="multi-label"):
            measure([one], LabelledTexts(("lights on",), ("lights",)))


def test_conversions_that_need_one_label_refuse_it(checkpoint, tmp_path):
    request = {"preset": str(checkpoint), "output": tmp_path / "m.tflite"}
    with pytest.raises(DataError, match=r"at least 100 labelled texts.*`calibrate_scores`"):
        convert_preset(ConversionRequest(**request, calibrate_scores=True))
    with pytest.raises(ConversionError, match=r"`unknown_label`.*multi-label"):
        convert_preset(ConversionRequest(**request, unknown_label="other"))
    training = LabelledTexts(("lights on", "play"), ("lights", "music"))
    with pytest.raises(DataError, match="texts have one label each.*`label_separator`"):
        convert_preset(ConversionRequest(**request, plan=QuantizationPlan("int8-qat"), training=training))
    assert not (tmp_path / "m.tflite").exists()

"""`convert --calibrate-scores` with several labels: one temperature, thresholds that move with it, and equal sets."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from edgedistil.cli import main
from edgedistil.conversion import ConversionRequest, convert_preset
from edgedistil.data import MultiLabelTexts
from edgedistil.data.samples import renamed, write_samples
from edgedistil.measuring.reliability import measure_set_scores
from edgedistil.presets.loading import LabelledClassifier, load_labelled_classifier
from edgedistil_converters.model.keras_logits import keras_logits
from edgedistil_converters.preparation.prepared import PreparedClassifier
from edgedistil_converters.preparation.score_calibration import calibrate_scores, fit_set_temperature
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.errors import ConversionError, DataError

from .report_page import check_page

THRESHOLDS = (0.3, 0.5, 0.65)


def run(*arguments, code=0):
    done = CliRunner().invoke(main, list(map(str, arguments)))
    assert done.exit_code == code, done.output
    return done.output


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


@pytest.fixture(scope="module")
def preset(make_tiny_classifier, tiny_labels, texts, tmp_path_factory):
    """A preset whose logits are twice as large as they should be, with samples."""
    classifier = make_tiny_classifier(activation="sigmoid")
    logits = keras_logits(classifier, texts.texts)
    kernel, bias = classifier.output_dense.kernel, classifier.output_dense.bias
    scale = 4 / logits.std()
    kernel.assign(kernel * scale)
    bias.assign((bias - logits.mean(axis=0)) * scale)
    folder = tmp_path_factory.mktemp("calibrated") / "preset"
    LabelledClassifier(classifier, tiny_labels, "tags", "tags", thresholds=THRESHOLDS).save(folder)
    likely = np.tile(sigmoid((logits - logits.mean(axis=0)) * scale / 2), (20, 1))
    is_right = np.random.default_rng(0).random(likely.shape) < likely
    sets = tuple(tuple(label for label, one in zip(tiny_labels, row, strict=True) if one) for row in is_right)
    write_samples(MultiLabelTexts(texts.texts * 20, sets), folder)
    return folder


@pytest.fixture(scope="module")
def held_out(preset):
    rows = [json.loads(line) for line in (preset / "samples.jsonl").read_text().splitlines()]
    return MultiLabelTexts(tuple(row["text"] for row in rows), tuple(tuple(row["label"]) for row in rows))


@pytest.fixture(scope="module")
def files(preset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    plain, calibrated = folder / "plain.tflite", folder / "calibrated.tflite"
    run("convert", "--preset", preset, "--quantize", "fp32", "-o", plain)
    printed = run("convert", "--preset", preset, "--quantize", "fp32", "--calibrate-scores", "-o", calibrated)
    return plain, calibrated, printed


def answers(path, texts):
    with TextClassifier(path) as classifier:
        found = classifier.classify_batch(texts)
        rows = np.array([list(one.probabilities.values()) for one in found])
        return [set(one.labels) for one in found], rows, classifier.metadata


def test_files_give_the_same_sets_and_better_scores(files, held_out, tiny_labels):
    plain, calibrated, printed = files
    before, rows_before, _ = answers(plain, held_out.texts)
    after, rows_after, metadata = answers(calibrated, held_out.texts)
    assert before == after and len({frozenset(one) for one in before}) > 2
    temperature = metadata.temperature
    assert temperature == pytest.approx(2, rel=0.2)
    logits = np.log(THRESHOLDS) - np.log1p(-np.array(THRESHOLDS))
    np.testing.assert_allclose(metadata.thresholds, sigmoid(logits / temperature), rtol=1e-6)
    record = metadata.preparation["score_calibration"]
    assert (record["texts"], record["source"]) == (300, "samples of the preset")
    for key, rows in (("before", rows_before), ("after", rows_after)):
        due = measure_set_scores(rows, held_out.label_sets, tiny_labels).given
        assert record[key]["calibration_error"] == pytest.approx(due.calibration_error, abs=2e-3)
        assert record[key]["brier_score"] == pytest.approx(due.brier_score, abs=1e-4)
    assert record["after"]["brier_score"] < record["before"]["brier_score"]
    assert record["after"]["calibration_error"] < record["before"]["calibration_error"] / 2
    assert "scores calibrated on 300 texts (samples of the preset): temperature" in printed
    assert "temperature" in run("inspect", calibrated)


def test_evaluate_and_report_show_both(files, preset, held_out, tmp_path):
    plain, calibrated, _ = files
    data = tmp_path / "data.jsonl"
    rows = zip(held_out.texts, held_out.label_sets, strict=True)
    data.write_text("".join(json.dumps({"text": text, "label": labels}) + "\n" for text, labels in rows))
    found = json.loads(run("evaluate", preset, plain, calibrated, "--data", data, "--json").splitlines()[-1])
    keras, before, after = (model["scores"] for model in found["models"])
    assert [model["same_sets"] for model in found["models"]] == [1, 1, 1]
    assert keras["given"]["brier_score"] == pytest.approx(before["given"]["brier_score"], abs=1e-4)
    assert before["uncalibrated"] is None and after["temperature"] == pytest.approx(2, rel=0.2)
    assert after["uncalibrated"]["brier_score"] == pytest.approx(before["given"]["brier_score"], abs=1e-4)
    assert "scores are calibrated, temperature" in run("evaluate", calibrated, "--data", data)
    output = tmp_path / "report.html"
    run("report", preset, calibrated, "--data", data, "-o", output, "--runs", 1)
    page = check_page(output.read_text(encoding="utf-8"))
    table = page.table("Scores of each model")
    assert table[2][1] == f"{after['given']['calibration_error']:.4f}" and table[2][4] == f"{after['temperature']:.3g}"
    assert "pairs of a text and a label" in " ".join(page.words)


@pytest.mark.parametrize("form", ["lists", "separator", "columns"])
def test_verification_data_are_taken(preset, held_out, tiny_labels, tmp_path, form):
    rows = list(zip(held_out.texts[:120], held_out.label_sets[:120], strict=True))
    data, options = tmp_path / "data.csv", ()
    if form == "lists":
        data = tmp_path / "data.jsonl"
        data.write_text("".join(json.dumps({"text": text, "label": labels}) + "\n" for text, labels in rows))
    elif form == "separator":
        options = ("--label-separator", "|")
        data.write_text("text,label\n" + "".join(f"{text},{'|'.join(labels)}\n" for text, labels in rows))
    else:
        options = ("--label-columns", ",".join(tiny_labels))
        cells = ((text, *(str(int(one in labels)) for one in tiny_labels)) for text, labels in rows)
        data.write_text("\n".join(map(",".join, [("text", *tiny_labels), *cells])) + "\n")
    output = tmp_path / "m.tflite"
    arguments = ("convert", "--preset", preset, "--quantize", "fp32", "--calibrate-scores", "-o", output)
    run(*arguments, "--verification-data", data, *options)
    record = answers(output, ["a"])[2].preparation["score_calibration"]
    assert (record["texts"], record["source"]) == (120, "verification data")


def test_verification_data_without_labels_are_texts(preset, held_out, tmp_path):
    data = tmp_path / "texts.csv"
    data.write_text("text\n" + "".join(f"{text}\n" for text in held_out.texts[:40]))
    arguments = ("convert", "--preset", preset, "--verification-data", data, "--label-separator", "|")
    assert "agree" in run(*arguments, "-o", tmp_path / "m.tflite")
    refused = run(*arguments, "--calibrate-scores", "-o", tmp_path / "n.tflite", code=1)
    assert "Received: 0 labelled texts (verification data)" in refused and "--verification-data" in refused


def test_labels_of_another_kind_are_named(preset, held_out, tmp_path):
    data = tmp_path / "data.csv"
    rows = zip(held_out.texts[:120], held_out.label_sets[:120], strict=True)
    data.write_text("text,label\n" + "".join(f"{text},{'|'.join(labels)}\n" for text, labels in rows))
    arguments = ("convert", "--preset", preset, "--verification-data", data, "--calibrate-scores")
    refused = run(*arguments, "-o", tmp_path / "m.tflite", code=1)
    assert "they have one label each" in refused and "--label-separator" in refused


def test_labels_that_the_classifier_lacks(preset, held_out, tmp_path):
    texts = held_out.texts[:120]
    request = ConversionRequest(
        str(preset),
        tmp_path / "m.tflite",
        calibrate_scores=True,
        verification_texts=texts,
        verification_label_sets=(("dance",),) * len(texts),
    )
    with pytest.raises(DataError, match="`verification_texts`.*Received: dance"):
        convert_preset(request)


def test_new_names_of_labels_are_those_of_the_samples(preset, tmp_path):
    names = ("one", "two", "three")
    found = convert_preset(ConversionRequest(str(preset), tmp_path / "m.tflite", labels=names, calibrate_scores=True))
    assert found.artifact.metadata.labels == names and found.artifact.metadata.temperature != 1
    assert renamed(MultiLabelTexts(("a",), (("x", "y"),)), {"x": "z"}).label_sets == (("z", "y"),)


# The converters


def test_too_few_texts(preset):
    loaded = load_labelled_classifier(preset)
    prepared = PreparedClassifier(loaded.classifier, loaded.labels, "t", thresholds=loaded.thresholds)
    with pytest.raises(ConversionError, match="at least 100"):
        calibrate_scores(prepared, ["a"], [[0]])
    with pytest.raises(ConversionError, match="at least 100"):
        calibrate_scores(prepared, ["a"] * 120, [None] * 120)
    before = keras_logits(loaded.classifier, ["lights on"])
    prepared = replace(prepared, ranges={"logits": (-4.0, 8.0)})
    found = calibrate_scores(prepared, ["lights on"] * 100, [[0]] * 50 + [[]] * 50)
    temperature = found.record["score_calibration"]["temperature"]
    np.testing.assert_allclose(keras_logits(loaded.classifier, ["lights on"]), before / temperature, rtol=1e-5)
    assert found.ranges["logits"] == pytest.approx((-4 / temperature, 8 / temperature))


def test_a_threshold_stays_away_from_0_and_1():
    logits, targets = np.full((200, 2), 0.1), np.ones((200, 2), bool)  # right and hardly sure: a very small temperature
    assert fit_set_temperature(logits, targets, (0.5, 0.5)) < 0.1
    limited = fit_set_temperature(logits, targets, (0.5, 0.95))
    assert limited == pytest.approx(np.log(0.95 / 0.05) / 12, rel=1e-3)

"""`convert --calibrate-scores`, and what `inspect`, `evaluate` and `report` show of it."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from edgedistil.cli import main
from edgedistil.conversion import ConversionRequest, convert_preset
from edgedistil.data import LabelledTexts
from edgedistil.data.samples import SAMPLES_FILE, write_samples
from edgedistil.measuring.reliability import measure_scores
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.errors import DataError


@pytest.fixture(scope="module")
def held_out(texts):
    """180 texts, of which a sixth have a wrong label."""
    labels = np.array(texts.labels * 12)
    labels[::6] = np.roll(labels, 5)[::6]
    return LabelledTexts(texts.texts * 12, tuple(labels.tolist()))


@pytest.fixture(scope="module")
def preset(tiny_classifier, tiny_labels, tmp_path_factory, held_out):
    """A preset with samples."""
    folder = tmp_path_factory.mktemp("calibrated") / "preset"
    tiny_classifier.save_to_preset(str(folder))
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in tiny_labels))
    write_samples(held_out, folder)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory, held_out):
    path = tmp_path_factory.mktemp("data") / "test.csv"
    rows = zip(held_out.texts, held_out.labels, strict=True)
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    return path


def run(*arguments):
    done = CliRunner().invoke(main, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def files(preset, tmp_path_factory):
    """Two files of the preset: as it is, and with calibrated scores; and what the second conversion printed."""
    folder = tmp_path_factory.mktemp("files")
    plain, calibrated = folder / "plain.tflite", folder / "calibrated.tflite"
    run("convert", "--preset", preset, "--quantize", "fp32", "-o", plain)
    printed = run("convert", "--preset", preset, "--quantize", "fp32", "--calibrate-scores", "-o", calibrated)
    return plain, calibrated, printed


def probabilities(path, texts):
    with TextClassifier(path) as classifier:
        found = [list(answer.probabilities.values()) for answer in classifier.classify_batch(texts.texts)]
        return np.array(found), classifier.labels, classifier.metadata


def test_files_have_the_same_labels_and_better_scores(files, held_out):
    plain, calibrated, printed = files
    before, labels, metadata = probabilities(plain, held_out)
    after, _, calibrated_metadata = probabilities(calibrated, held_out)
    assert before.argmax(axis=1).tolist() == after.argmax(axis=1).tolist()
    assert metadata.temperature == 1
    record = calibrated_metadata.preparation["score_calibration"]
    assert (record["texts"], record["source"]) == (180, "samples of the preset")
    measured = [measure_scores(rows, held_out.labels, labels).given for rows in (before, after)]
    for key, one in zip(("before", "after"), measured, strict=True):
        assert record[key]["calibration_error"] == pytest.approx(one.calibration_error, abs=1e-4)
        assert record[key]["brier_score"] == pytest.approx(one.brier_score, abs=1e-4)
    assert measured[1].brier_score < measured[0].brier_score
    assert "scores calibrated on 180 texts (samples of the preset): temperature" in printed


def test_inspect(files):
    _, calibrated, _ = files
    assert "temperature" in run("inspect", calibrated) and "fitted on 180 texts" in run("inspect", calibrated)
    record = json.loads(run("inspect", calibrated, "--json").splitlines()[-1])["preparation"]["score_calibration"]
    assert record["temperature"] > 0


def test_evaluate(files, preset, data):
    plain, calibrated, _ = files
    found = json.loads(run("evaluate", preset, plain, calibrated, "--data", data, "--json").splitlines()[-1])["models"]
    keras, before, after = (one["scores"] for one in found)
    assert keras["given"]["calibration_error"] == pytest.approx(before["given"]["calibration_error"], abs=1e-4)
    assert before["uncalibrated"] is None
    assert after["temperature"] != 1
    for key in ("calibration_error", "brier_score"):
        assert after["uncalibrated"][key] == pytest.approx(before["given"][key], abs=1e-4)
    assert len(after["given"]["bins"]) == 15
    assert sum(one["texts"] for one in after["given"]["bins"]) == 180
    printed = run("evaluate", calibrated, "--data", data, "--reliability")
    assert f"{after['given']['calibration_error']:.4f}" in printed
    assert f"without it, ECE {after['uncalibrated']['calibration_error']:.4f}" in " ".join(printed.split())
    assert "mean score" in printed and "|" in printed
    assert "mean score" not in run("evaluate", calibrated, "--data", data)


def test_report(files, data, tmp_path):
    _, calibrated, _ = files
    output = tmp_path / "report.html"
    printed = run("report", calibrated, "--data", data, "--runs", 1, "-o", output, "--json")
    [model] = json.loads(printed.splitlines()[-1])["models"]
    assert f"{model['scores']['uncalibrated']['brier_score']:.4f}" in output.read_text()


class TestRefusals:
    @pytest.fixture
    def refused(self, preset, tmp_path, texts):
        def convert(**changes):
            request = ConversionRequest(str(preset), tmp_path / "m.tflite", calibrate_scores=True, **changes)
            with pytest.raises(DataError) as caught:
                convert_preset(request)
            return str(caught.value)

        return convert

    def test_too_few_texts(self, refused, texts):
        message = refused(verification_texts=texts.texts, verification_labels=texts.labels)
        assert "at least 100 labelled texts" in message and "Received: 15 labelled texts (verification data)" in message
        assert "Received: 0 labelled texts" in refused(verification_texts=texts.texts * 20)
        sets = tuple((label,) for label in texts.labels)
        assert "they have lists of labels" in refused(verification_texts=texts.texts, verification_label_sets=sets)

    def test_training_texts(self, preset, tmp_path, texts):
        """A preset whose samples are training texts, and one without samples that is given training data."""
        folder = tmp_path / "preset"
        folder.mkdir()
        for file in preset.rglob("*"):
            if file.is_file():
                (folder / file.relative_to(preset)).parent.mkdir(parents=True, exist_ok=True)
                (folder / file.relative_to(preset)).write_bytes(file.read_bytes())
        (folder / "training.json").write_text(json.dumps({"data": {"training": {"rows": 180}}}))
        request = ConversionRequest(str(folder), tmp_path / "m.tflite", calibrate_scores=True)
        with pytest.raises(DataError, match="Received: training texts that the preset keeps"):
            convert_preset(request)
        (folder / SAMPLES_FILE).unlink()
        many = LabelledTexts(texts.texts * 10, texts.labels * 10)
        request = ConversionRequest(str(folder), tmp_path / "m.tflite", calibrate_scores=True, training=many)
        with pytest.raises(DataError, match="Received: training data"):
            convert_preset(request)

    def test_the_command_line_names_flags(self, preset, tmp_path):
        few = tmp_path / "few.csv"
        few.write_text("text,label\nplay music,music\n")
        arguments = ["convert", "--preset", preset, "-o", tmp_path / "m.tflite", "--calibrate-scores"]
        done = CliRunner().invoke(main, list(map(str, [*arguments, "--verification-data", few])))
        assert done.exit_code == 1
        assert "Pass others (--verification-data), or leave out --calibrate-scores." in " ".join(done.stderr.split())
        assert not (tmp_path / "m.tflite").exists()

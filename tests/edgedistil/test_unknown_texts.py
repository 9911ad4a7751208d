"""`convert --unknown-label`, and what `inspect`, `predict` and `evaluate` show of it."""

import csv
import json
from importlib.util import find_spec

import numpy as np
import pytest
from click.testing import CliRunner

from edgedistil.cli import main
from edgedistil.conversion import ConversionRequest, convert_preset
from edgedistil.data import LabelledTexts
from edgedistil.data.samples import write_samples
from edgedistil.measuring.unknown_texts import divide_unknown, measure_unknown
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.errors import ConversionError, DataError

UNKNOWN = tuple(f"{letter} {letter} zzz" for letter in "abcdefghijklmnopqrstuvw")


@pytest.fixture(scope="module")
def preset(tiny_classifier, tiny_labels, tmp_path_factory, texts):
    """A preset with 180 samples."""
    folder = tmp_path_factory.mktemp("unknown") / "preset"
    tiny_classifier.save_to_preset(str(folder))
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in tiny_labels))
    write_samples(LabelledTexts(texts.texts * 12, texts.labels * 12), folder)
    return folder


@pytest.fixture(scope="module")
def unknown_csv(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "unknown.csv"
    path.write_text("text\n" + "".join(f"{text}\n" for text in UNKNOWN))
    return path


def run(*arguments, code=0):
    done = CliRunner().invoke(main, list(map(str, arguments)))
    assert done.exit_code == code, done.output
    return done.stdout if code == 0 else " ".join(done.stderr.split())


@pytest.fixture(scope="module")
def converted(preset, unknown_csv, tmp_path_factory):
    """A file with the rule, and what the conversion printed."""
    path = tmp_path_factory.mktemp("files") / "m.tflite"
    convert = ("convert", "--preset", preset, "--quantize", "fp32", "--calibrate-scores", "-o", path)
    return path, run(*convert, "--unknown-label", "none", "--unknown-data", unknown_csv)


def test_convert_reports_the_rule(converted):
    path, printed = converted
    with TextClassifier(path) as classifier:
        record = classifier.metadata.preparation["unknown_texts"]
        found = [answer.is_unknown for answer in classifier.classify_batch(UNKNOWN)]
        assert classifier.metadata.temperature != 1  # the threshold belongs to the calibrated logits
    assert (record["label"], record["texts"], record["unknown_texts"]) == ("none", 180, len(UNKNOWN))
    assert record["unknown_found"] == pytest.approx(np.mean(found), abs=1e-6)
    assert "none: unknown_score above" in printed and f"of {len(UNKNOWN)} others" in printed


def test_inspect_shows_the_rule(converted):
    path, _ = converted
    assert "unknown_score above" in " ".join(run("inspect", path).split())
    document = json.loads(run("inspect", path, "--json").splitlines()[-1])
    outputs = [one["name"] for one in document["signatures"]["classify_text"]["outputs"]]
    assert sorted(outputs) == ["probabilities", "unknown_score"]


def test_predict_shows_it(converted, unknown_csv, tmp_path, texts):
    path, _ = converted
    known = texts.texts[0]
    document = json.loads(run("predict", path, known, "--json").splitlines()[-1])
    [result] = document["results"]
    assert result["is_unknown"] is (result["unknown_score"] > threshold(path))
    assert "unknown" in run("predict", path, known).splitlines()[0]
    output = tmp_path / "labels.csv"
    run("predict", path, "--input", unknown_csv, "-o", output)
    rows = list(csv.DictReader(output.read_text().splitlines()))
    assert list(rows[0]) == ["text", "label", "score", "unknown_score", "is_unknown", "is_truncated"]
    flags = [row["is_unknown"] for row in rows]
    assert flags == ["true" if float(row["unknown_score"]) > threshold(path) else "false" for row in rows]


def threshold(path):
    with TextClassifier(path, verify=False) as classifier:
        return classifier.metadata.unknown_rule.threshold


def test_a_share_is_kept(preset, tmp_path, texts):
    request = ConversionRequest(str(preset), tmp_path / "m.tflite", unknown_label="none", in_scope_kept=0.8)
    convert_preset(request)
    with TextClassifier(tmp_path / "m.tflite") as classifier:
        kept = [not answer.is_unknown for answer in classifier.classify_batch(texts.texts)]
    assert 0.7 <= np.mean(kept) < 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--in-scope-kept", 0.9), "Pass --unknown-label too"),
        (("--unknown-label", "none", "--in-scope-kept", 97), "--in-scope-kept must be a share"),
        (("--unknown-label", "none", "--target", "gpu"), "--unknown-label needs the target cpu or npu (--target)"),
    ],
)
def test_what_the_command_line_refuses(preset, tmp_path, options, message):
    stderr = run("convert", "--preset", preset, "-o", tmp_path / "m.tflite", *options, code=1)
    assert message in stderr and not (tmp_path / "m.tflite").exists()


@pytest.mark.skipif(find_spec("tensorflow_model_optimization") is None, reason="needs the extra qat")
def test_int8_qat_fits_the_rule_after_its_training(preset, tmp_path, csv_file):
    path = tmp_path / "m.tflite"
    options = ("--quantize", "int8-qat", "--train-data", csv_file, "--unknown-label", "none")
    run("convert", "--preset", preset, *options, "-o", path)
    with TextClassifier(path) as classifier:
        rule = classifier.metadata.preparation["unknown_texts"]
        found = [answer.unknown_score for answer in classifier.classify_batch(UNKNOWN)]
    assert rule["in_scope_kept"] >= 0.97 and np.isfinite(found).all()


def test_a_label_of_the_model_and_too_few_texts(preset, tmp_path, tiny_labels):
    request = {"preset": str(preset), "output": tmp_path / "m.tflite"}
    with pytest.raises(ConversionError, match=r"`unknown_label` names texts"):
        convert_preset(ConversionRequest(**request, unknown_label=tiny_labels[0]))
    few = {"verification_texts": ("a",), "verification_labels": (tiny_labels[0],)}
    with pytest.raises(DataError, match=r"at least 100 labelled texts .* leave out `unknown_label`"):
        convert_preset(ConversionRequest(**request, unknown_label="none", **few))


class TestEvaluate:
    def test_measures_are_those_of_every_pair(self):
        generator = np.random.default_rng(0)
        known, unknown = generator.integers(0, 9, 50), generator.integers(3, 12, 40)
        found = measure_unknown(known, unknown, threshold=6)
        pairs = (unknown[:, None] > known).mean() + (unknown[:, None] == known).mean() / 2
        assert found.auroc == pytest.approx(pairs)
        precisions = [(unknown >= one).sum() / ((unknown >= one).sum() + (known >= one).sum()) for one in unknown]
        assert found.aupr == pytest.approx(np.mean(precisions))
        assert (found.in_scope_kept, found.unknown_found) == ((known <= 6).mean(), (unknown > 6).mean())
        assert (known <= np.sort(known)[47]).mean() >= 0.95
        assert found.recall_at_95 == (unknown > np.sort(known)[47]).mean()

    def test_file_and_preset_agree(self, converted, preset, unknown_csv, texts, tmp_path):
        path, _ = converted
        data = tmp_path / "test.csv"
        rows = zip(texts.texts, texts.labels, strict=True)
        data.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
        evaluate = ("evaluate", path, preset, "--data", data, "--unknown-data", unknown_csv)
        file, keras = json.loads(run(*evaluate, "--json").splitlines()[-1])["models"]
        assert file["unknown"]["unknown_texts"] == len(UNKNOWN) and keras["unknown"]["in_scope_kept"] is None
        assert file["unknown"]["unknown_found"] is not None
        printed = " ".join(run(*evaluate).split())
        assert f"AUROC {file['unknown']['auroc']:.4f}" in printed
        assert "the file keeps" in printed

    def test_rows_with_the_name_are_unknown_texts(self, converted, preset, unknown_csv, texts, tmp_path):
        path, _ = converted
        known = list(zip(texts.texts, texts.labels, strict=True))
        data, both, only = tmp_path / "known.csv", tmp_path / "both.csv", tmp_path / "only.csv"
        for file, rows in (
            (data, known),
            (both, [*known, *((text, "none") for text in UNKNOWN)]),
            (only, [(text, "none") for text in UNKNOWN]),
        ):
            file.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))

        def facts(*arguments):
            found = json.loads(run("evaluate", path, preset, *arguments, "--json").splitlines()[-1])
            models = [{**model, "ms_per_text": None} for model in found["models"]]
            return found.get("unknown_rows"), models

        due = facts("--data", data, "--unknown-data", unknown_csv)[1]
        assert facts("--data", both) == (len(UNKNOWN), due)
        twice = facts("--data", both, "--unknown-data", unknown_csv)[1]
        assert twice[0]["unknown"]["unknown_texts"] == 2 * len(UNKNOWN)
        printed = run("evaluate", path, "--data", both)
        assert f"{len(UNKNOWN)} texts are labelled as those with none of the labels" in printed and "AUROC" in printed
        assert "does not know: none" in run("evaluate", preset, "--data", both, code=1)
        assert "--unknown-data" in run("evaluate", path, "--data", only, code=1)

    def test_a_name_that_is_a_label_of_another_model_stays_one(self, converted, texts, tmp_path):
        path, _ = converted
        folder = tmp_path / "other"
        folder.mkdir()
        (folder / "labels.txt").write_text("none\nmusic\n")
        examples = LabelledTexts(("a", "b"), ("music", "none"))
        assert divide_unknown(examples, [path])[1] == ("b",)
        assert divide_unknown(examples, [path, folder]) == (examples, ())

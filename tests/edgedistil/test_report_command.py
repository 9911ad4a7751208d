"""`edgedistil report`: of artefacts that are run, and of a preset in Keras."""

import hashlib
import json
import re
import shutil
import socket

import pytest
from click.testing import CliRunner

from edgedistil.cli import main
from edgedistil.report import render_page, write_report
from edgedistil.scores import evaluate_labels
from edgedistil_runtime import TextClassifier

from .report_page import check_page


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "echo data.csv"
    rows = ["hello,low", "good night,low", "!,high", "!!,low", "zebra crossing,middle"]
    path.write_text("\n".join(["text,label", *rows]) + "\n")
    return path


def invoke(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def report(*arguments):
    return invoke("report", *arguments, "--runs", 1)


def test_report_of_files(artifact, data, tmp_path, monkeypatch):
    written = []

    def record(measurements, *arguments, **options):
        written.append(measurements)
        write_report(measurements, *arguments, **options)

    monkeypatch.setattr("edgedistil.report.write_report", record)
    models = artifact("one.tflite"), artifact("two.tflite", labels=("high", "low", "middle"))
    output = tmp_path / "report.html"
    done = report(*models, "--data", data, "-o", output, "--json", "--num-threads", 1)
    assert done.exit_code == 0, done.stderr
    printed = json.loads(done.stdout.splitlines()[-1])
    assert printed.pop("output") == str(output)
    assert printed.pop("skipped") == {"rows": 0, "blank_rows": 0, "blank_texts": 0, "missing_labels": 0}
    [measured] = written
    assert json.loads(measured.to_json()) == printed
    html = output.read_text(encoding="utf-8")
    check_page(html)
    assert html == render_page(measured)
    assert str(tmp_path) not in html and socket.gethostname() not in re.findall(r"[\w.-]+", html)

    assert measured.reference == 0 and measured.labels == ("low", "middle", "high")
    examples = [line.split(",") for line in data.read_text().splitlines()[1:]]
    for model, path in zip(measured.models, models, strict=True):
        with TextClassifier(path) as classifier:
            given = [answer.label for answer in classifier.classify_batch([text for text, _ in examples])]
        assert model.evaluation == evaluate_labels([label for _, label in examples], given, measured.labels)
        assert model.file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert model.size == path.stat().st_size
        assert {op.op: op.count for op in model.file.ops}["SOFTMAX"] >= 1
        with TextClassifier(path) as classifier:
            answers = {text: classifier.classify(text) for text, _ in examples}
        wrong = sorted((answers[text].score, text) for text, label in examples if answers[text].label != label)
        assert [one.text for one in model.mistakes] == [text for _, text in reversed(wrong)]
        for one in model.mistakes:
            assert one.score == pytest.approx(answers[one.text].score, abs=1e-5)
            assert one.right_score == pytest.approx(answers[one.text].probabilities[one.right], abs=1e-5)
    assert [len(model.mistakes) for model in measured.models] == [2, 5]
    for one in measured.models[1].changes.examples:
        for path, label, score in zip(
            models, (one.reference, one.given), (one.reference_score, one.score), strict=True
        ):
            with TextClassifier(path) as classifier:
                assert classifier.classify(one.text).probabilities[label] == pytest.approx(score, abs=1e-5)
    assert printed["models"][0]["confused_pairs"] == [
        {"right": "low", "given": "high", "texts": 1},
        {"right": "middle", "given": "low", "texts": 1},
    ]
    assert measured.models[0].evaluation.accuracy == 3 / 5
    assert measured.models[1].changes.same == 0
    assert measured.timed.source == "echo data.csv" and measured.timed.count == 5
    assert measured.data.sha256 == hashlib.sha256(data.read_bytes()).hexdigest()


def test_report_prints_what_it_wrote_and_keeps_texts_out(artifact, data, tmp_path):
    models = artifact("one.tflite"), artifact("two.tflite", labels=("high", "low", "middle"))
    shown = report(*models, "--data", data, "-o", tmp_path / "a.html")
    assert shown.exit_code == 0 and shown.stderr == ""
    assert "one.tflite: accuracy 60.00%" in shown.stdout and "open it in a browser" in shown.stdout
    assert "zebra crossing" in (tmp_path / "a.html").read_text()
    again = models[0].parent / ".." / models[0].parent.name / models[0].name
    report(*models, models[0], again, "--data", data, "-o", tmp_path / "b.html", "--examples", 0)
    page = check_page((tmp_path / "b.html").read_text())
    assert "zebra crossing" not in "".join(page.words)
    assert len(page.table("Quality")) == 3  # the same file again is not another model


def test_errors_come_before_the_work_and_leave_nothing(artifact, data, tmp_path):
    sound = artifact("sound.tflite")
    unknown = tmp_path / "unknown.csv"
    unknown.write_text("text,label\nhello,loud\n")
    artifact("none.tflite", kind="none")
    artifact("other.tflite", labels=("low", "middle", "loud"))
    kept = tmp_path / "kept.html"
    kept.write_text("mine")
    output = tmp_path / "out.html"
    for models, file, target, message in (
        (["sound.tflite"], "absent.csv", output, "no data file"),
        (["sound.tflite"], "unknown.csv", output, "labels that the model does not know: loud"),
        (["sound.tflite", "other.tflite"], data.name, output, "other.tflite, which lacks high and adds loud"),
        (
            ["sound.tflite", "none.tflite"],
            data.name,
            output,
            "none.tflite, which was converted without a tokenizer",
        ),
        (["absent.tflite"], data.name, output, "cannot be opened"),
        (["sound.tflite"], data.name, kept, "--force"),
        (["sound.tflite"], data.name, tmp_path / "no" / "x.html", "folder does not exist"),
    ):
        done = report(*(tmp_path / name for name in models), "--data", tmp_path / file, "-o", target)
        assert done.exit_code == 1
        assert message in done.stderr
        assert done.stdout == ""
    assert kept.read_text() == "mine"
    assert not output.exists()
    for source in (sound, data):
        before = source.read_bytes()
        assert "would replace" in report(sound, "--data", data, "-o", source, "--force").stderr
        assert source.read_bytes() == before
    assert report(sound, "--data", data, "-o", kept, "--force").exit_code == 0
    check_page(kept.read_text())


@pytest.mark.parametrize("verb", ["report", "evaluate"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("distil_bert_base_en", "no trained head.*edgedistil train --preset distil_bert_base_en "),
        ("hf://someone/some_model", "Received: hf://someone/some_model, a hub's handle. Download it"),
    ],
)
def test_presets_that_must_be_fetched_or_trained_first(verb, name, message, data, tmp_path):
    output = ["-o", tmp_path / "report.html"] if verb == "report" else []
    done = invoke(verb, name, "--data", data, *output)
    assert done.exit_code == 1
    assert re.search(message, done.stderr), done.stderr


def test_the_name_of_a_bundled_preset(tiny_preset, csv_file, tmp_path, monkeypatch):
    monkeypatch.setattr("edgedistil.presets.registry.BUNDLED", {"tiny": ("", "")})
    monkeypatch.setattr("edgedistil.presets.registry.bundled_preset_path", lambda name: tiny_preset)
    told = invoke("evaluate", "tiny", tiny_preset, "--data", csv_file, "--json")
    assert told.exit_code == 0, told.stderr
    assert [entry["model"] for entry in json.loads(told.stdout)["models"]] == ["tiny"]
    done = report("tiny", "--data", csv_file, "-o", tmp_path / "report.html", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["models"][0]["keras"]["parameters"] > 0


def test_a_file_of_a_preset_is_not_replaced(tiny_preset, data, tmp_path):
    preset = shutil.copytree(tiny_preset, tmp_path / "preset")
    done = report(preset, "--data", data, "-o", preset / "labels.txt", "--force")
    assert (done.exit_code, "would replace" in done.stderr) == (1, True)
    assert (preset / "labels.txt").read_bytes() == (tiny_preset / "labels.txt").read_bytes()


def test_keras_is_the_reference(tiny_preset, tiny_classifier, tiny_labels, csv_file, tmp_path):
    from edgedistil_converters import QuantizationPlan, convert_classifier

    model = tmp_path / "tiny.tflite"
    convert_classifier(tiny_classifier, tiny_labels, model, plan=QuantizationPlan("fp32"))
    output = tmp_path / "report.html"
    done = report(model, tiny_preset, "--data", csv_file, "-o", output, "--json")
    assert done.exit_code == 0, done.stderr
    printed = json.loads(done.stdout.splitlines()[-1])
    assert printed["reference"] == 1
    file, keras = printed["models"]
    assert file["evaluation"] == keras["evaluation"]
    assert file["changes"] == {"same": 15, "broken": 0, "repaired": 0, "otherwise": 0, "examples": []}
    assert keras["speed"] is None and keras["keras"]["source"] == "tiny_preset"
    assert keras["keras"]["parameters"] == tiny_classifier.count_params()
    html = output.read_text(encoding="utf-8")
    page = check_page(html)
    assert "The dashed line is tiny_preset in Keras" in html
    assert page.table("Matmuls by the dtype")[1][0] == "float32"
    assert str(tiny_preset.parent) not in html

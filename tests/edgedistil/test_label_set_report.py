"""`edgedistil report` on multi-label models: sets of labels, decisions, thresholds, and the texts of both kinds."""

import csv
import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner

from edgedistil.cli import main
from edgedistil.conversion import ConversionRequest, convert_preset
from edgedistil.data import MultiLabelTexts, read_label_sets
from edgedistil.measuring.measurements import ChangedSet, LabelChange, SetMistake
from edgedistil.measuring.models import measure
from edgedistil.measuring.set_mistakes import SetAnswers, confident_set_mistakes, count_set_changes
from edgedistil.presets.loading import LabelledClassifier
from edgedistil.report import render_page
from edgedistil.set_scores import evaluate_label_sets
from edgedistil_converters import QuantizationPlan
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.benchmarking.speed import BenchmarkSettings

from .report_page import check_page

LABELS = ("low", "middle", "high")
OTHERS = ("high", "low", "middle")
ROWS = {
    "hello": "low",
    "good night": "low|high",
    "!": "high",
    "!!": "",
    "zebra crossing": "middle|low",
    "<b>": "high|middle",
}


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "tagged.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *ROWS.items()])
    return path


@pytest.fixture
def models(artifact):
    """Two files with the labels in other orders and other thresholds."""
    return (
        artifact("one.tflite", labels=LABELS, thresholds=(0.3, 0.4, 0.2)),
        artifact("two.tflite", labels=OTHERS, thresholds=(0.3, 0.25, 0.35)),
    )


def report(*arguments, code=0):
    done = CliRunner().invoke(main, ["report", *map(str, arguments), "--runs", "1", "--num-threads", "1"])
    assert done.exit_code == code, done.output
    return done


def given_sets(path):
    with TextClassifier(path) as classifier:
        return [set(answer.labels) for answer in classifier.classify_batch(list(ROWS))]


def due_sets():
    return [set(filter(None, labels.split("|"))) for labels in ROWS.values()]


def test_report_of_files(models, data, tmp_path):
    output = tmp_path / "report.html"
    done = report(*models, "--data", data, "--label-separator", "|", "-o", output, "--json")
    printed = json.loads(done.stdout.splitlines()[-1])
    due, one, two = due_sets(), *map(given_sets, models)
    assert one != two and one != due
    for model, sets in zip(printed["models"], (one, two), strict=True):
        found = evaluate_label_sets(due, sets, LABELS)
        for name in ("micro_f1", "macro_f1", "subset_accuracy"):
            assert model["evaluation"][name] == getattr(found, name)
        assert [scores["label"] for scores in model["evaluation"]["classes"]] == list(LABELS)
        assert "confusions" not in model["evaluation"]
        assert model["confused_pairs"] == [dataclasses.asdict(pair) for pair in found.confused_pairs()]
    assert printed["models"][1]["thresholds"] == [0.25, 0.35, 0.3]  # in the order of the reference's labels
    changes = printed["models"][1]["changes"]
    assert changes["same"] == sum(first == second for first, second in zip(one, two, strict=True))
    rows = list(zip(ROWS, due, one, two, strict=True))
    assert changes["broken"] == sum(right == first != second for _, right, first, second in rows)
    assert changes["repaired"] == sum(right == second != first for _, right, first, second in rows)
    assert {example["text"] for example in changes["examples"]} == {text for text, _, a, b in rows if a != b}
    for example in changes["examples"]:
        [(right, first, second)] = [row[1:] for row in rows if row[0] == example["text"]]
        assert [set(example[name]) for name in ("right", "reference", "given")] == [right, first, second]
        assert {change["label"] for change in example["changed"]} == first ^ second
    check_page(output.read_text(encoding="utf-8"))


def test_the_page_shows_the_numbers(models, data, tmp_path):
    settings = BenchmarkSettings(runs=1, starts=1, largest_sample=2)
    measured = measure(models, read_label_sets(data, label_separator="|"), settings=settings)
    html = render_page(measured)
    page = check_page(html)
    ids = [section["id"] for section in page.named("section")]
    assert ids == [
        "summary",
        "tradeoffs",
        "latency",
        "scores",
        "classes",
        "confusion",
        "texts",
        "files",
        "origin",
        "measured",
    ]
    assert "3 classes, any number of them for a text" in html and "<b>" not in html
    first, second = measured.models
    quality = page.table("Quality")[1:]
    assert [row[2] for row in quality] == [f"{model.evaluation.micro_f1:.4f}" for model in measured.models]
    assert [float(row[4].split()[0]) for row in quality] == [
        pytest.approx(100 * model.evaluation.subset_accuracy, abs=0.005) for model in measured.models
    ]
    assert quality[1][-1] == str(len(ROWS) - second.changes.same)
    classes = page.table("Scores of each class")
    assert classes[0][6] == "threshold" and [row[6] for row in classes[1:]] == ["0.300", "0.400", "0.200"]
    assert [float(row[5]) for row in classes[1:]] == pytest.approx(
        [one.f1 for one in first.evaluation.classes], abs=5e-4
    )
    changed = page.table("Some of the texts with other labels")[1:]
    assert [row[1] for row in changed] == [example.text for example in second.changes.examples]
    for model in measured.models:
        shown = page.table(f"{len(model.mistakes)} labels: {model.name}")[1:]
        assert [row[2] for row in shown] == [mistake.label for mistake in model.mistakes]
    pairs = page.table("Most confused pairs")[1:]
    of_first = {(one.right, one.given): one.texts for one in first.evaluation.confusions}
    assert {(row[0], row[1]): int(row[2]) for row in pairs if row[2] != "0"} == of_first


def test_texts_can_be_kept_out(models, data, tmp_path):
    output = tmp_path / "report.html"
    done = report(*models, "--data", data, "--label-separator", "|", "-o", output, "--examples", 0)
    assert "micro F1" in done.output and "right sets" in done.output
    page = check_page(output.read_text(encoding="utf-8"))
    assert "zebra crossing" not in "".join(page.words)
    assert page.table("Texts by what became of the labels")


def test_a_preset_is_the_reference(tmp_path, make_tiny_classifier, tiny_labels):
    classifier = make_tiny_classifier(activation="sigmoid")
    LabelledClassifier(classifier, tiny_labels, name="t", source="t", thresholds=(0.5,) * 3).save(tmp_path / "tagger")
    path = tmp_path / "t.tflite"
    convert_preset(ConversionRequest(str(tmp_path / "tagger"), path, QuantizationPlan("fp32")))
    rows = tmp_path / "rows.jsonl"
    labels = [list(tiny_labels), [], [tiny_labels[1]]]
    rows.write_text("".join(json.dumps({"text": f"a {n}", "label": some}) + "\n" for n, some in enumerate(labels)))
    output = tmp_path / "report.html"
    done = report(path, tmp_path / "tagger", "--data", rows, "-o", output, "--json")
    printed = json.loads(done.stdout.splitlines()[-1])
    assert printed["reference"] == 1
    assert printed["models"][0]["changes"]["same"] == 3
    assert printed["models"][0]["evaluation"] == printed["models"][1]["evaluation"]


def test_what_does_not_fit_is_refused(models, data, artifact, tmp_path):
    common = ("--data", data, "-o", tmp_path / "report.html")
    sets = (*common, "--label-separator", "|")
    assert "multi-label model" in report(models[0], *common, code=1).output
    assert "gives every text one label" in report(artifact("plain.tflite"), *sets, code=1).output
    assert "--baseline" in report(models[0], *sets, "--baseline", data, code=1).output
    other = artifact("other.tflite", labels=("low", "middle", "loud"), thresholds=(0.5,) * 3)
    assert "lacks high and adds loud" in report(models[0], other, *sets, code=1).output
    assert not (tmp_path / "report.html").exists()


# Texts of a report


def test_changed_sets_are_in_order():
    right = (("a",), ("b",), ("a", "b"), (), ("a",))
    examples = MultiLabelTexts(tuple("vwxyz"), right)
    reference = SetAnswers("ab", np.array([[0.9, 0], [0.9, 0.6], [0.6, 0.4], [0.2, 0.1], [0.8, 0]]), (0.5, 0.5))
    given = SetAnswers("ab", np.array([[0.9, 0.7], [0.4, 0.6], [0.4, 0.4], [0.6, 0.1], [0.3, 0]]), (0.5, 0.5))
    found = count_set_changes(examples, reference, given, 10)
    assert (found.same, found.broken, found.repaired, found.otherwise) == (0, 3, 1, 1)
    # v: b is .5 from its threshold; z and y: a is .3 from it.
    assert [one.text for one in found.examples] == ["v", "z", "y", "w", "x"]
    assert found.examples[3] == ChangedSet("w", ("b",), ("a", "b"), ("b",), (LabelChange("a", 0.9, 0.5, 0.4, 0.5),))
    assert count_set_changes(examples, reference, given, 2).examples == found.examples[:2]


def test_mistakes_of_both_kinds_share_the_places():
    examples = MultiLabelTexts(("v", "w", "x"), (("a",), ("b",), ()))
    given = SetAnswers("ab", np.array([[0.3, 0.6], [0.7, 0.1], [0.9, 0.8]]), (0.5, 0.5))

    def found(most):
        return [(one.text, one.label, one.is_given) for one in confident_set_mistakes(examples, given, most)]

    wrong, missing = (
        [("x", "a", True), ("x", "b", True), ("w", "a", True), ("v", "b", True)],
        [
            ("w", "b", False),
            ("v", "a", False),
        ],
    )
    assert found(20) == wrong + missing
    assert found(2) == [wrong[0], missing[0]]
    assert found(5) == [*wrong[:3], *missing]
    assert found(0) == []
    assert confident_set_mistakes(examples, given, 1) == (SetMistake("x", (), "a", True, 0.9, 0.5),)


def test_confusions_are_pairs_of_a_missing_and_a_wrong_label():
    found = evaluate_label_sets([["a", "b"], ["a"], ["c"]], [["c"], ["c", "a"], ["b"]], ["a", "b", "c"])
    assert [(one.right, one.given, one.texts) for one in found.confusions] == [
        ("a", "c", 1),
        ("b", "c", 1),
        ("c", "b", 1),
    ]

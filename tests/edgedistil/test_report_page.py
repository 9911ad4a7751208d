"""The report: a page of made-up measurements, which no browser is needed to check."""

import dataclasses
import random
import re
from pathlib import Path

import numpy as np
import pytest

from edgedistil.data import LabelledTexts
from edgedistil.measuring.measurements import (
    ChangedText,
    DataFacts,
    FileFacts,
    KerasFacts,
    MeasuredModel,
    Mistake,
    OpCount,
)
from edgedistil.measuring.mistakes import Answers, count_changes
from edgedistil.measuring.reliability import measure_scores
from edgedistil.report import Measurements, render_page, write_report
from edgedistil.scores import evaluate_labels
from edgedistil_runtime.benchmarking.load_cost import LoadCost
from edgedistil_runtime.benchmarking.machine import Machine
from edgedistil_runtime.benchmarking.speed import BenchmarkSettings, LengthLatency, ModelSpeed
from edgedistil_runtime.benchmarking.texts import TimedTexts
from edgedistil_runtime.errors import DataError, OutputError

from .report_page import check_page

SECTIONS = ["summary", "tradeoffs", "latency", "scores", "classes", "confusion", "texts", "files", "origin", "measured"]
EVIL = (
    "<script>alert(1)</script>",
    '" onload="alert(2)',
    "]]></svg><img src=https://example.org/x onerror=alert(3)>",
    "--></style><b>",
    "مرحبا",
    "ok\x1b[31m\x00",
    "&amp;",
    "a" * 200,
)


# Measurements without models


def make_speed(name, number):
    lengths = (LengthLatency("0–16", 3, 1.5 + number, 1.75 + number), LengthLatency("17–32", 4, 2.5, 4.125))
    load = LoadCost(12.25 + number, 99.0, 54_000_000 + number, 48_000_000)
    return ModelSpeed(
        name, 1_234_567 * (1 + number), 2.25 + number, 3.5, 7.75, 444.0, 555.0, load, "fake 1", "cpu", lengths
    )


def make_file(name, number):
    return FileFacts(
        name=name,
        sha256=f"{number:064x}",
        flatbuffer_size=1000 + number,
        flatbuffer_sha256=f"{number + 99:064x}",
        quantization={"scheme": "int8", "layers": {}},
        target="cpu",
        oldest_runtime="2.17.0",
        tokenizer={"kind": "builtin", "lowercase": True},
        architecture={"num_layers": 2, "parameters": 521878},
        parity={"texts": 30, "largest_difference": 0.0183},
        preparation={"vocabulary_pruning": {"vocabulary_after": 4321}},
        versions={"keras": "3.15.1"},
        golden_cases=8,
        ops=(OpCount("ADD", 1, 118 + number), OpCount("FULLY_CONNECTED", 12, 28)),
        matmul_weights={"int8": 28},
        integer_ops={"SOFTMAX": 6},
        constant_bytes={"int8": 518144, "float32": 18248 + number},
    )


def make_scores(given, expected, labels, **options):
    probabilities = np.array([[0.8 if label == one else 0.2 / (len(labels) - 1) for label in labels] for one in given])
    return measure_scores(probabilities, expected, labels, **options)


def make_measurements(labels, names, *, texts_of=6, has_keras=False, num_examples=4):
    chance = random.Random(5)
    expected = [label for label in labels for _ in range(texts_of)]
    texts = [f"text {i} about {label}" for i, label in enumerate(expected)]
    examples = LabelledTexts(tuple(texts), tuple(expected), Path("some/where/data.csv"))
    first = [label if chance.random() < 0.8 else chance.choice(labels) for label in expected]
    models = []
    for number, name in enumerate(names):
        given = [label if number == 0 or chance.random() < 0.9 else chance.choice(labels) for label in first]
        is_keras = has_keras and number == 0
        models.append(
            MeasuredModel(
                name=name,
                evaluation=evaluate_labels(expected, given, labels),
                changes=count_changes(examples, Answers(first), Answers(given), num_examples) if number else None,
                speed=None if is_keras else make_speed(name, number),
                file=None if is_keras else make_file(name, number),
                keras=KerasFacts(name, 521878, 2_087_512, 48, {"keras": "3.15.1"}) if is_keras else None,
                scores=make_scores(given, expected, labels, temperature=2.0 if number else 1.0),
            )
        )
    return Measurements(
        data=DataFacts(examples.name, len(expected), "c" * 64),
        labels=tuple(labels),
        models=tuple(models),
        reference=0,
        machine=Machine("Z80 <fast>", "z80", 1, "CP/M"),
        measured_at="2026-11-22T12:34:56+00:00",
        timed=TimedTexts("data.csv", 7, 3, 16.5, 32) if any(model.speed for model in models) else None,
        settings=BenchmarkSettings(),
        edgedistil="0.1.0",
    )


@pytest.fixture(scope="module")
def measurements():
    return make_measurements(["on", "off", "music"], ["fp32.tflite", "int8.tflite", "int4.tflite"])


def test_interval_of_the_accuracy():
    model = make_measurements(["a", "b"], ["x.tflite"]).models[0]
    scores = evaluate_labels(["a"] * 10, ["a"] * 8 + ["b"] * 2, ["a", "b"])
    interval = dataclasses.replace(model, evaluation=scores).accuracy_interval
    assert interval == pytest.approx((0.4901625, 0.9433178), abs=1e-6)  # Wilson's interval for 8 of 10
    whole = dataclasses.replace(model, evaluation=evaluate_labels(["a"] * 9, ["a"] * 9, ["a", "b"])).accuracy_interval
    assert whole[1] == pytest.approx(1) and 0.6 < whole[0] < 0.8


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"reference": 7}, "one of 3 models"),
        ({"labels": ("off", "on", "music")}, "same labels in the same order"),
    ],
)
def test_measurements_that_cannot_be(fields, message, measurements):
    with pytest.raises(DataError, match=message):
        dataclasses.replace(measurements, **fields)


# The page


def test_every_section_is_there_once(measurements):
    page = check_page(render_page(measurements))
    assert [section["id"] for section in page.named("section")] == SECTIONS
    assert len(page.named("h1")) == 1
    pictures = [svg for svg in page.named("svg") if svg.get("role") == "img"]
    assert len(pictures) == 3 + 3 + 1 + 3  # trade-offs and latency, scores, dtypes, matrices
    assert len(page.named("desc")) == len(pictures)


def test_scores(measurements):
    page = check_page(render_page(measurements))
    for model, row in zip(measurements.models, page.table("Scores of each model")[1:], strict=True):
        given, before = model.scores.given, model.scores.uncalibrated
        accuracy = model.evaluation.accuracy
        assert given.calibration_error == pytest.approx(abs(accuracy - 0.8))
        assert given.brier_score == pytest.approx(
            accuracy * (0.2**2 + 0.02) + (1 - accuracy) * (0.8**2 + 0.9**2 + 0.01)
        )
        assert row[1:4] == [f"{given.calibration_error:.4f}", f"{given.brier_score:.4f}", "0.8000"]
        if model is measurements.models[0]:
            assert row[4:] == ["–"] * 3
            continue
        sure = 0.8**2 / (0.8**2 + 2 * 0.1**2)  # softmax of twice the logits
        assert before.calibration_error == pytest.approx(abs(accuracy - sure))
        assert row[4:] == ["2", f"{before.calibration_error:.4f}", f"{before.brier_score:.4f}"]
    lines = [line for line in page.named("polyline") if line.get("class") == "leader"]
    assert len(lines) == 2  # of the calibrated files, without calibration


def test_models_without_scores(measurements):
    models = tuple(dataclasses.replace(model, scores=None) for model in measurements.models)
    page = check_page(render_page(dataclasses.replace(measurements, models=models)))
    assert "scores" not in [section["id"] for section in page.named("section")]


def test_numbers_are_those_measured(measurements):
    page = check_page(render_page(measurements))
    quality, cost = page.table("Quality"), page.table("Size and speed")
    reference = measurements.models[0]
    for model, given, costs in zip(measurements.models, quality[1:], cost[1:], strict=True):
        difference = 100 * (model.evaluation.accuracy - reference.evaluation.accuracy)
        assert given[0].startswith(model.name)
        assert float(given[2].removesuffix("%")) == pytest.approx(100 * model.evaluation.accuracy, abs=0.005)
        assert float(given[4]) == pytest.approx(model.evaluation.macro_f1, abs=5e-5)
        if model is not reference:
            assert float(given[5].replace("−", "-")) == pytest.approx(difference, abs=0.005)
            assert int(given[6]) == model.evaluation.texts - model.changes.same
        assert float(costs[1]) == pytest.approx(model.size / 1e6, abs=0.005)
        assert [float(text) for text in costs[2:5]] == [model.speed.p50_ms, model.speed.p90_ms, model.speed.p99_ms]
        assert costs[5:] == ["444", "555", f"{model.speed.load.load_ms:.3g}", "54"]
    assert page.table("Milliseconds of one text")[1:] == [
        ["0–16", "3", "1.5 / 1.75", "2.5 / 2.75", "3.5 / 3.75"],
        ["17–32", "4", *["2.5 / 4.12"] * 3],
    ]
    for row, number in zip(page.table("Scores of each class")[1:], range(3), strict=True):
        scores = [model.evaluation.classes[number] for model in measurements.models]
        assert row[:3] == [measurements.labels[number], str(number + 1), "6"]
        assert row[5] == f"{scores[0].f1:.3f}"
        shown = [float(text.replace("−", "-")) for text in row[6:]]
        pairs = [(s.recall - scores[0].recall, s.f1 - scores[0].f1) for s in scores[1:]]
        assert shown == pytest.approx([100 * value for pair in pairs for value in pair], abs=0.051)
    counts = [[m.changes.same, m.changes.broken, m.changes.repaired, m.changes.otherwise] for m in measurements.others]
    assert [list(map(int, row[1:])) for row in page.table("Texts by what became")[1:]] == counts
    assert page.table("Bytes of constants")[1] == ["float32", "18,248", "18,249", "18,250"]
    assert page.table("Ops and versions")[1] == ["ADD v1", "118", "119", "120"]
    origin = {row[0]: row[1:] for row in page.table("Metadata of each model")[1:]}
    assert origin["sha256"] == [model.file.sha256 for model in measurements.models]
    assert "4321" in origin["preparation"][0]
    measured = {row[0]: row[1] for row in page.table("How it was measured")[1:]}
    assert measured["machine"] == "Z80 <fast>, z80, 1 core, CP/M"
    assert measured["data"] == "data.csv: 18 texts, 3 classes"


def test_matrices_hold_the_counts(measurements):
    html = render_page(measurements)
    [matrix] = re.findall(r'<svg [^>]*aria-labelledby="matrix-title.*?</svg>', html, re.DOTALL)
    shown = dict(re.findall(r"<title>(\w+, given \w+): (\d+)</title>", matrix))
    confusion = measurements.models[0].evaluation.confusion
    labels = measurements.labels
    assert shown == {
        f"{right}, given {given}": str(confusion[i][k])
        for i, right in enumerate(labels)
        for k, given in enumerate(labels)
        if confusion[i][k]
    }
    [change] = re.findall(r'<svg [^>]*aria-labelledby="matrix-1-title.*?</svg>', html, re.DOTALL)
    changes = re.findall(r"<title>(\w+), given (\w+): ([+−]\d+)</title><rect [^>]*class=\"([bw])", change)
    other = measurements.models[1].evaluation.confusion
    assert changes
    for right, given, text, kind in changes:
        i, k = labels.index(right), labels.index(given)
        difference = int(text.replace("−", "-"))
        assert difference == other[i][k] - confusion[i][k]
        assert kind == ("b" if (difference > 0) == (i == k) else "w")


def with_mistakes(measured, mistakes):
    models = (dataclasses.replace(model, mistakes=tuple(mistakes)) for model in measured.models)
    return dataclasses.replace(measured, models=tuple(models))


def test_texts(measurements):
    changes = dataclasses.replace(
        measurements.models[1].changes,
        examples=(
            ChangedText("loud <text>", "on", "on", "off", 0.91, 0.625),
            ChangedText("quiet", "off", "on", "off"),  # of a model without scores
        ),
    )
    mistakes = [Mistake("play it", "music", "on", 0.98765, 0.0125), Mistake("so", "off", "on", 0.5, 0.25)]
    first, second, third = with_mistakes(measurements, mistakes).models
    models = (first, dataclasses.replace(second, changes=changes), dataclasses.replace(third, changes=None))
    page = check_page(render_page(dataclasses.replace(measurements, models=models)))
    assert page.table("Some of the texts with another label")[1:] == [
        ["int8.tflite", "loud <text>", "on", "on", "0.910", "off", "0.625"],
        ["int8.tflite", "quiet", "off", "on", "–", "off", "–"],
    ]
    for model in models:
        wrong = round(model.evaluation.texts * (1 - model.evaluation.accuracy))
        assert page.table(f"2 of {wrong} texts with a wrong label: {model.name}")[1:] == [
            ["play it", "music", "on", "0.988", "0.013"],
            ["so", "off", "on", "0.500", "0.250"],
        ]

    def folded_tables(page):
        return sum(tag == "table" and "details" in parents for tag, _, parents in page.elements)

    assert folded_tables(page) == 2 + folded_tables(check_page(render_page(measurements)))  # all but the reference's


def test_no_texts_were_kept(measurements):
    models = tuple(
        dataclasses.replace(model, changes=model.changes and dataclasses.replace(model.changes, examples=()))
        for model in measurements.models
    )
    page = check_page(render_page(dataclasses.replace(measurements, models=models)))
    assert "texts" not in [section["id"] for section in page.named("section")]
    assert page.table("Texts by what became")  # the counts stay


def test_other_peoples_words_are_inert():
    names = ["<img src=x onerror=alert(1)>.tflite", "javascript:alert(1)//.tflite"]
    measured = make_measurements(list(EVIL), names, num_examples=9)
    measured = with_mistakes(measured, [Mistake(text, EVIL[0], EVIL[1], 0.9, 0.1) for text in EVIL])
    measured = dataclasses.replace(measured, data=dataclasses.replace(measured.data, name="<script>.csv"))
    html = render_page(measured)
    page = check_page(html)
    assert "<script" not in html and "<img" not in html
    shown = "".join(page.words)
    assert "<script>alert(1)</script>" in shown and "&amp;" in shown and names[0] in shown
    assert not {"\x1b", "\x00"} & set(html)


def test_many_classes_are_folded_and_small():
    labels = [f"intent_{number:03}" for number in range(151)]
    html = render_page(make_measurements(labels, ["a.tflite", "b.tflite", "c.tflite"]))
    page = check_page(html)
    assert len(html) < 1_000_000
    assert len(page.table("The 20 classes that changed most")) == 21
    assert len(page.table("All classes")) == 152
    folded = [parents for tag, _, parents in page.elements if tag == "table" and "details" in parents]
    assert len(folded) == 2
    pairs = page.table("Most confused pairs")
    assert len(pairs) == 21
    counts = [int(row[2]) for row in pairs[1:]]
    assert counts == sorted(counts, reverse=True)


def test_one_model_has_nothing_to_be_compared_with():
    page = check_page(render_page(make_measurements(["ham", "spam"], ["only.tflite"])))
    assert page.table("Scores of each class: only.tflite")[0][-1] == "F1"
    assert not [caption for caption in page.tables if caption.startswith("Texts by what became")]


def test_keras_alone_has_no_speed():
    page = check_page(render_page(make_measurements(["ham", "spam"], ["preset"], has_keras=True)))
    ids = [section["id"] for section in page.named("section")]
    assert ids == ["summary", "scores", "classes", "confusion", "origin", "measured"]
    assert page.table("Size")[1] == ["preset", "2.09"]


def test_keras_is_a_line_in_the_plots():
    html = render_page(make_measurements(["ham", "spam"], ["preset", "a.tflite"], has_keras=True))
    assert html.count('class="reference"') == 2
    assert "The dashed line is preset in Keras" in html


def test_perfect_and_hopeless_models():
    measured = make_measurements(["a", "b"], ["x.tflite"])
    for given, wrong in ((("a", "b"), "No text was given"), (("b", "a"), "Most confused pairs")):
        model = dataclasses.replace(measured.models[0], evaluation=evaluate_labels(("a", "b"), given, ("a", "b")))
        html = render_page(dataclasses.replace(measured, models=(model,)))
        check_page(html)
        assert wrong in html
        assert "nan" not in html and "inf" not in html


def test_pages_are_equal_for_equal_measurements(measurements):
    again = make_measurements(["on", "off", "music"], ["fp32.tflite", "int8.tflite", "int4.tflite"])
    assert again is not measurements and again.to_json() == measurements.to_json()
    assert render_page(again) == render_page(measurements)


def test_an_output_that_exists_is_kept(measurements, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("mine")
    with pytest.raises(OutputError, match="`force`"):
        write_report(measurements, path)
    assert path.read_text() == "mine"
    write_report(measurements, path, force=True)
    assert path.read_text(encoding="utf-8") == render_page(measurements)
    assert list(tmp_path.iterdir()) == [path]

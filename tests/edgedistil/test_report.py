"""The report: what is measured, and a page that a browser is not needed to check."""

import dataclasses
import hashlib
import json
import random
import re
import socket
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgedistil.benchmark_texts import TimedTexts
from edgedistil.benchmarking import BenchmarkSettings, LengthLatency, ModelSpeed
from edgedistil.cli import main
from edgedistil.data import LabelledTexts
from edgedistil.evaluation import evaluate_labels
from edgedistil.load_cost import LoadCost
from edgedistil.machine import Machine
from edgedistil.report import Measurements, render_page, write_report
from edgedistil.report.axes import fitted_axis
from edgedistil.report.markup import Markup, element
from edgedistil.report.measurements import DataFacts, FileFacts, KerasFacts, MeasuredModel, OpCount
from edgedistil.report.measuring import count_changes
from edgedistil.report.plots import Point, scatter
from edgedistil.report.style import DARK, LIGHT, contrast, variables
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.errors import DataError, OutputError

SECTIONS = ["summary", "tradeoffs", "latency", "classes", "confusion", "files", "origin", "measured"]
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
                changes=count_changes(examples, first, given, num_examples) if number else None,
                speed=None if is_keras else make_speed(name, number),
                file=None if is_keras else make_file(name, number),
                keras=KerasFacts(name, 521878, 2_087_512, 48, {"keras": "3.15.1"}) if is_keras else None,
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


# Reading a page


class Page(HTMLParser):
    """The elements of a page, with a check that they are nested."""

    VOID = ("meta", "link", "br")

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.elements, self.tables, self.ids, self._open = [], {}, [], []
        self.words = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        assert len(found) == len(attributes), f"an attribute twice in {tag}"
        self.elements.append((tag, found, tuple(name for name, _ in self._open)))
        if "id" in found:
            self.ids.append(found["id"])
        if tag not in self.VOID:
            self._open.append((tag, found))
        if tag == "table":
            self._rows, self._caption = [], ""
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th"):
            self._rows[-1].append("")

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag
        if tag == "table":
            self.tables[self._caption] = self._rows

    def handle_data(self, data):
        names = [name for name, _ in self._open]
        if "style" not in names:
            self.words.append(data)
        if "caption" in names:
            self._caption += data
        elif "td" in names or "th" in names:
            self._rows[-1][-1] += data

    def named(self, tag):
        return [attributes for name, attributes, _ in self.elements if name == tag]

    def table(self, start):
        [rows] = [rows for caption, rows in self.tables.items() if caption.startswith(start)]
        return rows


def check_page(html):
    """What holds for every page, whatever is on it."""
    assert html.startswith("<!DOCTYPE html>")
    page = Page(html)
    for tag, attributes, parents in page.elements:
        assert tag not in ("script", "iframe", "object", "embed", "img", "base", "form", "image", "use")
        assert not [name for name in attributes if name.startswith("on")]
        assert "src" not in attributes and "xlink:href" not in attributes
        target = attributes.get("href", "#")
        assert target == "data:," or target.startswith("#")
        assert tag != "table" or parents[-1] == "div"
    [style] = re.findall("<style>(.*?)</style>", html, re.DOTALL)
    assert "url(" not in style and "@import" not in style
    assert "url(" not in " ".join(attributes.get("style", "") for _, attributes, _ in page.elements)
    assert page.named("html") == [{"lang": "en"}]
    [policy] = [meta["content"] for meta in page.named("meta") if "http-equiv" in meta]
    assert policy.startswith("default-src 'none'")
    assert len(set(page.ids)) == len(page.ids)
    assert {link["href"][1:] for link in page.named("a")} <= set(page.ids)
    assert len(page.tables) == len(page.named("table")) == len(page.named("caption"))
    assert all("scope" in attributes for attributes in page.named("th"))
    for svg in page.named("svg"):
        assert svg.get("aria-hidden") == "true" or svg["role"] == "img"
        assert set(svg.get("aria-labelledby", "").split()) <= set(page.ids)
    for rows in page.tables.values():
        assert len({len(row) for row in rows}) == 1
    return page


def test_every_section_is_there_once(measurements):
    page = check_page(render_page(measurements))
    assert [section["id"] for section in page.named("section")] == SECTIONS
    assert len(page.named("h1")) == 1
    pictures = [svg for svg in page.named("svg") if svg.get("role") == "img"]
    assert len(pictures) == 3 + 1 + 3  # trade-offs and latency, dtypes, matrices
    assert len(page.named("desc")) == len(pictures)


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
    origin = {row[0]: row[1:] for row in page.table("What each model says")[1:]}
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


def test_other_peoples_words_are_inert():
    names = ["<img src=x onerror=alert(1)>.tflite", "javascript:alert(1)//.tflite"]
    measured = make_measurements(list(EVIL), names, num_examples=9)
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
    assert ids == ["summary", "classes", "confusion", "origin", "measured"]
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
    again = Measurements.from_json(measurements.to_json())
    assert again == measurements
    assert render_page(again) == render_page(measurements)


def test_an_output_that_exists_is_kept(measurements, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("mine")
    with pytest.raises(OutputError, match="--force"):
        write_report(measurements, path)
    assert path.read_text() == "mine"
    write_report(measurements, path, force=True)
    assert path.read_text(encoding="utf-8") == render_page(measurements)
    assert list(tmp_path.iterdir()) == [path]


# Parts


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_contrast(theme):
    """WCAG 2.2: 4.5 for text, 3 for marks (success criteria 1.4.3 and 1.4.11)."""
    colors = variables(theme)
    for ground in ("surface", "card"):
        for text in ("ink", "muted", "m1"):
            assert contrast(colors[text], colors[ground]) >= 4.5
    for mark in ("m1", "m2", "m3", "m4", "m5", "m6"):
        assert contrast(colors[mark], colors["surface"]) >= 3
    steps = [name for name in colors if f"t{name}" in colors]
    assert len(steps) == 16
    for step in steps:
        assert contrast(colors[f"t{step}"], colors[step]) >= 4.5
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def test_text_is_escaped_and_markup_is_not():
    inner = element("b", "<", Markup("<i></i>"), None, 3)
    assert inner == "<b>&lt;<i></i>3</b>"
    assert element("p", inner, class_='"x', aria_label="é", hidden=True, title=None) == (
        '<p class="&quot;x" aria-label="é" hidden><b>&lt;<i></i>3</b></p>'
    )
    assert element("rect", x=1.005, y=2.0) == '<rect x="1" y="2"></rect>'


@pytest.mark.parametrize(
    ("values", "has_zero", "is_logarithmic"),
    [
        ((0.88, 0.9), False, False),
        ((0.0, 1.0), False, False),
        ((0.5, 0.5), False, False),
        ((1.0, 2.4), True, False),
        ((0.3, 270.0), True, True),
        ((1e-3, 1e4), True, True),
        ((0.0, 5.0), True, False),
    ],
)
def test_axes_hold_their_values(values, has_zero, is_logarithmic):
    axis = fitted_axis(values, 50, 400, has_zero=has_zero, limits=(0.0, 1.0 if max(values) <= 1 else 1e9))
    assert axis.is_logarithmic == is_logarithmic
    assert axis.low <= min(values) <= max(values) <= axis.high
    assert 2 <= len(axis.ticks) <= 12
    assert all(49.9 <= axis.at(tick) <= 400.1 for tick in axis.ticks)
    assert list(axis.ticks) == sorted(set(axis.ticks))
    assert axis.low == 0 or is_logarithmic or not has_zero
    assert axis.at(axis.low) == pytest.approx(50) and axis.at(axis.high) == pytest.approx(400)


def test_points_lie_where_their_numbers_are():
    points = [Point("a", 0, 1.0, 0.9, 0.88, 0.92), Point("b", 1, 2.0, 0.8, 0.78, 0.82)]
    svg = scatter(points, None, x_label="MB", y_label="accuracy", title="t", key="k")
    x, y = map(float, re.search(r'<circle cx="([\d.]+)" cy="([\d.]+)"', svg).groups())
    ticks = {text: float(y) - 4 for y, text in re.findall(r'y="([\d.]+)" text-anchor="end"[^>]*>([\d.]+)<', svg)}
    low, high = min(ticks, key=float), max(ticks, key=float)
    share = (float(low) + (ticks[low] - y) / (ticks[low] - ticks[high]) * (float(high) - float(low))) / 100
    assert share == pytest.approx(0.9, abs=1e-3)
    across = {text: float(x) for x, text in re.findall(r'<text x="([\d.]+)" y="260" [^>]*>([\d.]+)<', svg)}
    assert x == pytest.approx(across["1"], abs=0.1)


def test_interval_of_the_accuracy():
    model = make_measurements(["a", "b"], ["x.tflite"]).models[0]
    scores = evaluate_labels(["a"] * 10, ["a"] * 8 + ["b"] * 2, ["a", "b"])
    interval = dataclasses.replace(model, evaluation=scores).accuracy_interval
    assert interval == pytest.approx((0.4901625, 0.9433178), abs=1e-6)  # Wilson's interval for 8 of 10
    whole = dataclasses.replace(model, evaluation=evaluate_labels(["a"] * 9, ["a"] * 9, ["a", "b"])).accuracy_interval
    assert whole[1] == pytest.approx(1) and 0.6 < whole[0] < 0.8


def test_changes_by_hand():
    examples = LabelledTexts(("t1", "t2", "t3", "t4", "t5"), ("a", "a", "b", "b", "c"))
    changes = count_changes(examples, ("a", "a", "a", "b", "a"), ("a", "b", "b", "b", "b"), 2)
    assert (changes.same, changes.broken, changes.repaired, changes.otherwise) == (2, 1, 1, 1)
    assert [(one.text, one.right, one.reference, one.given) for one in changes.examples] == [
        ("t2", "a", "a", "b"),
        ("t3", "b", "a", "b"),
    ]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: data.update(more=1), "must have the keys"),
        (lambda data: data.pop("labels"), "must have the keys"),
        (lambda data: data.update(labels="abc"), "labels must be Sequence"),
        (lambda data: data.update(reference=True), "reference must be int"),
        (lambda data: data.update(reference=7), "one of 3 models"),
        (lambda data: data.update(schema_version=2), "schema version 1"),
        (lambda data: data["models"][1]["speed"].update(p50_ms="1"), r"models \[1\], speed, p50_ms must be float"),
        (lambda data: data.update(labels=["off", "on", "music"]), "same labels in the same order"),
    ],
)
def test_measurements_that_are_none(spoil, message, measurements):
    data = json.loads(measurements.to_json())
    spoil(data)
    with pytest.raises(DataError, match=message):
        Measurements.from_json(json.dumps(data))


def test_measurements_that_are_no_json():
    with pytest.raises(DataError, match="edgedistil report --json"):
        Measurements.from_json("{")


# With models


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


def test_report_of_files(artifact, data, tmp_path):
    models = artifact("one.tflite"), artifact("two.tflite", labels=("high", "low", "middle"))
    output = tmp_path / "report.html"
    done = report(*models, "--data", data, "-o", output, "--json", "--num-threads", 1)
    assert done.exit_code == 0, done.stderr
    printed = json.loads(done.stdout.splitlines()[-1])
    assert printed.pop("output") == str(output)
    measured = Measurements.from_json(json.dumps(printed))
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
    report(*models, models[0], "--data", data, "-o", tmp_path / "b.html", "--examples", 0)
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
            "none.tflite, which was converted with `--tokenizer none`",
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

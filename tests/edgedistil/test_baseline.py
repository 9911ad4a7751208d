"""The baseline: what it learns, what it is refused for, and its rows in `evaluate` and `report`."""

import importlib.util
import json
import pickle

import pytest
from click.testing import CliRunner

from edgedistil.cli import main
from edgedistil.data import LabelledTexts
from edgedistil.measuring.baseline import BASELINE_NAME, check_baseline_data, require_baseline, train_baseline
from edgedistil.scores import evaluate_labels
from edgedistil_runtime.errors import DataError, EdgeDistilError

from .report_page import check_page

TEST_ROWS = ["hello,low", "good night,low", "!,high", "!!,low", "zebra crossing,middle"]
TRAINING_ROWS = ["hello you,low", "good morning,low", "!,high", "!?,high", "zebra,middle", "a zebra crossing,middle"]


def write_rows(path, rows, header="text,label"):
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


@pytest.fixture
def data(tmp_path):
    return write_rows(tmp_path / "test.csv", TEST_ROWS)


@pytest.fixture
def training(tmp_path):
    return write_rows(tmp_path / "train.csv", TRAINING_ROWS)


def invoke(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def labelled(rows):
    return LabelledTexts(*zip(*(row.split(",") for row in rows), strict=True))


def test_words_characters_and_marks_are_evidence(texts):
    baseline = train_baseline(texts)
    assert baseline.labels == ("lights", "music", "weather")
    assert baseline.predict(["LIGHTS OFF", "musical", "?"]) == ["lights", "music", "weather"]
    assert baseline.predict([]) == []
    assert (baseline.texts, baseline.data) == (15, "the given texts")
    words, characters = (vectorizer.vocabulary_ for _, vectorizer in baseline.pipeline[0].transformer_list)
    assert {"turn", "turn on", "?"} <= words.keys() and {" t", "tur", "music"} <= characters.keys()
    assert max(map(len, characters)) == 5 and not {"n t", "turn on the"} & (words.keys() | characters.keys())
    assert baseline.features == len(words) + len(characters)
    assert baseline.size == len(pickle.dumps(baseline.pipeline, protocol=5))


def test_the_same_texts_give_the_same_model(texts):
    first, second = (pickle.dumps(train_baseline(texts).pipeline) for _ in range(2))
    assert first == second


def test_one_text_of_each_class_and_texts_without_letters():
    few = LabelledTexts(("!", "?", "…"), ("a", "b", "c"))
    assert train_baseline(few).predict(["?", "!", "…", "\u200b", "words"])[:3] == ["b", "a", "c"]


def test_a_single_class_is_refused():
    with pytest.raises(DataError, match=r"at least two classes. Received: 2 texts, 'a'"):
        train_baseline(LabelledTexts(("x", "y"), ("a", "a")))


def test_labels_of_training_texts_and_model():
    training = labelled(TRAINING_ROWS)
    check_baseline_data(training, labelled(TEST_ROWS), ("high", "middle", "low"), "m")
    with pytest.raises(DataError, match=r"labels of m, .* which lacks loud and adds high, middle"):
        check_baseline_data(training, labelled(TEST_ROWS), ("low", "loud"), "m")


def test_without_scikit_learn_the_extra_is_named(monkeypatch, model, data, training):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "sklearn" else find(name, *rest)
    )
    with pytest.raises(EdgeDistilError, match=r"edgedistil\[baseline\]"):
        require_baseline()
    done = invoke("evaluate", model, "--data", data, "--baseline", training)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "edgedistil[baseline]" in done.stderr and "(--baseline)" in done.stderr
    assert invoke("evaluate", model, "--data", data).exit_code == 0


def test_evaluate_shows_the_baseline_as_a_row(model, data, training):
    done = invoke("evaluate", model, "--data", data, "--baseline", training, "--json")
    assert done.exit_code == 0, done.stderr
    printed = json.loads(done.stdout)
    file, baseline = printed["models"]
    assert (file["model"], baseline["model"]) == (str(model), BASELINE_NAME)
    assert file["size"] == model.stat().st_size and file["ms_per_text"] > 0
    trained = train_baseline(labelled(TRAINING_ROWS))
    expected = labelled(TEST_ROWS)
    scores = evaluate_labels(expected.labels, trained.predict(expected.texts), trained.labels).to_dict()
    assert {name: baseline[name] for name in scores} == json.loads(json.dumps(scores))
    assert baseline["size"] == trained.size and baseline["ms_per_text"] > 0
    facts = {"data": "train.csv", "texts": 6, "features": trained.features, "scikit_learn": trained.version}
    assert printed["baseline"] == facts
    assert "baseline" not in json.loads(invoke("evaluate", model, "--data", data, "--json").stdout)
    table = invoke("evaluate", model, "--data", data, "--baseline", training).stdout.splitlines()
    assert table[0].split() == ["model", "texts", "accuracy", "macro", "F1", "ECE", "Brier", "MB", "ms/text"]
    assert table[2].strip().startswith(BASELINE_NAME) and f"{baseline['accuracy']:.2%}" in table[2]


def test_the_columns_are_those_of_the_data(model, tmp_path):
    data = write_rows(tmp_path / "t.csv", TEST_ROWS, "words,class")
    training = write_rows(tmp_path / "b.csv", TRAINING_ROWS, "words,class")
    columns = ("--text-column", "words", "--label-column", "class")
    assert invoke("evaluate", model, "--data", data, "--baseline", training, *columns).exit_code == 0
    other = write_rows(tmp_path / "o.csv", TRAINING_ROWS)
    done = invoke("evaluate", model, "--data", data, "--baseline", other, *columns)
    assert done.exit_code == 1 and "o.csv" in done.stderr and "'words'" in done.stderr


@pytest.mark.parametrize("verb", ["evaluate", "report"])
def test_training_texts_are_read_as_the_data(verb, artifact, tmp_path):
    model = artifact(labels=("True", "2.0", "off"))  # trained on labels that are spelled otherwise in the data
    data = write_rows(tmp_path / "t.csv", ["hello^true", "!^2"], "text^label")
    training = write_rows(tmp_path / "b.csv", ["hello^TRUE", "^", "?! ^2.0 ", "hi^true", "zebra^off"], "text^label")
    output = ("-o", tmp_path / "report.html", "--runs", 1, "--force") if verb == "report" else ()
    arguments = (verb, model, "--data", data, "--baseline", training, "--delimiter", "^", "--strip-labels", *output)
    done = invoke(*arguments)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[0] == "b.csv: 1 row skipped: 1 blank row (row 3)"
    [_, baseline] = json.loads(invoke(*arguments, "--json").stdout)["models"]
    evaluation = baseline if verb == "evaluate" else baseline["evaluation"]
    assert {scores["label"] for scores in evaluation["classes"]} == {"True", "2.0", "off"}
    assert evaluation["accuracy"] == 1.0


@pytest.mark.parametrize("verb", ["evaluate", "report"])
def test_training_texts_that_that_cannot_be_compared(verb, model, data, training, tmp_path):
    output = tmp_path / "report.html"
    rest = ["-o", output] if verb == "report" else []
    few = write_rows(tmp_path / "few.csv", TRAINING_ROWS[:4])
    same = tmp_path / "sub" / ".." / data.name
    (tmp_path / "sub").mkdir()
    for given, message in (
        (few, "few.csv, which lacks middle and adds none"),
        (same, "test.csv for both"),
        (tmp_path / "absent.csv", "no data file"),
    ):
        done = invoke(verb, model, "--data", data, "--baseline", given, *rest)
        assert (done.exit_code, done.stdout) == (1, "")
        assert message in done.stderr
    if verb == "report":
        assert not output.exists()
        before = training.read_bytes()
        done = invoke(verb, model, "--data", data, "--baseline", training, "-o", training, "--force")
        assert "would replace" in done.stderr and training.read_bytes() == before


def test_report_with_the_baseline(model, data, training, tmp_path):
    output = tmp_path / "report.html"
    done = invoke("report", model, "--data", data, "--baseline", training, "-o", output, "--runs", 1, "--json")
    assert done.exit_code == 0, done.stderr
    printed = json.loads(done.stdout)
    file, baseline = printed["models"]
    assert printed["reference"] == 0 and baseline["name"] == BASELINE_NAME
    assert file["baseline"] is None and baseline["file"] is baseline["keras"] is baseline["speed"] is None
    facts = baseline["baseline"]
    assert (facts["data"], facts["texts"]) == ("train.csv", 6) and facts["speed"]["p50_ms"] > 0
    changes = baseline["changes"]
    assert sum(changes[kind] for kind in ("same", "broken", "repaired", "otherwise")) == 5
    page = check_page(output.read_text(encoding="utf-8"))
    assert [cell.strip() for cell in page.table("Quality")[2][:2]] == [BASELINE_NAME, "scikit-learn"]
    costs = page.table("Size and speed")[2]
    assert costs[:2] == [BASELINE_NAME, f"{facts['size'] / 1e6:.2f}"] and costs[-2:] == ["–", "–"]
    assert "–" not in costs[2:-2]
    assert "does not earn its milliseconds" in "".join(page.words)


def test_report_of_a_preset_and_the_baseline(tiny_preset, csv_file, texts, tmp_path):
    training = tmp_path / "train.csv"
    training.write_bytes(csv_file.read_bytes())
    output = tmp_path / "report.html"
    done = invoke("report", tiny_preset, "--data", csv_file, "--baseline", training, "-o", output, "--runs", 1)
    assert done.exit_code == 0, done.stderr
    page = check_page(output.read_text(encoding="utf-8"))
    assert [row[0] for row in page.table("Size and speed")[1:]] == ["tiny_preset", BASELINE_NAME]
    assert f"{BASELINE_NAME}: accuracy 100.00%" in done.stdout

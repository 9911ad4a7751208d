"""`edgedistil explain`."""

import json

from click.testing import CliRunner

from edgedistil.cli import main
from edgedistil_runtime import TextClassifier, explain


def invoke(*arguments):
    return CliRunner().invoke(main, ["explain", *map(str, arguments)])


def test_table(model):
    done = invoke(model, "good night\x1b[31m !")
    assert done.exit_code == 0, done.output
    with TextClassifier(model) as classifier:
        explanation = explain(classifier, "good night\x1b[31m !")
    first, *lines = done.stdout.splitlines()
    assert first.split() == [explanation.label, f"{explanation.score:.4f}"]
    for word in ("good", "night"):
        [effect] = [one.effect for one in explanation.words if one.word == word]
        assert any(line.split()[:2] == [word, f"{effect:+.4f}"] for line in lines)
    assert "\x1b" not in done.stdout


def test_json_and_another_label(model):
    done = invoke(model, "-5 degrees", "--label", "middle", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["explained"]["label"] == "middle" and found["label"] != "middle"
    assert [word["word"] for word in found["words"]] == ["-", "5", "degrees"]
    assert "explained: middle" in invoke(model, "-5 degrees", "--label", "middle").stdout


def test_no_words(model):
    assert "The text has no words." in invoke(model, " ").stdout


def test_errors(model, tmp_path):
    done = invoke(model, "text", "--label", "none")
    assert done.exit_code == 1 and "--label must be one of low, middle, high" in done.stderr
    assert invoke(tmp_path / "missing.tflite", "text").exit_code == 1
    assert invoke(model).exit_code == 2

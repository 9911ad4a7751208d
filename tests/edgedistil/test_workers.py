"""A training on several workers is refused before any work."""

import json

import pytest
from click.testing import CliRunner

from edgedistil.cli import main
from edgedistil.training.workers import check_one_worker
from edgedistil_runtime.errors import InputError

TWO = {"cluster": {"chief": ["a:1"], "worker": ["b:1"], "ps": ["c:1"]}, "task": {"type": "worker", "index": 0}}


@pytest.mark.parametrize(
    "config",
    ["", " ", "{}", '{"cluster": {}}', '{"cluster": {"worker": ["a:1"], "evaluator": ["b:1"]}}', '{"cluster": null}'],
)
def test_one_process_is_fine(config, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", config)
    check_one_worker()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (json.dumps(TWO), r"TF_CONFIG names 2: a:1, b:1\. "),
        (
            json.dumps({"cluster": {"worker": [f"w{n}:1" for n in range(6)]}}),
            r"names 6: w0:1, w1:1, w2:1, w3:1, \.\.\.\. ",
        ),
        ("worker", "no JSON object.*Received: worker"),
        ("[]", r"no JSON object.*Received: \[\]"),
        ('{"cluster": 5}', "no JSON object"),
    ],
)
def test_several_or_a_malformed_variable(config, message, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(InputError, match=message):
        check_one_worker()


@pytest.mark.parametrize("command", ["train", "distil"])
def test_commands_refuse_before_they_read(command, tmp_path, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", json.dumps(TWO))
    data = tmp_path / "train.csv"
    data.write_text("")  # would be another error
    arguments = ["--train-data", data, "-o", tmp_path / "out"]
    if command == "distil":
        arguments += ["--teacher", tmp_path, "--budget-mb", "2"]
    done = CliRunner().invoke(main, [command, *map(str, arguments)])
    assert done.exit_code == 1
    assert "Error: A training runs in one process" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["train.csv"]


def test_training_in_python_refuses(monkeypatch, tiny_classifier, texts):
    from edgedistil.training import fit

    monkeypatch.setenv("TF_CONFIG", json.dumps(TWO))
    with pytest.raises(InputError, match="TF_CONFIG names 2"):
        fit(tiny_classifier, texts.texts, texts.labels)

"""`edgedistil distil` on the command line."""

import json

import pytest
from click.testing import CliRunner

from edgedistil.cli import main
from edgedistil.search.record import read_record

pytestmark = pytest.mark.training


def command(presets, output, *more):
    return CliRunner().invoke(
        main,
        [
            *("distil", "--train-data", str(presets / "train.csv"), "--unlabelled", str(presets / "more.csv")),
            *("--teacher", str(presets / "teacher"), "--student", str(presets / "same"), "--budget-mb", "1"),
            *("--within", "5", "--epochs", "2", "--sequence-length", "16", "-o", output, *more),
        ],
    )


def test_the_command_makes_what_the_library_makes(presets, found):
    """The students of the fixture are used: the same data and settings have the same digests."""
    output = str(found)
    shown = command(presets, output, "--json")
    assert shown.exit_code == 0, shown.output
    result = json.loads(shown.stdout.splitlines()[-1])
    record = read_record(found)
    assert result == json.loads(json.dumps({"output": output, **record.to_dict()}))
    assert record.chosen == "same.pruned.int8.tflite" and record.texts["test"] == 0
    shown = command(presets, output)
    assert "unlabelled texts: 3; 2 left out" in shown.output
    assert "<- chosen" in shown.output and f"wrote {output}/model.tflite" in shown.output


def test_numbers_of_new_texts_are_given_by_one_flag_each(presets, found):
    shown = command(presets, str(found), "--augment", "0", "--augment", "1")
    assert shown.exit_code == 0, shown.output
    [student] = read_record(found).students
    assert f"same: {student.augmented_per_text} new texts for each training text: " in shown.output
    assert f"{student.tried[1].accuracy:.2%} with 1" in shown.output
    shown = command(presets, str(found), "--augment", "1", "--augment", "1")
    assert shown.exit_code == 1 and "--augment must be one whole number from 0 up or several" in shown.output


def test_an_error_names_flags(presets, tmp_path):
    shown = command(presets, str(tmp_path / "new"), "--budget-mb", "0.0001")
    assert shown.exit_code == 1
    assert "Raise --budget-mb, or start from smaller --student" in shown.output
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("flag", ["--teacher", "--student"])
def test_a_preset_that_cannot_be_found_leaves_nothing(presets, tmp_path, flag):
    shown = command(presets, str(tmp_path / "new"), flag, str(tmp_path / "missing"))
    assert shown.exit_code == 1 and "missing" in shown.output
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("content", ["", "text\n", "text\n \n"])
def test_an_empty_unlabelled_file_is_refused(presets, tmp_path, content):
    (tmp_path / "empty.csv").write_text(content)
    shown = command(presets, str(tmp_path / "new"), "--unlabelled", str(tmp_path / "empty.csv"))
    assert shown.exit_code == 1 and "empty.csv" in shown.output
    assert not (tmp_path / "new").exists()


def test_an_input_is_not_replaced(presets):
    shown = command(presets, str(presets / "teacher"))
    assert shown.exit_code == 1 and "would replace what it is made of" in shown.output

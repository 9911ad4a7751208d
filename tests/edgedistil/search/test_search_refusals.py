"""What a search refuses, and what it keeps then."""

import json
from dataclasses import replace

import pytest

from edgedistil.data import LabelledTexts, TrainingData
from edgedistil.search import making
from edgedistil.search.record import read_record
from edgedistil.search.run import find_student
from edgedistil.search.stages import open_stages
from edgedistil_runtime.errors import BudgetError, DataError, OutputError

from .benchmark import SHORT

pytestmark = pytest.mark.training


def test_no_student_within_names_the_nearest_and_keeps_what_was_made(found, data, settings, more, trainings):
    strict = replace(settings, students=settings.students[1:])
    with pytest.raises(BudgetError) as refused:
        find_student(data, strict, found, unlabelled=more, benchmark=SHORT)
    message = str(refused.value)
    assert "Nearest in the budget: narrow.pruned.int8.tflite, 0." in message
    assert "points below the teacher" in message and "`within`" in message and "stages" in message
    assert trainings == []
    assert not (found / "model.tflite").exists() and not (found / "preset").exists()
    record = read_record(found)
    assert record.chosen is None and record.chosen_file is None
    assert "No student is within" in (found / "report.html").read_text()


def test_a_budget_below_all_layers_is_refused_before_any_training(data, settings, tmp_path, trainings):
    with pytest.raises(BudgetError, match=r"the layers of narrow, the smallest, need 0.00 MB .* Raise `budget_mb`"):
        find_student(data, replace(settings, budget_mb=0.001), tmp_path / "new")
    assert trainings == []
    assert not (tmp_path / "new").exists()


def test_students_that_cannot_be_small_enough_are_not_trained(found, data, settings, more, trainings):
    small = replace(settings, budget_mb=0.015, students=(*settings.students,))
    with pytest.raises(BudgetError, match=r"same was not trained: its layers need 0.02 MB"):
        find_student(data, small, found, unlabelled=more, benchmark=SHORT)
    assert [one.name for one in read_record(found).skipped] == ["same"]


def test_a_refused_conversion_is_recorded(found, data, settings, more, monkeypatch):
    from edgedistil_runtime.errors import ParityError

    def refuse(*_):
        raise ParityError("labels differ")

    monkeypatch.setattr(making, "convert_preset", refuse)
    with pytest.raises(BudgetError, match="narrow.pruned.fp16.tflite was refused: labels differ"):
        find_student(data, replace(settings, schemes=("fp16",)), found, unlabelled=more, benchmark=SHORT)
    assert [one.reason for one in read_record(found).refused] == ["labels differ"] * 2


def test_a_teacher_with_other_labels_is_refused(data, settings, tmp_path):
    labels = tuple("heating" if label == "weather" else label for label in data.training.labels)
    other = TrainingData(LabelledTexts(data.training.texts, labels))
    with pytest.raises(DataError, match="`teacher`.*without 'heating' and with also 'weather'"):
        find_student(other, settings, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_texts_in_another_language_are_named(found, data, settings):
    german = ("schalte das licht im flur bitte wieder ein", "spiele etwas von bach und dann von mozart")
    warnings = []
    workshop = making.Workshop(
        data, german, settings, open_stages(found), name="found", say=lambda _: None, warn=warnings.append
    )
    assert workshop.answers(0).texts["unlabelled"] == 2
    [warning] = warnings
    assert "of the words of the unlabelled texts" in warning and "another language" in warning


def test_two_searches_in_one_directory_are_refused(found, data, settings):
    from edgedistil_converters.files import sole_use

    with sole_use(found / "stages"), pytest.raises(OutputError, match="Another search is running"):
        find_student(data, settings, found)


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.pop("chosen"),
        lambda record: record.update(more=1),
        lambda record: record.update(schema_version=2),
        lambda record: record.update(chosen="other.tflite"),
        lambda record: record.update(chosen=1),
        lambda record: record["settings"].update(budget_mb="1"),
        lambda record: record["settings"].update(within=-1),
        lambda record: record["settings"].update(students="tiny"),
        lambda record: record["files"][0].update(size=1.5),
        lambda record: record["files"][0].update(is_pruned=1),
        lambda record: record["students"][0]["pruned"].update(vocabulary=True),
        lambda record: record["texts"].update(training=None),
        lambda record: record["teacher"].pop("test_accuracy"),
    ],
)
def test_a_record_of_another_schema_is_refused(found, change):
    path = found / "distillation.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    with pytest.raises(DataError, match="no record of a search"):
        read_record(found)

"""A search in the directory of an earlier one: what is read, what is made again, what an interruption leaves."""

import json
import shutil
from dataclasses import replace

import pytest

from edgedistil.data import LabelledTexts
from edgedistil.search import making, run
from edgedistil.search.digests import file_digest
from edgedistil.search.record import read_record
from edgedistil.search.run import find_student

from .benchmark import SHORT

pytestmark = pytest.mark.training


def test_a_second_call_reads_what_is_there(found, data, settings, more, monkeypatch):
    monkeypatch.setattr(run, "measure", None)  # would fail
    assert find_student(data, settings, found, unlabelled=more) == read_record(found)


def test_unlabelled_texts_that_are_all_in_the_data_are_named(found, data, settings, monkeypatch):
    monkeypatch.setattr(run, "_make", lambda *_: 1 / 0)
    warnings = []
    with pytest.raises(ZeroDivisionError):
        find_student(data, settings, found, unlabelled=data.training.texts[:2], on_warning=warnings.append)
    assert warnings == ["None of the 2 texts without labels is used: all are in the data, or repeated"]


def test_another_tolerance_chooses_among_the_students_that_are_there(found, data, settings, more, trainings):
    record = find_student(data, replace(settings, within=100), found, unlabelled=more, benchmark=SHORT)
    assert trainings == []
    assert record.chosen == "narrow.pruned.int8.tflite"
    assert file_digest(found / "model.tflite") == record.chosen_file.sha256
    assert json.loads((found / "preset" / "config.json").read_text())["config"]["hidden_dim"] == 16


def test_other_test_data_change_no_choice_and_no_student(found, data, settings, more, trainings):
    wrong = replace(data, test=LabelledTexts(("play music", "raining"), ("weather", "music")))
    before = read_record(found)
    record = find_student(wrong, settings, found, unlabelled=more, benchmark=SHORT)
    assert trainings == []
    assert record.chosen == before.chosen and record.test_accuracy != before.test_accuracy


def test_other_texts_make_students_again_and_no_teacher(found, data, settings, trainings):
    teacher = (found / "stages" / "teacher" / "config.json").stat().st_mtime_ns
    find_student(data, replace(settings, students=settings.students[:1]), found, benchmark=SHORT)
    assert trainings == ["same"]
    assert (found / "stages" / "teacher" / "config.json").stat().st_mtime_ns == teacher


def test_an_interrupted_search_goes_on_and_ends_alike(found, data, settings, more, monkeypatch, trainings):
    """Ctrl-C after the first epoch of the second student: the first one is kept, and so is that epoch."""
    before = {file.name: file.sha256 for file in read_record(found).files}
    stages = found / "stages"
    for path in (stages / "narrow", stages / "narrow.pruned", found / "preset"):
        shutil.rmtree(path)
    for path in (*stages.glob("narrow*"), *(path for path in found.iterdir() if path.is_file())):
        path.unlink()
    stop = making.ProgressReporter.on_epoch_end

    def interrupt(self, epoch, logs=None):
        stop(self, epoch, logs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(making.ProgressReporter, "on_epoch_end", interrupt)
        with pytest.raises(KeyboardInterrupt):
            find_student(data, settings, found, unlabelled=more, benchmark=SHORT)
    assert sorted(path.name for path in found.iterdir()) == ["stages"]
    assert not (stages / "narrow").exists()
    assert (stages / "narrow.training.npz").exists()
    assert not [path for path in found.rglob("*") if path.name.startswith(".")]

    find_student(data, settings, found, unlabelled=more, benchmark=SHORT)
    assert trainings == ["narrow", "narrow"]
    assert not (stages / "narrow.training.npz").exists()
    assert {file.name: file.sha256 for file in read_record(found).files} == before


def test_an_interruption_while_measuring_leaves_no_result(found, data, settings, more, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(run, "write_page", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            find_student(data, replace(settings, within=100), found, unlabelled=more, benchmark=SHORT)
    assert not (found / "distillation.json").exists()  # it would not be that of model.tflite
    find_student(data, settings, found, unlabelled=more, benchmark=SHORT)
    assert file_digest(found / "model.tflite") == read_record(found).chosen_file.sha256

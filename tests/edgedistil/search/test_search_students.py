"""How students are made: the ablation, a file as the teacher, the number of new texts."""

import json
from dataclasses import replace

import numpy as np
import pytest

from edgedistil.search import making
from edgedistil.search.page import step_rows
from edgedistil.search.record import read_record
from edgedistil.search.run import find_student
from edgedistil.search.stages import open_stages
from edgedistil.search.starts import read_starts
from edgedistil_runtime import TextClassifier

from .benchmark import SHORT

pytestmark = pytest.mark.training


def test_the_ablation_trains_the_chosen_student_on_less(found, data, settings, more, monkeypatch):
    learned = {}
    train = making.Workshop._train

    def note(self, start, name, digest, training, ask):
        if name == "same":
            return train(self, start, name, digest, training, ask)  # which is there
        answers = ask()
        learned[name] = dict(answers.texts) if answers else None
        return making.Made(found, digest, {"accuracy": 0.5 + len(learned) / 10})

    monkeypatch.setattr(making.Workshop, "_train", note)
    with_arms = replace(settings, has_ablation=True, students=settings.students[:1])
    record = find_student(data, with_arms, found, unlabelled=more, benchmark=SHORT)
    assert learned == {"same.labels": None, "same.teacher": {"training": 48, "unlabelled": 0, "augmented": 0}}
    assert [(arm.name, arm.accuracy) for arm in record.arms] == [("labels only", 0.6), ("and the teacher", 0.7)]
    rows = list(step_rows(record))
    assert [name for name, *_ in rows][1:4] == ["same, labels only", "same, and the teacher", "same"]
    assert rows[2][3] == pytest.approx(10) and rows[3][3] == pytest.approx(100 * (rows[3][2] - 0.7))


def test_a_file_is_a_teacher(presets, data, settings, tmp_path, trainings):
    from edgedistil.presets.loading import load_classifier
    from edgedistil_converters import QuantizationPlan, convert_classifier

    file, labels = tmp_path / "big.tflite", ("lights", "music", "weather")
    convert_classifier(load_classifier(presets / "teacher"), labels, file, plan=QuantizationPlan("int8"))
    of_file = replace(settings, teacher=str(file), students=settings.students[:1])
    record = find_student(data, of_file, tmp_path / "new", benchmark=SHORT)
    assert trainings == ["same"]
    assert (record.teacher.name, record.teacher.is_fine_tuned) == ("big.tflite", False)
    assert record.teacher.weight_bytes == file.stat().st_size
    assert record.teacher.test_accuracy in (0, 0.5, 1)
    assert (tmp_path / "new" / "stages" / "teacher.tflite").read_bytes() == file.read_bytes()
    assert {one.name for one in record.files} == {"same.pruned.int8.tflite"}
    taught = json.loads((tmp_path / "new" / "stages" / "same" / "training.json").read_text())["teacher"]
    assert taught["name"] == "big.tflite"
    with TextClassifier(file) as classifier:
        given = [answer.label for answer in classifier.classify_batch(data.validation.texts)]
    right = pytest.approx(np.mean(np.array(given) == np.array(data.validation.labels)))
    assert record.teacher.accuracy == right
    assert taught["metrics"]["validation"]["accuracy"] == right
    find_student(data, replace(of_file, within=6), tmp_path / "new", benchmark=SHORT)
    assert trainings == ["same"]


def test_another_number_of_new_texts_is_tried_beside_the_one_that_is_there(found, data, settings, more, trainings):
    several = replace(settings, students=settings.students[:1], augmented_per_text=(1, 0))
    record = find_student(data, several, found, unlabelled=more, benchmark=SHORT)
    assert trainings == ["same.augment1"]
    [student] = record.students
    accuracies = {}
    for folder in ("same", "same.augment1"):
        training = json.loads((found / "stages" / folder / "training.json").read_text())
        accuracies[int(training["teacher"]["texts"]["augmented"] > 0)] = training["metrics"]["validation"]["accuracy"]
    assert {one.augmented_per_text: one.accuracy for one in student.tried} == accuracies
    assert student.accuracy == max(accuracies.values()) == accuracies[student.augmented_per_text]
    assert [one.augmented_per_text for one in student.tried] == [0, 1]
    page = (found / "report.html").read_text(encoding="utf-8")
    assert "New texts for each training text" in page and "kept" in page
    assert record == read_record(found)
    find_student(data, replace(several, augmented_per_text=1), found, unlabelled=more, benchmark=SHORT)
    assert trainings == ["same.augment1"]  # it is used again, under the name that it has


@pytest.mark.parametrize(
    ("accuracies", "kept"),
    [({0: 0.5, 2: 0.7, 4: 0.6}, 2), ({0: 0.5, 2: 0.7, 4: 0.7}, 2), ({0: 0.7, 2: 0.7, 4: 0.7}, 0)],
)
def test_the_best_number_of_new_texts_is_kept_and_the_fewest_of_equal_ones(
    found, data, settings, monkeypatch, accuracies, kept
):
    numbers = replace(settings, augmented_per_text=tuple(accuracies)[::-1])
    workshop = making.Workshop(
        data, (), numbers, open_stages(found), name="found", say=lambda _: None, warn=lambda _: None
    )
    names = []

    def train(self, start, name, digest, training, ask):
        names.append(name)
        return making.Made(found / name, digest, {"accuracy": accuracies[int(name[-1])]})

    monkeypatch.setattr(making.Workshop, "_train", train)
    [start, _] = read_starts(settings.students)
    student = workshop.student(start)
    assert names == ["same.augment0", "same.augment2", "same.augment4"]
    assert (student.augmented_per_text, student.made.path.name) == (kept, f"same.augment{kept}")
    assert student.tried == accuracies

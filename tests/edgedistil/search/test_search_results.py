"""What a search writes: the smallest file within the limits, its preset, the record and the page."""

import json

import numpy as np
import pytest

from edgedistil.search.digests import file_digest
from edgedistil.search.page import step_rows
from edgedistil.search.record import read_record
from edgedistil.search.starts import StudentStart, read_starts
from edgedistil_runtime import TextClassifier

pytestmark = pytest.mark.training


def test_the_smallest_file_within_the_limits_is_written(made, data):
    record = read_record(made)
    files = {file.name: file for file in record.files}
    assert files.keys() == {"same.pruned.int8.tflite", "narrow.pruned.int8.tflite"}
    assert files["narrow.pruned.int8.tflite"].size < files["same.pruned.int8.tflite"].size
    assert record.limits.gap(files["narrow.pruned.int8.tflite"].candidate) > 5  # random weights and two epochs
    assert record.chosen == "same.pruned.int8.tflite"
    chosen = record.chosen_file
    assert file_digest(made / "model.tflite") == chosen.sha256
    assert (made / "model.tflite").stat().st_size == chosen.size
    with TextClassifier(made / "model.tflite") as classifier:
        given = [answer.label for answer in classifier.classify_batch(data.validation.texts)]
    assert np.mean(np.array(given) == np.array(data.validation.labels)) == pytest.approx(chosen.accuracy)
    assert 0 < chosen.ms < 100


def test_the_preset_of_the_file_is_beside_it(made):
    from edgedistil.presets.loading import load_labelled_classifier

    record = read_record(made)
    [student] = [one for one in record.students if one.name == "same"]
    trained = load_labelled_classifier(made / "preset")
    assert trained.labels == ("lights", "music", "weather")
    assert trained.classifier.backbone.vocabulary_size == student.pruned.vocabulary < 60 < student.vocabulary
    training = json.loads((made / "preset" / "training.json").read_text())
    assert training["vocabulary_pruning"]["vocabulary_after"] == student.pruned.vocabulary
    assert training["teacher"]["texts"] == {"training": 48, "unlabelled": 3, "augmented": 0}
    assert training["parameters"] == student.pruned.parameters == trained.classifier.count_params()


def test_counts_and_test_data_are_reported(made):
    record = read_record(made)
    assert record.texts == {"training": 48, "validation": 12, "test": 2, "unlabelled": 3, "left_out": 2}
    assert record.teacher.name == "teacher" and not record.teacher.is_fine_tuned
    assert record.teacher.test_accuracy in (0, 0.5, 1) and record.test_accuracy in (0, 0.5, 1)
    assert "/" not in record.settings.teacher + "".join(record.settings.students)


def test_the_page_has_the_choice_and_the_steps(made):
    page = (made / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") > 4
    for words in ("The choice", "What each step bought", "chosen", "same, fewer pieces", "Accuracy against file size"):
        assert words in page, words
    assert "<script" not in page


def test_steps_are_compared_with_what_they_were_made_from(made):
    record = read_record(made)
    rows = {name: (size, accuracy, change) for name, size, accuracy, change in step_rows(record)}
    assert list(rows)[:4] == ["teacher", "same", "same, fewer pieces", "same.pruned.int8"]
    assert rows["narrow"][2] == pytest.approx(100 * (rows["narrow"][1] - rows["teacher"][1]))
    assert rows["narrow.pruned.int8"][2] == pytest.approx(
        100 * (rows["narrow.pruned.int8"][1] - rows["narrow, fewer pieces"][1])
    )


def test_sizes_are_a_lower_bound_of_files(made, presets):
    record = read_record(made)
    for start in read_starts((str(presets / "same"), str(presets / "narrow"))):
        sizes = [file.size for file in record.files if file.student == start.name]
        assert 0 < start.least_bytes(("int8",)) < min(sizes)
    assert StudentStart("tiny", "tiny").least_bytes(("int4",)) == 196608

"""A teacher's answers in files of `edgedistil predict`, beside the teacher itself."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from edgedistil.cli import main
from edgedistil.data import LabelledTexts, MultiLabelTexts, MultiLabelTrainingData, TrainingData
from edgedistil.distillation.answer_files import read_teacher_answers
from edgedistil.distillation.file_teacher import FileTeacher
from edgedistil.training.keras_outputs import softmax
from edgedistil_runtime.errors import DataError

from .test_file_teacher import SMALL, file, files  # noqa: F401  (fixtures)

pytestmark = pytest.mark.training

DATA = TrainingData(LabelledTexts(("on", "off"), ("a", "b")), LabelledTexts(("dim",), ("a",)))
HEADER = "text,label,score,label_2,score_2,is_truncated"


def invoke(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def write(folder, *rows, name="answers.csv", header=HEADER):
    path = folder / name
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_answers_of_predict_are_those_of_the_teacher(file, csv_file, texts, tmp_path, suffix):  # noqa: F811
    output = tmp_path / f"answers.{suffix}"
    done = invoke("predict", file, "--input", csv_file, "-o", output, "--top", 99, "--column-prefix", "teacher_")
    assert done.exit_code == 0, done.output
    data = TrainingData(LabelledTexts(texts.texts[3:], texts.labels[3:]))
    answers = read_teacher_answers([output], data)
    expected = FileTeacher(file).logits(texts.texts, data.labels)
    np.testing.assert_allclose(answers.soft_targets.logits, expected[3:], atol=1e-4)
    assert answers.soft_targets.more_texts == texts.texts[:3]
    np.testing.assert_allclose(answers.soft_targets.more_logits, expected[:3], atol=1e-4)
    assert answers.to_dict()["texts"] == {"training": 12, "unlabelled": 3, "augmented": 0}
    assert answers.to_dict()["unlabelled_files"][0]["rows"] == 15


def test_several_files_repeated_and_held_out_texts(tmp_path):
    first = write(tmp_path, "on,a,0.8,b,0.2,false", "dim,b,0.7,a,0.3,false", ",,,,,", "on,b,1,a,0,false")
    header = "query,p_label,p_score,p_label_2,p_score_2,p_is_truncated".replace("query", "text")
    second = write(tmp_path, "off,b,0.9,a,0.1,false", "new,a,0.6,b,0.4,false", name="more.csv", header=header)
    answers = read_teacher_answers([first, second], DATA)
    np.testing.assert_allclose(softmax(answers.soft_targets.logits), [[0.8, 0.2], [0.1, 0.9]], atol=1e-6)
    assert answers.soft_targets.more_texts == ("new",)  # a validation text is not learned
    assert answers.left_out == 1
    assert answers.validation["accuracy"] == 0
    assert [one["rows"] for one in answers.files] == [3, 2]


def test_fewer_labels_share_what_is_left(tmp_path):
    data = TrainingData(LabelledTexts(("on", "off", "x", "y"), ("a", "b", "c", "d")))
    rows = [f"{text},a,0.7,b,0.2,false" for text in data.training.texts]
    found = softmax(read_teacher_answers([write(tmp_path, *rows)], data).soft_targets.logits)
    np.testing.assert_allclose(found, [[0.7, 0.2, 0.05, 0.05]] * 4, atol=1e-6)


def test_several_labels(tmp_path):
    data = MultiLabelTrainingData(MultiLabelTexts(("on", "off"), (("a", "b"), ("b",))))
    rows = ('on,"[""a""]",a,0.8,b,0.4,false', 'off,"[]",b,0.3,a,0.1,false')
    found = read_teacher_answers([write(tmp_path, *rows, header="text,labels" + HEADER[4:])], data).soft_targets.logits
    np.testing.assert_allclose(1 / (1 + np.exp(-found)), [[0.8, 0.4], [0.1, 0.3]], atol=1e-6)


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        (HEADER, ["on,a,0.8,b,0.2,false"], "has no answer to 1 of 2: 'off'. Label the training data too"),
        ("text,label", ["on,a", "off,b"], "must have the answers of one teacher .* Received: the columns text, label"),
        (HEADER + ",x_is_truncated", ["on,a,0.8,b,0.2,false,true"], "the answers of one teacher"),
        ("text,label,score,is_truncated", ["on,a,0.8,false"], "write it with `top` 2. Received: 1 in each row"),
        (HEADER, ["on,a,0.8,c,0.2,false"], "row 2: a teacher .* must have the labels .* Received: 'c'"),
        (HEADER, ["on,a,1.8,b,0.2,false"], "row 2: a score is a number from 0 to 1. Received: '1.8' in score"),
        (HEADER, ["on,a,much,b,0.2,false"], "Received: 'much' in score"),
        ("text,labels" + HEADER[4:], ["on,a,a,1,b,0,false"], "must give a text one label"),
    ],
)
def test_refused(header, rows, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read_teacher_answers([write(tmp_path, *rows, header=header)], DATA)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--teacher", "big"], "leave out --teacher"),
        (["--augment", "2"], "leave out --augment"),
        (["--vector-loss", "1"], "leave out --vector-loss"),
        (["--from-teacher", "2x16"], "--from-teacher needs --teacher"),
    ],
)
def test_what_needs_the_teacher_itself_is_refused(more, message, csv_file, tmp_path):
    answers = write(tmp_path, "on,a,0.8,b,0.2,false")
    done = invoke("train", "--train-data", csv_file, "-o", tmp_path / "out", "--teacher-answers", answers, *more)
    assert done.exit_code == 2
    assert message in done.output


def test_a_student_of_answers_is_that_of_the_teacher(file, csv_file, tmp_path):  # noqa: F811
    answers = tmp_path / "answers.parquet"
    invoke("predict", file, "--input", csv_file, "-o", answers, "--top", 3, "--column-prefix", "teacher_")
    command = ("train", *SMALL, "--train-data", csv_file, "--json", "--temperature", "2")
    done = [
        invoke(*command, "-o", tmp_path / name, flag, value)
        for name, flag, value in (("one", "--teacher", file), ("two", "--teacher-answers", answers))
    ]
    assert [one.exit_code for one in done] == [0, 0], done[1].output
    asked, read = (json.loads((tmp_path / name / "training.json").read_text("utf-8")) for name in ("one", "two"))
    assert read["history"][0]["loss"] == pytest.approx(asked["history"][0]["loss"], abs=1e-5)
    assert read["teacher"]["name"] == "answers.parquet"

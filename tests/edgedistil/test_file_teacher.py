"""A `.tflite` file as a teacher: its answers beside those of the classifier that it was converted from."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from edgedistil.cli import main
from edgedistil.data import MultiLabelTexts, MultiLabelTrainingData, TrainingData
from edgedistil.distillation.answer_cache import AnswerCache
from edgedistil.distillation.file_teacher import FileTeacher, logits_of
from edgedistil.distillation.soft_targets import ask_teacher
from edgedistil.distillation.teacher import Teacher
from edgedistil.presets.loading import LabelledClassifier
from edgedistil.training.keras_outputs import softmax
from edgedistil_runtime.errors import ArtifactError, DataError

pytestmark = pytest.mark.training

LABELS = ("lights", "music", "weather")
SMALL = (
    *("--from-scratch", "tiny", "--num-layers", "1", "--hidden-dim", "16", "--num-heads", "2", "--epochs", "1"),
    *("--intermediate-dim", "16", "--vocabulary-size", "150", "--batch-size", "8", "--sequence-length", "12"),
)


@pytest.fixture(scope="module")
def files(tmp_path_factory, make_tiny_classifier, texts):
    """Two fp32 files of the tiny classifier: as it is, and with calibrated scores."""
    from edgedistil_converters import QuantizationPlan, calibrate_scores, convert_classifier
    from edgedistil_converters.convert import ConversionOptions, convert_prepared
    from edgedistil_converters.preparation.prepared import PreparedClassifier

    folder = tmp_path_factory.mktemp("files")
    classifier = make_tiny_classifier()
    convert_classifier(classifier, LABELS, folder / "big.tflite", plan=QuantizationPlan("fp32"))
    numbers = [LABELS.index(label) for label in texts.labels]
    prepared = calibrate_scores(PreparedClassifier(classifier, LABELS, "calibrated"), texts.texts * 12, numbers * 12)
    convert_prepared(prepared, ConversionOptions(plan=QuantizationPlan("fp32")), folder / "calibrated.tflite")
    return folder


@pytest.fixture(scope="module")
def file(files):
    return files / "big.tflite"


@pytest.fixture(scope="module")
def keras_teacher(tiny_classifier):
    return Teacher(LabelledClassifier(tiny_classifier, LABELS, "big", "big"))


def centred(logits):
    return logits - logits.mean(axis=1, keepdims=True)


def test_answers_are_those_of_the_classifier_up_to_a_number_for_each_text(file, keras_teacher, texts):
    order = ("weather", "lights", "music")
    given = Teacher.load(file).logits(texts.texts, order)
    expected = keras_teacher.logits(texts.texts, order)
    np.testing.assert_allclose(given, centred(expected), atol=2e-3)
    np.testing.assert_allclose(softmax(given), softmax(expected), atol=2e-4)


def test_probabilities_of_0_have_finite_logits():
    probabilities = np.array([[0.0, 1.0, 0.0], [0.25, 0.25, 0.5]], "float32")
    logits = logits_of(probabilities)
    assert np.isfinite(logits).all()
    np.testing.assert_allclose(softmax(logits), probabilities, atol=1e-6)


def test_the_temperature_of_a_calibrated_file_is_in_its_answers(files, texts):
    plain, calibrated = (FileTeacher(files / f"{name}.tflite") for name in ("big", "calibrated"))
    assert plain.calibration == 1 and calibrated.calibration != pytest.approx(1, abs=0.05)
    expected = plain.logits(texts.texts, LABELS) / calibrated.calibration
    np.testing.assert_allclose(calibrated.logits(texts.texts, LABELS), expected, atol=5e-3)
    data = TrainingData.prepare(texts, validation_fraction=0.2)
    answers = ask_teacher(calibrated, data)
    assert answers.to_dict()["calibration"] == calibrated.calibration
    assert f"temperature {calibrated.calibration:.3g}" in str(answers)
    assert "calibration" not in ask_teacher(plain, data).to_dict()


def test_a_long_text_is_answered_by_all_of_its_pieces(file):
    long = " ".join(["turn the light on"] * 4 + ["is it raining ?"] * 3)
    [cut], [whole] = (Teacher.load(file, long_texts=way).logits([long], LABELS) for way in ("cut", "windows"))
    assert np.abs(cut - whole).max() > 1e-3


def test_words_are_counted_as_in_keras(file, keras_teacher):
    texts = ["turn the lights on", "включи свет !", "louder music", "play music " * 20]
    assert FileTeacher(file).coverage(texts) == keras_teacher.coverage(texts)
    assert FileTeacher(file).coverage(texts).unknown == 2


def test_answers_are_kept_for_this_file_and_way(file, files, texts, tmp_path, monkeypatch):
    cache, asked = AnswerCache(tmp_path), []
    answer = FileTeacher._answer

    def count(self, some, kind):
        asked.append(len(some))
        return answer(self, some, kind)

    monkeypatch.setattr(FileTeacher, "_answer", count)
    first = FileTeacher(file).logits(texts.texts, LABELS, cache=cache)
    again = FileTeacher(file, name="other").logits(texts.texts, LABELS[::-1], cache=cache)
    np.testing.assert_array_equal(again, first[:, ::-1])
    assert asked == [15]
    FileTeacher(files / "calibrated.tflite").logits(texts.texts, LABELS, cache=cache)
    FileTeacher(file, long_texts="windows").logits(texts.texts, LABELS, cache=cache)
    assert asked == [15, 15, 15]


def test_what_cannot_teach_is_refused(file, artifact, texts, tmp_path):
    data = TrainingData.prepare(texts, validation_fraction=0.2)
    teacher = FileTeacher(file)
    with pytest.raises(DataError, match=r"`vector_loss` needs .* Received: big.tflite. Pass the directory"):
        ask_teacher(teacher, data, has_vectors=True)
    with pytest.raises(DataError, match=r"`hidden_loss` needs .* Received: big.tflite. Pass the directory"):
        ask_teacher(teacher, data, hidden_layers=2)
    with pytest.raises(DataError, match=r"Received: big.tflite, without 'heating' and with also 'weather'"):
        teacher.logits(["play music"], ("heating", "lights", "music"))
    with pytest.raises(DataError, match=r"`teacher`.*Received: ids.tflite, which takes token ids"):
        Teacher.load(artifact("ids.tflite", kind="none"))
    with pytest.raises(ArtifactError, match="no.tflite"):
        Teacher.load(tmp_path / "no.tflite")
    (tmp_path / "text.tflite").write_text("no model")
    with pytest.raises(ArtifactError, match="text.tflite"):
        Teacher.load(tmp_path / "text.tflite")


def test_a_file_for_several_labels(make_tiny_classifier, texts, tmp_path):
    from edgedistil_converters import QuantizationPlan, convert_classifier
    from edgedistil_converters.model.keras_logits import keras_logits

    path = tmp_path / "tags.tflite"
    classifier = make_tiny_classifier(activation="sigmoid")
    convert_classifier(classifier, LABELS, path, plan=QuantizationPlan("fp32"), thresholds=(0.2, 0.5, 0.7))
    teacher = Teacher.load(path)
    logits = teacher.logits(texts.texts, LABELS[::-1])
    due = keras_logits(classifier, texts.texts)[:, ::-1]
    np.testing.assert_allclose(logits, due, atol=1e-3)
    assert teacher.thresholds_of(LABELS[::-1]) == (0.7, 0.5, 0.2)
    with pytest.raises(DataError, match=r"must give a text one label.*tags.tflite, which gives any number of labels"):
        ask_teacher(teacher, TrainingData(texts))
    sets = MultiLabelTexts(texts.texts, tuple(LABELS[: number % 4] for number in range(len(texts))))
    answers = ask_teacher(teacher, MultiLabelTrainingData(sets, sets))
    assert answers.soft_targets.logits.shape == (len(texts), 3) and "micro_f1" in answers.validation


# The command


def train(*arguments):
    return CliRunner().invoke(main, ["train", *map(str, arguments)])


def test_a_student_is_trained_on_the_answers_of_a_file(file, csv_file, tmp_path):
    student = tmp_path / "student"
    done = train(*SMALL, "--train-data", csv_file, "--teacher", file, "--augment", 1, "-o", student, "--json")
    assert done.exit_code == 0, done.stderr
    teacher = json.loads((student / "training.json").read_text())["teacher"]
    assert teacher == json.loads(done.stdout.splitlines()[-1])["teacher"]
    assert teacher["name"] == "big.tflite" and teacher["sha256"] == FileTeacher(file).digest
    assert teacher["texts"]["training"] == 15 and teacher["texts"]["augmented"] > 0
    assert list((tmp_path / ".teacher_answers").iterdir())


def test_the_command_names_flags(file, csv_file, tmp_path):
    given = ("--train-data", csv_file, "--teacher", file, "-o", tmp_path / "student")
    done = train(*SMALL, *given, "--vector-loss", 0.2)
    assert done.exit_code == 1
    assert "--vector-loss needs what is computed inside a teacher" in done.stderr and "as --teacher" in done.stderr
    done = train("--from-teacher", "1x16", *given)
    assert done.exit_code == 2
    assert "--from-teacher needs the directory that the file was converted from" in done.stderr

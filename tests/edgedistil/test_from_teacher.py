"""A student that starts from its teacher: by the library and by `edgedistil train --from-teacher`."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from edgedistil.cli import main
from edgedistil.data import TrainingData
from edgedistil.distillation.from_teacher import from_teacher
from edgedistil.distillation.soft_targets import ask_teacher
from edgedistil.distillation.teacher import Teacher
from edgedistil.presets.loading import LabelledClassifier, load_labelled_classifier
from edgedistil.training import FROM_SCRATCH
from edgedistil.training.batches import tokenize
from edgedistil.training.network import Evaluator, TrainingNetwork
from edgedistil.training.pooling import has_mean_pooling, with_mean_pooling
from edgedistil.training.start import with_new_head
from edgedistil_runtime.errors import PresetError

pytestmark = pytest.mark.training

SETTINGS = replace(FROM_SCRATCH, sequence_length=16)
LABELS = ("lights", "music", "weather")


@pytest.fixture(scope="module")
def data(texts):
    return TrainingData.prepare(texts)


def answers_of(classifier, data):
    return ask_teacher(Teacher(LabelledClassifier(classifier, LABELS, "tiny", "tiny")), data)


def features(classifier, texts):
    pieces = np.arange(classifier.backbone.vocabulary_size)
    return Evaluator(TrainingNetwork(classifier, pieces)).features(tokenize(classifier.preprocessor, texts))


def test_a_student_as_large_as_its_teacher_has_its_outputs(tiny_classifier, data):
    student = from_teacher(tiny_classifier, (2, 16), data, SETTINGS, answers_of(tiny_classifier, data))
    texts = data.training.texts
    np.testing.assert_allclose(features(student, texts), features(tiny_classifier, texts), atol=1e-4)


def test_the_new_head_is_fitted_to_the_teachers_answers(tiny_classifier, data):
    answers = answers_of(tiny_classifier, data)
    student = from_teacher(tiny_classifier, (2, 16), data, replace(SETTINGS, teacher_share=1.0), answers)
    given = student.predict(list(data.training.texts), verbose=0).argmax(axis=1)
    assert (given == answers.soft_targets.logits.argmax(axis=1)).mean() > 0.9


def test_the_layer_of_the_pooling_is_made_anew(tiny_classifier, data):
    """It averages in the student's width; cut from the teacher's layer it would not."""
    encoder = with_mean_pooling(tiny_classifier.backbone)
    teacher = with_new_head(encoder, tiny_classifier.preprocessor, data, SETTINGS)
    student = from_teacher(teacher, (1, 8), data, SETTINGS, answers_of(teacher, data))
    assert (student.backbone.num_layers, student.backbone.hidden_dim, student.backbone.num_heads) == (2, 8, 1)
    assert has_mean_pooling(student.backbone)
    assert student.backbone.intermediate_dim == 16


def test_the_number_of_pieces_can_be_given(tiny_classifier, data):
    answers = answers_of(tiny_classifier, data)
    student = from_teacher(tiny_classifier, (1, 8), data, SETTINGS, answers, vocabulary_size=15)
    assert student.backbone.vocabulary_size == 15 == student.preprocessor.tokenizer.vocabulary_size()


@pytest.mark.parametrize(
    ("size", "changes", "message"),
    [
        ((3, 16), {}, "`from_teacher`.* at most that of its teacher, 2x16. Received: 3x16"),
        ((2, 24), {}, "`from_teacher`.* at most that of its teacher, 2x16. Received: 2x24"),
        ((2, 12), {}, "`from_teacher`.* multiple of 8.* Received: 12"),
        ((2, 16), {"sequence_length": 17}, "at most its 16 positions.*`sequence_length`. Received: 17"),
    ],
)
def test_sizes_that_the_teacher_does_not_allow_are_refused(tiny_classifier, data, size, changes, message):
    answers = answers_of(tiny_classifier, data)
    with pytest.raises(PresetError, match=message):
        from_teacher(tiny_classifier, size, data, replace(SETTINGS, **changes), answers)


# The command


def train(csv_file, output, *options):
    arguments = ["train", "--train-data", str(csv_file), "-o", str(output), "--epochs", "1", "--sequence-length", "16"]
    return CliRunner().invoke(main, [*arguments, *map(str, options)])


def test_the_command_trains_a_student_of_its_teacher(csv_file, tmp_path, tiny_preset):
    result = train(csv_file, tmp_path / "student", "--teacher", tiny_preset, "--from-teacher", "1x8", "--json")
    assert result.exit_code == 0, result.output
    origin = json.loads((tmp_path / "student" / "training.json").read_text())["origin"]
    student = load_labelled_classifier(tmp_path / "student")
    pieces = student.classifier.backbone.vocabulary_size
    assert origin == {"from_teacher": "1x8", "preset": "tiny_preset", "vocabulary_size": pieces}
    assert (student.classifier.backbone.num_layers, student.classifier.backbone.hidden_dim) == (1, 8)
    settings = json.loads((tmp_path / "student" / "training.json").read_text())["settings"]
    assert settings["batch_size"] == FROM_SCRATCH.batch_size


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--from-teacher", "1x8"], 2, "--from-teacher needs --teacher"),
        (["--from-teacher", "1x8", "--from-scratch", "tiny"], 2, "Pass one of --preset"),
        (["--teacher", "TEACHER", "--from-teacher", "1x8", "--num-layers", "2"], 2, "--num-layers need --from-scratch"),
        (["--teacher", "TEACHER", "--from-teacher", "tiny"], 1, "--from-teacher) is LAYERSxWIDTH"),
        (["--teacher", "TEACHER", "--from-teacher", "1x9"], 1, "multiple of 8"),
        (["--teacher", "TEACHER", "--from-teacher", "9x8"], 1, "(--from-teacher) may be at most that of its teacher"),
    ],
)
def test_wrong_use_is_explained(csv_file, tmp_path, tiny_preset, options, status, message):
    given = [str(tiny_preset) if option == "TEACHER" else option for option in options]
    result = train(csv_file, tmp_path / "student", *given)
    assert result.exit_code == status
    assert message in " ".join(result.output.split())

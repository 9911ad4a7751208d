"""A teacher that gives texts any number of labels, and its students; `fit` on lists of labels."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from edgedistil.cli import main
from edgedistil.data import MultiLabelTexts, MultiLabelTrainingData, TrainingData
from edgedistil.distillation.augmentation import augment
from edgedistil.distillation.soft_targets import ask_teacher
from edgedistil.distillation.teacher import Teacher
from edgedistil.presets.loading import LabelledClassifier, load_labelled_classifier
from edgedistil.set_scores import score_label_sets
from edgedistil.training import FINE_TUNING, FROM_SCRATCH, TrainingSettings, fit
from edgedistil.training.keras_outputs import predict_probabilities
from edgedistil.training.loop import train
from edgedistil.training.objective import SoftTargets, head_targets, set_teacher_objective
from edgedistil.training.settings import multi_label_settings
from edgedistil.training.start import from_scratch
from edgedistil_runtime.errors import DataError, PresetError

from .test_multi_label_training import tagged, write_csv

pytestmark = pytest.mark.training

LABELS = ("lights", "music", "weather")
SMALL = ("--from-scratch", "tiny", "--vocabulary-size", "200", "--sequence-length", "16")


def run(*arguments, code=0):
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == code, done.output
    return done


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


def cross_entropy(targets, logits):
    return -(targets * np.log(sigmoid(logits)) + (1 - targets) * np.log(sigmoid(-logits))).sum(axis=-1)


@pytest.fixture(scope="module")
def data():
    return MultiLabelTrainingData.prepare(tagged(8), validation_fraction=0.2)


@pytest.fixture(scope="module")
def tagger(tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    path = write_csv(folder / "train.csv", tagged())
    run("train", "--train-data", path, "--label-separator", "|", *SMALL, "--epochs", 4, "-o", folder / "tagger")
    return folder / "tagger"


# The loss


@pytest.mark.parametrize("kind", ["kl", "mse"])
def test_the_loss_is_the_one_by_hand(kind):
    generator = np.random.default_rng(1)
    teacher, student = generator.normal(0, 3, (2, 4, 5))
    labels, share, temperature = (generator.random((3, 5)) < 0.4).astype(float), 0.7, 3.0
    settings = TrainingSettings(temperature=temperature, teacher_share=share, distillation_loss=kind)
    objective = set_teacher_objective(labels, teacher.astype("float32"), settings)
    soft = sigmoid(teacher / temperature)
    of_teacher = {
        "kl": temperature**2
        * (cross_entropy(soft, student / temperature) - cross_entropy(soft, teacher / temperature)),
        "mse": ((teacher - student) ** 2).sum(axis=1),
    }[kind]
    of_labels = np.append(cross_entropy(labels, student[:3]), 0)  # the last text has no labels to learn
    found = objective.loss.call(objective.targets, student.astype("float32"))
    np.testing.assert_allclose(found, share * of_teacher + (1 - share) * of_labels, rtol=1e-4)


def test_a_head_is_fitted_to_the_same_minimum():
    generator = np.random.default_rng(2)
    teacher, labels = generator.normal(0, 2, (3, 4)), (generator.random((2, 4)) < 0.5).astype(float)
    objective = set_teacher_objective(labels, teacher.astype("float32"), TrainingSettings(teacher_share=0.6))
    targets, weights = head_targets(objective, 0.6)

    def difference(student):
        loss = np.asarray(objective.loss.call(objective.targets, student.astype("float32")))
        return loss - weights * cross_entropy(targets, student)

    one, other = generator.normal(0, 2, (2, 3, 4))
    np.testing.assert_allclose(difference(one), difference(other), rtol=1e-4)  # the entropy of the teacher


def test_accuracy_counts_texts_with_known_labels_only():
    objective = set_teacher_objective(np.array([[1.0, 0.0], [0.0, 0.0]]), np.zeros((3, 2)), TrainingSettings())
    objective.accuracy.update_state(objective.targets, np.array([[2.0, -1.0], [2.0, -1.0], [-1.0, -1.0]]))
    assert float(objective.accuracy.result()) == 0.5


def test_a_student_learns_the_teachers_answers_and_not_the_labels():
    data = MultiLabelTrainingData(tagged(8))  # validation texts would choose the epoch that is most like the labels
    settings = replace(
        multi_label_settings(FROM_SCRATCH), epochs=6, sequence_length=16, batch_size=8, teacher_share=1.0
    )
    is_there = np.array([[label in labels for label in data.labels] for labels in data.training.label_sets])
    logits = np.where(is_there, -4, 4).astype("float32")  # the opposite of the labels
    classifier = from_scratch("tiny", data, settings, vocabulary=200)
    train(classifier, data, settings, soft_targets=SoftTargets(logits))
    probabilities = predict_probabilities(classifier, data.training.texts)
    assert score_label_sets(probabilities, (~is_there).astype("float32"), (0.5,) * 3)["micro_f1"] > 0.9


# The teacher


def test_answers_are_logits_and_scores_of_sets(tagger, data):
    teacher = Teacher.load(tagger)
    turned = MultiLabelTrainingData(data.training, data.validation)
    answers = ask_teacher(teacher, turned, unlabelled=["some music", data.validation.texts[0]], augmented_per_text=1)
    assert answers.left_out == 1 and answers.texts["augmented"] > 0
    trained = load_labelled_classifier(tagger)
    probabilities = predict_probabilities(trained.classifier, data.training.texts)
    np.testing.assert_allclose(sigmoid(answers.soft_targets.logits), probabilities, atol=1e-4)
    validation = predict_probabilities(trained.classifier, data.validation.texts)
    targets = np.array([[label in labels for label in LABELS] for labels in data.validation.label_sets])
    due = score_label_sets(validation, targets.astype("float32"), trained.thresholds)
    assert answers.validation == pytest.approx(due, abs=1e-4)
    assert "its micro-F1 on the validation data" in str(answers)


def test_thresholds_are_in_the_order_of_the_data(make_tiny_classifier):
    trained = LabelledClassifier(
        make_tiny_classifier(activation="sigmoid"), LABELS, "t", "t", thresholds=(0.2, 0.4, 0.6)
    )
    assert Teacher(trained).thresholds_of(("weather", "lights", "music")) == (0.6, 0.2, 0.4)


def test_a_teacher_of_the_other_kind_is_refused(tagger, tiny_preset, data, texts, make_tiny_classifier):
    with pytest.raises(DataError, match="any number of labels.*which gives one label.*`edgedistil train`"):
        ask_teacher(Teacher.load(tiny_preset), data)
    with pytest.raises(DataError, match="must give a text one label.*which gives any number of labels"):
        ask_teacher(Teacher.load(tagger), TrainingData.prepare(texts))
    with pytest.raises(PresetError, match="sigmoid outputs without thresholds"):
        Teacher(LabelledClassifier(make_tiny_classifier(activation="sigmoid"), LABELS, "t", "t"))
    with pytest.raises(DataError, match="without 'dance'"):
        ask_teacher(Teacher.load(tagger), MultiLabelTrainingData(MultiLabelTexts(("a",), (("dance", "music"),))))


def test_new_texts_are_made_of_texts_with_the_same_labels():
    texts = MultiLabelTexts(("a b c d", "e f g h", "i j k l"), (("x", "y"), ("y", "x"), ()))
    new = augment(texts, 20)
    assert any({*"abcd"} & {*text} and {*"efgh"} & {*text} for text in new)
    assert not any({*"ijkl"} & {*text} and {*"abcdefgh"} & {*text} for text in new)


# The command line, and Python


@pytest.mark.parametrize("start", [SMALL, ("--from-teacher", "1x64", "--sequence-length", "16")])
def test_a_student_is_trained_from_the_command_line(tagger, start, tmp_path):
    path = write_csv(tmp_path / "train.csv", tagged(10))
    more = tmp_path / "more.csv"
    more.write_text("text\nsome music and rain\nlights off\n")
    given = ("train", "--train-data", path, "--label-separator", "|", "--teacher", tagger, "--unlabelled", more)
    output = ("--validation-data", path, "-o", tmp_path / "student", "--json")
    done = run(*given, "--augment", 1, *start, "--epochs", 6, "--temperature", 2, "--vector-loss", 0.1, *output)
    printed = json.loads(done.stdout.splitlines()[-1])
    assert printed["teacher"]["metrics"]["validation"]["micro_f1"] > 0.9
    assert (printed["teacher"]["texts"]["training"], printed["teacher"]["texts"]["unlabelled"]) == (70, 2)
    assert printed["metrics"]["validation"]["micro_f1"] > 0.8
    loaded = load_labelled_classifier(tmp_path / "student")
    assert loaded.thresholds == tuple(printed["thresholds"].values())
    assert "Distilled from `tagger`" in (tmp_path / "student" / "README.md").read_text(encoding="utf-8")


def test_fit_takes_lists_of_labels(make_tiny_classifier):
    texts, settings = tagged(), TrainingSettings(epochs=2, sequence_length=12)
    result = fit(make_tiny_classifier(activation="sigmoid"), texts.texts, texts.label_sets, settings=settings)
    assert result.trained.labels == LABELS and all(0 < one < 1 for one in result.trained.thresholds)
    assert result.metrics["validation"]["micro_f1"] > 0.5
    lists = [list(labels) for labels in tagged(1).label_sets]
    validation = (tagged(1).texts, lists)
    result = fit(make_tiny_classifier(activation="sigmoid"), tagged(1).texts, lists, validation=validation)
    assert result.settings.monitor == "micro_f1" and result.settings.epochs == FINE_TUNING.epochs


@pytest.mark.parametrize(
    ("labels", "validation", "message"),
    [
        ([["music"], "lights"], None, "a list of labels for each. Received: both"),
        ([["music", "lights"], ["lights"]], (["a"], ["music"]), "`validation` must have lists"),
        ([["music"], ["lights"]], None, "ordinary classifier"),
    ],
)
def test_labels_that_do_not_fit(make_tiny_classifier, labels, validation, message):
    with pytest.raises(DataError, match=message):
        fit(make_tiny_classifier(activation="sigmoid"), ["a", "b"], labels, validation=validation)


def test_fit_needs_sigmoids_for_lists(make_tiny_classifier):
    with pytest.raises(PresetError, match="activation='sigmoid'"):
        fit(make_tiny_classifier(), tagged(1).texts, tagged(1).label_sets)


def test_distil_names_the_way_for_several_labels(tmp_path):
    path = tmp_path / "tags.jsonl"
    path.write_text('{"text": "a", "label": ["x", "y"]}\n{"text": "b", "label": ["y"]}\n')
    refused = run("distil", "--train-data", path, "--budget-mb", 1, "-o", tmp_path / "out", code=1).output
    assert "lists of labels" in refused and "edgedistil train --teacher" in refused
    assert not (tmp_path / "out").exists()

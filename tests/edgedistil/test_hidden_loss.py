"""A student whose inner layers learn those of its teacher."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from edgedistil.cli import main
from edgedistil.data import TrainingData
from edgedistil.distillation.answer_cache import AnswerCache
from edgedistil.distillation.soft_targets import ask_teacher
from edgedistil.distillation.teacher import Teacher
from edgedistil.presets.loading import LabelledClassifier
from edgedistil.sizes import BackboneSize
from edgedistil.training import FROM_SCRATCH, TrainingSettings
from edgedistil.training.batches import tokenize
from edgedistil.training.loop import train
from edgedistil.training.network import Evaluator, TrainingNetwork
from edgedistil.training.objective import SoftTargets
from edgedistil.training.pooling import with_mean_pooling
from edgedistil.training.start import from_scratch
from edgedistil_runtime.errors import DataError

pytestmark = pytest.mark.training

LABELS = ("lights", "music", "weather")
SIZE = BackboneSize(num_layers=2, hidden_dim=12, num_heads=2, intermediate_dim=24)
SETTINGS = replace(FROM_SCRATCH, epochs=10, batch_size=8, learning_rate=1e-2, sequence_length=12, dropout=0.0)
SMALL = (
    *("--from-scratch", "tiny", "--hidden-dim", "16", "--num-heads", "2", "--epochs", "1"),
    *("--intermediate-dim", "16", "--vocabulary-size", "150", "--batch-size", "8", "--sequence-length", "12"),
)


@pytest.fixture(scope="module")
def data(texts):
    return TrainingData.prepare(texts, validation_fraction=0.2)


@pytest.fixture(scope="module")
def teacher(tiny_classifier):
    return Teacher(LabelledClassifier(tiny_classifier, LABELS, name="big", source="big"))


@pytest.fixture(scope="module")
def soft_targets(teacher, data):
    words = sorted({word for text in data.training.texts for word in text.split()})
    generator = np.random.default_rng(0)
    more = [" ".join(generator.choice(words, 4)) for _ in range(80)]
    return ask_teacher(teacher, data, unlabelled=more, hidden_layers=2).soft_targets


def run(data, soft_targets, size=SIZE, **changes):
    settings = replace(SETTINGS, **changes)
    classifier = from_scratch(size, data, settings, vocabulary=150)
    return train(classifier, data, settings, soft_targets=soft_targets)


def means_in_keras(backbone, preprocessor, texts):
    """Means over the tokens after each layer, as KerasHub computes it: list of float32[texts, width]."""
    layers = keras.Model(backbone.inputs, [layer.output for layer in backbone.transformer_layers])
    inputs = preprocessor(list(texts))
    weights = np.array(inputs["padding_mask"], "float32")[:, :, None]
    return [(np.array(x) * weights).sum(1) / weights.sum(1) for x in layers(inputs)]


def hidden(classifier, texts):
    network = TrainingNetwork(classifier, np.arange(classifier.backbone.vocabulary_size))
    return Evaluator(network).hidden(tokenize(classifier.preprocessor, texts))


def unexplained(student, teacher):
    """Share of the variance of the teacher's vectors that no linear map of the student's explains."""
    design = np.c_[student, np.ones(len(student))]
    rest = teacher - design @ np.linalg.lstsq(design, teacher, rcond=None)[0]
    return np.square(rest).sum() / np.square(teacher - teacher.mean(0)).sum()


TEXTS = ("play music", "turn the lights on", "is the rain on ? is it raining !")


def test_the_teacher_returns_means_over_the_tokens_of_evenly_chosen_layers(teacher, tiny_classifier, tmp_path):
    first, second = means_in_keras(tiny_classifier.backbone, tiny_classifier.preprocessor, TEXTS)
    cache = AnswerCache(tmp_path)
    both = teacher.hidden(TEXTS, 2, cache=cache)
    np.testing.assert_allclose(both, np.stack([first, second], axis=1), atol=1e-5)
    np.testing.assert_allclose(teacher.hidden(TEXTS, 1, cache=cache)[:, 0], second, atol=1e-5)
    three = teacher.hidden(TEXTS, 3, cache=cache)
    np.testing.assert_allclose(three, np.stack([first, second, second], axis=1), atol=1e-5)
    assert len(list(tmp_path.iterdir())) == 3
    np.testing.assert_array_equal(teacher.hidden(TEXTS, 2, cache=cache), both)


def test_progress_counts_all_that_the_teacher_is_asked_for(teacher, data):
    shown = []
    ask_teacher(teacher, data, has_vectors=True, hidden_layers=2, on_progress=lambda *numbers: shown.append(numbers))
    total = 3 * len(data.training) + len(data.validation)
    assert shown == [(0, total), (12, total), (15, total), (27, total)]  # training, validation, vectors, layers


def test_the_layer_of_the_pooling_is_no_layer_of_the_teacher(make_tiny_classifier, tiny_classifier, teacher):
    from edgedistil.builder import build_classifier

    pooled = build_classifier(with_mean_pooling(tiny_classifier.backbone), 3, preprocessor=tiny_classifier.preprocessor)
    other = Teacher(LabelledClassifier(pooled, LABELS, name="pooled", source="pooled"))
    assert (other.num_layers, teacher.num_layers) == (2, 2)
    np.testing.assert_allclose(other.hidden(TEXTS, 2), teacher.hidden(TEXTS, 2), atol=1e-5)
    # A student with that layer has two inner ones, and without it one: the head reads the last one.
    np.testing.assert_allclose(hidden(pooled, TEXTS), teacher.hidden(TEXTS, 2).reshape(3, -1), atol=1e-5)
    np.testing.assert_allclose(hidden(tiny_classifier, TEXTS), teacher.hidden(TEXTS, 2)[:, 0], atol=1e-5)


def test_the_inner_layer_comes_nearer_to_the_teachers(data, soft_targets):
    texts = (*data.training.texts, *soft_targets.more_texts)
    left = []
    for weight in (0.0, 1.0):
        trained = run(data, soft_targets, hidden_loss=weight, patience=SETTINGS.epochs).trained
        left.append(unexplained(hidden(trained.classifier, texts), soft_targets.hidden[:, 0]))
    assert left[1] < 0.7 * left[0]


def test_the_loss_is_the_share_of_the_variance_that_the_maps_leave(data, soft_targets):
    """The first epoch at a rate of almost 0: the maps are those that were fitted, and only their part is weighted."""
    small = {"epochs": 1, "learning_rate": 1e-12, "token_dropout": 0.0, "teacher_share": 1.0}
    texts = (*data.training.texts, *soft_targets.more_texts)
    losses = [run(data, soft_targets, hidden_loss=weight, **small).history[0]["loss"] for weight in (0.0, 1.0, 3.0)]
    classifier = from_scratch(SIZE, data, replace(SETTINGS, **small), vocabulary=150)
    expected = unexplained(hidden(classifier, texts), soft_targets.hidden[:, 0])
    assert losses[1] - losses[0] == pytest.approx(expected, abs=0.05)
    assert losses[2] - losses[0] == pytest.approx(3 * (losses[1] - losses[0]), rel=1e-2)


def test_an_interrupted_training_ends_with_the_same_weights(data, soft_targets, tmp_path):
    class Interruption(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    settings = replace(SETTINGS, epochs=2, hidden_loss=1.0, vector_loss=0.5)
    state = tmp_path / "state.npz"
    both = replace(soft_targets, vectors=soft_targets.hidden[:, 1])

    def fit(soft=both, **options):
        classifier = from_scratch(SIZE, data, settings, vocabulary=150)
        return train(classifier, data, settings, soft_targets=soft, **options).trained.classifier

    whole = fit()
    with pytest.raises(KeyboardInterrupt):
        fit(callbacks=[Interruption()], checkpoint=state)
    with pytest.raises(DataError, match="other settings or other data"):
        fit(replace(both, hidden=both.hidden[:, ::-1]), checkpoint=state)
    for one, other in zip(fit(checkpoint=state).weights, whole.weights, strict=True):
        np.testing.assert_array_equal(np.array(one), np.array(other), err_msg=one.path)


def test_what_cannot_be_learned_is_refused(data, soft_targets):
    with pytest.raises(DataError, match=r"`hidden_loss` needs a teacher's layers"):
        run(data, replace(soft_targets, hidden=None), hidden_loss=1.0)
    with pytest.raises(DataError, match=r"as many layers as the student has, 2. Received: 1"):
        run(data, replace(soft_targets, hidden=soft_targets.hidden[:, :1]), hidden_loss=1.0)
    with pytest.raises(DataError, match=r"`hidden_loss` needs a layer below the one that the head reads"):
        run(data, soft_targets, replace(SIZE, num_layers=1), hidden_loss=1.0)
    with pytest.raises(DataError, match="`hidden_loss` must be 0 if the training is compiled"):
        TrainingSettings(hidden_loss=1.0, is_jit_compiled=True)
    with pytest.raises(DataError, match=r"one for each of the 1 texts. Received: hidden \(2, 1, 4\)"):
        SoftTargets(np.zeros((1, 2)), hidden=np.zeros((2, 1, 4), "float32"))


# The command


@pytest.fixture
def given(make_tiny_classifier, csv_file, tmp_path):
    LabelledClassifier(make_tiny_classifier(), LABELS, "big", "big").save(tmp_path / "big")
    return ("--train-data", csv_file, "--teacher", tmp_path / "big", "-o", tmp_path / "student")


def command(*arguments):
    return CliRunner().invoke(main, ["train", *map(str, arguments)])


@pytest.mark.parametrize("start", ["scratch", "preset"])
def test_a_student_is_trained_from_the_command_line(given, tmp_path, start):
    options = SMALL if start == "scratch" else ("--preset", tmp_path / "big", "--epochs", 1, "--sequence-length", 12)
    done = command(*options, *given, "--hidden-loss", 0.5, "--augment", 1)
    assert done.exit_code == 0, done.stderr
    record = json.loads((tmp_path / "student" / "training.json").read_text())
    assert record["settings"]["hidden_loss"] == 0.5
    assert "inner layers were learned too, with a weight of 0.5" in (tmp_path / "student" / "README.md").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--hidden-loss", "-1"), "--hidden-loss must be a number from 0 up"),
        (("--hidden-loss", "1", "--num-layers", "1"), "--hidden-loss needs a layer below the one that the head reads"),
    ],
)
def test_the_command_refuses_by_its_flags(given, tmp_path, options, message):
    done = command(*SMALL, *given, *options)
    assert done.exit_code == 1
    assert message in done.stderr
    assert not (tmp_path / "student").exists()


def test_it_needs_a_teacher(csv_file, tmp_path):
    done = command(*SMALL, "--train-data", csv_file, "-o", tmp_path / "student", "--hidden-loss", 1)
    assert done.exit_code == 2
    assert "--hidden-loss needs --teacher" in done.stderr

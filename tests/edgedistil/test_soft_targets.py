"""Training on the answers of a teacher: the loss by hand, texts without labels, and interruptions."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from edgedistil.data import LabelledTexts, TrainingData
from edgedistil.sizes import BackboneSize
from edgedistil.training import FROM_SCRATCH, TrainingSettings
from edgedistil.training.keras_outputs import predict_probabilities
from edgedistil.training.loop import steps_per_epoch, train
from edgedistil.training.objective import LabelledAccuracy, SoftTargets, teacher_objective
from edgedistil.training.start import from_preset, from_scratch
from edgedistil_runtime.errors import DataError

pytestmark = pytest.mark.training

SIZE = BackboneSize(num_layers=1, hidden_dim=16, num_heads=2, intermediate_dim=32)
SETTINGS = replace(FROM_SCRATCH, epochs=3, batch_size=4, learning_rate=1e-2, sequence_length=12, label_smoothing=0.1)


@pytest.fixture(scope="module")
def data(texts):
    return TrainingData.prepare(texts, validation_fraction=0.2)


@pytest.fixture(scope="module")
def soft_targets(data):
    generator = np.random.default_rng(0)
    more = ("turn it off", "louder !", "rain")
    return SoftTargets(
        generator.normal(0, 2, (len(data.training), 3)).astype("float32"),
        more,
        generator.normal(0, 2, (len(more), 3)).astype("float32"),
    )


def run(data, settings, soft_targets, **options):
    classifier = from_scratch(SIZE, data, settings, vocabulary=150)
    return train(classifier, data, settings, soft_targets=soft_targets, **options)


def log_softmax(logits):
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


# The loss


@pytest.mark.parametrize("kind", ["kl", "mse"])
def test_the_loss_is_the_one_by_hand(kind):
    generator = np.random.default_rng(1)
    teacher, student = generator.normal(0, 3, (2, 5, 4))
    classes, smoothing, share, temperature = np.array([2, 0, 0]), 0.2, 0.7, 3.0
    settings = TrainingSettings(
        temperature=temperature, teacher_share=share, distillation_loss=kind, class_weights="balanced"
    )
    objective = teacher_objective(classes, teacher.astype("float32"), settings, smoothing)

    by_hand = []
    for row in range(5):
        expected, given = log_softmax(teacher[row] / temperature), log_softmax(student[row] / temperature)
        of_teacher = {
            "kl": temperature**2 * np.sum(np.exp(expected) * (expected - given)),
            "mse": np.mean((teacher[row] - student[row]) ** 2),
        }[kind]
        of_label = 0.0
        if row < 3:  # the others have no label
            target = np.full(4, smoothing / 4)
            target[classes[row]] += 1 - smoothing
            of_label = [1.5, 0.75, 0.75][row] * -np.sum(target * log_softmax(student[row]))
        by_hand.append(share * of_teacher + (1 - share) * of_label)

    each = objective.loss.call(objective.targets, student.astype("float32"))
    np.testing.assert_allclose(each, by_hand, rtol=1e-5)
    assert float(objective.loss(objective.targets, student.astype("float32"))) == pytest.approx(np.mean(by_hand))
    assert objective.weights.tolist() == [1.0] * 5


def test_accuracy_counts_texts_with_a_label_only():
    teacher = np.array([[9, 0], [9, 0], [9, 0]], "float32")
    targets = teacher_objective(np.array([0, 1]), teacher, TrainingSettings(), 0.1).targets
    accuracy = LabelledAccuracy(name="accuracy")
    accuracy.update_state(targets[2:], teacher[2:])
    assert float(accuracy.result()) == 0.0  # no text with a label yet, and no division by 0
    accuracy.update_state(targets, teacher)
    assert float(accuracy.result()) == 0.5


def test_a_teacher_with_no_share_is_training_on_labels(data, soft_targets):
    """Both losses give the same weights, so far as their sums are rounded alike."""
    settings = replace(SETTINGS, teacher_share=0.0, class_weights="balanced")
    first = run(data, settings, SoftTargets(soft_targets.logits))
    second = run(data, settings, None)
    assert [row["loss"] for row in first.history] == pytest.approx([row["loss"] for row in second.history], rel=1e-4)
    assert [row["accuracy"] for row in first.history] == [row["accuracy"] for row in second.history]


# Training


@pytest.mark.parametrize("kind", ["kl", "mse"])
def test_texts_without_labels_teach_through_their_teacher(texts, kind):
    """The labelled texts share no word with the others and have no part in the loss."""
    nonsense = LabelledTexts(("xx", "yy", "zz"), ("lights", "music", "weather"))
    classes = np.array([sorted(set(texts.labels)).index(label) for label in texts.labels])
    answers = 6 * np.eye(3, dtype="float32")[classes]
    settings = replace(SETTINGS, epochs=50, teacher_share=1.0, distillation_loss=kind, token_dropout=0.0, dropout=0.0)
    data = TrainingData.prepare(nonsense)
    classifier = from_scratch(SIZE, data, settings, vocabulary=150, more_texts=texts.texts)
    soft = SoftTargets(np.zeros((3, 3), "float32"), texts.texts, answers)
    train(classifier, data, settings, soft_targets=soft)
    assert (predict_probabilities(classifier, texts.texts).argmax(axis=1) == classes).mean() > 0.9


def test_the_new_head_of_a_preset_is_fitted_to_the_teacher_first(tiny_preset, texts, monkeypatch):
    nonsense = LabelledTexts(("xx", "yy", "zz"), ("lights", "music", "weather"))
    classes = np.array([sorted(set(texts.labels)).index(label) for label in texts.labels])
    soft = SoftTargets(np.zeros((3, 3), "float32"), texts.texts, 6 * np.eye(3, dtype="float32")[classes])
    settings = TrainingSettings(sequence_length=12, teacher_share=1.0, pooling="mean")
    classifier = from_preset(str(tiny_preset), TrainingData.prepare(nonsense), settings, soft_targets=soft)
    assert (predict_probabilities(classifier, texts.texts).argmax(axis=1) == classes).mean() > 0.7

    monkeypatch.setattr("edgedistil.training.start._MOST_UNLABELLED", 10)  # others are drawn
    rows = []
    monkeypatch.setattr("edgedistil.training.start.fit_linear_head", lambda *given, **_: rows.extend(given[1]) or given)
    monkeypatch.setattr("edgedistil.training.start.set_linear_head", lambda *given: None)
    from_preset(str(tiny_preset), TrainingData.prepare(nonsense), settings, soft_targets=soft)
    assert len(rows) == 3 + 10


def test_pieces_of_a_long_text_have_its_targets(data, soft_targets):
    settings = replace(SETTINGS, epochs=1, sequence_length=6, long_texts="windows")
    long = replace(soft_targets, more_texts=("turn on the light " * 4, *soft_targets.more_texts[1:]))
    classifier = from_scratch(SIZE, data, settings, vocabulary=150)
    rows = len(data.training) + len(long.more_texts)
    steps = steps_per_epoch(data, settings, classifier.preprocessor, long)
    assert steps > -(-rows // settings.batch_size)
    counted = []
    count = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: counted.append(batch))
    train(classifier, data, settings, soft_targets=long, callbacks=[count])
    assert len(counted) == steps


class Interruption(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


def test_resumed_training_has_the_same_weights_and_other_answers_are_refused(data, soft_targets, tmp_path):
    settings = replace(SETTINGS, token_dropout=0.1)
    whole = run(data, settings, soft_targets)
    state = tmp_path / "state.npz"
    with pytest.raises(KeyboardInterrupt):
        run(data, settings, soft_targets, callbacks=[Interruption()], checkpoint=state)
    for changed in (
        replace(soft_targets, more_logits=soft_targets.more_logits + np.float32(0.01)),
        replace(soft_targets, more_texts=("turn it on", *soft_targets.more_texts[1:])),
        None,
    ):
        with pytest.raises(DataError, match="other settings or other data"):
            run(data, settings, changed, checkpoint=state)
    with pytest.raises(DataError, match="other settings or other data"):
        run(data, replace(settings, temperature=3.0), soft_targets, checkpoint=state)
    resumed = run(data, settings, soft_targets, checkpoint=state)
    assert resumed.history == whole.history
    for one, other in zip(resumed.trained.classifier.weights, whole.trained.classifier.weights, strict=True):
        np.testing.assert_array_equal(np.array(one), np.array(other), err_msg=one.path)


def test_soft_targets_that_do_not_fit_are_refused(data, soft_targets):
    with pytest.raises(DataError, match=r"a row for each training text.*Received: \(12, 2\)"):
        run(data, SETTINGS, SoftTargets(soft_targets.logits[:, :2]))
    with pytest.raises(DataError, match="Received: 3 more texts and logits"):
        replace(soft_targets, more_logits=None)
    with pytest.raises(DataError, match="finite"):
        SoftTargets(np.full((2, 2), np.nan))

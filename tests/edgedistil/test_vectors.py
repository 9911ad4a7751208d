"""A student that learns what its teacher's head reads, beside its answers."""

from dataclasses import replace

import keras
import numpy as np
import pytest

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
from edgedistil.training.start import from_scratch
from edgedistil.training.vectors import VectorMap
from edgedistil_runtime.errors import DataError

pytestmark = pytest.mark.training

SIZE = BackboneSize(num_layers=1, hidden_dim=12, num_heads=2, intermediate_dim=32)
SETTINGS = replace(FROM_SCRATCH, epochs=10, batch_size=8, learning_rate=1e-2, sequence_length=12, dropout=0.0)


@pytest.fixture(scope="module")
def data(texts):
    return TrainingData.prepare(texts, validation_fraction=0.2)


@pytest.fixture(scope="module")
def teacher(tiny_classifier):
    return Teacher(LabelledClassifier(tiny_classifier, ("lights", "music", "weather"), name="big", source="big"))


@pytest.fixture(scope="module")
def soft_targets(teacher, data):
    words = sorted({word for text in data.training.texts for word in text.split()})
    generator = np.random.default_rng(0)
    more = [" ".join(generator.choice(words, 4)) for _ in range(80)]
    return ask_teacher(teacher, data, unlabelled=more, has_vectors=True).soft_targets


def run(data, soft_targets, **changes):
    settings = replace(SETTINGS, **changes)
    classifier = from_scratch(SIZE, data, settings, vocabulary=150)
    return train(classifier, data, settings, soft_targets=soft_targets)


def features(classifier, texts):
    network = TrainingNetwork(classifier, np.arange(classifier.backbone.vocabulary_size))
    return Evaluator(network).features(tokenize(classifier.preprocessor, texts))


def unexplained(student, teacher):
    """Share of the variance of the teacher's vectors that no linear map of the student's explains."""
    design = np.c_[student, np.ones(len(student))]
    rest = teacher - design @ np.linalg.lstsq(design, teacher, rcond=None)[0]
    return np.square(rest).sum() / np.square(teacher - teacher.mean(0)).sum()


def test_vectors_are_what_the_head_reads(teacher, tiny_classifier, tmp_path):
    asked = ["play music", "turn the lights on"]
    cache = AnswerCache(tmp_path)
    found = teacher.vectors(asked, cache=cache)
    inputs = tiny_classifier.preprocessor(asked)
    np.testing.assert_allclose(found, tiny_classifier.backbone(inputs)[:, 0], atol=1e-5)
    assert teacher.logits(asked, teacher.labels, cache=cache).shape == (2, 3)  # another file of the cache
    assert len(list(tmp_path.iterdir())) == 2


def test_a_fitted_map_has_the_loss_of_what_cannot_be_explained():
    generator = np.random.default_rng(0)
    student = generator.normal(size=(200, 4)).astype("float32")
    teacher = (student @ generator.normal(size=(4, 6)) + 3).astype("float32")
    assert float(VectorMap.fit(student, teacher, 2.0).loss(student, teacher)) < 1e-3
    nothing = VectorMap.fit(np.zeros_like(student), teacher, 2.0)
    assert float(nothing.loss(np.zeros_like(student), teacher)) == pytest.approx(2.0, rel=1e-3)


def test_the_student_comes_nearer_to_the_teachers_vectors(data, soft_targets):
    texts = (*data.training.texts, *soft_targets.more_texts)
    left = []
    for weight in (0.0, 1.0):
        trained = run(data, soft_targets, vector_loss=weight, patience=SETTINGS.epochs).trained
        left.append(unexplained(features(trained.classifier, texts), soft_targets.vectors))
    assert left[1] < 0.7 * left[0]


def test_an_interrupted_training_ends_with_the_same_weights(data, soft_targets, tmp_path):
    class Interruption(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    settings = replace(SETTINGS, epochs=2, vector_loss=1.0)
    state = tmp_path / "state.npz"

    def fit(**options):
        classifier = from_scratch(SIZE, data, settings, vocabulary=150)
        return train(classifier, data, settings, soft_targets=soft_targets, **options).trained.classifier

    whole = fit()
    with pytest.raises(KeyboardInterrupt):
        fit(callbacks=[Interruption()], checkpoint=state)
    for one, other in zip(fit(checkpoint=state).weights, whole.weights, strict=True):
        np.testing.assert_array_equal(np.array(one), np.array(other), err_msg=one.path)


def test_what_cannot_be_learned_is_refused(data, soft_targets):
    with pytest.raises(DataError, match=r"`vector_loss` needs a teacher's vectors"):
        run(data, replace(soft_targets, vectors=None), vector_loss=1.0)
    with pytest.raises(DataError, match="`vector_loss` must be 0 if the training is compiled"):
        TrainingSettings(vector_loss=1.0, is_jit_compiled=True)
    with pytest.raises(DataError, match=r"one for each of the \d+ texts. Received: vectors \(2, 16\)"):
        replace(soft_targets, vectors=np.zeros((2, 16), "float32"))
    with pytest.raises(DataError, match="must be finite"):
        SoftTargets(np.zeros((1, 2)), vectors=np.array([[np.nan]]))

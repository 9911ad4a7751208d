"""A training that was interrupted ends with the weights of one that was not."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from edgedistil.data import TrainingData
from edgedistil.sizes import BackboneSize
from edgedistil.training import FROM_SCRATCH
from edgedistil.training.loop import train
from edgedistil.training.start import from_scratch
from edgedistil_runtime.errors import DataError

pytestmark = pytest.mark.training

SIZE = BackboneSize(num_layers=1, hidden_dim=16, num_heads=2, intermediate_dim=32)
SETTINGS = replace(FROM_SCRATCH, epochs=3, batch_size=4, learning_rate=1e-2, token_dropout=0.1, sequence_length=12)


class Interruption(keras.callbacks.Callback):
    """Ends the process, as far as training sees it, at the beginning of the third epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def data(texts):
    return TrainingData.prepare(texts, validation_fraction=0.2)


def run(data, settings=SETTINGS, **options):
    return train(from_scratch(SIZE, data, settings, vocabulary=150), data, settings, **options)


@pytest.mark.parametrize(
    "changes", [{}, {"accumulated_batches": 2, "class_weights": "balanced"}], ids=["plain", "accumulated"]
)
def test_resumed_training_has_the_same_weights_and_history(data, tmp_path, changes):
    settings = replace(SETTINGS, **changes)
    whole = run(data, settings)
    state = tmp_path / "state.npz"
    with pytest.raises(KeyboardInterrupt):
        run(data, settings, callbacks=[Interruption()], checkpoint=state)
    epochs = []
    resumed = run(
        data,
        settings,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: epochs.append(epoch))],
        checkpoint=state,
    )
    assert epochs == [2]
    assert resumed.history == whole.history
    assert resumed.best_epoch == whole.best_epoch
    for one, other in zip(resumed.trained.classifier.weights, whole.trained.classifier.weights, strict=True):
        np.testing.assert_array_equal(np.array(one), np.array(other), err_msg=one.path)


def test_state_of_another_training_or_a_damaged_one_is_refused(data, tmp_path):
    state = tmp_path / "state.npz"
    run(data, replace(SETTINGS, epochs=1), checkpoint=state)
    with pytest.raises(DataError, match="other settings or other data"):
        run(data, replace(SETTINGS, epochs=1, seed=1), checkpoint=state)
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(DataError, match="cannot be read"):
        run(data, replace(SETTINGS, epochs=1), checkpoint=state)


def test_without_validation_data_the_last_epoch_is_kept(texts):
    data = TrainingData.prepare(texts)  # fewer than 30 texts a class
    assert data.validation is None
    result = run(data, replace(SETTINGS, epochs=2))
    assert (result.best_epoch, result.metrics) == (2, {})
    assert "val_loss" not in result.history[0]

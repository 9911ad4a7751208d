"""The bundled preset: complete, small, made by the committed script, and as good as its record says."""

import json
import re
import shutil

import h5py
import numpy as np
import pytest

from datasets.half_precision import store_half_precision
from datasets.smart_home import INTENTS, SPLIT_SIZES, generate
from datasets.smart_home.train import PRESET, ROUNDS, SETTINGS, main, training_data
from edgedistil.presets.loading import load_classifier, load_labelled_classifier
from edgedistil.presets.registry import bundled_preset_path, list_presets
from edgedistil.training.keras_outputs import predict_probabilities
from edgedistil.training.settings import TrainingSettings

MAX_BYTES = 3_000_000
SHARE_OF_TEST = 6
"""One test text in six, 500 of 3,000."""
ACCURACY_TOLERANCE = 0.02
"""Between a sixth of the test texts and all of them, drawn evenly over the labels."""
METRIC_TOLERANCE = 1e-3
"""Between two machines: at most three of 3,000 texts, on the edge between two labels, fall to the other side."""

COMMANDS = {
    "turn on the kitchen lights": "light_on",
    "switch off the lamp in the bedroom": "light_off",
    "dim the living room lights to 40 percent": "light_brightness",
    "make the lamp blue": "light_color",
    "set the thermostat to 21 degrees": "thermostat_set",
    "what's the temperature in the bedroom": "thermostat_query",
    "open the blinds in the office": "blinds_open",
    "close the curtains": "blinds_close",
    "lock the front door": "door_lock",
    "unlock the back door": "door_unlock",
    "show me the driveway camera": "camera_show",
    "play some jazz": "music_play",
    "stop the music": "music_stop",
    "turn up the volume": "volume_up",
    "turn the volume down": "volume_down",
    "mute the speakers": "volume_set",
    "wake me up at 7 am": "alarm_set",
    "set a timer for ten minutes": "timer_set",
    "will it rain tomorrow": "weather_query",
    "vacuum the hallway": "vacuum_start",
    "make me a coffee": "coffee_make",
    "what's the capital of france": "out_of_scope",
    "call my brother": "out_of_scope",
    "how are you": "out_of_scope",
}


@pytest.fixture(scope="module")
def preset():
    return load_labelled_classifier(PRESET)


@pytest.fixture(scope="module")
def record():
    return json.loads((bundled_preset_path(PRESET) / "training.json").read_text(encoding="utf-8"))


def predicted_labels(preset, texts):
    return [preset.labels[index] for index in predict_probabilities(preset.classifier, texts).argmax(axis=1)]


def test_its_labels_are_the_intents(preset, record):
    assert len(preset.labels) == 22
    assert set(preset.labels) == set(INTENTS)
    assert list(preset.labels) == record["labels"]


def test_it_is_listed_and_ready_to_convert():
    info = {info.name: info for info in list_presets()}[PRESET]
    assert info.has_trained_head
    assert info.source == "bundled"
    assert 400_000 < info.parameters < MAX_BYTES // 4


def test_all_files_are_there_and_together_small():
    directory = bundled_preset_path(PRESET)
    files = {path.relative_to(directory).as_posix(): path for path in directory.rglob("*") if path.is_file()}
    assert set(files) >= {
        "config.json",
        "task.json",
        "model.weights.h5",
        "task.weights.h5",
        "assets/tokenizer/vocabulary.txt",
        "labels.txt",
        "training.json",
        "training.png",
    }
    assert sum(path.stat().st_size for path in files.values()) < MAX_BYTES


def test_plain_commands_are_understood(preset):
    predicted = dict(zip(COMMANDS, predicted_labels(preset, list(COMMANDS)), strict=True))
    assert predicted == COMMANDS


def test_the_record_is_that_of_the_script(record):
    assert TrainingSettings(**record["settings"]) == SETTINGS  # settings that are newer than the record have defaults
    assert record["origin"]["rounds"] == ROUNDS
    assert record["data"]["validation"]["rows"] == SPLIT_SIZES["validation"].total
    assert record["data"]["test"]["rows"] == SPLIT_SIZES["test"].total
    assert len(record["history"]) == SETTINGS.epochs


def test_the_record_names_no_path_and_no_time():
    directory = bundled_preset_path(PRESET)
    for path in (*directory.rglob("*.json"), directory / "labels.txt"):
        text = path.read_text(encoding="utf-8")
        assert "date_saved" not in text
        assert str(directory.parent) not in text, path
        assert re.search(r'"(/|[A-Z]:)[^"]*"', text) is None, path  # no string is an absolute path


def test_the_published_test_accuracy_holds(preset, record):
    examples = sorted(generate("test"), key=lambda example: (example.label, example.text))[::SHARE_OF_TEST]
    assert len(examples) == 500
    predicted = predicted_labels(preset, [example.text for example in examples])
    accuracy = np.mean([label == example.label for label, example in zip(predicted, examples, strict=True)])
    assert accuracy == pytest.approx(record["metrics"]["test"]["accuracy"], abs=ACCURACY_TOLERANCE)


def test_the_published_validation_accuracy_holds(preset, record):
    examples = generate("validation")
    predicted = predicted_labels(preset, [example.text for example in examples])
    accuracy = np.mean([label == example.label for label, example in zip(predicted, examples, strict=True)])
    assert accuracy == pytest.approx(record["metrics"]["validation"]["accuracy"], abs=METRIC_TOLERANCE)


@pytest.mark.slow
def test_the_training_data_are_those_of_the_record(record):
    data = training_data()
    assert len(data.training) == record["data"]["training"]["rows"]
    held_out = {text.lower() for part in (data.validation, data.test) for text in part.texts}
    assert not held_out & {text.lower() for text in data.training.texts}


def test_an_unwritable_target_is_an_error(tmp_path, capsys):
    assert main([str(tmp_path / "missing" / "preset")]) == 1
    assert "error: The folder" in capsys.readouterr().err


def test_half_precision_changes_weights_by_no_more_than_float16_rounds(tiny_preset, tmp_path):
    halved = tmp_path / "halved"
    shutil.copytree(tiny_preset, halved)
    store_half_precision(halved)
    before, after = (load_classifier(str(path)).weights for path in (tiny_preset, halved))
    for whole, half in zip(before, after, strict=True):
        assert half.dtype == "float32"
        np.testing.assert_allclose(half.numpy(), whole.numpy(), rtol=2**-11, atol=2**-24)
    assert (halved / "model.weights.h5").stat().st_size < (tiny_preset / "model.weights.h5").stat().st_size


def test_the_bundled_weights_are_stored_in_half_precision():
    dtypes = set()
    with h5py.File(bundled_preset_path(PRESET) / "model.weights.h5") as file:
        file.visititems(lambda _, item: dtypes.add(item.dtype.name) if isinstance(item, h5py.Dataset) else None)
    assert dtypes == {"float16"}

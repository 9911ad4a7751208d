"""A folder with the files that examples in docstrings and documents read."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from edgedistil.presets.registry import bundled_preset_path

from ..coralboard.fake_torq import write_programs

_TEXTS = {
    "lights": ("turn the lights on", "turn the light off", "lights off !", "the light on", "turn on the lights"),
    "music": ("play some music", "play the music louder", "some music !", "louder music", "play music"),
    "weather": ("is it raining ?", "is it rain", "raining ?", "is the rain on ?", "is it raining !"),
}
_ROUNDS = 12  # each text this many times, or the tiny classifier learns too little


def _write_texts(folder: Path) -> None:
    rows = [(text, label) for label, texts in _TEXTS.items() for text in texts]
    lines = [f"{text},{label}\n" for text, label in rows]
    (folder / "train.csv").write_text("text,label\n" + "".join(lines * _ROUNDS), encoding="utf-8")
    (folder / "test.csv").write_text("text,label\n" + "".join(lines), encoding="utf-8")
    (folder / "texts.csv").write_text("text\n" + "".join(f"{text}\n" for text, _ in rows), encoding="utf-8")
    samples = (bundled_preset_path("smart_home_tiny_en") / "samples.jsonl").read_text("utf-8").splitlines()
    with (folder / "smart_home_texts.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["text"], *([json.loads(sample)["text"]] for sample in samples)])


@pytest.fixture(scope="session", autouse=True)
def torq_tools(tmp_path_factory):
    """Stand-ins for the programs of the Coralboard's vendor, which a document converts with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORQ_TOOLS", str(write_programs(tmp_path_factory.mktemp("torq"))))
        yield


def _write_files(folder: Path, tiny_vocabulary: list[str]) -> None:
    from dataclasses import replace

    import keras

    from edgedistil.builder import BackboneSize, build_backbone, build_classifier, build_preprocessor
    from edgedistil.conversion import ConversionRequest, convert_preset
    from edgedistil.data import TrainingData, read_labelled_texts
    from edgedistil.training import FROM_SCRATCH
    from edgedistil.training.loop import train

    _write_texts(folder)
    train_data, test_data = (read_labelled_texts(folder / name) for name in ("train.csv", "test.csv"))
    data = TrainingData.prepare(train_data, validation=test_data)
    keras.utils.set_random_seed(0)  # the first weights too, or some runs would learn less than the examples show
    backbone = build_backbone(
        BackboneSize(num_layers=2, hidden_dim=16, num_heads=2, intermediate_dim=32),
        vocabulary_size=len(tiny_vocabulary),
        max_sequence_length=16,
    )
    classifier = build_classifier(
        backbone, len(data.labels), preprocessor=build_preprocessor(tiny_vocabulary, sequence_length=16)
    )
    settings = replace(FROM_SCRATCH, epochs=30, patience=30, batch_size=8, learning_rate=2e-3, sequence_length=16)
    trained = train(classifier, data, settings, name="intents").trained
    trained.classifier.save_to_preset(str(folder / "intents"))
    (folder / "intents" / "labels.txt").write_text("".join(f"{label}\n" for label in trained.labels), encoding="utf-8")
    convert_preset(ConversionRequest(str(folder / "intents"), folder / "intents.tflite"))


@pytest.fixture(scope="session")
def files_of_examples(made_once, tiny_vocabulary) -> Path:
    """`intents/`, a trained preset of three labels, `intents.tflite`, `train.csv`, `test.csv` and `texts.csv`."""
    return made_once("files_of_examples", lambda folder: _write_files(folder, tiny_vocabulary))


@pytest.fixture
def folder_of_examples(files_of_examples, tmp_path, monkeypatch) -> Path:
    """A copy of those files, which is the current folder."""
    folder = tmp_path / "examples"
    shutil.copytree(files_of_examples, folder)
    monkeypatch.chdir(folder)
    return folder

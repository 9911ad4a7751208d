"""A finished search, and what it was made from."""

import shutil
from dataclasses import replace

import pytest

from edgedistil.data import LabelledTexts, TrainingData, read_labelled_texts, read_texts
from edgedistil.search import making
from edgedistil.search.run import find_student, hold_out
from edgedistil.search.settings import SearchSettings
from edgedistil.sizes import BackboneSize
from edgedistil.training.settings import FROM_SCRATCH

from .benchmark import SHORT

ENDINGS = ("", " !", " ?", " now")


def write_presets(folder, texts, vocabulary):
    """`teacher`, trained; `same`, its backbone without a head; `narrow`, small and random; `train.csv`, `more.csv`."""
    import keras

    from edgedistil.builder import build_backbone, build_classifier, build_preprocessor
    from edgedistil.training.loop import train

    pairs = [(f"{text}{ending}", label) for ending in ENDINGS for text, label in zip(*texts, strict=True)]
    rows = "".join(f"{text},{label}\n" for text, label in dict.fromkeys(pairs))
    (folder / "train.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    (folder / "more.csv").write_text(
        "text\nturn off the music\nis the light on\nplay louder\nplay louder\nplay music\n"
    )
    data = TrainingData(read_labelled_texts(folder / "train.csv"))
    vocabulary = [*vocabulary, *(f"unused{number}" for number in range(400))]
    for name, layers, width in (("teacher", 2, 32), ("narrow", 1, 16)):
        keras.utils.set_random_seed(1)
        backbone = build_backbone(
            BackboneSize(layers, width, 2, 2 * width), vocabulary_size=len(vocabulary), max_sequence_length=16
        )
        classifier = build_classifier(backbone, 3, preprocessor=build_preprocessor(vocabulary, sequence_length=16))
        if name == "teacher":
            settings = replace(FROM_SCRATCH, epochs=15, batch_size=8, learning_rate=3e-3, sequence_length=16)
            train(classifier, data, settings)
        classifier.save_to_preset(str(folder / name))
    (folder / "teacher" / "labels.txt").write_text("lights\nmusic\nweather\n")
    shutil.copytree(folder / "teacher", folder / "same")
    for start in ("same", "narrow"):
        for file in ("task.json", "task.weights.h5"):
            (folder / start / file).unlink()


@pytest.fixture(scope="session")
def presets(made_once, texts, tiny_vocabulary):
    return made_once("search", lambda folder: write_presets(folder, (texts.texts, texts.labels), tiny_vocabulary))


@pytest.fixture(scope="session")
def settings(presets):
    return SearchSettings(
        budget_mb=1,
        within=5,
        teacher=str(presets / "teacher"),
        students=(str(presets / "same"), str(presets / "narrow")),
        epochs=2,
        sequence_length=16,
    )


@pytest.fixture(scope="session")
def data(presets):
    labelled = read_labelled_texts(presets / "train.csv")
    return hold_out(TrainingData(labelled, test=LabelledTexts(("play music", "raining"), ("music", "weather"))))


@pytest.fixture(scope="session")
def more(presets):
    return read_texts(presets / "more.csv")


@pytest.fixture(scope="session")
def made(made_once, data, settings, more):
    """A directory that a search wrote; not to be changed."""
    return made_once("found", lambda folder: find_student(data, settings, folder, unlabelled=more, benchmark=SHORT))


@pytest.fixture
def found(made, tmp_path):
    """A copy of it."""
    return shutil.copytree(made, tmp_path / "found")


@pytest.fixture
def trainings(monkeypatch):
    """Names of what is trained from now on."""
    started = []
    train = making.train

    def note(*args, checkpoint, **options):
        started.append(checkpoint.name.removesuffix(".training.npz"))
        return train(*args, checkpoint=checkpoint, **options)

    monkeypatch.setattr(making, "train", note)
    return started

"""Labelled texts that a tiny classifier learns within seconds, in memory and as files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgedistil.data import LabelledTexts
from edgedistil_runtime.artifact import ArtifactMetadata, GoldenCase, artifact_bytes

pytest.register_assert_rewrite(f"{__package__}.report_page")  # for messages with the values that were compared

ECHO = Path(__file__).parents[1] / "runtime" / "data" / "echo.tflite"  # labels texts by the mean of their bytes
VOCABULARY = [f"[{number}]" for number in range(256)]

_TEXTS = {
    "lights": ("turn the lights on", "turn the light off", "lights off !", "the light on", "turn on the lights"),
    "music": ("play some music", "play the music louder", "some music !", "louder music", "play music"),
    "weather": ("is it raining ?", "is it rain", "raining ?", "is the rain on ?", "is it raining !"),
}


@pytest.fixture(scope="session")
def texts() -> LabelledTexts:
    pairs = [(text, label) for label, variants in _TEXTS.items() for text in variants]
    return LabelledTexts(tuple(text for text, _ in pairs), tuple(label for _, label in pairs))


@pytest.fixture
def csv_file(tmp_path, texts):
    path = tmp_path / "texts.csv"
    rows = [f"{text},{label}" for text, label in zip(texts.texts, texts.labels, strict=True)]
    path.write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def artifact(tmp_path, make_tokenizer_settings):
    """Writes a small artefact that a real interpreter runs."""

    def write(name="echo.tflite", kind="builtin", labels=("low", "middle", "high"), sequence_length=128, thresholds=()):
        tokenizer = make_tokenizer_settings(VOCABULARY, kind=kind, sequence_length=sequence_length)
        exponentials = np.exp([1.5 / 64, 1, 2 - 1.5 / 64])  # what the model computes of the empty text's two ids
        golden = (GoldenCase("", (1, 2), tuple((exponentials / exponentials.sum()).tolist())),)
        metadata = ArtifactMetadata("echo", tuple(labels), tokenizer, {"scheme": "fp32"}, "cpu", golden, 1e-3)
        if thresholds:
            metadata = replace(metadata, thresholds=thresholds, schema_version=2)
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(artifact_bytes(ECHO.read_bytes(), metadata, VOCABULARY))
        return path

    return write


@pytest.fixture
def model(artifact):
    return artifact()


@pytest.fixture
def answers(model):
    """What one batch of all texts of `labelling_files.py` gives."""
    from edgedistil_runtime import TextClassifier

    from .labelling_files import TEXTS

    with TextClassifier(model) as classifier:
        answers = classifier.classify_batch(TEXTS)
    assert {answer.label for answer in answers} == {"low", "high"}
    return answers

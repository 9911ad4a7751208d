"""Labelled texts that a tiny classifier learns within seconds, in memory and as files."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from edgedistil.data import LabelledTexts
from edgedistil_runtime.artifact import ArtifactMetadata, GoldenCase, TokenizerSettings, artifact_bytes

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
def artifact(tmp_path):
    """Writes a small artefact that a real interpreter runs."""

    def write(name="echo.tflite", kind="builtin", labels=("low", "middle", "high")):
        tokenizer = TokenizerSettings(
            kind=kind,
            sequence_length=128,
            lowercase=True,
            strip_accents=False,
            split=True,
            split_on_cjk=True,
            suffix_indicator="##",
            oov_token="[UNK]",
            special_tokens_in_strings=False,
            special_tokens=(),
            truncate="round_robin",
            vocabulary_size=len(VOCABULARY),
            vocabulary_sha256=hashlib.sha256("".join(f"{piece}\n" for piece in VOCABULARY).encode()).hexdigest(),
            start_id=1,
            end_id=2,
            pad_id=0,
            unknown_id=3,
        )
        exponentials = np.exp([1.5 / 64, 1, 2 - 1.5 / 64])  # what the model computes of the empty text's two ids
        golden = (GoldenCase("", (1, 2), tuple((exponentials / exponentials.sum()).tolist())),)
        metadata = ArtifactMetadata("echo", tuple(labels), tokenizer, {"scheme": "fp32"}, "cpu", golden, 1e-3)
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(artifact_bytes(ECHO.read_bytes(), metadata, VOCABULARY))
        return path

    return write

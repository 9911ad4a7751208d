"""Labelled texts that a tiny classifier learns within seconds, in memory and as files."""

import pytest

from edgedistil.data import LabelledTexts

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

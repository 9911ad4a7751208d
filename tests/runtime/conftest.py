"""A tiny artifact around a real model of 11 kB (`data/echo.tflite`), and around no model at all."""

import dataclasses
import pathlib
import random
import sys

import numpy as np
import pytest

from edgedistil_runtime.artifact import ArtifactMetadata, GoldenCase, artifact_bytes

LABELS = ("low", "middle", "hög")
GOLDEN_TEXTS = ("", "hello", "good night", "größer 日本")


class Echo:
    """The computation of the model of `data/make_fixture.py`, in NumPy."""

    @staticmethod
    def token_ids(text):
        return [1, *text.encode("utf-8").split(b"\0")[0], 2]

    @classmethod
    def probabilities(cls, text):
        mean = np.mean(cls.token_ids(text)) / 64
        exponentials = np.exp([mean, 1.0, 2.0 - mean])
        return exponentials / exponentials.sum()

    @classmethod
    def answer(cls, signature, inputs):
        """The function of a `FakeBackend`."""
        text = bytes(inputs["text"].astype(np.uint8)).split(b"\0")[0].decode("utf-8")
        if signature == "tokenize":
            return {"token_ids": np.array([cls.token_ids(text)], np.int32)}
        return {"probabilities": np.array([cls.probabilities(text)], np.float32)}


@pytest.fixture(scope="session")
def echo():
    return Echo


@pytest.fixture(scope="session")
def vocabulary():
    return ["[PAD]", "[CLS]", "[SEP]", "\u2028", "\x85", "\r", *(f"[{number}]" for number in range(6, 256))]


@pytest.fixture(scope="session")
def metadata(vocabulary, make_tokenizer_settings):
    return ArtifactMetadata(
        name="echo",
        labels=LABELS,
        tokenizer=make_tokenizer_settings(vocabulary, unknown_id=6),
        quantization={"scheme": "int8"},
        target="cpu",
        golden_cases=tuple(
            GoldenCase(text, tuple(Echo.token_ids(text)), tuple(Echo.probabilities(text).tolist()))
            for text in GOLDEN_TEXTS
        ),
        tolerance=1e-3,
        versions={"edgedistil": "0.1.0"},
    )


@pytest.fixture(scope="session")
def flatbuffer():
    """The front of an artifact that no interpreter has to load."""
    return b"\x1c\0\0\0TFL3" + random.Random(1).randbytes(500) + b"classify_text"


@pytest.fixture(scope="session")
def content(flatbuffer, metadata, vocabulary):
    """A whole artifact without a model inside."""
    return artifact_bytes(flatbuffer, metadata, vocabulary)


@pytest.fixture
def write(tmp_path):
    """Write bytes to a new file and return its path."""

    def write_file(content, name="model.tflite"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write_file


@pytest.fixture
def fake_path(write, content):
    """An artifact for a `FakeBackend`."""
    return write(content)


@pytest.fixture(scope="session")
def echo_flatbuffer():
    return (pathlib.Path(__file__).parent / "data" / "echo.tflite").read_bytes()


@pytest.fixture
def echo_path(write, echo_flatbuffer, metadata, vocabulary):
    """An artifact that a real interpreter runs."""
    return write(artifact_bytes(echo_flatbuffer, metadata, vocabulary))


@pytest.fixture
def with_golden_case(metadata):
    """The metadata with other golden cases."""

    def replace(*cases, **changes):
        return dataclasses.replace(metadata, golden_cases=cases, **changes)

    return replace


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """`stand_in("echo '{}'")` replaces the child that tries an accelerator by a shell script."""

    def use(script):
        program = tmp_path / "python"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program))

    return use

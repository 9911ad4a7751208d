"""A stand-in for an Edge TPU, compiled here, and an artefact whose encoder it can run.

No Edge TPU and no compiler of Coral's are needed: `fake_edgetpu.c` is the library, `fake_edgetpu_compiler.py` the
compiler, and what the chip would compute is in a table, taken from what the same encoder computes on this CPU.
"""

import os
import shutil
import struct
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from edgedistil_runtime import LiteRTInterpreterBackend, TextClassifier
from edgedistil_runtime.artifact import EncoderFlatbuffers, artifact_bytes, read_artifact
from edgedistil_runtime.backends.encoders import EDGETPU_LIBRARY, InterpreterEncoder
from edgedistil_runtime.backends.two_parts import TwoPartBackend

HERE = Path(__file__).parent
LIBRARY_FLAGS = ("-std=c11", "-D_DEFAULT_SOURCE", "-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared")
TEXTS = (
    "turn the lights on",
    "play some music",
    "is it raining ?",
    "louder !",
    "",
    "größer 日本 👍",
    "turn the light off and on and on and on and on and on and on and on and on",
)


@pytest.fixture(scope="session")
def texts() -> tuple[str, ...]:
    return TEXTS


@pytest.fixture(scope="session")
def compile_library(tmp_path_factory):
    """Compiles a C file into a shared library."""
    compiler = os.environ.get("CC") or next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None or sys.platform != "linux":
        pytest.skip("the stand-in for libedgetpu needs Linux and a C compiler: cc, gcc or clang on the PATH")

    def compile_file(source: Path) -> Path:
        library = tmp_path_factory.mktemp("library") / f"lib{source.stem}.so"
        done = subprocess.run(
            [compiler, *LIBRARY_FLAGS, str(source), "-o", str(library)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return library

    return compile_file


@pytest.fixture(scope="session")
def library(compile_library) -> Path:
    return compile_library(HERE / "fake_edgetpu.c")


@dataclass
class FakeEdgeTPU:
    """What the stand-in is told to do, and what it says that it did."""

    monkeypatch: pytest.MonkeyPatch
    log: Path

    def use(self, library: str | Path) -> None:
        self.monkeypatch.setenv(EDGETPU_LIBRARY, str(library))

    def fail(self, mode: str) -> None:
        """From now on; the words are those of `fake_edgetpu.c`."""
        self.monkeypatch.setenv("FAKE_EDGETPU_MODE", mode)

    def events(self, name: str | None = None) -> list[tuple[int, str, str]]:
        """(process, event, detail) so far, of all processes."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        events = [line.split(" ", 2) for line in lines]
        return [(int(process), event, detail) for process, event, detail in events if name in (None, event)]


@pytest.fixture
def edgetpu(library, monkeypatch, tmp_path) -> FakeEdgeTPU:
    """An Edge TPU that works, until it is told to fail."""
    device = FakeEdgeTPU(monkeypatch, tmp_path / "edgetpu.log")
    device.use(library)
    monkeypatch.delenv("FAKE_EDGETPU_MODE", raising=False)
    monkeypatch.setenv("FAKE_EDGETPU_LOG", str(device.log))
    return device


@pytest.fixture(scope="session")
def run_compiler(tmp_path_factory):
    """`run_compiler(encoder, table=b"...", on_cpu=0)`: the encoder as the stand-in for Coral's compiler makes it."""

    def run(encoder: bytes, *, table: bytes, on_cpu: int = 0) -> bytes:
        folder = tmp_path_factory.mktemp("compiler")
        (folder / "encoder.tflite").write_bytes(encoder)
        (folder / "table").write_bytes(table)
        environment = {"FAKE_EDGETPU_TABLE": str(folder / "table"), "FAKE_EDGETPU_CPU_OPS": str(on_cpu)}
        arguments = ["--show_operations", "--out_dir", str(folder), str(folder / "encoder.tflite")]
        program = [sys.executable, str(HERE / "fake_edgetpu_compiler.py")]
        subprocess.run([*program, *arguments], env={**os.environ, **environment}, check=True, capture_output=True)
        return (folder / "encoder_edgetpu.tflite").read_bytes()

    return run


@pytest.fixture(scope="session")
def converted(convert_tiny, made_once) -> Path:
    """An artefact as a conversion writes it where a program `edgetpu_compiler` is on the PATH; its table is empty."""
    return made_once("edgetpu", partial(_convert_with_compiler, convert_tiny)) / "model.tflite"


def _convert_with_compiler(convert_tiny, folder: Path) -> None:
    program = folder / "edgetpu_compiler"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{HERE / "fake_edgetpu_compiler.py"}" "$@"\n')
    program.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        convert_tiny("edgetpu", folder)


class RecordingEncoder:
    """Runs an encoder on the CPU and keeps what a table has to say of one of its tensors.

    The tensor is looked into before the last ops, of which `on_cpu` says how many there are.
    """

    name = "recording"

    def __init__(self, model: bytes, on_cpu: int):
        from ai_edge_litert import schema_py_generated as schema
        from ai_edge_litert.interpreter import Interpreter

        [subgraph] = schema.ModelT.InitFromPackedBuf(model, 0).subgraphs
        self.answers = InterpreterEncoder(model, LiteRTInterpreterBackend)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that preserved tensors take memory
            self.interpreter = Interpreter(model_content=model, experimental_preserve_all_tensors=True)
        self.interpreter.allocate_tensors()
        self.inputs = self.interpreter.get_input_details()
        self.tensor = int(subgraph.operators[-1 - on_cpu].outputs[0])
        self.is_whole = on_cpu == 0
        self.entries: dict[bytes, bytes] = {}

    def run(self, length: int, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        probabilities = self.answers.run(length, inputs)
        if self.is_whole:
            steps = np.round(probabilities * 256 - 128).astype(np.int8)
        else:
            for detail in self.inputs:
                self.interpreter.set_tensor(detail["index"], inputs[detail["name"]])
            self.interpreter.invoke()
            steps = self.interpreter.get_tensor(self.tensor)
        self.entries[b"".join(inputs[detail["name"]].tobytes() for detail in self.inputs)] = steps.tobytes()
        return probabilities

    def close(self) -> None:
        self.answers.close()

    def table(self) -> bytes:
        """In the form that `fake_edgetpu.c` reads."""
        [size] = {len(output) for output in self.entries.values()}
        entries = (struct.pack("<Q", _hash(key)) + output for key, output in self.entries.items())
        return struct.pack("<II", len(self.entries), size) + b"".join(entries)


def _hash(content: bytes) -> int:
    """FNV-1a, 64 bits."""
    value = 0xCBF29CE484222325
    for byte in content:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def _with_encoder(source: Path, path: Path, compiled: bytes | None, **changes) -> Path:
    """An artefact with another compiled encoder, or none, and with other metadata."""
    artifact = read_artifact(source)
    metadata = replace(artifact.metadata, **changes)
    if metadata.encoder is not None:
        metadata = replace(metadata, encoder=replace(metadata.encoder, is_compiled=compiled is not None))
    encoder = None if metadata.encoder is None else EncoderFlatbuffers(artifact.encoder().model, compiled)
    path.write_bytes(artifact_bytes(artifact.flatbuffer(), metadata, artifact.vocabulary, encoder=encoder))
    return path


@dataclass(frozen=True)
class Compiled:
    """An artefact that the stand-in can run, and what it must answer.

    Attributes:
        path: of the artefact.
        answers: text -> label and probabilities of the encoder on this CPU.
    """

    path: Path
    answers: Mapping[str, tuple[str, Mapping[str, float]]]


def _compiled(converted: Path, path: Path, run_compiler, texts: Sequence[str], on_cpu: int = 0) -> Compiled:
    artifact = read_artifact(converted)
    recorder = RecordingEncoder(artifact.encoder().model, on_cpu)
    backend = TwoPartBackend(
        LiteRTInterpreterBackend(converted),
        recorder,
        lengths=artifact.metadata.encoder.lengths,
        pad_id=artifact.metadata.tokenizer.pad_id,
    )
    with TextClassifier(converted, backend=backend) as classifier:  # the golden cases are recorded too
        found = [classifier.classify(text) for text in texts]
    compiled = run_compiler(artifact.encoder().model, table=recorder.table(), on_cpu=on_cpu)
    return Compiled(
        _with_encoder(converted, path, compiled), {one.text: (one.label, one.probabilities) for one in found}
    )


@pytest.fixture(scope="session")
def compiled(converted, run_compiler, texts, tmp_path_factory) -> Compiled:
    """The whole encoder is on the Edge TPU."""
    return _compiled(converted, tmp_path_factory.mktemp("compiled") / "whole.tflite", run_compiler, texts)


@pytest.fixture(scope="session")
def partly_compiled(converted, run_compiler, texts, tmp_path_factory) -> Compiled:
    """The last two ops, a reshape and the softmax, stay on the CPU."""
    path = tmp_path_factory.mktemp("compiled") / "partly.tflite"
    return _compiled(converted, path, run_compiler, texts, on_cpu=2)


@pytest.fixture
def with_encoder(compiled, tmp_path):
    """`with_encoder(None, target="cpu", encoder=None)`: the artefact with another compiled encoder and metadata."""
    return partial(_with_encoder, compiled.path, tmp_path / "changed.tflite")

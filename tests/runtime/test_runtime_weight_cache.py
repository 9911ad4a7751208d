"""LiteRT's CompiledModel and the files of packed weights: same answers, and no damaged file reaches LiteRT."""

import importlib
import json
import logging
import os
import subprocess
import sys

import numpy as np
import pytest

from edgedistil_runtime import BackendError, LiteRTInterpreterBackend, TextClassifier
from edgedistil_runtime.artifact import read_artifact
from edgedistil_runtime.backends import choice, weight_cache
from edgedistil_runtime.backends.compiled_model import CompiledModelBackend

from ..conftest import HANG

TEXTS = ["", "a", "hello", "größer 日本", "z" * 100, "x\0y", "hello"]
COMPILED = CompiledModelBackend.name


@pytest.fixture(autouse=True)
def litert():
    try:
        importlib.import_module(CompiledModelBackend._module)
    except ImportError:
        pytest.skip("ai-edge-litert's CompiledModel is not installed")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


def answers(classifier):
    return [list(classifier.classify(text).probabilities.values()) for text in TEXTS]


@pytest.fixture
def due(echo_path):
    with TextClassifier(echo_path, weight_cache=False) as classifier:
        assert classifier.runtime_info.backend != COMPILED
        return answers(classifier)


class TestCompiledModel:
    @pytest.fixture
    def backend(self, echo_path):
        backend = CompiledModelBackend(echo_path, longest_row=128, num_classes=3)
        yield backend
        backend.close()

    def test_same_as_the_interpreter(self, backend, echo_path):
        other = LiteRTInterpreterBackend(echo_path)
        generator = np.random.default_rng(5)
        for size in (64, 64, 128, 64):
            text = np.zeros(size, np.int32)
            text[: size // 2] = generator.integers(97, 122, size // 2)
            for signature in ("tokenize", "classify_text"):
                (name, values), *_ = backend.run(signature, {"text": text}).items()
                np.testing.assert_allclose(values, other.run(signature, {"text": text})[name], rtol=0, atol=1e-6)

    @pytest.mark.parametrize("shape", [(1, 3), (5, 2), (1, 3), (33, 100)])
    def test_batches(self, backend, echo_path, shape):
        inputs = {"token_ids": np.random.default_rng(1).integers(1, 99, shape).astype(np.int32)}
        received = backend.run("classify_tokens", inputs)["probabilities"]
        due = LiteRTInterpreterBackend(echo_path).run("classify_tokens", inputs)["probabilities"]
        np.testing.assert_allclose(received, due, rtol=0, atol=1e-6)

    def test_outputs_stay_as_they_are(self, backend):
        first = backend.run("tokenize", {"text": np.full(64, 65, np.int32)})["token_ids"]
        kept = first.copy()
        backend.run("tokenize", {"text": np.full(64, 66, np.int32)})
        assert first.tolist() == kept.tolist()

    def test_errors(self, backend, tmp_path):
        with pytest.raises(BackendError, match="takes the inputs"):
            backend.run("tokenize", {"texts": np.zeros(64, np.int32)})
        with pytest.raises(BackendError, match="failed in tokenize"):
            backend.run("tokenize", {"text": np.zeros((2, 64), np.int32)})
        assert backend.run("tokenize", {"text": np.zeros(64, np.int32)})["token_ids"].tolist() == [[1, 2]]
        with pytest.raises(BackendError, match="num_threads"):
            CompiledModelBackend("x", longest_row=1, num_classes=1, num_threads=0)
        with pytest.raises(BackendError, match="cannot load the model"):
            CompiledModelBackend(tmp_path / "none.tflite", longest_row=1, num_classes=1)
        backend.close()
        backend.close()
        with pytest.raises(BackendError, match="closed"):
            backend.run("tokenize", {"text": np.zeros(64, np.int32)})


class TestChoice:
    def test_small_models_run_in_an_interpreter(self, echo_path):
        with TextClassifier(echo_path) as classifier:
            assert classifier.runtime_info.backend == "ai-edge-litert"
            assert "more memory than it saves" in classifier.runtime_info.not_used[COMPILED]

    def test_large_models_run_compiled(self, echo_path, monkeypatch, due):
        monkeypatch.setattr(choice, "LARGEST_IN_MEMORY", 1000)
        with TextClassifier(echo_path) as classifier:
            info = classifier.runtime_info
            assert (info.backend, info.golden_cases) == (COMPILED, 4)
            assert info.not_used["ai-edge-litert"] == "installed, but not the first choice"
            np.testing.assert_allclose(answers(classifier), due, rtol=0, atol=1e-6)
        with TextClassifier(echo_path, weight_cache=False) as classifier:
            assert classifier.runtime_info.not_used[COMPILED] == "not wanted: `weight_cache` is False"

    def test_an_interpreter_stands_in(self, echo_path, monkeypatch, caplog):
        monkeypatch.setattr(choice, "LARGEST_IN_MEMORY", 1000)
        monkeypatch.setitem(sys.modules, CompiledModelBackend._module, None)
        with TextClassifier(echo_path) as classifier:
            assert classifier.runtime_info.backend == "ai-edge-litert"
            assert "could not load" in classifier.runtime_info.not_used[COMPILED]
        assert "takes more memory" in caplog.text

    def test_not_installed(self, echo_path, monkeypatch, folder):
        monkeypatch.setitem(sys.modules, CompiledModelBackend._module, None)
        with pytest.raises(BackendError, match="pip install 'ai-edge-litert"):
            TextClassifier(echo_path, weight_cache=folder)
        monkeypatch.setattr(CompiledModelBackend, "is_installed", lambda: False)
        with TextClassifier(echo_path) as classifier:
            assert classifier.runtime_info.not_used[COMPILED].startswith("not installed: pip install")

    def test_strings(self, echo_path, folder):
        artifact = read_artifact(echo_path)
        object.__setattr__(artifact.metadata.tokenizer, "kind", "tftext")
        with pytest.raises(BackendError, match="takes no string tensors"):
            choice.open_backend(artifact, weight_cache=folder)
        object.__setattr__(artifact.metadata.tokenizer, "kind", "builtin")


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="files are kept on Linux alone")
class TestFiles:
    def test_one_file_a_model_used_again(self, echo_path, folder, due, monkeypatch):
        for _ in range(2):
            with TextClassifier(echo_path, weight_cache=folder) as classifier:
                assert classifier.runtime_info.backend == COMPILED
                np.testing.assert_allclose(answers(classifier), due, rtol=0, atol=1e-6)
            assert len(list(folder.iterdir())) == 1
            monkeypatch.setattr(weight_cache, "_copy_to_folder", None)  # the second time nothing is written

    def test_another_version_has_another_file(self, echo_path, folder, monkeypatch):
        TextClassifier(echo_path, weight_cache=folder).close()
        monkeypatch.setattr(CompiledModelBackend, "installed_version", staticmethod(lambda: "2.4.0"))
        TextClassifier(echo_path, weight_cache=folder).close()
        monkeypatch.setattr(weight_cache, "_processor", lambda: "another")
        TextClassifier(echo_path, weight_cache=folder).close()
        assert len(list(folder.iterdir())) == 3

    def test_the_users_own_folder(self, echo_path, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        TextClassifier(echo_path, weight_cache=True).close()
        assert len(list((tmp_path / "edgedistil").iterdir())) == 1
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setenv("HOME", str(tmp_path))
        assert weight_cache.default_cache_folder() == tmp_path / ".cache" / "edgedistil"

    def test_a_folder_that_cannot_be_written(self, echo_path, tmp_path, due, caplog):
        (tmp_path / "file").write_text("")
        with TextClassifier(echo_path, weight_cache=tmp_path / "file" / "below") as classifier:
            np.testing.assert_allclose(answers(classifier), due, rtol=0, atol=1e-6)
        assert "cannot be kept" in caplog.text

    def test_a_full_disk_leaves_nothing_behind(self, echo_path, folder, due, monkeypatch, caplog):
        def full(source, target):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(weight_cache.Path, "replace", full)
        with TextClassifier(echo_path, weight_cache=folder) as classifier:
            np.testing.assert_allclose(answers(classifier), due, rtol=0, atol=1e-6)
        assert list(folder.iterdir()) == []
        assert "No space left" in caplog.text

    def test_damaged_files_are_replaced(self, echo_path, folder, due, caplog):
        caplog.set_level(logging.WARNING)
        TextClassifier(echo_path, weight_cache=folder).close()
        (kept,) = folder.iterdir()
        sound = kept.read_bytes()
        for damaged in (b"", sound[:-1], sound + b"\0", bytes([sound[0] ^ 1]) + sound[1:]):
            kept.write_bytes(damaged)
            with TextClassifier(echo_path, weight_cache=folder) as classifier:
                np.testing.assert_allclose(answers(classifier), due, rtol=0, atol=1e-6)
            assert [path.read_bytes() for path in folder.iterdir()] == [sound]
        assert caplog.text.count("A damaged weight cache is not used") == 4

    def test_many_processes_start_at_once(self, echo_path, folder, due):
        code = (
            "import json, sys; from edgedistil_runtime import TextClassifier\n"
            "with TextClassifier(sys.argv[1], weight_cache=sys.argv[2]) as classifier:\n"
            "    print(json.dumps(list(classifier.classify('hello').probabilities.values())))"
        )
        command = [sys.executable, "-c", code, str(echo_path), str(folder)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        started = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) for _ in range(4)]
        for process in started:
            output, _ = process.communicate(timeout=HANG)
            assert process.returncode == 0
            np.testing.assert_allclose(json.loads(output), due[TEXTS.index("hello")], rtol=0, atol=1e-6)
        assert len(list(folder.iterdir())) == 1

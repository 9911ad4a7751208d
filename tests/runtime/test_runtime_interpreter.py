"""The same classifier over a real interpreter and a real model (data/echo.tflite)."""

import struct
import sys
import threading

import numpy as np
import pytest

from edgedistil_runtime import (
    BackendError,
    LiteRTInterpreterBackend,
    TensorFlowBackend,
    TextClassifier,
    TFLiteRuntimeBackend,
)
from edgedistil_runtime.artifact import artifact_bytes
from edgedistil_runtime.backends import default_backend

TEXTS = ["", "a", "hello", "größer 日本", "z" * 100, "hello", "x\0y", "\ud800"]


@pytest.fixture
def classifier(echo_path):
    with TextClassifier(echo_path, num_threads=1) as classifier:
        yield classifier


class TestRealInterpreter:
    def test_answers(self, classifier, echo):
        for text in TEXTS:
            seen = text.replace("\ud800", "\ufffd")
            assert classifier.tokenize(text) == echo.token_ids(seen)
            received = list(classifier.classify(text).probabilities.values())
            assert received == pytest.approx(echo.probabilities(seen), abs=1e-6)

    def test_batch_equals_one_by_one(self, classifier):
        for together, alone in zip(classifier.classify_batch(TEXTS), map(classifier.classify, TEXTS)):  # noqa: B905  # Python 3.9 has no strict
            assert (together.text, together.label) == (alone.text, alone.label)
            assert list(together.probabilities.values()) == pytest.approx(list(alone.probabilities.values()), abs=1e-6)

    def test_runtime_info(self, classifier):
        info = classifier.runtime_info
        assert info.backend in ("ai-edge-litert", "tflite-runtime")
        assert info.version[0].isdigit()
        assert (info.num_threads, info.golden_cases) == (1, 4)

    def test_outputs_stay_as_they_are(self, echo_path):
        backend = default_backend(echo_path)
        first = backend.run("tokenize", {"text": np.full(64, 65, np.int32)})["token_ids"]
        kept = first.copy()
        backend.run("tokenize", {"text": np.full(64, 66, np.int32)})
        assert first.tolist() == kept.tolist()

    def test_threads_may_share_it(self, classifier):
        expected = {text: classifier.classify(text) for text in TEXTS}
        wrong = []

        def work():
            wrong.extend(text for text in TEXTS * 20 if classifier.classify(text) != expected[text])

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []

    def test_closed(self, classifier):
        classifier.close()
        classifier.close()
        with pytest.raises(BackendError, match="closed"):
            classifier.classify("late")


class TestBackendErrors:
    def test_wrong_dtype(self, echo_path):
        with pytest.raises(BackendError, match="float32") as caught:
            default_backend(echo_path).run("tokenize", {"text": np.zeros(64, np.float32)})
        assert isinstance(caught.value.__cause__, (RuntimeError, ValueError))

    def test_unknown_signature(self, echo_path):
        with pytest.raises(BackendError, match="'classify_text', 'classify_tokens'"):
            default_backend(echo_path).run("translate", {})

    def test_model_that_no_interpreter_loads(self, write, echo_flatbuffer, metadata, vocabulary):
        model = bytearray(echo_flatbuffer)  # of a future schema version, which interpreters refuse
        (table,) = struct.unpack_from("<I", model, 0)
        (vtable_distance,) = struct.unpack_from("<i", model, table)
        (version_offset,) = struct.unpack_from("<H", model, table - vtable_distance + 4)
        struct.pack_into("<I", model, table + version_offset, 99)
        path = write(artifact_bytes(bytes(model), metadata, vocabulary))
        with pytest.raises(BackendError, match="cannot load the model"):
            TextClassifier(path)

    @pytest.mark.parametrize("num_threads", [0, -1, 1.5, True, "2"])
    def test_num_threads(self, echo_path, num_threads):
        with pytest.raises(BackendError, match="`num_threads` must be"):
            TextClassifier(echo_path, num_threads=num_threads)

    @pytest.mark.parametrize("kind", [LiteRTInterpreterBackend, TFLiteRuntimeBackend])
    def test_missing_interpreter_says_how_to_install_it(self, monkeypatch, echo_path, kind):
        monkeypatch.setitem(sys.modules, kind._module, None)
        with pytest.raises(BackendError, match=f"pip install '?{kind.name}"):
            kind(echo_path)

    def test_no_interpreter_at_all(self, monkeypatch, echo_path):
        for kind in (LiteRTInterpreterBackend, TFLiteRuntimeBackend, TensorFlowBackend):
            monkeypatch.setattr(kind, "is_installed", lambda: False)
        with pytest.raises(BackendError, match=r"No interpreter is installed.* or pip install tflite-runtime"):
            TextClassifier(echo_path)

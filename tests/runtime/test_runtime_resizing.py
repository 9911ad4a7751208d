"""A short text after a long one gets the answer of a short text, on every backend; and None is one thread."""

import numpy as np
import pytest

from edgedistil_runtime import BackendError, LiteRTInterpreterBackend, TensorFlowBackend, TFLiteRuntimeBackend
from edgedistil_runtime.backends.compiled_model import CompiledModelBackend
from edgedistil_runtime.text_bytes import encode_text

INTERPRETERS = [LiteRTInterpreterBackend, TFLiteRuntimeBackend, TensorFlowBackend]
SHORT, LONG = encode_text("hello"), encode_text("z" * 200)  # 128 and 256 bytes with their padding
ROW, ROWS = np.array([[1, 7, 2]], np.int32), np.arange(1, 1 + 4 * 60, dtype=np.int32).reshape(4, 60) % 90 + 1
SHORT_AND_LONG = [
    ("tokenize", {"text": SHORT}, {"text": LONG}),
    ("classify_text", {"text": SHORT}, {"text": LONG}),
    ("classify_tokens", {"token_ids": ROW}, {"token_ids": ROWS}),
]


@pytest.fixture(params=[*INTERPRETERS, CompiledModelBackend], ids=lambda kind: kind.name.replace(" ", "-"))
def open_model(request, echo_path):
    """Opens the model in one of the backends, anew at every call."""
    kind = request.param
    try:
        (kind._imported if kind is CompiledModelBackend else kind.interpreter_class)()
    except BackendError:
        pytest.skip(f"{kind.name} is not installed")
    options = {"longest_row": 256, "num_classes": 3} if kind is CompiledModelBackend else {}
    return lambda: kind(echo_path, **options)


@pytest.mark.filterwarnings(r"ignore:\s*Warning. tf.lite.Interpreter is deprecated")
@pytest.mark.parametrize(("signature", "short", "long"), SHORT_AND_LONG)
def test_a_short_text_after_a_long_one(open_model, signature, short, long):
    used, fresh = open_model(), open_model()
    for inputs in (long, short, short, long, short):
        [received] = used.run(signature, inputs).values()
    [due] = fresh.run(signature, short).values()
    assert received.tolist() == due.tolist()
    used.close()
    fresh.close()


class TestCompiledModel:
    @pytest.fixture
    def backend(self, echo_path):
        pytest.importorskip("ai_edge_litert.compiled_model")
        backend = CompiledModelBackend(echo_path, longest_row=256, num_classes=3)
        yield backend
        backend.close()

    def test_nothing_is_written_into_an_input_that_was_not_resized(self, backend, monkeypatch):
        """LiteRT would run on what the rest of the input held before."""
        due = backend.run("tokenize", {"text": LONG})["token_ids"].tolist()
        with monkeypatch.context() as patch:
            patch.setattr(backend._model, "resize_input_tensor_by_name", lambda *_: None)
            with pytest.raises(BackendError, match=r"did not resize the input 'text' of tokenize.*\(128,\).*\(256,\)"):
                backend.run("tokenize", {"text": SHORT})
        assert backend.run("tokenize", {"text": LONG})["token_ids"].tolist() == due

    @pytest.mark.parametrize(("kept", "failed"), [(LONG, SHORT), (SHORT, LONG)])
    def test_a_failed_preparation_leaves_no_buffers(self, backend, monkeypatch, kept, failed):
        """The input has another shape by then, which the buffers of the last run do not fit."""
        due = backend.run("classify_text", {"text": kept})["probabilities"].tolist()
        with monkeypatch.context() as patch:
            patch.setattr(backend, "_output", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                backend.run("classify_text", {"text": failed})
        assert not backend._calls
        assert backend.run("classify_text", {"text": kept})["probabilities"].tolist() == due


class _NumThreads(RuntimeError):
    """Raised instead of loading a model, with the number of threads."""


def _refuse(*, num_threads, **_):
    raise _NumThreads(num_threads)


@pytest.mark.parametrize(("num_threads", "due"), [(None, 1), (1, 1), (3, 3)])
class TestThreads:
    @pytest.mark.parametrize("kind", INTERPRETERS)
    def test_interpreters(self, monkeypatch, echo_path, kind, num_threads, due):
        monkeypatch.setattr(kind, "interpreter_class", staticmethod(lambda: _refuse))
        with pytest.raises(BackendError) as caught:
            kind(echo_path, num_threads=num_threads)
        assert caught.value.__cause__.args == (due,)

    def test_compiled_model(self, monkeypatch, echo_path, num_threads, due):
        litert = pytest.importorskip("ai_edge_litert.compiled_model")
        monkeypatch.setattr(litert, "CpuOptions", _refuse)
        with pytest.raises(_NumThreads) as caught:
            CompiledModelBackend(echo_path, longest_row=128, num_classes=3, num_threads=num_threads)
        assert caught.value.args == (due,)

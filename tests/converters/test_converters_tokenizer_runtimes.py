"""The same file in every runtime that is here: token ids equal to KerasHub's, probabilities equal to Keras's.

Three runtimes come with the packages of `make setup`. The fourth, tflite-runtime 2.14 of 2023, needs Python 3.11 and
NumPy 1, so it lives in `.venv-tflite-runtime` (`make setup-tflite-runtime`); another interpreter that has it is named
by the environment variable EDGEDISTIL_TFLITE_RUNTIME_PYTHON. Without either its tests are skipped.
"""

import json
import os
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import edgedistil_runtime
from edgedistil_runtime import TensorFlowBackend, TextClassifier

from ..conftest import HANG

ROOT = Path(__file__).parents[2]
PYTHON = os.environ.get("EDGEDISTIL_TFLITE_RUNTIME_PYTHON") or str(ROOT / ".venv-tflite-runtime" / "bin" / "python")
TOLERANCE = 1e-5
DEFAULT_BYTES = 256  # of the default shape of `text`, see `signatures.DEFAULT_SHAPES`
RUNTIMES = ("litert", "litert_reference_kernels", "tf_lite", "compiled_model", "compiled_model_default_shape")

TEXTS = {
    "empty": b"",
    "one_byte": b"a",
    "one_space": b" ",
    "english": b"Turn on the lights, play music!",
    "unknown_words": b"quiz the zebra",
    "accents": "Straße in ZÜRICH, señor, éñü".encode(),
    "cjk": "京都の東京 日x東".encode(),
    "emoji": "👍turn 👨‍👩‍👧 off🎉 👍🏽".encode(),
    "combining_marks": "e\u0301 on, I\u0307s か\u3099 e\u0323\u0301".encode(),
    "invalid_utf8": b"on \xff\xc3 the\x80\xe6\x9d light\xf0\x9f\x92 \xed\xa0\x80\xc0\x80 off",
    "nul_ends_it": b"turn on\0 the light",
    "hundred_bytes": b"a" * 100 + b" on",
    "long_word": b"a" * 101 + b" on",
    "default_length": b"turn the light off " * 13 + b"play on!.",
    "long": "turn the light off in Zürich, 東京 e\u0301 ".encode() * 40,
}

# The newest version of each op that tflite-runtime 2.14.0 loads: found by raising the versions in a file one by one.
# They are those of tensorflow/lite/core/kernels/register.cc. Of the ops that a file has, and of no others.
NEWEST_IN_2_14 = {
    "ADD": 5, "ARG_MIN": 3, "BATCH_MATMUL": 4, "BROADCAST_TO": 3, "CAST": 5, "CONCATENATION": 4, "CUMSUM": 1,
    "DEQUANTIZE": 5, "EQUAL": 4, "FLOOR_DIV": 3, "FLOOR_MOD": 2, "FULLY_CONNECTED": 10, "GATHER": 6, "GELU": 2,
    "GREATER": 2, "GREATER_EQUAL": 3, "IF": 1, "LESS": 3, "LOGICAL_AND": 1, "LOGICAL_NOT": 1, "LOGICAL_OR": 1,
    "MAXIMUM": 4, "MEAN": 3, "MINIMUM": 4, "MUL": 7, "NOT_EQUAL": 3, "PACK": 4, "RANGE": 2, "REDUCE_MAX": 3,
    "REDUCE_MIN": 3, "RESHAPE": 1, "RSQRT": 2, "SCATTER_ND": 1, "SELECT_V2": 2, "SHAPE": 1, "SLICE": 6, "SOFTMAX": 3,
    "SQUARED_DIFFERENCE": 2, "STRIDED_SLICE": 8, "SUB": 5, "SUM": 2, "TOPK_V2": 3, "TRANSPOSE": 6, "WHERE": 2,
    "ZEROS_LIKE": 1,
}  # fmt: skip

needs_tflite_runtime = pytest.mark.skipif(
    not Path(PYTHON).exists(),
    reason=f"tflite-runtime is not installed: there is no {PYTHON}; run `make setup-tflite-runtime`",
)
# Runs in the other environment: the runtime package is imported from its folder, the golden cases are replayed first.
RUN_IN_TFLITE_RUNTIME = """
import json, sys
import numpy as np
from edgedistil_runtime import TextClassifier, TFLiteRuntimeBackend

path = sys.argv[1]
with TextClassifier(path, backend=TFLiteRuntimeBackend(path)) as classifier:
    info = classifier.runtime_info
with open(path, "rb") as file:
    backend = TFLiteRuntimeBackend(file.read())  # a model in memory
answers = []
for values in json.load(sys.stdin):
    inputs = {"text": np.array(values, np.int32)}
    ids = backend.run("tokenize", inputs)["token_ids"][0].tolist()
    answers.append((ids, backend.run("classify_text", inputs)["probabilities"][0].tolist()))
print(json.dumps({"version": info.version, "golden_cases": info.golden_cases, "answers": answers}))
"""


def row(text: bytes):
    """int32[n]: the bytes of a text in the default shape, or in the next power of two."""
    values = np.zeros(max(DEFAULT_BYTES, 1 << (len(text) - 1).bit_length()), np.int32)
    values[: len(text)] = np.frombuffer(text, np.uint8)
    return values


class InterpreterRuntime:
    """Anything with the interface of `tf.lite.Interpreter`."""

    def __init__(self, interpreter):
        self._runners = {name: interpreter.get_signature_runner(name) for name in ("tokenize", "classify_text")}

    def ids(self, text):
        return self._runners["tokenize"](text=row(text))["token_ids"][0].tolist()

    def probabilities(self, text):
        return self._runners["classify_text"](text=row(text))["probabilities"][0]


class CompiledModelRuntime:
    """LiteRT's CompiledModel. It keeps the default shape until it is told another one."""

    def __init__(self, path, *, is_resized):
        from ai_edge_litert.compiled_model import CompiledModel

        self._model, self._is_resized = CompiledModel.from_file(str(path)), is_resized

    def ids(self, text):
        from ai_edge_litert.tensor_buffer import TensorBuffer

        # The number of token ids is known after the run only, and a buffer that the model makes is too small.
        memory = aligned(self._longest(text))
        output = TensorBuffer.create_from_host_memory(memory)
        self.run("tokenize", "token_ids", output, text)
        rows, count = self._model.get_output_tensor_details("tokenize")["token_ids"]["shape"]
        assert rows == 1
        return output.read(count, np.int32).tolist()

    def probabilities(self, text):
        output = self._model.create_output_buffer_by_name("classify_text", "probabilities")
        self.run("classify_text", "probabilities", output, text)
        _, count = self._model.get_output_tensor_details("classify_text")["probabilities"]["shape"]
        return output.read(count, np.float32)

    def run(self, signature, name, output, text):
        values = row(text)
        if self._is_resized:
            self._model.resize_input_tensor_by_name(signature, "text", [len(values)])
        buffer = self._model.create_input_buffer_by_name(signature, "text")
        buffer.write(values)
        self._model.run_by_name(signature, {"text": buffer}, {name: output})

    def output_bytes(self):
        index = self._model.get_signature_index("tokenize")
        return self._model.get_output_buffer_requirements(0, index)["buffer_size"]

    @staticmethod
    def _longest(text):
        return len(text) + 2  # a piece has at least one byte


def aligned(size):
    """int32[size] at a multiple of 64 bytes, as LiteRT wants it; elsewhere it would work on a copy."""
    memory = np.zeros(size + 16, np.int32)
    first = -memory.ctypes.data % 64 // memory.itemsize
    return memory[first : first + size]


def make_runtime(name, path):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    if name == "litert":
        return InterpreterRuntime(Interpreter(str(path)))
    if name == "litert_reference_kernels":
        kernels = OpResolverType.BUILTIN_REF
        return InterpreterRuntime(Interpreter(str(path), experimental_op_resolver_type=kernels))
    if name == "tf_lite":
        import tensorflow as tf

        with pytest.warns(UserWarning, match="deprecated"):
            return InterpreterRuntime(tf.lite.Interpreter(str(path)))
    return CompiledModelRuntime(path, is_resized=name == "compiled_model")


@pytest.fixture(scope="module")
def keras_answers(classifier):
    """Name of a text -> (token ids, probabilities) of KerasHub's graph path and the Keras classifier."""
    import tensorflow as tf

    preprocess = tf.function(lambda texts: classifier.preprocessor(texts))
    features = {name: np.asarray(value) for name, value in preprocess(tf.constant(list(TEXTS.values()))).items()}
    logits = np.asarray(classifier(features), np.float64)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    ids = [tokens[mask].tolist() for tokens, mask in zip(features["token_ids"], features["padding_mask"], strict=True)]
    return dict(zip(TEXTS, zip(ids, probabilities, strict=True), strict=True))


@pytest.fixture(scope="module")
def runtime(convert):
    """`runtime("litert")`: the fp32 file, loaded once."""
    return cache(lambda name: make_runtime(name, convert("fp32").artifact.path))


def test_texts_are_what_they_are_called(keras_answers, classifier):
    assert len(TEXTS["long"]) > DEFAULT_BYTES == len(TEXTS["default_length"])
    assert keras_answers["empty"][0] == keras_answers["one_space"][0] and len(keras_answers["empty"][0]) == 2
    assert len(keras_answers["long"][0]) == classifier.preprocessor.sequence_length
    assert keras_answers["hundred_bytes"][0] != keras_answers["long_word"][0]
    assert len({tuple(ids) for ids, _ in keras_answers.values()}) == len(TEXTS) - 1


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", RUNTIMES)
def test_ids_and_probabilities(runtime, keras_answers, name, text):
    ids, probabilities = keras_answers[text]
    if name == "compiled_model_default_shape" and len(TEXTS[text]) > DEFAULT_BYTES:
        with pytest.raises(RuntimeError, match="source buffer is larger"):
            runtime(name).ids(TEXTS[text])
        return
    assert runtime(name).ids(TEXTS[text]) == ids
    np.testing.assert_allclose(runtime(name).probabilities(TEXTS[text]), probabilities, rtol=0, atol=TOLERANCE)


def test_compiled_model_does_not_know_how_many_ids_there_will_be(convert):
    """Callers bring a buffer of their own: LiteRT sizes its own by the last run, at first for one id.

    https://github.com/google-ai-edge/LiteRT/issues/9518. When this test fails, say so in docs/tokenizer.md.
    """
    model = CompiledModelRuntime(convert("fp32").artifact.path, is_resized=False)
    assert model.output_bytes() == np.dtype(np.int32).itemsize
    output = model._model.create_output_buffer_by_name("tokenize", "token_ids")
    with pytest.raises(RuntimeError, match="Failed to invoke"):
        model.run("tokenize", "token_ids", output, TEXTS["english"])
    assert len(model.ids(TEXTS["english"])) > 2


@pytest.mark.parametrize("scheme", ["fp32", "fp16"])
def test_every_op_is_known_to_2_14(convert, scheme):
    structure = convert(scheme).structure
    assert structure.custom_ops == ()
    newer = {op for op in structure.ops if op[1] > NEWEST_IN_2_14.get(op[0], 0)}
    assert newer == set()


def test_int8_matmuls_are_too_new_for_2_14(convert):
    structure = convert("int8").structure
    newer = {op for op in structure.ops if op[1] > NEWEST_IN_2_14.get(op[0], 0)}
    assert newer == {("FULLY_CONNECTED", 12)}
    assert structure.minimum_runtime == "2.17.0"


def in_tflite_runtime(path, texts=()):
    """The finished process of the script above; `-I` keeps this environment's variables and folders out of it."""
    folder = str(Path(edgedistil_runtime.__file__).parents[1])
    script = f"import sys; sys.path.insert(0, {folder!r})\n{RUN_IN_TFLITE_RUNTIME}"
    rows = json.dumps([row(text).tolist() for text in texts])
    return subprocess.run(
        [PYTHON, "-I", "-c", script, str(path)], input=rows, capture_output=True, text=True, timeout=HANG
    )


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning")
@pytest.mark.parametrize("read", [Path, Path.read_bytes])
def test_the_backend_of_tensorflow(convert, keras_answers, read):
    """The golden cases are replayed as the classifier loads."""
    model = read(convert("int8").artifact.path)
    with TextClassifier(model, backend=TensorFlowBackend(model)) as classifier:
        info = classifier.runtime_info
        assert (info.backend, info.version[:2]) == ("tensorflow", "2.")
        assert info.golden_cases > 0
        for name in TEXTS.keys() - {"invalid_utf8"}:  # which no str is
            assert (name, classifier.tokenize(TEXTS[name].decode())) == (name, keras_answers[name][0])


@needs_tflite_runtime
@pytest.mark.parametrize(("scheme", "tolerance"), [("fp32", TOLERANCE), ("fp16", 5e-3)])
def test_tflite_runtime(convert, keras_answers, scheme, tolerance):
    conversion = convert(scheme)
    done = in_tflite_runtime(conversion.artifact.path, TEXTS.values())
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["version"].startswith("2.14")
    assert result["golden_cases"] == len(conversion.artifact.metadata.golden_cases) > 0
    for text, (ids, probabilities) in zip(TEXTS, result["answers"], strict=True):
        assert (text, ids) == (text, keras_answers[text][0])
        np.testing.assert_allclose(probabilities, keras_answers[text][1], rtol=0, atol=tolerance, err_msg=text)


@needs_tflite_runtime
def test_tflite_runtime_refuses_int8(convert):
    done = in_tflite_runtime(convert("int8").artifact.path)
    assert done.returncode != 0
    assert "'FULLY_CONNECTED' version '12'" in done.stderr and "BackendError" in done.stderr

"""The real MediaPipe, in an environment of its own, reads the file and computes what Keras computes.

MediaPipe needs other packages than TensorFlow does, half a gigabyte of them, so `make setup-mediapipe` installs it into
`.venv-mediapipe`; another interpreter that has it is named by the environment variable MEDIAPIPE_PYTHON. Without either
these tests are skipped.
"""

import json
import os
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from edgedistil_runtime.signing import FileSignature
from edgedistil_runtime.trailing_archive import append_archive, with_note

from ..conftest import HANG

HERE = Path(__file__).parent
PYTHON = Path(os.environ.get("MEDIAPIPE_PYTHON", HERE.parents[1] / ".venv-mediapipe" / "bin" / "python"))
pytestmark = pytest.mark.skipif(
    not PYTHON.exists(), reason=f"MediaPipe is not installed: there is no {PYTHON}; run `make setup-mediapipe`"
)
LONG = "play some loud music and " * 20  # far more tokens than the classifier's 16
TEXTS = (
    "",
    " ",
    "?",
    "turn the light on",
    "TURN THE LIGHT OFF!",
    "Turn on the lights, the music is loud",
    "turn  the\tlights\noff",
    "play some music",
    "play louder music!!!",
    "is it raining?",
    "is it raining on it",
    "some rain, some light",
    "the music is off",
    "it is loud",
    "unknown words here",
    "(on) [off] {it}",
    "#rain @light $music %off ^on",
    "on-off_on/off",
    "x" * 200,
    LONG,
    LONG + "turn the light off",
    "play 12 lights at 7:30",
)


@pytest.fixture(scope="module")
def classify_with_mediapipe():
    """`classify_with_mediapipe(path, texts)`: what the script beside this file prints."""

    def classify(path, texts):
        command = [str(PYTHON), str(HERE / "classify_with_mediapipe.py"), str(path)]
        done = subprocess.run(command, input=json.dumps(list(texts)), capture_output=True, text=True, timeout=HANG)
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout)

    return classify


@pytest.fixture(scope="module")
def convert(tiny_classifier, tiny_labels, tmp_path_factory):
    """`convert("int8")`: the tiny classifier as MediaPipe reads it."""

    @cache
    def convert_once(scheme):
        from edgedistil_converters import QuantizationPlan, convert_classifier
        from edgedistil_converters.interface import ModelInterface

        path = tmp_path_factory.mktemp("mediapipe") / f"{scheme}.tflite"
        interface = ModelInterface("none", metadata="mediapipe")
        return convert_classifier(
            tiny_classifier, tiny_labels, path, plan=QuantizationPlan(scheme), interface=interface
        )

    return convert_once


@pytest.mark.parametrize(("scheme", "tolerance"), [("fp32", 1e-5), ("fp16", 5e-3), ("int8", 0.06)])
def test_mediapipe_computes_what_keras_computes(
    classify_with_mediapipe, convert, tiny_classifier, tiny_labels, scheme, tolerance
):
    from edgedistil_converters.verification.keras_answers import answer_with_keras

    expected = answer_with_keras(tiny_classifier, TEXTS)
    assert len({int(np.argmax(answer.probabilities)) for answer in expected}) > 1
    answers = classify_with_mediapipe(convert(scheme).artifact.path, TEXTS)["answers"]
    assert len(answers) == len(TEXTS)
    for due, categories in zip(expected, answers, strict=True):
        assert {c["index"]: c["label"] for c in categories} == dict(enumerate(tiny_labels))
        scores = [c["score"] for c in sorted(categories, key=lambda c: c["index"])]
        np.testing.assert_allclose(scores, due.probabilities, rtol=0, atol=tolerance, err_msg=due.text[:50])
        best = int(np.argmax(due.probabilities))
        is_close = due.probabilities[best] - due.probabilities[categories[0]["index"]] < tolerance
        assert categories[0]["index"] == best or is_close


def test_a_signed_file_is_read_as_one_without_a_signature(classify_with_mediapipe, convert, tmp_path):
    path, signed = convert("fp32").artifact.path, tmp_path / "signed.tflite"
    signed.write_bytes(with_note(path.read_bytes(), FileSignature(bytes(32), bytes(64)).to_line()))
    assert classify_with_mediapipe(signed, TEXTS)["answers"] == classify_with_mediapipe(path, TEXTS)["answers"]


def test_mediapipe_wants_the_archive_stored(classify_with_mediapipe, convert, tiny_vocabulary, tiny_labels, tmp_path):
    """Why the archive of such a file is not deflated."""
    members = {"labels.txt": lines(tiny_labels), "vocab.txt": lines(tiny_vocabulary)}
    path = tmp_path / "deflated.tflite"
    path.write_bytes(append_archive(convert("fp32").artifact.flatbuffer(), members, is_deflated=True))
    assert classify_with_mediapipe(path, ["on"]) == {"error": "Expected uncompressed zip archive."}


def lines(items):
    return "".join(f"{item}\n" for item in items).encode()


PIECES = (
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "cafe",
    "café",
    "É",
    "é",
    "##é",
    "ss",
    "ß",
    "a",
    "b",
    "##b",
    "…",
)


@pytest.fixture(scope="module")
def ids(classify_with_mediapipe, tmp_path_factory):
    """`ids(texts)`: MediaPipe's token ids of each text, which a model gives as its scores, and KerasHub's."""
    import tensorflow as tf
    from keras_hub.models import DistilBertTextClassifierPreprocessor, DistilBertTokenizer

    from edgedistil_converters import QuantizationPlan
    from edgedistil_converters.flatbuffer import convert_module
    from edgedistil_converters.targets.mediapipe import with_mediapipe_metadata
    from edgedistil_converters.tokenizer.settings import read_tokenizer

    shape = [1, 12]
    tokenizer = DistilBertTokenizer(vocabulary=list(PIECES), lowercase=True)
    preprocessor = DistilBertTextClassifierPreprocessor(tokenizer, sequence_length=shape[1])
    settings, vocabulary = read_tokenizer(preprocessor)
    module = tf.Module()
    module.functions = {
        "serving_default": tf.function(
            lambda ids, segment_ids, mask: {"scores": tf.cast(ids * mask + segment_ids, tf.float32)},
            input_signature=[tf.TensorSpec(shape, tf.int32, name=name) for name in ("ids", "segment_ids", "mask")],
        )
    }
    model = with_mediapipe_metadata(convert_module(module, QuantizationPlan("fp32"), {}), name="ids", settings=settings)
    members = {"labels.txt": lines(range(shape[1])), "vocab.txt": lines(vocabulary)}
    path = tmp_path_factory.mktemp("mediapipe") / "ids.tflite"
    path.write_bytes(append_archive(model, members, is_deflated=False))

    def both(texts):
        answers = classify_with_mediapipe(path, texts)["answers"]
        received = [[int(c["score"]) for c in sorted(answer, key=lambda c: c["index"])] for answer in answers]
        return list(zip(received, np.asarray(preprocessor(list(texts))["token_ids"]).tolist(), strict=True))

    return both


def test_ids_are_those_of_keras_hub_on_printable_ascii(ids):
    around_each = [f"a{chr(c)}b b{chr(c)}" for c in (*range(0x20, 0x7F), *b"\t\n\r")]
    for received, due in ids(["", "a", "AB ab abb bb", "Cafe, a!", "a b " * 20, "ss-SS", "a" * 101, *around_each]):
        assert received == due


# Text -> (pieces of MediaPipe, pieces of KerasHub).
DIFFERENCES = {
    "café": (["café"], ["café"]),
    "CAFÉ": (["[UNK]"], ["café"]),  # its É stays a capital
    "É": (["É"], ["é"]),
    "ß": (["ß"], ["ss"]),  # no case folding
    "a\u00adb": (["[UNK]"], ["a", "b"]),  # neither a soft hyphen
    "a\x0bb": (["[UNK]"], ["a", "b"]),  # nor a control character delimits
}


def test_ids_differ_where_the_documentation_says_so(ids):
    """Where this fails, MediaPipe has changed its preprocessing: what is documented of it is out of date."""
    pieces = [tuple([PIECES[i] for i in row if i not in (0, 2, 3)] for row in rows) for rows in ids(DIFFERENCES)]
    assert dict(zip(DIFFERENCES, pieces, strict=True)) == DIFFERENCES

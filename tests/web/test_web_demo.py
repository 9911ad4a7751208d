"""The page of `web_demo` in a real headless Chromium, beside the runtime's own answers.

`make setup-web` installs what this needs from npm: LiteRT.js for the page, Chromium for the tests. Without either the
tests are skipped.
"""

import dataclasses
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from ..conftest import HANG

HERE = Path(__file__).parent
WEB_DEMO = HERE.parents[1] / "web_demo"
NEEDED = (WEB_DEMO / "node_modules", HERE / "node_modules")
pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not all(folder.is_dir() for folder in NEEDED),
    reason=f"node, or one of {', '.join(map(str, NEEDED))}, is missing; run `make setup-web`",
)
NO_CHROMIUM = 3  # exit code of browse.mjs
INT8_TOLERANCE = 1e-3  # quantized as it runs: a rounding that falls the other way moves a probability by about 1e-4
FP32_TOLERANCE = 1e-5
LARGEST_PAGE = 3_500_000  # bytes over the wire of a first visit, without the model

TEXTS = {
    "command": "turn on the light in the living room",
    "capitals": "TURN ON THE LIGHT",
    "question": "Is it going to rain tomorrow?",
    "punctuation": "lights... off!!! (now), please; #1 @home",
    "many labels": "Wake me up at half past six and play some music",
    "spaces": "  turn \t off\n the   music ",
    "accents": "quel temps à Zürich, café déjà fermé?",
    "accents apart": "quel temps a\u0300 Zu\u0308rich, cafe\u0301 de\u0301ja\u0300 ferme\u0301?",
    "sharp s": "STRAẞE, straße, ﬁre",
    "emoji": "💡 on",
    "joined emoji": "👨‍👩‍👧‍👦 family and 🏳️‍🌈",
    "Chinese": "打开客厅的灯",
    "Japanese": "電気をつけて",
    "Hangul jamo": "\u1112\u1161\u11ab\u1100\u1173\u11af",
    "Hebrew": "תדליק את האור",
    "Arabic": "أطفئ الضوء",
    "Devanagari": "बत्ती जलाओ",
    "empty": "",
    "one space": " ",
    "one byte": "a",
    "64 bytes": "turn on the light " * 3 + "in the bed",
    "65 bytes": "turn on the light " * 3 + "in the beds",
    "too long": "please turn on the kitchen light and then the radio " * 60,
    "one long word": "x" * 5000,
    "NUL": "turn on the light\0turn off the light",
    "lone surrogate": "turn on \ud83d the light",
    "surrogates swapped": "turn \udca1\ud83d on",
    "beyond the plane": "𝓽𝓾𝓻𝓷 on 𠀀",
    "direction marks": "\u202eturn on\u202c the \u200blight\ufeff",
}

STRIKING = "打开客厅的灯" * 12  # unknown to the bundled preset, and longer than it reads
MOST_WORDS = 500


@pytest.fixture(scope="module")
def bundled(tmp_path_factory):
    return convert("smart_home_tiny_en", "int8", tmp_path_factory.mktemp("bundled"))


@pytest.fixture(scope="module")
def other(tiny_preset, tmp_path_factory):
    return convert(tiny_preset, "fp32", tmp_path_factory.mktemp("other"))


@pytest.fixture(scope="module")
def own(make_tiny_classifier, tmp_path_factory):
    """Files with more to tell: a rule for texts with no label and calibrated scores; several labels for a text."""
    from edgedistil_converters import QuantizationPlan, convert_classifier

    folder = tmp_path_factory.mktemp("own")
    options = ("--unknown-label", "none of these", "--calibrate-scores")
    several = folder / "several.tflite"
    classifier = make_tiny_classifier(activation="sigmoid")
    labels, thresholds = ("light", "music", "other"), (0.6, 0.45, 0.75)
    convert_classifier(classifier, labels, several, plan=QuantizationPlan("fp32"), thresholds=thresholds)
    return {"unknown": convert("smart_home_tiny_en", "fp32", folder, *options), "several": several}


@pytest.fixture(scope="module")
def for_gpu(tmp_path_factory):
    options = ("--target", "gpu", "--fixed-lengths", "16,32")
    return convert("smart_home_tiny_en", "fp32", tmp_path_factory.mktemp("gpu"), *options)


@pytest.fixture(scope="module")
def wrong_for_gpu(for_gpu, tmp_path_factory):
    """The same file with another encoder, whose labels are in another order."""
    from edgedistil_converters.tflite.buffers import packed
    from edgedistil_runtime.artifact import EncoderFlatbuffers, artifact_bytes, read_artifact

    artifact = read_artifact(for_gpu)
    model = schema.ModelT.InitFromPackedBuf(artifact.encoder().model, 0)
    labels = len(artifact.metadata.labels)
    [kernel] = {
        tensor.buffer
        for tensor in model.subgraphs[0].tensors
        if tensor.shape is not None
        and list(tensor.shape) == [labels, 128]
        and model.buffers[tensor.buffer].data is not None
    }
    model.buffers[kernel].data = np.roll(model.buffers[kernel].data.view(np.float32), 128).view(np.uint8)
    encoder = packed(model, len(artifact.encoder().model))
    path = tmp_path_factory.mktemp("wrong") / "gpu.tflite"
    content = artifact_bytes(
        artifact.flatbuffer(), artifact.metadata, artifact.vocabulary, encoder=EncoderFlatbuffers(encoder)
    )
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def for_npu(tmp_path_factory):
    options = ("--target", "npu", "--tokenizer", "none", "--fixed-lengths", "16,32,48")
    return convert("smart_home_tiny_en", "fp32", tmp_path_factory.mktemp("npu"), *options)


def convert(preset, scheme, folder, *options):
    from click.testing import CliRunner

    from edgedistil.cli import main

    path = folder / f"{scheme}.tflite"
    arguments = ["convert", "--preset", str(preset), "--quantize", scheme, "-o", str(path), *options]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return path


@pytest.fixture(scope="module")
def refused(bundled, tmp_path_factory):
    """Files that must not be used, by what is wrong with them."""
    folder = tmp_path_factory.mktemp("refused")
    whole = bundled.read_bytes()
    contents = {
        "foreign": flatbuffer_of(bundled),
        "flipped": whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:],
        "truncated": whole[: len(whole) // 2],
        "followed": whole + b"\n",
        "text": b"label,text\nham,hello\n",
        "empty": b"",
        "disagreeing": edited(bundled, probabilities=lambda row: row[::-1]),
        "tokenizer": edited(bundled, kind="none"),
        "exchanged": edited(bundled, flatbuffer=lambda model: model[:-4] + b"\0\0\0\1"),
    }
    paths = {name: folder / f"{name}.tflite" for name in contents}
    for name, content in contents.items():
        paths[name].write_bytes(content)
    return paths


def flatbuffer_of(path):
    from edgedistil_runtime.artifact import read_artifact

    return read_artifact(path).flatbuffer()


def edited(path, *, probabilities=None, kind=None, flatbuffer=None):
    """The file with another content and a digest that fits: not damaged, but wrong."""
    from edgedistil_runtime.artifact import artifact_bytes, read_artifact

    artifact = read_artifact(path)
    metadata, model = artifact.metadata, artifact.flatbuffer()
    if probabilities:
        cases = tuple(
            dataclasses.replace(case, probabilities=probabilities(case.probabilities)) for case in metadata.golden_cases
        )
        metadata = dataclasses.replace(metadata, golden_cases=cases)
    if kind:
        metadata = dataclasses.replace(metadata, tokenizer=dataclasses.replace(metadata.tokenizer, kind=kind))
    content = artifact_bytes(model, metadata, artifact.vocabulary)
    if flatbuffer:
        body = flatbuffer(model) + content[len(model) : -64]
        prefix = len(b"edgedistil sha256:")
        content = body + hashlib.sha256(body[:-prefix]).hexdigest().encode()
    return content


@pytest.fixture(scope="module")
def token_rows(for_gpu):
    """Token ids of the texts, as the runtime finds them."""
    from edgedistil_runtime import TextClassifier

    with TextClassifier(for_gpu) as classifier:
        return [classifier.tokenize(text) for text in TEXTS.values()]


@pytest.fixture(scope="module")
def found(bundled, other, own, refused, for_gpu, wrong_for_gpu, for_npu, token_rows, tmp_path_factory):
    """What browse.mjs reports, by scenario."""
    folder = tmp_path_factory.mktemp("web")
    page = folder / "page"
    build = ["node", str(WEB_DEMO / "build.mjs"), "--model", str(bundled), "--out", str(page)]
    subprocess.run(build, check=True, timeout=HANG)
    plan = {
        "python": sys.executable,
        "server": str(WEB_DEMO / "serve.py"),
        "build": str(WEB_DEMO / "build.mjs"),
        "folder": str(page),
        "bundled": str(bundled),
        "other": str(other),
        "own": {name: str(path) for name, path in own.items()},
        "striking": code_units(STRIKING),
        "gpu": str(for_gpu),
        "wrongGpu": str(wrong_for_gpu),
        "npu": str(tmp_path_factory.mktemp("npu_model") / "model.tflite"),
        "rows": token_rows,
        "refused": {name: str(path) for name, path in refused.items()},
        "texts": [code_units(text) for text in TEXTS.values()],
    }
    Path(plan["npu"]).write_bytes(flatbuffer_of(for_npu))
    path = folder / "plan.json"
    path.write_text(json.dumps(plan), encoding="utf-8")
    done = subprocess.run(["node", str(HERE / "browse.mjs"), str(path)], capture_output=True, text=True, timeout=HANG)
    if done.returncode == NO_CHROMIUM:
        pytest.skip(f"Chromium does not start here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.fixture
def scenario(found):
    """`scenario(name)`: what it found, where it did not break."""

    def of(name):
        assert "fault" not in found[name], found[name]["fault"]
        return found[name]

    return of


def code_units(text):
    data = text.encode("utf-16-le", "surrogatepass")
    return [int.from_bytes(data[start : start + 2], "little") for start in range(0, len(data), 2)]


def check_answers(rows, path, tolerance, *, count=None):
    from edgedistil_runtime import TextClassifier

    with TextClassifier(path) as classifier:
        for (name, text), row in zip(list(TEXTS.items())[:count], rows, strict=True):
            due = classifier.classify(text)
            assert row["probabilities"] == pytest.approx(dict(due.probabilities), abs=tolerance), name
            assert row["label"] == due.label, name
            # Best first, and all of them.
            assert list(row["probabilities"].values()) == sorted(row["probabilities"].values(), reverse=True), name
            assert not row["isCut"], name
            assert row["truncated"] == due.is_truncated, name


def test_web_bundled_model_answers_as_the_runtime_does(scenario, bundled):
    answers = scenario("answers")
    check_answers(answers["rows"], bundled, INT8_TOLERANCE)
    assert "smart_home_tiny_en" in answers["facts"]
    assert answers["isIsolated"]


def test_web_dropped_model_answers_as_the_runtime_does(scenario, other):
    answers = scenario("otherModel")
    assert answers["error"] == ""
    assert "tiny_preset" in answers["facts"]
    check_answers(answers["rows"], other, FP32_TOLERANCE)


def check_explanation(classifier, text, found, tolerance):
    from edgedistil_runtime.explanation import explain, find_words

    if len(find_words(text)) > MOST_WORDS:
        assert "at most 500 words" in found["error"]
        return
    due = explain(classifier, text)
    assert [code_units(word) for word, _ in found["words"]] == [code_units(effect.word) for effect in due.words]
    assert [effect for _, effect in found["words"]] == pytest.approx([word.effect for word in due.words], abs=tolerance)
    assert found["isShown"]
    effects = {(effect.word, effect.label_without) for effect in due.words}
    for word, _, label in found["table"]:
        assert (word, due.label if label == "the same" else label) in effects


@pytest.mark.parametrize("name", ["unknown", "several"])
def test_web_explanation_is_that_of_the_runtime(scenario, own, name):
    from edgedistil_runtime import TextClassifier

    rows = scenario("explanations")[name]["rows"]
    with TextClassifier(own[name]) as classifier:
        for (case, text), row in zip(TEXTS.items(), rows, strict=True):
            assert row["truncated"] == classifier.classify(text).is_truncated, case
            check_explanation(classifier, text, row["explanation"], FP32_TOLERANCE)
    assert sum(row["truncated"] is True for row in rows) >= 1
    assert sum(bool(row["explanation"]["table"]) for row in rows) > len(rows) / 2


def test_web_texts_with_no_label_are_those_of_the_runtime(scenario, own):
    from edgedistil_runtime import TextClassifier

    told = scenario("explanations")["unknown"]
    with TextClassifier(own["unknown"]) as classifier:
        answers = [classifier.classify(text) for text in TEXTS.values()]
    assert {answer.is_unknown for answer in answers} == {True, False}
    for answer, row in zip(answers, told["rows"], strict=True):
        assert (row["unknown"] is not None) == answer.is_unknown
        assert row["label"] == ("none of these" if answer.is_unknown else answer.label)
        assert row["given"] == ([] if answer.is_unknown else [answer.label])
        if answer.is_unknown:
            assert row["unknown"].endswith(f"Nearest: {answer.label}.")
    assert "calibrated" in told["facts"] and "none of these" in told["facts"]


def test_web_several_labels_are_those_of_the_runtime(scenario, own):
    from edgedistil_runtime import TextClassifier

    told = scenario("explanations")["several"]
    with TextClassifier(own["several"]) as classifier:
        answers = [classifier.classify(text) for text in TEXTS.values()]
    assert {len(answer.labels) for answer in answers} == {0, 1, 2}
    for answer, row in zip(answers, told["rows"], strict=True):
        assert row["given"] == list(answer.labels)
        assert row["label"] == (", ".join(answer.labels) or "None of the labels")
        assert row["probabilities"] == pytest.approx(dict(answer.probabilities), abs=FP32_TOLERANCE)
    assert "several for a text" in told["facts"]


def test_web_explanation_ends_with_its_text(scenario):
    told = scenario("explaining")
    assert told["first"]["text"] == TEXTS["command"]
    assert [word for word, _ in told["first"]["words"]] == TEXTS["command"].split()
    assert told["shown"] == [True, False, False]
    assert told["runs"] < 10  # of 401


def test_web_page_says_whether_threads_are_on(scenario):
    assert "threads on" in scenario("answers")["facts"]
    told = scenario("withoutIsolation")
    assert not told["isIsolated"]
    assert "threads off: the server does not isolate the page" in told["facts"]
    assert told["row"]["label"] == scenario("answers")["rows"][0]["label"]


def test_web_page_asks_nobody_else_and_breaks_no_rule_of_its_own(scenario):
    for name in ("answers", "otherModel", "explanations", "looks"):
        assert scenario(name)["log"] == {"errors": [], "foreign": []}, name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("foreign", "EdgeDistil did not write this TFLite model"),
        ("flipped", "The file is damaged"),
        ("truncated", "has not arrived whole"),
        ("followed", "has not arrived whole"),
        ("text", "This is no TFLite model"),
        ("empty", "This is no TFLite model"),
        ("disagreeing", "This browser computes something else"),
        ("tokenizer", "The model's tokenizer is none"),
        ("exchanged", "The model is not the one that edgedistil.json describes"),
    ],
)
def test_web_file_is_refused_and_the_model_before_stays(scenario, name, reason):
    refusals = scenario("refusals")
    told = refusals["errors"][name]
    assert told["error"].startswith(f"{name}.tflite was not used. ")
    assert reason in told["error"]
    assert told["after"] == scenario("answers")["rows"][0]
    assert told["errorAfterwards"] == ""
    assert "smart_home_tiny_en" in refusals["facts"]


def test_web_two_files_at_once_are_refused(scenario):
    assert "one file at a time" in scenario("refusals")["two"]


def test_web_page_works_without_its_server_after_one_visit(scenario):
    due = scenario("answers")["rows"][0]
    assert scenario("offline") == {"first": due, "second": due}


def test_web_new_build_replaces_the_stored_one(scenario):
    update = scenario("update")
    assert "tiny_preset" in update["facts"]
    assert update["caches"] == [1, 1]


@pytest.mark.parametrize("screen", ["desktop", "dark", "phone", "narrow", "error", "several"])
def test_web_screen_is_accessible_and_not_too_wide(scenario, screen):
    assert scenario("looks")["screens"][screen] == {"overflow": 0, "violations": []}


def test_web_keyboard_reaches_everything(scenario):
    keyboard = scenario("keyboard")
    assert keyboard["reached"][:2] == ["Use a model of your own", "text"]
    assert {"more", "explain", "file"} <= set(keyboard["reached"])
    assert keyboard["text"] == keyboard["example"] != ""


def test_web_text_that_is_too_long_is_cut_and_that_is_said(scenario):
    keyboard = scenario("keyboard")
    assert (keyboard["length"], keyboard["isCut"]) == (20_000, True)


def test_web_missing_model_leaves_room_for_another(scenario):
    told = scenario("failures")["model"]
    assert told["error"].startswith("The bundled model could not be fetched.")
    assert told["isFileOffered"]
    assert (told["state"], told["errorAfterDrop"]) == ("ready", "")


def test_web_missing_engine_is_told(scenario):
    told = scenario("failures")["engine"]
    assert told["error"].startswith("LiteRT, which runs the model, could not be started.")
    assert not told["isFileOffered"]
    assert told["state"] == "failed"
    assert "Reload the page" in told["errorAfterDrop"]


def test_web_page_is_light(scenario):
    files = scenario("weight")["files"]
    assert any(name.endswith(".wasm") for name in files)
    assert sum(size for name, size in files.items() if name != "/model.tflite") < LARGEST_PAGE


@pytest.fixture
def on_gpu(scenario):
    told = scenario("webgpu")
    if not told["hasAdapter"]:
        pytest.skip("This Chromium has no WebGPU adapter, not even SwiftShader")
    return told


def test_web_gpu_refuses_the_tokenizer(on_gpu):
    """Why WebGPU runs a part of a file; if this fails one day, it can run all of it."""
    assert on_gpu["isRefused"], "LiteRT.js now runs classify_text on WebGPU"


def test_web_gpu_answers_as_the_runtime_does(on_gpu, for_gpu):
    assert on_gpu["processor"] == "WebGPU"
    check_answers(on_gpu["rows"], for_gpu, FP32_TOLERANCE)


def test_web_gpu_that_computes_something_else_is_not_used(on_gpu, for_gpu):
    assert on_gpu["wrong"]["processor"] == "WebAssembly"
    check_answers([on_gpu["wrong"]["row"]], for_gpu, FP32_TOLERANCE, count=1)


def test_web_gpu_takes_rows_of_fixed_length_whole(on_gpu, for_npu, token_rows):
    from edgedistil_runtime import TextClassifier

    fixed = on_gpu["fixed"]
    assert fixed["isWhole"]
    assert sorted(fixed["lengths"]) == [16, 32, 48]
    with TextClassifier(for_npu) as classifier:
        for row, due in zip(fixed["rows"], classifier.classify_tokens(token_rows), strict=True):
            assert row == pytest.approx(list(due.probabilities.values()), abs=FP32_TOLERANCE)


def test_web_without_a_gpu_webassembly_answers(scenario, for_gpu):
    told = scenario("fallback")
    assert (told["processor"], told["error"]) == ("WebAssembly", "")
    check_answers([told["row"]], for_gpu, FP32_TOLERANCE, count=1)

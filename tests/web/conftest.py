"""Files for the page, and what happens to them in one run of a headless Chromium.

`make setup-web` installs what this needs from npm: LiteRT.js for the page, Chromium for the tests.
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
needs_npm = pytest.mark.skipif(
    shutil.which("node") is None or not all(folder.is_dir() for folder in NEEDED),
    reason=f"node, or one of {', '.join(map(str, NEEDED))}, is missing; run `make setup-web`",
)
NO_CHROMIUM = 3  # exit code of browse.mjs
INT8_TOLERANCE = 1e-3  # quantized as it runs: a rounding that falls the other way moves a probability by about 1e-4
FP32_TOLERANCE = 1e-5
LARGEST_PAGE = 3_500_000  # bytes that a first visit downloads, without the model

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


@pytest.fixture(scope="session")
def bundled(tmp_path_factory):
    return convert("smart_home_tiny_en", "int8", tmp_path_factory.mktemp("bundled"))


@pytest.fixture(scope="session")
def other(tiny_preset, tmp_path_factory):
    return convert(tiny_preset, "fp32", tmp_path_factory.mktemp("other"))


@pytest.fixture(scope="session")
def own(make_tiny_classifier, tmp_path_factory):
    """Files of more kinds: a rule for texts with no label and calibrated scores; several labels for a text."""
    from edgedistil_converters import QuantizationPlan, convert_classifier

    folder = tmp_path_factory.mktemp("own")
    options = ("--unknown-label", "none of these", "--calibrate-scores")
    several = folder / "several.tflite"
    classifier = make_tiny_classifier(activation="sigmoid")
    labels, thresholds = ("light", "music", "other"), (0.6, 0.45, 0.75)
    convert_classifier(classifier, labels, several, plan=QuantizationPlan("fp32"), thresholds=thresholds)
    return {"unknown": convert("smart_home_tiny_en", "fp32", folder, *options), "several": several}


@pytest.fixture(scope="session")
def for_gpu(tmp_path_factory):
    options = ("--target", "gpu", "--fixed-lengths", "16,32")
    return convert("smart_home_tiny_en", "fp32", tmp_path_factory.mktemp("gpu"), *options)


@pytest.fixture(scope="session")
def kinds(tiny_preset, for_gpu, tmp_path_factory):
    """Files that a browser runs, although they are rounded to 4 bits or for another device."""
    return {"int4": convert(tiny_preset, "int4", tmp_path_factory.mktemp("kinds")), "gpu": for_gpu}


@pytest.fixture(scope="session")
def for_edgetpu(tiny_preset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("edgetpu")
    data = folder / "texts.csv"
    data.write_text("text\nturn on the light\nplay music\nis it cold\n", encoding="utf-8")
    return convert(tiny_preset, "int8-static", folder, "--target", "edgetpu", "--calibration-data", str(data))


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def refused(bundled, for_npu, for_edgetpu, tmp_path_factory):
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
        "archive": whole[len(flatbuffer_of(bundled)) :],
        "npu": for_npu.read_bytes(),
        "edgetpu": for_edgetpu.read_bytes(),
        "exchanged": edited(bundled, flatbuffer=lambda model: model[:-4] + b"\0\0\0\1"),
    }
    paths = {name: folder / f"{name}.tflite" for name in contents}
    for name, content in contents.items():
        paths[name].write_bytes(content)
    paths["folder"] = folder / "folder.tflite"
    paths["folder"].mkdir()
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


@pytest.fixture(scope="session")
def token_rows(for_gpu):
    """Token ids of the texts, as the runtime finds them."""
    from edgedistil_runtime import TextClassifier

    with TextClassifier(for_gpu) as classifier:
        return [classifier.tokenize(text) for text in TEXTS.values()]


@pytest.fixture(scope="session")
def found(bundled, other, own, kinds, refused, for_gpu, wrong_for_gpu, for_npu, token_rows, tmp_path_factory):
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
        "kinds": {name: str(path) for name, path in kinds.items()},
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

"""demos/react_native: type-checked against react-native-fast-tflite, and run on LiteRT.js in its place."""

import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from ..conftest import HANG
from .conftest import FP32_TOLERANCE, TEXTS

HERE = Path(__file__).parent
DEMO = HERE.parents[1] / "demos" / "react_native"
NEEDED = (DEMO / "node_modules", HERE.parents[1] / "demos" / "node" / "node_modules")
ROW = 256
WHOLE = {name: text for name, text in TEXTS.items() if not any("\ud800" <= mark <= "\udfff" for mark in text)}
LONG = ("please turn on the kitchen light and then the radio " * 6, "é" * 300, "東" * 100, "x" + "💡" * 80)
pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not all(folder.is_dir() for folder in NEEDED),
    reason=f"node, or one of {', '.join(map(str, NEEDED))}, is missing; run `make setup-web`",
)


def compile_typescript(*arguments):
    command = ["node", str(DEMO / "node_modules" / "typescript" / "bin" / "tsc"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANG)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """The demo as JavaScript, where the library's name leads to the one of the tests."""
    folder = tmp_path_factory.mktemp("react_native")
    done = compile_typescript("-p", DEMO, "--outDir", folder)
    assert done.returncode == 0, done.stdout
    package = folder / "node_modules" / "react-native-fast-tflite"
    package.mkdir(parents=True)
    (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    (package / "package.json").write_text('{"type": "module", "exports": "./index.js"}', encoding="utf-8")
    source = f"export * from {json.dumps((HERE / 'fast_tflite.mjs').as_uri())};\n"
    (package / "index.js").write_text(source, encoding="utf-8")
    return folder / "TextClassifier.js"


@pytest.fixture
def answers(compiled, tmp_path):
    """`answers(model, texts, changed={...})`: status, answers and errors."""

    def run(model, texts, changed=None):
        with zipfile.ZipFile(model) as archive:
            description = json.loads(archive.read("edgedistil.json"))
        paths = [tmp_path / name for name in ("description.json", "texts.json")]
        for path, content in zip(paths, (description | (changed or {}), list(texts)), strict=True):
            path.write_text(json.dumps(content), encoding="utf-8")
        command = ["node", str(HERE / "react_native.mjs"), str(compiled), str(model), *map(str, paths)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=HANG)
        return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr

    return run


def test_the_compiler_finds_what_the_library_does_not_have(tmp_path):
    """Else the compilation above could not fail: types of the library are really read."""
    source = (DEMO / "TextClassifier.ts").read_text("utf-8")
    wrong = source.replace("this.model.run([row.buffer])", "this.model.runSignature([row])")
    (tmp_path / "TextClassifier.ts").write_text(wrong, "utf-8")
    for name in ("globals.d.ts", "tsconfig.json"):
        shutil.copy(DEMO / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(DEMO / "node_modules")
    done = compile_typescript("-p", tmp_path, "--noEmit")
    assert done.returncode != 0
    assert "runSignature" in done.stdout


@pytest.mark.parametrize("name", ["bundled", "unknown", "several"])
def test_answers_are_those_of_python(answers, bundled, own, name):
    from edgedistil_runtime import TextClassifier
    from edgedistil_runtime.artifact import read_artifact

    path = own.get(name, bundled)
    texts = [*WHOLE.values(), *LONG]
    status, found, errors = answers(path, texts)
    assert status == 0, errors
    tolerance = read_artifact(path).metadata.tolerance if name == "bundled" else FP32_TOLERANCE
    with TextClassifier(path) as classifier:
        rule = classifier.metadata.unknown_rule
        for text, one in zip(texts, found, strict=True):
            kept = text.encode()[:ROW].decode(errors="ignore")
            due = classifier.classify(kept)
            scores = {row["label"]: row["probability"] for row in one["scores"]}
            assert scores == pytest.approx(dict(due.probabilities), abs=tolerance)
            assert one["isCut"] == (kept != text)
            assert one["unknown"] == (rule.label if due.is_unknown else None)
            given = [due.label] if due.labels is None else list(due.labels)
            assert one["labels"] == ([] if due.is_unknown else given)


def test_a_phone_that_computes_something_else_is_refused(answers, bundled):
    case = {"text": "hello", "text_pair": None, "probabilities": [1.0] * 22}
    status, found, errors = answers(bundled, [], {"golden_cases": [case]})
    assert (status, found) == (1, None)
    assert 'computes something else here: "hello"' in errors


def test_a_description_of_another_model_is_refused(answers, bundled):
    status, found, errors = answers(bundled, ["hello"], {"labels": ["a", "b"], "golden_cases": []})
    assert (status, found) == (1, None)
    assert "22 probabilities for 2 labels" in errors

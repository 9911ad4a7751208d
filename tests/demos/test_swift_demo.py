"""demos/swift: compiled by swiftc against a stub of TensorFlowLiteSwift, beside the runtime's answers.

The stub looks outputs up by the row of bytes that the demo makes; the table is what the runtime answers.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from ..conftest import HANG

DEMO = Path(__file__).parents[2] / "demos" / "swift"
STUB = Path(__file__).parent / "swift" / "TensorFlowLite.swift"
TEXTS = (
    "turn the lights off",
    "play some jazz",
    "how warm is it outside",
    "quel temps à Zürich, café déjà fermé?",
    "打开客厅的灯 💡 e\u0301",
    "",
    " ",
    "x" * 127,
    "x" * 128,
    "x" * 129,
    "please turn on the kitchen light and then the radio " * 20,
)
pytestmark = pytest.mark.skipif(shutil.which("swiftc") is None, reason="there is no swiftc (Debian 13: swiftlang)")


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("swift")
    path = folder / "classify"
    module = ["swiftc", "-emit-module", "-emit-library", "-static", "-module-name", "TensorFlowLite", str(STUB)]
    sources = [str(DEMO / name) for name in ("TextClassifier.swift", "main.swift")]
    link = ["-I", str(folder), "-L", str(folder), "-lTensorFlowLite", "-o", str(path)]
    for command in (module, ["swiftc", "-warnings-as-errors", *sources, *link]):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=HANG)
        assert done.returncode == 0, done.stderr[-3000:]
    return path


def described(path, *, changed=None):
    """The model's description beside it, as `unzip -p` writes it, and the table for the stub."""
    import zipfile

    from edgedistil_runtime import TextClassifier

    with zipfile.ZipFile(path) as archive:
        description = json.loads(archive.read("edgedistil.json"))
    description.update(changed or {})
    beside = path.with_suffix(".json")
    beside.write_text(json.dumps(description), encoding="utf-8")
    texts = {*TEXTS, *(case["text"] for case in description["golden_cases"] if case["text_pair"] is None)}
    table = {}
    with TextClassifier(path) as classifier:
        for text in texts:
            answer = classifier.classify(text)
            outputs = {"probabilities": list(answer.probabilities.values())}
            if answer.unknown_score is not None:
                outputs["unknown_score"] = [answer.unknown_score]
            table[",".join(map(str, text.encode().split(b"\0")[0]))] = outputs
    path.with_name(f"{path.name}.rows.json").write_text(json.dumps(table), encoding="utf-8")
    return beside


def run(program, path, description):
    lines = "".join(f"{text}\n" for text in TEXTS).encode()
    done = subprocess.run([program, path, description], input=lines, capture_output=True, timeout=HANG)
    return done.returncode, done.stdout.decode().splitlines(), done.stderr.decode()


@pytest.mark.parametrize("name", ["single", "several", "unknown"])
def test_answers_are_those_of_python(program, demo_models, name, tmp_path):
    from edgedistil_runtime import TextClassifier

    path = Path(shutil.copy(demo_models[name], tmp_path))
    status, output, errors = run(program, path, described(path))
    assert status == 0, errors
    with TextClassifier(path) as classifier:
        answers = [classifier.classify(text) for text in TEXTS]
        rule = classifier.metadata.unknown_rule
    due = [
        rule.label if one.is_unknown else ", ".join((one.label,) if one.labels is None else one.labels)
        for one in answers
    ]
    assert output == due
    if name != "several":
        assert len(set(due)) > 2


def test_a_device_that_computes_something_else_is_refused(program, demo_models, tmp_path):
    path = Path(shutil.copy(demo_models["single"], tmp_path))
    case = {"text": TEXTS[0], "text_pair": None, "probabilities": [1.0] * 22}
    status, output, errors = run(program, path, described(path, changed={"golden_cases": [case]}))
    assert status != 0 and output == []
    assert "mismatch" in errors


def test_a_description_of_another_model_is_refused(program, demo_models, tmp_path):
    path = Path(shutil.copy(demo_models["single"], tmp_path))
    status, output, errors = run(program, path, described(path, changed={"labels": ["a", "b"]}))
    assert status != 0 and output == []
    assert "otherModel(labels: 2, probabilities: 22)" in errors

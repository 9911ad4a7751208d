"""demos/node: LiteRT.js under Node.js, beside the runtime's answers."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from ..conftest import HANG
from .conftest import FP32_TOLERANCE, TEXTS, convert

DEMO = Path(__file__).parents[2] / "demos" / "node"
README_TEXTS = ("turn the lights off", "play some jazz", "how warm is it outside")
pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (DEMO / "node_modules").is_dir(),
    reason="node or demos/node/node_modules is missing; run `make setup-web`",
)


def run(*arguments, texts=()):
    lines = "".join(f"{text}\n" for text in texts).encode()
    command = ["node", str(DEMO / "classify.mjs"), *map(str, arguments)]
    done = subprocess.run(command, input=lines, capture_output=True, timeout=HANG)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize("scheme", ["fp32", "int8"])
def test_answers_are_those_of_python(scheme, tmp_path):
    from edgedistil.presets import bundled_preset_path
    from edgedistil_runtime import TextClassifier
    from edgedistil_runtime.artifact import read_artifact

    path = convert("smart_home_tiny_en", scheme, tmp_path)
    samples = (bundled_preset_path("smart_home_tiny_en") / "samples.jsonl").read_text("utf-8").splitlines()
    whole_lines = [text for text in TEXTS.values() if not re.search("[\\n\\r\\ud800-\\udfff]", text)]
    texts = [*README_TEXTS, *whole_lines, *(json.loads(line)["text"] for line in samples[:200])]
    status, output, errors = run("--json", path, texts=texts)
    assert status == 0, errors
    answers = [json.loads(line) for line in output.splitlines()]
    assert [answer["text"] for answer in answers] == texts
    with TextClassifier(path, num_threads=1) as classifier:
        expected = [classifier.classify(text) for text in texts]
    tolerance = FP32_TOLERANCE if scheme == "fp32" else read_artifact(path).metadata.tolerance
    assert [answer["ranking"][0]["label"] for answer in answers] == [one.label for one in expected]
    given = [{row["label"]: row["probability"] for row in answer["ranking"]} for answer in answers]
    for one, other in zip(given, expected, strict=True):
        np.testing.assert_allclose(
            [one[label] for label in other.probabilities], list(other.probabilities.values()), atol=tolerance
        )


def test_a_line_has_label_and_probability(bundled):
    status, output, _ = run(bundled, texts=["turn on the kitchen light"])
    assert status == 0
    assert re.fullmatch(r"light_on\t0\.\d{4}\n", output)


def test_files_that_are_refused(bundled, tmp_path):
    content = bundled.read_bytes()
    files = {"cut": content[:5000], "changed": content[:1000] + bytes([content[1000] ^ 1]) + content[1001:]}
    for name, damaged in files.items():
        path = tmp_path / f"{name}.tflite"
        path.write_bytes(damaged)
        status, output, errors = run(path, texts=["hello"])
        assert (status, output) == (1, "")
        assert errors.startswith(f"error: {path}: ")
        assert "    at " not in errors  # no stack trace
    assert run()[0] == 2


def test_a_model_whose_first_row_has_the_length_in_the_file(tiny_vocabulary, tmp_path):
    """For 128 tokens, the row that tells the fillers apart has 256 integers, for which LiteRT.js reads no token ids."""
    from edgedistil.builder import BackboneSize, build_backbone, build_classifier, build_preprocessor
    from edgedistil_converters import QuantizationPlan, convert_classifier

    length, path = 128, tmp_path / "long.tflite"
    size = BackboneSize(num_layers=1, hidden_dim=16, num_heads=2, intermediate_dim=32)
    backbone = build_backbone(size, vocabulary_size=len(tiny_vocabulary), max_sequence_length=length)
    preprocessor = build_preprocessor(tiny_vocabulary, sequence_length=length)
    classifier = build_classifier(backbone, 3, preprocessor=preprocessor)
    convert_classifier(classifier, ("a", "b", "c"), path, plan=QuantizationPlan("fp32"))
    texts = ["turn " * count for count in (126, 127)]
    status, output, errors = run("--json", path, texts=texts)
    assert status == 0, errors
    assert [json.loads(line)["isTruncated"] for line in output.splitlines()] == [False, True]

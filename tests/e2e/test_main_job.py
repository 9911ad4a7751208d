"""The main job through the command line alone: texts, classifier, file, label."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from edgedistil.cli import main

TOKENS_ALONE = (
    "--tokenizer",
    "none",
)  # half of the time of a conversion, for what has nothing to do with the tokenizer
SCHEMES = ("fp32", "fp16", "int8")
TEXTS = {
    "lights": ("turn the lights on", "turn the light off", "lights off !", "the light on", "turn on the lights"),
    "music": ("play some music", "play the music louder", "some music !", "louder music", "play music"),
    "weather": ("is it raining ?", "is it rain", "raining ?", "is the rain on ?", "is it raining !"),
}


def run(*arguments, code=0, **options):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], **options)
    assert result.exit_code == code, result.output
    return result


def last_json(result):
    return json.loads(result.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "texts.csv"
    rows = [f"{text},{label}" for label, texts in TEXTS.items() for text in texts]
    path.write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def models(tiny_preset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    paths = {scheme: folder / f"{scheme}.tflite" for scheme in SCHEMES}
    for scheme, path in paths.items():
        run("convert", "--preset", tiny_preset, "--quantize", scheme, "-o", path)
    return paths


class TestConvert:
    def test_json_tells_parity(self, tiny_preset, data, tmp_path):
        out = tmp_path / "model.tflite"
        told = last_json(run("convert", "--preset", tiny_preset, "-o", out, "--verification-data", data, "--json"))
        assert told["bytes"] == out.stat().st_size
        assert told["labels"] == list(TEXTS)
        assert told["quantization"]["scheme"] == "int8"
        assert told["parity"]["texts"] > 15
        assert told["parity"]["label_agreement"] == 1

    def test_same_preset_same_bytes(self, models, tiny_preset, tmp_path):
        again = tmp_path / "fp32.tflite"
        run("convert", "--preset", tiny_preset, "--quantize", "fp32", "-o", again)
        assert again.read_bytes() == models["fp32"].read_bytes()

    def test_output_that_stands_there(self, models, tiny_preset):
        before = models["int8"].read_bytes()
        result = run("convert", "--preset", tiny_preset, "-o", models["int8"], code=1)
        assert "--force" in result.stderr
        assert models["int8"].read_bytes() == before

    def test_folder_that_does_not_exist(self, tiny_preset, tmp_path):
        result = run("convert", "--preset", tiny_preset, "-o", tmp_path / "none" / "m.tflite", code=1)
        assert "does not exist" in result.stderr

    def test_labels_of_ones_own(self, tiny_preset, tmp_path):
        labels = tmp_path / "labels.txt"
        labels.write_text("Licht\nMusik\nWetter\n", encoding="utf-8")
        out = tmp_path / "m.tflite"
        told = last_json(
            run("convert", "--preset", tiny_preset, "-o", out, "--labels", labels, "--json", *TOKENS_ALONE)
        )
        assert told["labels"] == ["Licht", "Musik", "Wetter"]

    def test_labels_file_that_is_missing(self, tiny_preset, tmp_path):
        none = tmp_path / "none.txt"
        result = run("convert", "--preset", tiny_preset, "-o", tmp_path / "m.tflite", "--labels", none, code=1)
        assert "--labels takes" in result.stderr

    def test_untrained_preset_says_what_to_do(self, tiny_classifier, tmp_path):
        tiny_classifier.backbone.save_to_preset(str(tmp_path / "backbone"))
        result = run("convert", "--preset", tmp_path / "backbone", "-o", tmp_path / "m.tflite", code=1)
        assert "--train-data" in result.stderr
        assert not (tmp_path / "m.tflite").exists()

    def test_untrained_preset_with_train_data(self, tiny_preset, data, tmp_path):
        out = tmp_path / "m.tflite"
        options = ("--train-data", data, "--sequence-length", 12, "--json", *TOKENS_ALONE)
        assert last_json(run("convert", "--preset", tiny_preset, "-o", out, *options))["labels"] == list(TEXTS)
        assert last_json(run("inspect", out, "--json"))["tokenizer"]["sequence_length"] == 12

    def test_unknown_preset(self, tmp_path):
        result = run("convert", "--preset", "no_such_preset", "-o", tmp_path / "m.tflite", code=1)
        assert "no_such_preset" in result.stderr
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
    def test_interrupted_or_full_disk_leaves_nothing(self, tiny_preset, tmp_path, monkeypatch, error):
        def fail(*_, **__):
            raise error

        monkeypatch.setattr("edgedistil_converters.verification.verified_file.verify", fail)
        result = run(
            "convert",
            "--preset",
            tiny_preset,
            "-o",
            tmp_path / "m.tflite",
            *TOKENS_ALONE,
            code=130 if error is KeyboardInterrupt else 1,
        )
        assert "nothing half-written" in result.stderr or "No room left" in result.stderr
        assert list(tmp_path.iterdir()) == []


class TestPredict:
    def test_labels_are_keras_labels(self, models, tiny_classifier):
        import numpy as np

        texts = [text for texts in TEXTS.values() for text in texts]
        logits = np.asarray(tiny_classifier.predict(texts, verbose=0))
        expected = [list(TEXTS)[i] for i in logits.argmax(axis=1)]
        for path in models.values():
            results = last_json(run("predict", path, *texts, "--json"))["results"]
            assert [result["label"] for result in results] == expected

    def test_table_and_top(self, models):
        result = run("predict", models["int8"], "play some music", "--top", "3")
        assert all(label in result.stdout for label in TEXTS)

    def test_file_and_stdin_agree(self, models, data):
        from_file = last_json(run("predict", models["int8"], "--input", data, "--json"))["results"]
        lines = "".join(f"{result['text']}\n" for result in from_file)
        assert last_json(run("predict", models["int8"], "--input", "-", "--json", input=lines))["results"] == from_file

    def test_empty_text(self, models):
        assert last_json(run("predict", models["int8"], "", "--json"))["results"][0]["label"] in TEXTS

    def test_stdin_that_is_not_utf8(self, models):
        result = run("predict", models["int8"], "--input", "-", input=b"fine\ncaf\xe9\n", code=1)
        assert "line 2" in result.stderr and "UTF-8" in result.stderr

    @pytest.mark.parametrize("arguments", [(), ("text", "--input", "-")])
    def test_texts_or_a_file(self, models, arguments):
        assert "one of the two" in run("predict", models["int8"], *arguments, code=2).stderr

    def test_no_such_accelerator(self, models):
        assert "abacus" in run("predict", models["int8"], "text", "--accelerator", "abacus", code=1).stderr

    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            (lambda content: content[: len(content) // 2], "truncated|only its beginning has arrived"),
            (lambda content: content[:5000] + bytes([content[5000] ^ 1]) + content[5001:], "damaged|digest"),
            (lambda content: b"no model at all, just text", "not a TFLite|no TFLite"),
        ],
    )
    def test_bad_model_file(self, models, tmp_path, damage, message):
        bad = tmp_path / "bad.tflite"
        bad.write_bytes(damage(models["int8"].read_bytes()))
        import re

        assert re.search(message, run("predict", bad, "text", code=1).stderr)

    def test_foreign_tflite(self, models, tmp_path):
        from edgedistil_runtime import read_artifact

        foreign = tmp_path / "foreign.tflite"
        foreign.write_bytes(read_artifact(models["int8"]).flatbuffer())
        assert "EdgeDistil" in run("predict", foreign, "text", code=1).stderr


class TestEvaluate:
    def test_keras_beside_the_files(self, models, tiny_preset, data):
        told = last_json(run("evaluate", tiny_preset, *models.values(), "--data", data, "--json"))["models"]
        assert len(told) == 4
        assert len({entry["accuracy"] for entry in told}) == 1
        assert sum(sum(row) for row in told[0]["confusion"]) == 15

    def test_tables(self, models, data):
        printed = run("evaluate", models["int8"], "--data", data).stdout
        assert all(word in printed for word in ("accuracy", "macro F1", "precision", *TEXTS))

    def test_labels_that_the_model_lacks(self, models, tmp_path):
        other = tmp_path / "other.csv"
        other.write_text("text,label\nhello,greeting\nbye,farewell\n", encoding="utf-8")
        assert "farewell, greeting" in run("evaluate", models["int8"], "--data", other, code=1).stderr


class TestInspect:
    def test_json(self, models):
        facts = last_json(run("inspect", models["int8"], "--json"))
        assert facts["matmul_weights"] == {"int8": 28}
        assert set(facts["signatures"]) == {"classify_text", "classify_tokens", "tokenize"}
        assert facts["signatures"]["classify_text"]["inputs"] == [
            {"name": "text", "dtype": "int32", "shape": [-1], "default_shape": [256]}
        ]
        assert {op["version"] for op in facts["ops"] if op["op"] == "FULLY_CONNECTED"} == {12}
        assert facts["oldest_runtime"] == "2.17.0"

    def test_for_people(self, models):
        printed = run("inspect", models["fp16"]).stdout
        assert all(word in printed for word in ("fp16", "classify_text", "FULLY_CONNECTED", "lights"))

    def test_needs_no_tensorflow(self, models):
        script = (
            "import sys; from edgedistil.cli import main\n"
            f"main(['inspect', {str(models['int8'])!r}], standalone_mode=False)\n"
            "assert not {'tensorflow', 'keras', 'ai_edge_litert.interpreter'} & set(sys.modules), sys.modules"
        )
        subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)


def test_runtime_alone_answers_without_tensorflow(models):
    """A process that imports the runtime and classifies has nothing of TensorFlow in it."""
    script = (
        "import sys; from edgedistil_runtime import TextClassifier\n"
        f"print(TextClassifier({str(models['int8'])!r}).classify('play some music').label)\n"
        "assert not {'tensorflow', 'keras', 'keras_hub', 'tokenizers', 'tensorflow_text'} & set(sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert printed.strip() in TEXTS

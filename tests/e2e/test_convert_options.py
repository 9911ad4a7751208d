"""The options of `convert`, from the command line to an answer: tokenizers, pairs, schemes, pruning; and bad input."""

import json
import re
import shutil

import pytest
from click.testing import CliRunner

from edgedistil.cli import main

TOKENS_ALONE = (
    "--tokenizer",
    "none",
)  # half of the time of a conversion, for what has nothing to do with the tokenizer
TEXTS = {
    "lights": ("turn the lights on", "turn the light off", "lights off !", "the light on", "turn on the lights"),
    "music": ("play some music", "play the music louder", "some music !", "louder music", "play music"),
    "weather": ("is it raining ?", "is it rain", "raining ?", "is the rain on ?", "is it raining !"),
}


def run(*arguments, code=0):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


def last_json(result):
    return json.loads(result.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "texts.csv"
    rows = [f"{text},{label}" for label, texts in TEXTS.items() for text in texts for _ in range(3)]
    path.write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def convert(tiny_preset, tmp_path):
    """`convert(*options)`: the file and what was told."""

    def run_convert(*options):
        out = tmp_path / "model.tflite"
        return out, last_json(run("convert", "--preset", tiny_preset, "-o", out, "--json", *options))

    return run_convert


def test_pairs(convert, tmp_path):
    out, _ = convert("--text-pair")
    told = last_json(run("predict", out, "turn on", "", "--text-pair", "the light", "--text-pair", "music", "--json"))
    assert [(result["text"], result["text_pair"]) for result in told["results"]] == [
        ("turn on", "the light"),
        ("", "music"),
    ]
    assert "turn on | the light" in run("predict", out, "turn on", "--text-pair", "the light").stdout
    table = tmp_path / "pairs.csv"
    table.write_text("text,second\nturn on,the light\n", encoding="utf-8")
    from_file = run("predict", out, "--input", table, "--text-pair-column", "second", "--json")
    assert last_json(from_file)["results"][0] == told["results"][0]
    assert "one second text for each text" in run("predict", out, "a", "b", "--text-pair", "c", code=1).stderr
    assert (
        "Use --text-pair with texts as arguments"
        in run("predict", out, "--input", table, "--text-pair", "c", code=2).stderr
    )


def test_tokenizers_are_told_and_refused_by_name(convert):
    out, told = convert("--tokenizer", "none", "--metadata", "mediapipe")
    assert told["tokenizer"] == "none"
    assert last_json(run("inspect", out, "--json"))["tokenizer"]["kind"] == "none"
    assert "no tokenizer" in run("predict", out, "a text", code=1).stderr


def test_tensorflow_texts_ops_are_run(convert):
    out, told = convert("--tokenizer", "tftext")
    assert told["tokenizer"] == "tftext"
    assert "differing_texts" in told["parity"]
    assert last_json(run("predict", out, "play music", "--json"))["results"][0]["label"] in TEXTS


def test_static_int8_needs_calibration_data(convert, data, tiny_preset, tmp_path):
    out, told = convert("--quantize", "int8-static", "--calibration-data", data, *TOKENS_ALONE)
    assert told["quantization"]["activations"] == "int8"
    assert last_json(run("inspect", out, "--json"))["integer_ops"]["BATCH_MATMUL"] > 0
    bare = tmp_path / "bare.tflite"
    failed = run("convert", "--preset", tiny_preset, "-o", bare, "--quantize", "int8-static", code=1)
    assert "--calibration-data" in failed.stderr
    assert not bare.exists()


def test_layers_by_name(convert, tiny_preset, tmp_path):
    out, _ = convert("--layer", "transformer_layer_0/*=fp32", "--layer", "logits=int4", *TOKENS_ALONE)
    matmuls = last_json(run("inspect", out, "--json"))["matmuls"]
    assert matmuls["transformer_layer_0/query"]["weights"] == "float32"
    assert matmuls["logits"]["weights"] == "int4"
    assert matmuls["pooled_dense"]["weights"] == "int8"
    failing = ("convert", "--preset", tiny_preset, "-o", tmp_path / "other.tflite")
    assert "matches no layer" in run(*failing, "--layer", "layer_9*=fp32", code=1).stderr
    assert "PATTERN=SCHEME" in run(*failing, "--layer", "logits", code=2).stderr
    assert not (tmp_path / "other.tflite").exists()


def test_a_pruned_vocabulary(convert, tiny_preset, tmp_path):
    data = tmp_path / "few.csv"
    data.write_text("text\nturn the lights on\n", encoding="utf-8")
    out, told = convert("--prune-vocabulary", data, *TOKENS_ALONE)
    pruning = told["preparation"]["vocabulary_pruning"]
    assert pruning["vocabulary_after"] < pruning["vocabulary_before"]
    assert pruning["unchanged"] == 1
    assert last_json(run("inspect", out, "--json"))["tokenizer"]["vocabulary_size"] == pruning["vocabulary_after"]
    told = run("convert", "--preset", tiny_preset, "-o", out, "--force", "--prune-vocabulary", data, *TOKENS_ALONE)
    assert "vocabulary pruned from" in told.stdout
    failed = run("convert", "--preset", tiny_preset, "-o", tmp_path / "b.tflite", "--vocabulary-size", "50", code=1)
    assert "--prune-vocabulary" in failed.stderr


@pytest.mark.training
def test_training_with_quantization(convert, data, tmp_path):
    foreign = tmp_path / "model.tflite.qat" / "notes"  # a folder of that name may hold what is not ours
    foreign.parent.mkdir()
    foreign.touch()
    out, told = convert("--quantize", "int8-qat", "--train-data", data, *TOKENS_ALONE)
    training = told["preparation"]["quantization_aware_training"]
    assert [epoch["epoch"] for epoch in training["history"]] == [0, 1, 2, 3]
    assert training["texts"] == 45
    assert sorted(tmp_path.rglob("*")) == sorted([out, foreign.parent, foreign])  # the checkpoints are gone


def test_interrupted_training_with_quantization_says_what_is_kept(tiny_preset, data, tmp_path, monkeypatch):
    out = tmp_path / "model.tflite"
    command = ("convert", "--preset", tiny_preset, "-o", out, "--train-data", data)

    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("edgedistil.conversion.convert_preset", interrupt)
    for scheme in ("int8-qat", "int8"):
        assert "nothing half-written is left" in run(*command, "--quantize", scheme, code=130).stderr
    folder = tmp_path / "model.tflite.qat"
    folder.mkdir()
    (folder / "checkpoint.npz").touch()
    told = run(*command, "--quantize", "int8-qat", code=130).stderr
    assert told == (
        f"Interrupted: the training's checkpoints are kept in {folder}; the same command continues from them. "
        "The folder may be deleted.\n"
    )


@pytest.mark.parametrize(
    "option", ["--train-data", "--calibration-data", "--verification-data", "--prune-vocabulary", "--labels"]
)
def test_no_input_is_replaced(option, data, tiny_preset, tmp_path):
    own = shutil.copy(data, tmp_path / "own.csv")
    failed = run("convert", "--preset", tiny_preset, option, own, "-o", own, "--force", code=1)
    assert "would replace what it is made of" in failed.stderr
    assert own.read_bytes() == data.read_bytes()


def test_no_file_of_the_preset_is_replaced(tiny_preset, tmp_path):
    preset = shutil.copytree(tiny_preset, tmp_path / "preset")
    failed = run("convert", "--preset", preset, "-o", preset / "labels.txt", "--force", code=1)
    assert "would replace what it is made of" in failed.stderr
    assert (preset / "labels.txt").read_bytes() == (tiny_preset / "labels.txt").read_bytes()


def test_labels_with_a_byte_order_mark(convert, tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("a\nb\nc\n", encoding="utf-8-sig")
    assert convert("--labels", labels, *TOKENS_ALONE)[1]["labels"] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "There is no data file"),
        ("text,label\n", "has no example in it"),
        ("text,label\nplay music,radio\nlights on,lights\n", "labels must be among the classifier's.*Received: radio"),
    ],
    ids=["missing", "empty", "unknown label"],
)
def test_bad_training_data_for_quantization(content, message, tiny_preset, tmp_path):
    data = tmp_path / "bad.csv"
    if content is not None:
        data.write_text(content, encoding="utf-8")
    out = tmp_path / "model.tflite"
    failed = run("convert", "--preset", tiny_preset, "-o", out, "--quantize", "int8-qat", "--train-data", data, code=1)

    assert re.search(message, failed.stderr, re.IGNORECASE), failed.stderr
    assert [path for path in tmp_path.iterdir() if path != data] == []  # no file, and no folder for checkpoints


def test_qat_without_training_data(tiny_preset, tmp_path):
    out = tmp_path / "model.tflite"
    failed = run("convert", "--preset", tiny_preset, "-o", out, "--quantize", "int8-qat", code=1)
    assert "Pass --train-data" in failed.stderr


def test_int4_is_rounded_by_gptq_where_there_are_texts(convert, data):
    options = ("--quantize", "int4", "--int4-scales", "channel", "--calibration-data", data, *TOKENS_ALONE)
    out, told = convert(*options)
    assert told["quantization"]["rounding"] == "gptq"
    assert "rounding gptq, int4_scales channel" in " ".join(run("inspect", out).stdout.split())


def test_a_target_is_told_and_inspected(convert, data):
    options = ("--target", "edgetpu", "--quantize", "int8-static", "--calibration-data", data)
    out, told = convert(*options)
    encoder = told["encoder"]
    assert (told["target"], encoder["is_compiled"], encoder["mapping"]["on_cpu"]) == ("edgetpu", False, 0)
    inspected = last_json(run("inspect", out, "--json"))
    assert inspected["encoder"]["mapping"] == "a prediction"
    assert inspected["encoder"]["mapped_ops"] == encoder["mapping"]["mapped"] > 50
    shown = " ".join(run("inspect", out).stdout.split())
    assert "mapping a prediction" in shown and "target edgetpu" in shown
    assert "not compiled for the Edge TPU" in run("predict", out, "a", "--accelerator", "edgetpu", code=1).stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--target", "gpu", "--quantize", "int8-static"), "cannot run a plan of int8-static: .* fp32, fp16, int8"),
        (("--target", "gpu", "--quantize", "int8", "--layer", "logits=int4"), "cannot run layers of int4"),
        (("--target", "edgetpu"), "An Edge TPU cannot run a plan of int8.*int8-static, int8-qat"),
        (("--target", "edgetpu", "--quantize", "int8-static"), "Pass --calibration-data"),
        (("--target", "gpu", "--tokenizer", "tftext"), "has the tokenizer builtin or none"),
        (("--target", "gpu", "--tokenizer", "none", "--metadata", "mediapipe"), "Leave out one of them"),
    ],
)
def test_what_a_target_cannot_run_leaves_nothing(tiny_preset, tmp_path, options, message):
    result = run("convert", "--preset", tiny_preset, "-o", tmp_path / "model.tflite", *options, code=1)
    assert re.search(message, " ".join(result.stderr.split()))
    assert list(tmp_path.iterdir()) == []

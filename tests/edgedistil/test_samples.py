"""Held-out texts that a preset keeps, and which texts a conversion is judged on."""

import json
from collections import Counter
from dataclasses import replace

import pytest
from click.testing import CliRunner

from edgedistil.cli import main
from edgedistil.conversion import ConversionRequest, convert_preset
from edgedistil.data import LabelledTexts, read_texts_and_labels
from edgedistil.data.samples import SAMPLES_FILE, choose_samples, read_samples, write_samples
from edgedistil_converters.quantization.schemes import Bounds
from edgedistil_runtime.errors import DataError


def labelled(**counts):
    pairs = [(f"{label} {number}", label) for label, count in counts.items() for number in range(count)]
    return LabelledTexts(*map(tuple, zip(*pairs, strict=True)))


# Choice


def test_every_class_keeps_its_share():
    chosen = choose_samples(labelled(often=5000, seldom=500, rare=1))
    assert len(chosen) == 300
    counts = Counter(chosen.labels)
    assert counts["rare"] == 1
    assert 25 <= counts["seldom"] <= 29
    assert all(text.startswith(label) for text, label in zip(chosen.texts, chosen.labels, strict=True))


def test_many_classes_get_four_texts_each_and_no_more_than_a_thousand_are_kept():
    many = labelled(**{f"class{number}": 20 for number in range(150)})
    assert set(Counter(choose_samples(many).labels).values()) == {4}
    most = labelled(**{f"class{number}": 20 for number in range(400)})
    counts = Counter(choose_samples(most).labels)
    assert (counts.total(), len(counts)) == (1000, 400)


def test_the_same_samples_in_every_run():
    data = labelled(a=400, b=400)
    assert choose_samples(data) == choose_samples(data)
    assert choose_samples(data) != choose_samples(data, seed=1)
    few = labelled(a=3, b=2)
    assert choose_samples(few).texts == few.texts


def test_samples_are_read_as_they_were_written(tmp_path):
    odd = LabelledTexts(('a "quote", a\nline', "\u2028 naïve 🎉"), ("1", "ß"))
    write_samples(odd, tmp_path)
    read = read_samples(tmp_path)
    assert (read.texts, read.labels) == (odd.texts, odd.labels)
    (tmp_path / SAMPLES_FILE).write_text('{"text": "a"}\n', encoding="utf-8")
    with pytest.raises(DataError, match=SAMPLES_FILE):
        read_samples(tmp_path)


def test_labels_are_read_where_there_are_some(tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": "a", "label": "x"}\n{"text": "b"}\n{"text": "c", "label": 3}\n', encoding="utf-8")
    assert read_texts_and_labels(path) == (("a", "b", "c"), ("x", None, "3"))
    assert read_texts_and_labels(path, label_column="other")[1] == ()


# The texts that a conversion is judged on


class Reached(Exception):
    """The converter, with the options that it was given."""


@pytest.fixture
def options_of(monkeypatch, make_tiny_classifier, tmp_path):
    """`options_of(**changes)`: the options that the converter gets for a preset with two samples."""
    folder = tmp_path / "preset"
    make_tiny_classifier().save_to_preset(str(folder))
    (folder / "labels.txt").write_text("lights\nmusic\nweather\n", encoding="utf-8")
    write_samples(LabelledTexts(("play music", "is it raining ?"), ("music", "weather")), folder)

    def stop(prepared, options, output, **_):
        raise Reached(options)

    def run(*, has_samples=True, **changes):
        monkeypatch.setattr("edgedistil_converters.convert_prepared", stop)
        if not has_samples:
            (folder / SAMPLES_FILE).unlink(missing_ok=True)
        with pytest.raises(Reached) as caught:
            convert_preset(ConversionRequest(str(folder), tmp_path / "m.tflite", **changes))
        return caught.value.args[0]

    return run


def judged(options):
    return options.verification_texts, options.verification_labels, options.verification_source


def test_the_samples_of_the_preset_are_taken_unless_there_are_others(options_of, texts):
    samples = ("play music", "is it raining ?"), ("music", "weather"), "samples of the preset"
    assert judged(options_of()) == samples
    assert judged(options_of(training=texts, calibration_texts=("a",))) == samples
    assert judged(options_of(labels=("a", "b", "c"))) == (samples[0], ("b", "c"), samples[2])
    given = options_of(verification_texts=("louder music",), verification_labels=("music",))
    assert judged(given) == (("louder music",), ("music",), "verification data")
    assert judged(options_of(verification_texts=("louder music",))) == (("louder music",), (), "verification data")


def test_training_data_are_taken_where_the_preset_has_no_samples(options_of, texts):
    assert judged(options_of(has_samples=False, training=texts)) == (texts.texts, texts.labels, "training data")
    assert judged(options_of(has_samples=False))[0] == ()


def test_bounds_reach_the_converter(options_of):
    options = options_of(bounds=Bounds(0.9, 2.0), keep_failed=True)
    assert (options.bounds, options.keep_failed) == (Bounds(0.9, 2.0), True)


# The command line


def run(*arguments, code=0):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def request_of(monkeypatch, tmp_path):
    """`request_of(*options)`: the request that `edgedistil convert` makes."""
    seen = []

    def convert(request, _):
        seen.append(request)
        raise DataError("seen")

    monkeypatch.setattr("edgedistil.conversion.convert_preset", convert)

    def ask(*options):
        run("convert", "--preset", "smart_home_tiny_en", "-o", tmp_path / "m.tflite", *options, code=1)
        return seen[-1]

    return ask


def test_options_of_the_verification(request_of, tmp_path):
    data = tmp_path / "data.csv"
    data.write_text("text,label,intent\nplay it,music,x\nlights on,,y\n", encoding="utf-8")
    request = request_of("--min-agreement", "0.9", "--max-accuracy-loss", "2", "--keep-failed")
    assert (request.bounds, request.keep_failed) == (Bounds(0.9, 2.0), True)
    assert request_of().bounds == Bounds()
    request = request_of("--verification-data", data)
    assert (request.verification_texts, request.verification_labels) == (("play it", "lights on"), ("music", None))
    assert request_of("--verification-data", data, "--label-column", "intent").verification_labels == ("x", "y")
    assert request_of("--verification-data", data, "--label-column", "none").verification_labels == ()


def test_a_bound_out_of_range_names_its_flag(tmp_path):
    arguments = ("convert", "--preset", "smart_home_tiny_en", "-o", tmp_path / "m.tflite")
    assert "--min-agreement must be a share" in run(*arguments, "--min-agreement", "98", code=1).stderr
    assert "--max-accuracy-loss must be" in run(*arguments, "--max-accuracy-loss", "-1", code=1).stderr


def test_training_keeps_samples_unless_told_not_to(texts, tmp_path):
    data = tmp_path / "train.csv"
    rows = [f"{text},{label}" for text, label in zip(texts.texts, texts.labels, strict=True) for _ in range(2)]
    data.write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    size = ("--num-layers", 1, "--hidden-dim", 16, "--num-heads", 2, "--vocabulary-size", 60, "--sequence-length", 8)
    train = ("train", "--from-scratch", "tiny", *size, "--train-data", data, "--epochs", 1, "--json")
    run(*train, "-o", tmp_path / "with")
    kept = [json.loads(line) for line in (tmp_path / "with" / SAMPLES_FILE).read_text("utf-8").splitlines()]
    assert {sample["label"] for sample in kept} == set(texts.labels)
    assert {sample["text"] for sample in kept} <= set(texts.texts)
    run(*train, "-o", tmp_path / "without", "--no-samples")
    assert not (tmp_path / "without" / SAMPLES_FILE).exists()


def test_a_replaced_request_keeps_its_labels(tmp_path):
    request = ConversionRequest("x", tmp_path / "m.tflite", verification_labels=("a",), verification_texts=("t",))
    assert replace(request, seed=1).options.verification_labels == ("a",)

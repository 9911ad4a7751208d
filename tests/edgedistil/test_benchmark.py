"""The benchmark: its arithmetic on a clock of its own, its child processes, its command line."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edgedistil.cli import main
from edgedistil_runtime import FakeBackend, Signature, TextClassifier
from edgedistil_runtime.benchmarking import load_cost as load_cost_module
from edgedistil_runtime.benchmarking import speed as speed_module
from edgedistil_runtime.benchmarking import timing as timing_module
from edgedistil_runtime.benchmarking.load_cost import LoadCost, measure_load, peak_memory
from edgedistil_runtime.benchmarking.machine import read_machine
from edgedistil_runtime.benchmarking.speed import BenchmarkSettings, benchmark, display_names, time_classifiers
from edgedistil_runtime.benchmarking.texts import BENCHMARK_TEXTS, choose_texts
from edgedistil_runtime.errors import ArtifactError, BackendError, DataError, InputError


def invoke(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


# Arithmetic


class Clock:
    """Nanoseconds that pass only while a fake model runs."""

    def __init__(self):
        self.now = 1

    def __call__(self):
        return self.now


@pytest.fixture
def timed(monkeypatch, artifact):
    """Times fake models: `timed(milliseconds, texts)`, where `milliseconds(model, run, text)` is what a text takes."""

    def measure(milliseconds, texts, *, models=1, runs=3):
        clock = Clock()
        monkeypatch.setattr(timing_module.time, "perf_counter_ns", clock)
        monkeypatch.setattr(speed_module, "measure_load", lambda *_, **__: LoadCost(5.0, 50.0, 3000, 1000))
        paths = [artifact(f"{number}.tflite") for number in range(models)]
        order = []

        def fake(model):
            def answer(signature, inputs):
                order.append(model)
                text = bytes(inputs["text"].astype(np.uint8)).split(b"\0")[0].decode()
                run = (order.count(model) - 1) // len(texts)  # warming up is two of these, then one by one and batch
                clock.now += round(1e6 * milliseconds(model, (run - 2) // 2, text))
                return {"probabilities": np.array([[1, 0, 0]], np.float32)}

            # Without `tokenize`, so that one run is one text, however long.
            signatures = {"classify_text": Signature(("text",), ("probabilities",))}
            return TextClassifier(paths[model], backend=FakeBackend(answer, signatures=signatures), verify=False)

        classifiers = [fake(number) for number in range(models)]
        settings = BenchmarkSettings(runs=runs)
        return time_classifiers(classifiers, paths, texts, source=None, settings=settings), order

    return measure


def test_percentiles_are_of_texts_and_a_texts_time_is_its_median_over_the_runs(timed):
    texts = tuple("x" * length for length in range(1, 12))  # a text of n letters takes n ms
    measured, _ = timed(lambda model, run, text: len(text) + (1000 if run == 1 else 0), texts)
    [speed] = measured.models
    assert (speed.p50_ms, speed.p90_ms) == (6, 10)
    assert speed.p99_ms == pytest.approx(10.9)
    assert speed.texts_per_second == pytest.approx(11 / 0.066)
    assert speed.batch_texts_per_second == pytest.approx(11 / 0.066)


def test_lengths_are_grouped_with_their_bounds_below(timed):
    texts = tuple("x" * length for length in (1, 16, 17, 32, 33, 256, 257, 900))
    measured, _ = timed(lambda model, run, text: len(text), texts)
    found = [(one.name, one.texts, one.p50_ms) for one in measured.models[0].lengths]
    assert found == [
        ("0–16", 2, 8.5),
        ("17–32", 2, 24.5),
        ("33–64", 1, 33),
        ("129–256", 1, 256),
        ("257 and more", 2, 578.5),
    ]


def test_models_take_turns_and_each_begins_once(timed):
    texts = ("a", "b")
    measured, order = timed(lambda model, run, text: 1 + model, texts, models=3, runs=3)
    turns = order[3 * 2 * len(texts) :: 2 * len(texts)]  # behind the warming up, one of each run
    assert turns == [0, 1, 2, 1, 2, 0, 2, 0, 1]
    assert [speed.p50_ms for speed in measured.models] == [1, 2, 3]
    assert [speed.model for speed in measured.models] == ["0.tflite", "1.tflite", "2.tflite"]


def test_a_clock_that_stands_still_is_an_error(timed):
    with pytest.raises(BackendError, match="too coarse"):
        timed(lambda model, run, text: 0, ("a",))


def test_sample_has_the_lengths_of_all_texts():
    texts = ["x" * (1 + number % 300) for number in range(3000)]
    sample = choose_texts(texts, 101)
    lengths = sorted(map(len, sample))
    assert len(sample) == 101
    assert (lengths[0], lengths[50], lengths[-1]) == (1, 151, 300)
    assert list(map(len, sample)) != lengths
    assert sample == choose_texts(texts, 101)
    assert sorted(choose_texts(("b", "a"), 9)) == ["a", "b"]
    assert choose_texts(("a", "bb", "ccc"), 1) == ("bb",)
    with pytest.raises(DataError, match="no texts"):
        choose_texts((), 5)


def test_built_in_texts_have_many_lengths():
    assert {len(text) <= 16 for text in BENCHMARK_TEXTS} == {True, False}
    assert max(map(len, BENCHMARK_TEXTS)) > 256
    assert len(set(BENCHMARK_TEXTS)) == len(BENCHMARK_TEXTS)


def test_names_differ_and_are_no_whole_paths():
    paths = [Path("/home/me/a/x.tflite"), Path("/home/me/b/x.tflite"), Path("/home/me/y.tflite"), Path("b/x.tflite")]
    assert display_names(paths) == ("a/x.tflite", "b/x.tflite (1)", "y.tflite", "b/x.tflite (2)")


@pytest.mark.parametrize("name", ["runs", "largest_sample", "starts"])
def test_settings_below_one(name):
    with pytest.raises(InputError, match=f"`{name}` must be at least 1. Received: 0"):
        BenchmarkSettings(**{name: 0})


# Processes


def test_a_start_is_measured_in_a_process_of_its_own(artifact):
    ballast = b"x" * (256 << 20)  # the peak of this process, which a child would inherit through getrusage
    cost = measure_load(artifact(), "hello")
    assert peak_memory() > len(ballast)
    assert 0 < cost.bare_bytes <= cost.peak_bytes < len(ballast)
    assert cost.load_ms > 0
    assert cost.import_ms > 0


def test_a_process_that_fails_says_why(artifact):
    path = artifact()
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BackendError, match=r"echo.tflite could not be opened .* status 1: .*ArtifactError"):
        measure_load(path, "hello")


def test_a_process_that_does_not_end_is_named_with_a_next_step(artifact, monkeypatch):
    monkeypatch.setattr(load_cost_module, "_LONGEST_WAIT", 0.001)
    with pytest.raises(
        BackendError, match=r"within 0 s .* Received: echo.tflite, .* edgedistil-runtime classify \S+ hello"
    ):
        measure_load(artifact(), "hello")


def test_the_child_brings_no_tensorflow(artifact, monkeypatch, tmp_path):
    """The figure would be TensorFlow's memory."""
    spy = tmp_path / "spy"
    spy.mkdir()
    (spy / "tensorflow.py").write_text("raise SystemExit('TensorFlow was imported')")
    monkeypatch.setattr(sys, "path", [str(spy), *sys.path])
    assert measure_load(artifact(), "hello").load_ms > 0


def test_machine_has_no_name():
    import socket

    machine = read_machine()
    assert machine.cores >= 1
    assert all((machine.cpu, machine.architecture, machine.system))
    assert socket.gethostname() not in str(machine).split()


# Command line


def test_benchmark_as_json_and_as_a_table(artifact, csv_file):
    models = artifact("first.tflite"), artifact("other/second.tflite")
    done = invoke("benchmark", *models, "--data", csv_file, "--runs", 2, "--sample", 7, "--num-threads", 1, "--json")
    assert done.exit_code == 0, done.stderr
    measured = json.loads(done.stdout.splitlines()[-1])
    assert measured["texts"]["source"] == "texts.csv"
    assert measured["texts"]["count"] == 7
    assert measured["settings"] == {
        "runs": 2,
        "largest_sample": 7,
        "starts": 3,
        "accelerator": "cpu",
        "num_threads": 1,
    }
    assert [speed["model"] for speed in measured["models"]] == ["first.tflite", "second.tflite"]
    for speed, path in zip(measured["models"], models, strict=True):
        assert speed["size"] == path.stat().st_size
        assert 0 < speed["p50_ms"] <= speed["p90_ms"] <= speed["p99_ms"]
        assert speed["texts_per_second"] > 0
        assert speed["load"]["peak_bytes"] >= speed["load"]["bare_bytes"]
        assert sum(one["texts"] for one in speed["lengths"]) == 7
    assert str(csv_file.parent) not in done.stdout

    table = invoke("benchmark", models[0], "--runs", 1)
    assert table.exit_code == 0, table.stderr
    assert table.stderr == ""
    assert "p99 ms" in table.stdout and "first.tflite" in table.stdout
    assert f"{len(BENCHMARK_TEXTS)} texts of the built-in ones, 2 to " in table.stdout


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("none.tflite", "none.tflite, which was converted without a tokenizer"),
        ("folder", "folder, which is a directory. Convert it first"),
        ("absent.tflite", "cannot be opened"),
        ("foreign.tflite", "not a TFLite model"),
    ],
)
def test_models_that_cannot_be_timed(model, message, artifact, tmp_path):
    sound = artifact("sound.tflite")
    artifact("none.tflite", kind="none")
    (tmp_path / "folder").mkdir()
    (tmp_path / "foreign.tflite").write_bytes(b"not a model at all")
    done = invoke("benchmark", sound, tmp_path / model)
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    assert message in done.stderr


def test_damaged_file_is_named(artifact):
    path = artifact()
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"echo.tflite"):
        benchmark([path])


def test_data_that_cannot_be_read(artifact, tmp_path):
    assert "no data file" in invoke("benchmark", artifact(), "--data", tmp_path / "no.csv").stderr
    assert invoke("benchmark").exit_code == 2

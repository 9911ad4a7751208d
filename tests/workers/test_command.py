"""`edgedistil train` on several workers: one result, equal data, and workers that are lost."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgedistil.cli.border import EXIT_WORKER
from edgedistil_runtime.child_process import python_environment

from .cases import texts_of
from .conftest import LIMIT_SECONDS

SMALL = ("--from-scratch", "tiny", "--num-layers", "1", "--hidden-dim", "16", "--num-heads", "2")
OPTIONS = (*SMALL, "--intermediate-dim", "32", "--vocabulary-size", "150", "--dropout", "0", "--batch-size", "8")
COMMAND = ("-m", "edgedistil", "train", *OPTIONS)


@pytest.fixture
def data(tmp_path):
    """Files of training and validation texts."""
    for seed, (part, count) in enumerate({"train": 200, "validation": 40}.items()):
        with (tmp_path / f"{part}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label"])
            writer.writerows(zip(*texts_of(seed, count), strict=True))
    return ["--train-data", tmp_path / "train.csv", "--validation-data", tmp_path / "validation.csv"]


def finished(*arguments):
    command = [sys.executable, *map(str, (*COMMAND, *arguments))]
    return subprocess.run(command, env=python_environment(), capture_output=True, text=True, timeout=LIMIT_SECONDS)


def history(directory):
    return json.loads((directory / "training.json").read_text(encoding="utf-8"))["history"]


def workers_of(started):
    """Process ids of the workers that a command has started, by their number."""
    found = {}
    for process in filter(lambda path: path.name.isdigit(), Path("/proc").iterdir()):
        try:
            parent = int((process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
            environment = (process / "environ").read_bytes()
        except OSError:
            continue
        number = re.search(rb'"index": (\d+)', environment)
        if parent == started.pid and number:
            found[int(number[1])] = int(process.name)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="it finds the workers in /proc")
def test_a_worker_is_killed_and_the_training_goes_on(data, tmp_path):
    output, state = tmp_path / "student", tmp_path / ".student.training.npz"
    arguments = (*data, "-o", output, "--workers", "2", "--epochs", "40", "--patience", "40", "--csv-log")
    command = [sys.executable, *map(str, (*COMMAND, *arguments, tmp_path / "log.csv"))]
    started = subprocess.Popen(command, env=python_environment(), stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + LIMIT_SECONDS
    while not state.exists():
        assert started.poll() is None, started.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.05)
    os.kill(workers_of(started)[1], signal.SIGKILL)
    messages = started.communicate(timeout=LIMIT_SECONDS)[1]
    assert started.returncode == EXIT_WORKER, messages
    assert "because worker 1 (127.0.0.1:" in messages
    assert "worker 1 of 2 was ended by the signal SIGKILL. The same command with --resume goes on" in messages
    assert not output.exists()
    done = finished(*arguments, tmp_path / "log.csv", "--resume")
    assert done.returncode == 0, done.stderr
    assert not state.exists()
    assert len(history(output)) == 40
    # The log of one writer, which went on: every epoch once.
    with (tmp_path / "log.csv").open(encoding="utf-8") as file:
        epochs = [int(row["epoch"]) for row in csv.DictReader(file)]
    assert sorted(set(epochs)) == list(range(40))
    whole = finished(*data, "-o", tmp_path / "whole", "--epochs", "40", "--patience", "40")
    assert whole.returncode == 0, whole.stderr
    losses = [[epoch["loss"] for epoch in history(directory)] for directory in (output, tmp_path / "whole")]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)  # 1,000 steps after each other


def is_running(process):
    try:
        return (Path("/proc") / str(process) / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="it finds the workers in /proc")
def test_workers_end_when_the_command_is_killed(data, tmp_path):
    """Also before they have met."""
    state = tmp_path / ".student.training.npz"
    arguments = (*data, "-o", tmp_path / "student", "--workers", "2", "--epochs", "10000", "--patience", "10000")
    command = [sys.executable, *map(str, (*COMMAND, *arguments))]
    for is_training in (False, True):
        started = subprocess.Popen(command, env=python_environment(), stderr=subprocess.DEVNULL)
        end = time.monotonic() + LIMIT_SECONDS
        workers = {}
        while (is_training and not state.exists()) or len(workers) < 2:
            workers = workers_of(started)
            assert started.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
        started.kill()
        started.wait()
        while any(map(is_running, workers.values())):
            assert time.monotonic() < end, f"still running: {workers}"
            time.sleep(0.05)
    assert not (tmp_path / "student").exists()


def test_different_workers_are_refused_before_training(data, tmp_path, run_workers):
    other = tmp_path / "other.csv"
    other.write_text((tmp_path / "train.csv").read_text(encoding="utf-8") + "one more,music\n", encoding="utf-8")
    changed = [other if one == tmp_path / "train.csv" else one for one in data]
    first, second = run_workers(
        (*COMMAND, *data, "-o", tmp_path / "first"),
        (*COMMAND, *changed, "-o", tmp_path / "second", "--learning-rate", "0.5"),
    )
    for code, output in (first, second):
        assert code == EXIT_WORKER
        assert "worker 1 (127.0.0.1:" in output
        assert "differs from worker 0" in output
        assert "in: the options, the data (--train-data). Start all of them with the same" in output
    assert not list(tmp_path.glob("*/"))


def test_a_teacher_is_asked_by_one_worker(data, tmp_path, run_workers):
    teacher, student = tmp_path / "teacher", tmp_path / "student"
    made = finished(*data, "-o", teacher, "--epochs", "2")
    assert made.returncode == 0, made.stderr
    asking = (*data, "--teacher", teacher, "--epochs", "2", "--augment", "1", "--json")
    # Separate folders, as on separate machines: only the first one gets a result, and answers that are kept.
    folders = [tmp_path / name for name in ("here", "there")]
    for folder in folders:
        folder.mkdir()
    ended = run_workers(*((*COMMAND, *asking, "-o", folder / "student") for folder in folders))
    assert [code for code, _ in ended] == [0, 0], "\n".join(output for _, output in ended)
    assert sorted(path.name for path in folders[0].iterdir()) == [".teacher_answers", "student"]
    assert not list(folders[1].iterdir())
    assert "worker 1" in ended[1][1]
    assert '"output"' in ended[0][1]
    assert '"output"' not in ended[1][1]
    alone = finished(*asking, "-o", student)
    assert alone.returncode == 0, alone.stderr
    losses = [[epoch["loss"] for epoch in history(directory)] for directory in (folders[0] / "student", student)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)

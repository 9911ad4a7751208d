"""`edgedistil predict`: its options, what it prints, and standard input."""

import io
import json
import re
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from edgedistil.cli.progress import _Pace
from edgedistil.labelling import Progress
from edgedistil.labelling.partial import partial_path
from edgedistil_runtime import TextClassifier

from .labelling_files import ROWS, TEXTS, invoke, read_back, write_rows


def test_command_writes_and_prints_one_line(model, tmp_path):
    source, output = write_rows(tmp_path / "in.csv"), tmp_path / "out.csv"
    done = invoke(model, "--input", source, "-o", output, "--column-prefix", "p_", "--top", "2")
    assert (done.exit_code, done.stderr) == (0, "")
    assert re.fullmatch(rf"{output}: 11 rows; [\d,]+ rows/s\n", done.stdout)
    assert list(read_back(output)[0]) == [*ROWS[0], "p_label", "p_score", "p_label_2", "p_score_2", "p_is_truncated"]
    done = invoke(model, "--input", source, "-o", output, "--force", "--json")
    printed = json.loads(done.stdout)
    assert (printed["rows"], printed["resumed_rows"], printed["accelerator"]) == (11, 0, "cpu")


WITHOUT_FILE_LOCKS = """
import sys
sys.modules["fcntl"] = None  # as on Windows
from edgedistil.cli import main
main(sys.argv[1:])
"""


def test_command_without_file_locks(model, tmp_path):
    source, output = write_rows(tmp_path / "in.csv"), tmp_path / "out.csv"
    command = [sys.executable, "-c", WITHOUT_FILE_LOCKS, "predict", model, "--input", source, "-o", output]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [row["id"] for row in read_back(output)] == [row["id"] for row in ROWS]
    assert not partial_path(output).exists()


def test_lines_of_stdin(model, answers, tmp_path):
    texts = [text for text in TEXTS if "\n" not in text]
    labels = [answer.label for answer in answers if "\n" not in answer.text]
    done = invoke(model, "--input", "-", "-o", tmp_path / "out.parquet", input="\n".join([*texts, ""]).encode())
    assert done.exit_code == 0, done.stderr
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.column("text").to_pylist() == texts
    assert table.column("label").to_pylist() == labels


@pytest.mark.parametrize(
    ("content", "message"), [(b"a\n\xe9\n", "stdin, line 2: texts must be UTF-8"), (b"", "stdin has no example")]
)
def test_bad_stdin(content, message, model, tmp_path):
    done = invoke(model, "--input", "-", "-o", tmp_path / "out.csv", input=content)
    assert (done.exit_code, done.stdout) == (1, "")
    assert message in done.stderr


def test_printed_as_before(model, answers, tmp_path):
    source = write_rows(tmp_path / "in.csv")
    printed = json.loads(invoke(model, "--input", source, "--json").stdout)
    assert [(result["text"], result["label"]) for result in printed["results"]] == [
        (answer.text, answer.label) for answer in answers
    ]
    assert "label" in invoke(model, "~~~", "AAA").stdout.splitlines()[0]
    assert invoke(model, "--input", "-", "--json", input=b"~~~\n").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["text", "-o", "out.csv"], "-o needs --input"),
        (["--input", "in.csv", "--resume"], "need -o"),
        (["text", "--force"], "need -o"),
        (["text", "--input", "in.csv"], "one of the two"),
        (["--input", "-", "--text-pair-column", "b"], "--text-pair-column with a data file"),
    ],
)
def test_wrong_use(arguments, message, tmp_path):
    done = invoke(tmp_path / "no.tflite", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr


def test_where_it_runs_is_passed_on(model, tmp_path, monkeypatch):
    given = []

    class Recorder(TextClassifier):
        def __init__(self, path, **options):
            given.append(options)
            super().__init__(path)

    monkeypatch.setattr("edgedistil_runtime.TextClassifier", Recorder)
    options = ["--accelerator", "edgetpu", "--device", "usb", "--fallback", "--num-threads", "2"]
    source = write_rows(tmp_path / "in.csv")
    assert invoke(model, "text", *options).exit_code == 0
    assert invoke(model, "--input", source, "-o", tmp_path / "out.csv", *options).exit_code == 0
    passed = {"accelerator": "edgetpu", "device": "usb", "fallback": True, "num_threads": 2, "long_texts": "cut"}
    assert given == [passed] * 2


def test_interrupted_command_says_explain_resume(model, tmp_path, monkeypatch):
    source, output = write_rows(tmp_path / "in.csv", ROWS * 100), tmp_path / "out.csv"
    classify_batch, calls = TextClassifier.classify_batch, []

    def interrupted(self, *arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return classify_batch(self, *arguments)

    monkeypatch.setattr(TextClassifier, "classify_batch", interrupted)
    done = invoke(model, "--input", source, "-o", output)
    assert (done.exit_code, done.stdout) == (130, "")
    assert re.fullmatch(r"Interrupted: .*out\.csv\.partial; the same command with --resume continues\.\n", done.stderr)
    done = invoke(model, "--input", source, "-o", output, "--resume")
    assert "1,100 rows, 512 of them by an earlier run" in done.stdout
    assert len(read_back(output)) == 1100


def test_interrupted_before_anything_was_done(model, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(TextClassifier, "classify_batch", interrupted)
    done = invoke(model, "--input", write_rows(tmp_path / "in.csv"), "-o", tmp_path / "out.csv")
    assert (done.exit_code, done.stderr) == (130, "Interrupted: nothing half-written is left.\n")
    assert not partial_path(tmp_path / "out.csv").exists()


def test_pace_counts_this_run_alone():
    times = iter([100.0, 110.0, 120.0])
    pace = _Pace(clock=lambda: next(times))
    assert pace.format(Progress(4_000, 0.4)) == "4,000 rows"
    assert pace.format(Progress(5_000, 0.5)) == "5,000 rows, 100 rows/s, 0:00:50 left"
    assert pace.format(Progress(6_000, None)) == "6,000 rows, 100 rows/s"


def test_bar_on_a_terminal_only(model, tmp_path, monkeypatch):
    from rich.console import Console

    screen = io.StringIO()
    monkeypatch.setattr("edgedistil.cli.progress.console", lambda: Console(file=screen, force_terminal=True, width=100))
    done = invoke(model, "--input", write_rows(tmp_path / "in.csv"), "-o", tmp_path / "out.csv")
    assert done.exit_code == 0
    assert "11 rows" in screen.getvalue()
    assert done.stderr == ""

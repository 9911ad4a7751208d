"""Interrupted runs: what is kept of them, what goes on where, and what cannot."""

import json
import subprocess
import sys

import pytest

from edgedistil.labelling import ChunkLimits, TextColumns, label_file
from edgedistil.labelling.partial import partial_path
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.errors import DataError, OutputError

from .labelling_files import ROWS, TEXTS, invoke, label, read_back, request_of, write_rows


class StopError(Exception):
    """An interruption at a given chunk."""


def stop_after(rows):
    def stop(progress):
        if progress.rows >= rows:
            raise StopError

    return stop


def interrupt(model, source, output, *, rows=6, **fields):
    with pytest.raises(StopError):
        label_file(request_of(model, source, output, **fields), TextClassifier, on_progress=stop_after(rows))
    assert not output.exists()
    assert json.loads((partial_path(output) / "progress.json").read_text())["rows"] == rows


KILLED = """
import os, signal, sys
from pathlib import Path
from edgedistil.labelling import ChunkLimits, LabellingRequest, label_file, partial, writers
from edgedistil_runtime import TextClassifier

model, source, output, where = sys.argv[1:]
def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
if where == "torn":  # the third chunk is on the disk in part, and not in the record
    append = partial.PartialOutput.append
    def torn(self, content, rows, digest):
        if self.record.rows == 6:
            self._stream.write(content[: len(content) // 2])
            self._stream.flush()
            die()
        append(self, content, rows, digest)
    partial.PartialOutput.append = torn
elif where == "recording":
    replace = Path.replace
    Path.replace = lambda self, to: die() if '"rows": 9' in self.read_text() else replace(self, to)
elif where == "joined":
    partial.PartialOutput.publish = die
request = LabellingRequest(Path(model), Path(source), Path(output), limits=ChunkLimits(rows=3))
label_file(request, TextClassifier)
"""


@pytest.mark.parametrize(
    ("where", "output", "kept"),
    [
        *[("torn", output, 6) for output in ("out.csv", "out.jsonl", "out.parquet")],
        ("recording", "out.csv", 6),
        ("joined", "out.parquet", 11),
        ("joined", "out.csv", 11),
    ],
)
def test_killed_and_resumed_writes_the_bytes_of_one_run(where, output, kept, model, tmp_path):
    source = write_rows(tmp_path / "in.csv")
    once, output = tmp_path / f"once_{output}", tmp_path / output
    label(model, source, once)
    command = [sys.executable, "-c", KILLED, model, source, output, where]
    assert subprocess.run(command, check=False).returncode == -9
    assert not output.exists()
    done = label(model, source, output, is_resumed=True)
    assert (done.rows, done.resumed_rows) == (len(TEXTS), kept)
    assert output.read_bytes() == once.read_bytes()
    assert not partial_path(output).exists()


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".parquet"])
def test_interrupted_twice(kind, model, tmp_path):
    source, output = write_rows(tmp_path / "in.parquet"), tmp_path / f"out{kind}"
    label(model, source, tmp_path / f"once{kind}")
    interrupt(model, source, output, rows=3)
    interrupt(model, source, output, rows=9, is_resumed=True)
    label(model, source, output, is_resumed=True)
    assert output.read_bytes() == (tmp_path / f"once{kind}").read_bytes()


def test_a_partial_output_is_neither_ignored_nor_lost(model, tmp_path):
    source, output = write_rows(tmp_path / "in.csv"), tmp_path / "out.csv"
    interrupt(model, source, output)
    with pytest.raises(OutputError, match="holds 6 rows of an interrupted run.*`is_resumed`.*`force`"):
        label(model, source, output)
    assert label(model, source, output, force=True).resumed_rows == 0
    assert label(model, source, tmp_path / "new.csv", is_resumed=True).resumed_rows == 0  # nothing to resume


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"columns": TextColumns("group")}, r"text_columns \['text'\], now \['group'\]"),
        ({"top": 2}, "new_columns"),
        ({"column_prefix": "p_"}, "new_columns"),
        ({"limits": ChunkLimits(rows=4)}, "rows_per_chunk 3, now 4"),
    ],
)
def test_resuming_with_other_options(fields, message, model, tmp_path):
    source, output = write_rows(tmp_path / "in.csv"), tmp_path / "out.csv"
    interrupt(model, source, output)
    with pytest.raises(OutputError, match="was made with other settings.*" + message):
        label(model, source, output, is_resumed=True, **fields)
    assert label(model, source, output, is_resumed=True).resumed_rows == 6


def test_resuming_with_another_model(artifact, tmp_path):
    source, output = write_rows(tmp_path / "in.csv"), tmp_path / "out.csv"
    interrupt(artifact(), source, output)
    with pytest.raises(OutputError, match="was made with other settings.*model_sha256"):
        label(artifact("other.tflite", labels=("a", "b", "c")), source, output, is_resumed=True)


@pytest.mark.parametrize("kind", [".csv", ".parquet"])
@pytest.mark.parametrize("change", ["text", "other column", "shorter"])
def test_resuming_with_another_input(kind, change, model, tmp_path):
    source, output = write_rows(tmp_path / f"in{kind}"), tmp_path / "out.csv"
    interrupt(model, source, output)
    column = "text" if change == "text" else "group"
    changed = [ROWS[0], {**ROWS[1], column: "changed"}, *ROWS[2:]]
    write_rows(source, ROWS[:5] if change == "shorter" else changed)
    with pytest.raises(OutputError, match="input has changed in the 6 rows"):
        label(model, source, output, is_resumed=True)
    write_rows(source)  # the same content again, whatever the file's times say
    assert label(model, source, output, is_resumed=True).resumed_rows == 6


def test_a_bad_row_is_mended_and_the_run_goes_on(model, tmp_path):
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    lines = [json.dumps(row) for row in ROWS]
    source.write_text("\n".join([*lines[:8], "{", *lines[9:]]))
    failed = invoke(model, "--input", source, "-o", output)
    assert failed.exit_code == 1  # one chunk of the command line is more than these rows
    assert not partial_path(output).exists()
    with pytest.raises(DataError, match="row 9: this line is not one whole JSON value"):
        label(model, source, output)
    source.write_text("\n".join(lines))
    assert label(model, source, output, is_resumed=True).resumed_rows == 6
    assert [row["id"] for row in read_back(output)] == [row["id"] for row in ROWS]


@pytest.mark.parametrize("content", ["{", "[]", '{"version": 99, "settings": {}}', '{"settings": {}, "size": 9999}'])
def test_a_damaged_record(content, model, tmp_path):
    source, output = write_rows(tmp_path / "in.csv"), tmp_path / "out.csv"
    interrupt(model, source, output)
    (partial_path(output) / "progress.json").write_text(content)
    with pytest.raises(OutputError, match="cannot be resumed. Remove it: rm -r"):
        label(model, source, output, is_resumed=True)


def test_one_run_at_a_time(model, tmp_path):
    source, output = write_rows(tmp_path / "in.csv"), tmp_path / "out.csv"

    def meanwhile(_):
        with pytest.raises(OutputError, match="Another run is writing"):
            label(model, source, output, force=True)

    label_file(request_of(model, source, output), TextClassifier, on_progress=meanwhile)
    assert len(read_back(output)) == len(TEXTS)


def test_an_output_that_came_meanwhile_is_not_replaced(model, tmp_path):
    source, output = write_rows(tmp_path / "in.csv"), tmp_path / "out.csv"
    with pytest.raises(OutputError, match="exists"):
        label_file(request_of(model, source, output), TextClassifier, on_progress=lambda _: output.write_text("new"))
    assert output.read_text() == "new"
    assert partial_path(output).exists()

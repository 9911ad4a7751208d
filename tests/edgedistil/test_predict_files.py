"""Files through a model: what is written for each format, what is refused, and in how much memory."""

import math
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgedistil.data.separated import separated_rows
from edgedistil.labelling import ChunkLimits, TextColumns, label_file
from edgedistil.labelling import writers as writers_module
from edgedistil.labelling.partial import partial_path
from edgedistil.labelling.sources import line_rows
from edgedistil.labelling.writers import SeparatedWriter
from edgedistil_runtime import InputError, TextClassifier
from edgedistil_runtime.errors import DataError, OutputError

from .labelling_files import ROWS, SMALL, TEXTS, label, read_back, request_of, write_rows

OUTPUTS = ("out.csv", "out.tsv", "out.jsonl", "out.ndjson", "out.parquet")


# What is written


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("source", ["in.csv", "in.tsv", "in.jsonl", "in.parquet"])
def test_rows_with_the_labels_of_one_batch_in_their_order(source, output, model, answers, tmp_path):
    done = label(model, write_rows(tmp_path / source), tmp_path / output)
    assert (done.rows, done.resumed_rows) == (len(TEXTS), 0)
    rows = read_back(done.output)
    assert [list(row) for row in rows] == [["id", "text", "group", "label", "score", "is_truncated"]] * len(TEXTS)
    assert [{name: row[name] for name in ROWS[0]} for row in rows] == ROWS
    assert [row["label"] for row in rows] == [answer.label for answer in answers]
    assert [float(row["score"]) for row in rows] == pytest.approx([answer.score for answer in answers], abs=1e-6)
    assert {row["is_truncated"] for row in rows} == {"false" if output in ("out.csv", "out.tsv") else False}
    assert not partial_path(done.output).exists()


@pytest.mark.parametrize(("top", "ranks"), [(2, 2), (9, 3)])
def test_several_labels(top, ranks, model, answers, tmp_path):
    label(model, write_rows(tmp_path / "in.csv"), tmp_path / "out.jsonl", top=top, column_prefix="p_")
    names = ["p_label", "p_score", "p_label_2", "p_score_2", "p_label_3", "p_score_3"][: 2 * ranks]
    for row, answer in zip(read_back(tmp_path / "out.jsonl"), answers, strict=True):
        assert list(row)[3:] == [*names, "p_is_truncated"]
        assert [row[name] for name in names[::2]] == [name for name, _ in answer.top(ranks)]
        assert [row[name] for name in names[1::2]] == pytest.approx([score for _, score in answer.top(ranks)], abs=1e-6)


def test_parquet_keeps_its_types(model, tmp_path):
    table = pa.table(
        {
            "text": pa.array(TEXTS[:4]).dictionary_encode(),
            "time": pa.array([1234567890123456789, None, 3, 4], pa.timestamp("ns", "UTC")),
            "tags": pa.array([["a"], [], None, ["b", "c"]]),
            "price": pa.array([Decimal("1.50")] * 4, pa.decimal128(9, 2)),
            "raw": pa.array([b"\xff"] * 4),
        }
    ).replace_schema_metadata({"made": "by me"})
    pq.write_table(table, tmp_path / "in.parquet")
    label(model, tmp_path / "in.parquet", tmp_path / "out.parquet")
    written = pq.read_table(tmp_path / "out.parquet")
    assert written.select(table.column_names).equals(table)
    assert written.schema.metadata[b"made"] == b"by me"
    assert written.schema.types[-3:] == [pa.string(), pa.float64(), pa.bool_()]


def test_parquet_as_text(model, tmp_path):
    table = pa.table(
        {
            "text": TEXTS[:2],
            "day": pa.array([date(2026, 11, 22), None]),
            "price": pa.array([Decimal("1.50"), None], pa.decimal128(9, 2)),
            "number": [1.5, math.nan],
            "flag": [True, False],
            "nested": [{"days": [date(2026, 1, 1)]}, None],
        }
    )
    pq.write_table(table, tmp_path / "in.parquet")
    label(model, tmp_path / "in.parquet", tmp_path / "out.jsonl")
    label(model, tmp_path / "in.parquet", tmp_path / "out.csv")
    names = table.column_names[1:]
    first, second = read_back(tmp_path / "out.jsonl")
    assert [first[name] for name in names] == ["2026-11-22", "1.50", 1.5, True, {"days": ["2026-01-01"]}]
    assert [second[name] for name in names] == [None, None, None, False, None]
    first, second = read_back(tmp_path / "out.csv")
    assert [first[name] for name in names] == ["2026-11-22", "1.50", "1.5", "true", '{"days": ["2026-01-01"]}']
    assert [second[name] for name in names] == ["", "", "nan", "false", ""]


@pytest.mark.parametrize("column", [pa.array([b"\xff"] * 2), pa.array([[b"\xff"]] * 2)])
def test_bytes_have_no_place_in_a_text_file(column, model, tmp_path):
    pq.write_table(pa.table({"text": TEXTS[:2], "raw": column}), tmp_path / "in.parquet")
    with pytest.raises(DataError, match="cannot hold.*Write .parquet"):
        label(model, tmp_path / "in.parquet", tmp_path / "out.csv")


def test_json_rows_with_keys_of_their_own(model, tmp_path):
    rows = [{"text": "a"}, {"text": "b", "n": 2**40}, *[{"text": "c"}] * 3, {"n": 0.5, "text": "d", "o": {"k": [1]}}]
    source = write_rows(tmp_path / "in.jsonl", rows)
    label(model, source, tmp_path / "out.jsonl")
    assert [list(row) for row in read_back(tmp_path / "out.jsonl")] == [
        [*row, "label", "score", "is_truncated"] for row in rows
    ]
    label(model, source, tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.column("n").to_pylist() == [None, 2.0**40, None, None, None, 0.5]
    assert table.column("o").to_pylist() == [None] * 5 + [{"k": [1]}]
    with pytest.raises(DataError, match="From row 4 on there are columns.*Write .jsonl or .parquet.*'o'"):
        label(model, source, tmp_path / "out.csv")


@pytest.mark.parametrize(
    ("late", "message"),
    [
        ([{"n": 1}, {"n": "x"}], "near rows 4 to 5: .*values of 'n' have no common one. Write .jsonl"),
        ([{"n": 2**70}], "'n' have no common one"),
        ([{"n": 1, "m": {}}], "'m' have no common one.*an object without a key"),
        ([{"n": "x"}], "From row 4 on a column has another type.*Field n has incompatible types"),
    ],
)
def test_json_values_that_no_column_holds(late, message, model, tmp_path):
    source = write_rows(tmp_path / "in.jsonl", [{"text": "a", "n": 1}] * 3 + [{"text": "b", **row} for row in late])
    with pytest.raises(DataError, match="(?s)" + message):
        label(model, source, tmp_path / "out.parquet")


@settings(max_examples=60, deadline=None)
@example(["\r"])  # blank, and still a cell
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4))
def test_every_cell_comes_back(tmp_path_factory, cells):
    class Rows:
        first_number = 2

        def records(self):
            return [{f"c{index}": cell for index, cell in enumerate(cells)}]

    path = tmp_path_factory.getbasetemp() / "cells.csv"
    path.write_bytes(SeparatedWriter(",").encode(Rows(), {}))
    [row] = separated_rows(path, ("c0",), is_whole=True)
    assert list(row.values.values()) == cells


def test_row_groups_are_joined_a_few_at_a_time(model, tmp_path, monkeypatch):
    monkeypatch.setattr(writers_module, "_ROW_GROUP_ROWS", 6)
    label(model, write_rows(tmp_path / "in.csv"), tmp_path / "out.parquet")
    metadata = pq.read_metadata(tmp_path / "out.parquet")
    assert [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)] == [6, 5]


# What is refused


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("in.csv", "sentence\nx\n", "no column 'text'. The columns that exist: 'sentence'"),
        ("in.csv", "text\n", "no example"),
        ("in.csv", "", "empty"),
        ("in.csv", "text,id,id\nx,1,2\n", "more than one column 'id'"),
        ("in.csv", "text,label\nx,1\n", "a column 'label' already.*`column_prefix` such as 'predicted_'"),
        ("in.jsonl", '{"text": "x"}\n{"text": "x", "score": 1}\n', "a column 'score' already"),
        ("in.csv", b"text,id\nx,y\nx,\xff\n", "row 3: these bytes are not UTF-8"),
        ("in.csv", b"text,caf\xe9\nx,y\n", "row 1: these bytes are not UTF-8"),
        ("in.jsonl", '{"text": "x", "more": ["\\ud800"]}', "row 1: a string holds half of a character"),
        ("in.csv", 'text\nx\n"never closed\n', "row 3: this is not well-formed CSV"),
        ("in.jsonl", '{"text": "x"}\n{"text": 5}\n', "row 2: the text in column 'text' must be a string"),
        ("in.xlsx", "PK", r"one of \.csv, \.tsv"),
        ("in.parquet", "not parquet", "cannot be read as Parquet"),
    ],
)
def test_bad_input_leaves_nothing(name, content, message, model, tmp_path):
    source = tmp_path / name
    source.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DataError, match="(?s)" + message):
        label(model, source, tmp_path / "out.csv")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": [None, 2]}, "row 2: the text in column 'text' must be a string. Received: 2"),
        ({"text": ["a", "b"], "label": [1, 2]}, "a column 'label' already"),
        ({"text": [1, 2]}, "row 1: the text in column 'text' must be a string. Received: 1"),
    ],
)
def test_bad_parquet(columns, message, model, tmp_path):
    pq.write_table(pa.table(columns), tmp_path / "in.parquet")
    with pytest.raises(DataError, match=message):
        label(model, tmp_path / "in.parquet", tmp_path / "out.parquet")


def test_outputs_that_cannot_be(model, tmp_path):
    source = write_rows(tmp_path / "in.csv")
    for output, message in (
        (tmp_path / "out.xlsx", r"one of \.csv, \.tsv, \.jsonl, \.ndjson, \.parquet. Received"),
        (tmp_path / "absent" / "out.csv", "folder does not exist"),
        (source, "would replace what it is made of"),
    ):
        with pytest.raises(OutputError, match=message):
            label(model, source, output)
    with pytest.raises(OutputError, match="would replace what it is made of"):
        label(model, source, source, force=True)
    (tmp_path / "out.csv.partial").mkdir()
    (tmp_path / "out.csv.partial" / "mine.txt").touch()
    with pytest.raises(OutputError, match="that `edgedistil predict` made.*mine.txt"):
        label(model, source, tmp_path / "out.csv", force=True)
    assert (tmp_path / "out.csv.partial" / "mine.txt").exists()


def test_an_output_is_replaced_only_with_force(model, tmp_path):
    source, output = write_rows(tmp_path / "in.csv"), tmp_path / "out.csv"
    output.write_text("old")
    with pytest.raises(OutputError, match="exists. Choose another output, or pass `force`"):
        label(model, source, output)
    assert output.read_text() == "old"
    label(model, source, output, force=True)
    assert len(read_back(output)) == len(TEXTS)


def test_a_model_of_single_texts_refuses_pairs(model, tmp_path):
    source = write_rows(tmp_path / "in.csv")
    with pytest.raises(InputError, match="not a pair"):
        label(model, source, tmp_path / "out.csv", columns=TextColumns("text", "group"))
    assert not partial_path(tmp_path / "out.csv").exists()


# Memory


def test_reading_is_never_more_than_a_chunk_ahead(model, tmp_path):
    read, ahead = [0], []

    def lines():
        for number in range(20):
            read[0] += 1
            yield b"text %d\n" % number

    def look(progress):
        ahead.append(read[0] - progress.rows)

    request = request_of(model, line_rows(lines(), "text"), tmp_path / "out.jsonl")
    assert label_file(request, TextClassifier, on_progress=look).rows == 20
    assert len(ahead) == 8  # seven chunks, and before the first
    assert max(ahead) <= SMALL.rows


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".parquet"])
def test_large_rows_make_small_chunks(kind, model, tmp_path):
    source = write_rows(tmp_path / f"in{kind}", [{"text": "x", "page": str(n) * 50_000} for n in range(8)])
    done = []
    request = request_of(model, source, tmp_path / "out.jsonl", limits=ChunkLimits(rows=100, size=100_000))
    label_file(request, TextClassifier, on_progress=lambda progress: done.append(progress.rows))
    assert len(done) > 3
    assert done[-1] == 8


PEAK = """
import re, sys
from pathlib import Path
import numpy as np
import pyarrow
from edgedistil.labelling import LabellingRequest, label_file
from edgedistil_runtime import FakeBackend, TextClassifier

model, folder, kind = sys.argv[1:]
class Cheap(FakeBackend):
    def run(self, signature, inputs):
        return {"probabilities": np.array([[0.5, 0.25, 0.25]], np.float32)}
def peak(name):
    request = LabellingRequest(Path(model), Path(folder, name), Path(folder, name + ".out.jsonl"))
    done = label_file(request, lambda path: TextClassifier(path, backend=Cheap(lambda *_: {}), verify=False))
    if kind == ".parquet":  # what Arrow holds; what its allocator keeps besides is a matter of its own
        return done.rows, pyarrow.default_memory_pool().max_memory()
    return done.rows, int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
print(*peak("few" + kind), *peak("many" + kind))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize("kind", [".csv", ".parquet"])
def test_memory_does_not_grow_with_the_rows(kind, model, tmp_path):
    for name, rows in (("few", 1_100), ("many", 20_000)):
        table = [{"text": str(number), "page": f"{number:5} " * 300} for number in range(rows)]
        write_rows(tmp_path / (name + kind), table, row_group_size=2_000)
    command = [sys.executable, "-c", PEAK, model, tmp_path, kind]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    few, few_peak, many, many_peak = map(int, printed.split())
    assert (few, many) == (1_100, 20_000)
    content = (tmp_path / f"many{kind}.out.jsonl").stat().st_size
    assert content > 30e6
    assert many_peak - few_peak < content / 3

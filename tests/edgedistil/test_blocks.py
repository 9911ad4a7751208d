"""Blocks, the files that they are read from, and the run that puts them together, with a loop in the place of Ray."""

import gzip
import json
from contextlib import contextmanager
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgedistil.labelling import ChunkLimits, TextColumns, label_files, ray_run
from edgedistil.labelling.blocks import Block, BlockLabeller, BlockPlace, Reading, read_blocks
from edgedistil.labelling.input_files import InputFile, find_input_files
from edgedistil.labelling.partial import partial_path
from edgedistil.labelling.ray_cluster import Cluster, check_slots
from edgedistil_runtime.errors import BackendError, DataError, EdgeDistilError, InputError, OutputError

from .labelling_files import TEXTS, invoke, label, read_back, request_of, write_rows

READING = Reading(TextColumns(), ("label", "score", "is_truncated"), ChunkLimits(rows=3), chunks=2)


def many_rows(count, first=0):
    return [{"id": str(number), "text": TEXTS[number % len(TEXTS)]} for number in range(first, first + count)]


@pytest.fixture
def without_ray(monkeypatch):
    """Blocks are labelled one after another; `change` may alter their sequence."""
    state = SimpleNamespace(change=lambda blocks: blocks, labelled=0)

    @contextmanager
    def connected(workers):
        yield Cluster(workers or 1, is_local=True)

    def labelled(files, reading, cluster, arguments):
        labeller = BlockLabeller(*arguments)
        for file in files:
            for block in state.change(list(read_blocks(file, reading))):
                state.labelled += bool(block.chunks)
                yield labeller.label(block)

    monkeypatch.setattr(ray_run, "connected", connected)
    monkeypatch.setattr(ray_run, "import_ray", lambda: SimpleNamespace(put=lambda content: content))
    monkeypatch.setattr(ray_run, "_labelled", labelled)
    return state


# Files


def test_files_of_a_folder_a_glob_and_an_address_in_the_order_of_their_names(tmp_path):
    for name in ("b.csv", "a.jsonl", "deep/c.csv", "_SUCCESS.csv", ".hidden.csv", "notes.txt", "_tmp/d.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_rows(tmp_path / name) if name != "notes.txt" else (tmp_path / name).write_text("x")
    names = ["a.jsonl", "b.csv", "deep/c.csv"]
    for source, expected in (
        (tmp_path, names),
        (tmp_path / "*.csv", ["b.csv", "_SUCCESS.csv"]),
        (tmp_path / "**" / "c.csv", ["deep/c.csv"]),
        (tmp_path / "b.csv", ["b.csv"]),
    ):
        files = find_input_files(str(source))
        assert {file.name for file in files} == {str(tmp_path / name) for name in expected}
        assert [file.name for file in files] == sorted(file.name for file in files)
        assert [(file.number, file.size > 0) for file in files] == [(number, True) for number in range(len(files))]
        remote = find_input_files(f"file://{source}")
        assert [file.name for file in remote] == [f"file://{file.name}" for file in files]


@pytest.mark.parametrize("scheme", ["", "file://"])
@pytest.mark.parametrize(("name", "message"), [("empty", "no data file in"), ("no.csv", "no data file")])
def test_an_empty_folder_and_a_missing_file(scheme, name, message, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=message):
        find_input_files(f"{scheme}{tmp_path / name}")


def test_an_unknown_scheme():
    with pytest.raises(DataError, match="ftps://x/a.csv cannot be read"):
        find_input_files("ftps://x/a.csv")


def test_a_file_with_an_address_is_read_from_a_copy_and_errors_have_its_address(tmp_path):
    path = tmp_path / "in.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"text": "hi"}\n{"text": 5}\n'))
    [file] = find_input_files(f"file://{path}")
    *_, last = read_blocks(file, READING)
    with pytest.raises(DataError, match=f"^file://{path}, row 2: the text in column 'text' must be a string"):
        last.check()


def test_a_relative_path_is_read_in_another_folder_and_named_as_it_was_given(tmp_path, monkeypatch):
    (tmp_path / "in.jsonl").write_text('{"text": 5}\n')
    monkeypatch.chdir(tmp_path)
    [file] = find_input_files("in.jsonl")
    monkeypatch.chdir("/")
    [block] = read_blocks(file, READING)
    with pytest.raises(DataError, match=r"^in.jsonl, row 1: the text in column 'text' must be a string"):
        block.check()


# Blocks


@pytest.mark.parametrize("name", ["in.csv", "in.jsonl", "in.parquet"])
def test_blocks_are_every_row_once_and_the_same_each_time(name, tmp_path):
    write_rows(tmp_path / name)
    [file] = find_input_files(str(tmp_path / name))
    blocks = list(read_blocks(file, READING))
    assert [block.rows for block in blocks] == [6, 5]
    assert [block.place for block in blocks] == [BlockPlace(0, 0), BlockPlace(0, 1)]
    assert [block.next_place for block in blocks] == [BlockPlace(0, 1), BlockPlace(1, 0)]
    assert [block.sha256 for block in blocks] == [block.sha256 for block in read_blocks(file, READING)]
    assert len({block.sha256 for block in blocks}) == 2


def test_a_block_of_long_texts_ends_early(monkeypatch, tmp_path):
    monkeypatch.setattr("edgedistil.labelling.blocks._CHARACTERS", 10)
    [file] = find_input_files(str(write_rows(tmp_path / "in.csv")))
    assert [block.rows for block in read_blocks(file, READING)] == [3, 3, 3, 2]


def test_an_error_comes_in_its_place_after_the_rows_before(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in ["a"] * 7 + [5, 6]))
    blocks = list(read_blocks(InputFile(str(path), 1), READING))
    assert [(block.rows, block.error is None) for block in blocks] == [(6, True), (0, False)]
    with pytest.raises(DataError, match=r"2 rows cannot be used.\n  row 8: "):
        blocks[1].check()


def test_a_model_that_does_not_open_is_an_error_of_each_block(tmp_path):
    labeller = BlockLabeller(b"no model", {}, None, None)
    with pytest.raises(EdgeDistilError, match="not"):
        labeller.label(Block(BlockPlace(0, 0), rows=1, chunks=b"x")).check()


# A run


@pytest.mark.parametrize("output", ["out.csv", "out.tsv", "out.jsonl", "out.parquet"])
@pytest.mark.parametrize("source", ["in.csv", "in.jsonl", "in.parquet"])
def test_the_output_is_that_of_the_local_engine(source, output, model, tmp_path, without_ray):
    write_rows(tmp_path / source, [*many_rows(60), {"id": "blank", "text": " "}])
    local = label(model, tmp_path / source, tmp_path / output, top=2)
    done = label_files(request_of(model, str(tmp_path / source), tmp_path / f"ray_{output}", top=2), {})
    assert done.output.read_bytes() == local.output.read_bytes()
    assert (done.rows, done.blank_rows, done.truncation) == (61, 1, local.truncation)
    assert without_ray.labelled == 3
    assert not partial_path(done.output).exists()


def test_several_files_are_one_output(model, tmp_path, without_ray):
    for number in range(3):
        write_rows(tmp_path / f"part-{number}.csv", many_rows(7, 7 * number))
    done = label_files(request_of(model, str(tmp_path / "part-*.csv"), tmp_path / "out.csv"), {})
    whole = label(model, write_rows(tmp_path / "whole.csv", many_rows(21)), tmp_path / "whole_out.csv")
    assert (done.rows, whole.rows) == (21, 21)
    kept = ("id", "text", "label", "is_truncated")
    assert [[row[name] for name in kept] for row in read_back(done.output)] == [
        [row[name] for name in kept] for row in read_back(whole.output)
    ]


def test_progress_counts_rows_and_bytes(model, tmp_path, without_ray):
    for name in ("a.csv", "b.csv"):
        write_rows(tmp_path / name, many_rows(48))
    seen = []
    label_files(request_of(model, str(tmp_path / "*.csv"), tmp_path / "out.csv"), {}, on_progress=seen.append)
    assert [one.rows for one in seen] == [0, 24, 48, 72, 96]
    assert [one.fraction for one in seen] == [0, 0.5, 0.5, 1, 1]  # a small file is read at once


class StopError(Exception):
    pass


@pytest.mark.parametrize("output", ["out.csv", "out.parquet"])
def test_an_interrupted_run_goes_on_at_a_block(output, model, tmp_path, without_ray):
    for number in range(2):
        write_rows(tmp_path / f"{number}.csv", many_rows(60))
    request = request_of(model, str(tmp_path / "?.csv"), tmp_path / output)
    whole = label_files(request_of(model, str(tmp_path / "?.csv"), tmp_path / f"whole_{output}"), {}).output

    def stop(progress):
        if progress.rows >= 84:  # in the second file
            raise StopError

    with pytest.raises(StopError):
        label_files(request, {}, on_progress=stop)
    with pytest.raises(OutputError, match="holds 84 rows of an interrupted run"):
        label_files(request, {})
    with pytest.raises(OutputError, match="made with other settings.*engine 'ray', now None"):
        label(model, tmp_path / "0.csv", tmp_path / output, is_resumed=True)
    without_ray.labelled = 0
    done = label_files(request_of(model, request.source, tmp_path / output, is_resumed=True), {})
    assert (done.rows, done.resumed_rows, without_ray.labelled) == (120, 84, 2)
    assert done.output.read_bytes() == whole.read_bytes()


def test_a_changed_input_is_not_resumed(model, tmp_path, without_ray):
    write_rows(tmp_path / "in.csv", many_rows(60))
    request = request_of(model, str(tmp_path / "in.csv"), tmp_path / "out.csv")

    def stop(progress):
        if progress.rows >= 24:
            raise StopError

    with pytest.raises(StopError):
        label_files(request, {}, on_progress=stop)
    write_rows(tmp_path / "in.csv", [{"id": "new", "text": "new"}, *many_rows(60)])
    with pytest.raises(OutputError, match="input has changed in the 24 rows"):
        label_files(request_of(model, request.source, tmp_path / "out.csv", is_resumed=True), {})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda blocks: blocks[:1] + blocks[2:],
            r"lost or repeated rows. Expected: .*number=1\). Received: .*number=2",
        ),
        (lambda blocks: blocks[:2] + blocks[1:], r"lost or repeated rows"),
        (lambda blocks: blocks[:-1], "ended before the last rows"),
    ],
)
def test_a_lost_or_repeated_block_is_an_error(change, message, model, tmp_path, without_ray):
    write_rows(tmp_path / "in.csv", many_rows(70))
    without_ray.change = change
    with pytest.raises(BackendError, match=message):
        label_files(request_of(model, str(tmp_path / "in.csv"), tmp_path / "out.csv"), {})
    assert not (tmp_path / "out.csv").exists()


def test_a_column_that_one_file_lacks_is_found_before_any_work(model, tmp_path, without_ray):
    write_rows(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("id,message\n1,hi\n")
    with pytest.raises(DataError, match=r"b.csv, row 2: there is no column 'text'|b.csv: there is no column 'text'"):
        label_files(request_of(model, str(tmp_path / "*.csv"), tmp_path / "out.csv"), {})
    assert without_ray.labelled == 0
    assert sorted(path.name for path in tmp_path.iterdir() if path != model) == ["a.csv", "b.csv"]


def test_columns_of_other_types_in_a_later_file(model, tmp_path, without_ray):
    for name, values in (("a", [1, 2]), ("b", ["x", "y"])):
        pq.write_table(pa.table({"text": ["hi", "bye"], "n": values}), tmp_path / f"{name}.parquet")
    with pytest.raises(DataError, match="From row 1 on a column has another type than before"):
        label_files(request_of(model, str(tmp_path / "*.parquet"), tmp_path / "out.parquet"), {})
    assert not (tmp_path / "out.parquet").exists()


def test_an_existing_output_is_kept(model, tmp_path, without_ray):
    write_rows(tmp_path / "in.csv")
    (tmp_path / "out.csv").write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        label_files(request_of(model, str(tmp_path / "in.csv"), tmp_path / "out.csv"), {})
    assert (tmp_path / "out.csv").read_text() == "mine"
    assert label_files(request_of(model, str(tmp_path / "in.csv"), tmp_path / "out.csv", force=True), {}).rows == 11


def test_an_output_within_the_folder_that_is_read(model, tmp_path, without_ray):
    (tmp_path / "data").mkdir()
    write_rows(tmp_path / "data" / "in.csv")
    with pytest.raises(OutputError, match="must not lie in the directory"):
        label_files(request_of(model, str(tmp_path / "data"), tmp_path / "data" / "out.csv"), {})


# Slots and the command line


@pytest.mark.parametrize(
    ("workers", "slots", "total", "message"),
    [
        (2, 1.0, 2, r"2 workers \(`workers`\) of 1 .* do not fit into the 2 slots.*at most 1 workers"),
        (1, 1.0, 1, "Use a larger cluster"),
        (0, 1.0, 4, "at least 1. Received: 0"),
    ],
)
def test_a_pool_that_would_wait_forever_is_refused(workers, slots, total, message):
    with pytest.raises(InputError, match=message):
        check_slots(workers, slots, total, reading=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--engine", "ray", "hi"], "needs -o"),
        (["--engine", "ray", "--input", "-", "-o", "out.csv"], "--input that is not -"),
        (["--workers", "2", "--input", "in.csv"], "--workers label a file: they need -o"),
    ],
)
def test_wrong_use(arguments, message):
    done = invoke("model.tflite", *arguments)
    assert done.exit_code == 2 and message in done.output


def test_without_ray_the_command_names_the_extra(model, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = invoke(model, "--input", write_rows(tmp_path / "in.csv"), "-o", tmp_path / "out.csv", "--engine", "ray")
    assert done.exit_code == 1
    assert "pip install edgedistil[ray]" in done.output and "(--engine ray)" in done.output
    assert not (tmp_path / "out.csv").exists()

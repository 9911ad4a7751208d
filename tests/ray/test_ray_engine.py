"""Labels by several processes with Ray: the local engine's rows, also after a worker was killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from edgedistil.labelling import ChunkLimits, LabellingRequest, label_dataset, label_file, label_files
from edgedistil.labelling.partial import partial_path
from edgedistil_runtime import InputError, TextClassifier
from edgedistil_runtime.errors import DataError, OutputError

from ..edgedistil.labelling_files import TEXTS, invoke, read_back, write_rows
from ..examples.documents import blocks, commands, read

pytest.importorskip("ray", reason="Ray is not installed here; run `make test-ray`")
pytestmark = pytest.mark.filterwarnings("default")  # Ray's own

LIMITS = ChunkLimits(rows=8)  # eight chunks are a block of 64 rows
ROWS = [{"id": str(number), "text": f"{TEXTS[number % len(TEXTS)]} {number}"} for number in range(1000)]
MINUTE = 60


def request_of(model, source, output, **fields):
    return LabellingRequest(**{"model": model, "source": source, "output": output, "limits": LIMITS, **fields})


def local_bytes(model, source, output):
    return label_file(request_of(model, source, output), TextClassifier).output.read_bytes()


def workers():
    """Processes of this cluster that hold a classifier."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if line.startswith("ray::") and "_Actor" in line:
            found.append(process)
    return found


@pytest.mark.parametrize(("source", "output"), [("in.csv", "out.csv"), ("in.jsonl", "out.parquet")])
def test_the_output_is_that_of_the_local_engine(source, output, model, tmp_path, cluster):
    write_rows(tmp_path / source, ROWS)
    seen = []
    done = label_files(
        request_of(model, str(tmp_path / source), tmp_path / output), {}, workers=2, on_progress=seen.append
    )
    assert done.output.read_bytes() == local_bytes(model, tmp_path / source, tmp_path / f"local_{output}")
    assert done.rows == 1000
    assert [one.rows for one in seen] == [*range(0, 1000, 64), 1000]


def test_parquet_files_at_an_address_with_as_many_workers_as_slots(model, tmp_path, cluster):
    (tmp_path / "data").mkdir()
    for number in range(4):
        write_rows(tmp_path / "data" / f"{number}.parquet", ROWS[100 * number : 100 * number + 100])
    request = request_of(model, f"file://{tmp_path}/data", tmp_path / "out.jsonl")
    with pytest.raises(InputError, match=r"5 workers .* do not fit into the 4 slots .*at most 4 workers"):
        label_files(request, {}, workers=5)
    assert not partial_path(tmp_path / "out.jsonl").exists()
    done = label_files(request, {}, workers=4)
    assert [row["id"] for row in read_back(done.output)] == [row["id"] for row in ROWS[:400]]


def test_a_killed_worker_loses_and_repeats_no_row(model, tmp_path, cluster):
    write_rows(tmp_path / "in.csv", ROWS)
    killed = []

    def kill(progress):
        if progress.rows >= 64 and not killed:
            process = workers()[0]
            process.send_signal(signal.SIGKILL)
            killed.append(process.pid)

    request = request_of(model, str(tmp_path / "in.csv"), tmp_path / "out.csv")
    done = label_files(request, {}, workers=2, on_progress=kill)
    assert len(killed) == 1
    assert [row["id"] for row in read_back(done.output)] == [row["id"] for row in ROWS]
    assert done.output.read_bytes() == local_bytes(model, tmp_path / "in.csv", tmp_path / "local.csv")


class StopError(Exception):
    pass


def test_an_interrupted_run_is_resumed_at_a_block(model, tmp_path, cluster):
    write_rows(tmp_path / "in.csv", ROWS)
    source, output = str(tmp_path / "in.csv"), tmp_path / "out.csv"

    def stop(progress):
        if progress.rows >= 192:
            raise StopError

    with pytest.raises(StopError):
        label_files(request_of(model, source, output), {}, workers=2, on_progress=stop)
    assert not output.exists()
    assert json.loads((partial_path(output) / "progress.json").read_text())["rows"] == 192
    done = label_files(request_of(model, source, output, is_resumed=True), {}, workers=2)
    assert (done.rows, done.resumed_rows) == (1000, 192)
    assert output.read_bytes() == local_bytes(model, tmp_path / "in.csv", tmp_path / "local.csv")


def test_a_row_that_cannot_be_used_keeps_the_blocks_before_it(model, tmp_path, cluster):
    rows = [*ROWS[:300], {"id": "x", "text": 5}]
    write_rows(tmp_path / "in.jsonl", rows)
    request = request_of(model, str(tmp_path / "in.jsonl"), tmp_path / "out.jsonl")
    with pytest.raises(DataError, match="in.jsonl, row 301: the text in column 'text' must be a string"):
        label_files(request, {}, workers=2)
    with pytest.raises(OutputError, match="holds 256 rows of an interrupted run"):
        label_files(request, {}, workers=2)


# In a program of one's own


@pytest.fixture
def ordered(cluster):
    """Datasets that are made here keep their order."""
    import ray.data

    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    yield
    context.execution_options.preserve_order = False


def test_label_dataset(model, tmp_path, ordered):
    import ray.data

    write_rows(tmp_path / "in.csv", [*ROWS[:200], {"id": "blank", "text": " "}])
    rows = label_dataset(ray.data.read_csv(str(tmp_path / "in.csv")), model, workers=2, top=2).take_all()
    names = ["label", "score", "label_2", "score_2", "is_truncated"]
    assert [list(row) for row in rows] == [["id", "text", *names]] * 201
    with TextClassifier(model) as classifier:
        answers = classifier.classify_batch([row["text"] for row in ROWS[:200]])
    assert [row["label"] for row in rows[:200]] == [answer.label for answer in answers]
    assert [row["score"] for row in rows[:200]] == pytest.approx([answer.score for answer in answers], abs=1e-6)
    assert [rows[200][name] for name in names] == [None] * 5


def test_label_dataset_takes_bytes_and_columns_and_writes_parquet(model, tmp_path, ordered):
    import ray.data

    table = ray.data.from_items([{"message": row["text"]} for row in ROWS[:50]])
    labelled = label_dataset(table, model.read_bytes(), text_column="message", column_prefix="p_", num_cpus=0.5)
    labelled.write_parquet(str(tmp_path / "out"))
    again = ray.data.read_parquet(str(tmp_path / "out"))
    assert again.count() == 50 and set(again.columns()) == {"message", "p_label", "p_score", "p_is_truncated"}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"message": "a"}], "There is no column 'text' in a block"),
        ([{"text": 5}], "must be strings. Received: 5"),
        ([{"text": "a", "label": "b"}], "has a column 'label' already"),
    ],
)
def test_rows_that_label_dataset_cannot_use(rows, message, model, cluster):
    import ray.data

    with pytest.raises(ray.exceptions.RayError, match=message):
        label_dataset(ray.data.from_items(rows), model).take_all()


def test_a_pool_that_takes_all_slots_is_refused(model, cluster):
    import ray.data

    data = ray.data.from_items([{"text": "a"}])
    with pytest.raises(InputError, match=r"4 workers .*`num_cpus`.* and 1 for the stages that read .*at most 3"):
        label_dataset(data, model, workers=4)
    assert label_dataset(data, model, workers=4, num_cpus=0.5) is not data


def test_the_document_can_be_followed(model, tmp_path, monkeypatch, cluster):
    (tmp_path / "intents.tflite").write_bytes(model.read_bytes())
    write_rows(tmp_path / "texts.csv", ROWS[:20])
    monkeypatch.chdir(tmp_path)
    labelling, _, _ = read("docs/scale.md").partition("## Training on several workers")
    for block in blocks(labelling):
        if block.language == "python":
            # The workers were started in another folder, in which Ray's readers look for relative paths.
            exec(block.body.replace("texts.csv", str(tmp_path / "texts.csv")), {})
        for step in commands(block.body) if block.language == "sh" else []:
            done = invoke(*step.words[2:])
            assert done.exit_code == 0, done.output
    assert len(read_back(tmp_path / "labels.csv")) == len(read_back(tmp_path / "all.parquet")) == 20


# The command, with a cluster that it starts and with one that runs already


def command(model, source, output, *options, before="", **environment):
    script = f"{before}\nfrom edgedistil.cli import main\nmain()"
    arguments = ["predict", str(model), "--input", str(source), "-o", str(output), "--engine", "ray", *options]
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=5 * MINUTE,
        env={**os.environ, **environment},
        check=False,
    )


def test_the_command_starts_a_cluster_and_ends_it(model, tmp_path):
    write_rows(tmp_path / "in.csv", ROWS)
    started = time.time()
    done = command(model, tmp_path / "in.csv", tmp_path / "out.csv", "--workers", "1", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["rows"], result["accelerator"]) == (1000, "cpu")
    expected = label_file(LabellingRequest(model, tmp_path / "in.csv", tmp_path / "local.csv"), TextClassifier).output
    assert (tmp_path / "out.csv").read_bytes() == expected.read_bytes()
    left = [one for one in psutil.process_iter(["name", "create_time"]) if one.info["name"] == "raylet"]
    assert [one for one in left if one.info["create_time"] > started] == []


@pytest.mark.parametrize(
    ("before", "address", "message"),
    [
        ("import ray\nray.__version__ = '2.0.0'", None, "has another version of Ray or Python than this process"),
        ("", None, "Error: 5 workers (--workers) of 1 processor slots each"),
        ("", "127.0.0.1:9", "No Ray cluster can be reached at 127.0.0.1:9 (the variable RAY_ADDRESS)"),
    ],
)
def test_a_cluster_that_cannot_be_used(before, address, message, model, tmp_path, cluster):
    write_rows(tmp_path / "in.csv", ROWS[:10])
    output, address = tmp_path / "out.csv", address or cluster
    done = command(model, tmp_path / "in.csv", output, "--workers", "5", before=before, RAY_ADDRESS=address)
    assert done.returncode == 1
    assert message in done.stderr and "Traceback" not in done.stderr
    assert sorted(Path(tmp_path).glob("out*")) == []

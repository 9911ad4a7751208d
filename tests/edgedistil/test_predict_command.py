"""`edgedistil predict`: its options, what it prints, and standard input."""

import gzip
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
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
from pathlib import Path
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
    options += ["--public-key", tmp_path / "key.pub"]
    source = write_rows(tmp_path / "in.csv")
    assert invoke(model, "text", *options).exit_code == 0
    assert invoke(model, "--input", source, "-o", tmp_path / "out.csv", *options).exit_code == 0
    passed = {"accelerator": "edgetpu", "device": "usb", "fallback": True, "num_threads": 2, "long_texts": "cut"}
    assert given == [{**passed, "public_key": tmp_path / "key.pub"}] * 2


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


# Blank rows


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".parquet"])
def test_blank_rows_stay(kind, model, tmp_path):
    rows = [{"id": str(n), "text": text, "x": ""} for n, text in enumerate(["~~~", "", "AAA", "  ", "zzz"])]
    source = write_rows(tmp_path / f"in{kind}", rows)
    output = tmp_path / f"out{kind}"
    done = invoke(model, "--input", source, "-o", output, "--top", "2", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["blank_rows"] == 2
    written = read_back(output)
    assert [row["id"] for row in written] == ["0", "1", "2", "3", "4"]
    empty = "" if kind == ".csv" else None
    for row, is_blank in zip(written, [False, True, False, True, False], strict=True):
        for name in ("label", "score", "label_2", "score_2", "is_truncated"):
            assert (row[name] == empty) == is_blank
    printed = json.loads(invoke(model, "--input", source, "--json").stdout)["results"]
    assert [result["label"] for result in printed] == [row["label"] or None for row in written]
    assert printed[1] == {"text": "", "label": None, "score": None, "top": [], "is_truncated": None}
    assert len(invoke(model, "--input", source).stdout.splitlines()) == 6
    assert "5 rows, 2 without a text; " in invoke(model, "--input", source, "-o", output, "--force").stdout


def test_a_whole_chunk_of_blank_rows(model, tmp_path):
    rows = [{"text": "" if n < 1_000 else "zzz"} for n in range(1_100)]
    for kind in (".csv", ".parquet"):
        source = write_rows(tmp_path / f"in{kind}", rows)
        done = invoke(model, "--input", source, "-o", tmp_path / "out.parquet", "--force")
        assert done.exit_code == 0, done.stderr
        table = pq.read_table(tmp_path / "out.parquet")
        assert str(table.schema.field("score").type) == "double"
        assert table.schema.names[-3:] == ["label", "score", "is_truncated"]
        assert [table.column(name).null_count for name in table.schema.names[-3:]] == [1_000] * 3


def test_rows_of_separators(model, tmp_path):
    (tmp_path / "in.csv").write_text("id;text;;\n1;~~~;;\n;;;\n\n2; ;;\n3;AAA;;\n\n")
    assert invoke(model, "--input", tmp_path / "in.csv", "-o", tmp_path / "out.csv").exit_code == 0
    written = [(row["id"], row["text"], bool(row["label"])) for row in read_back(tmp_path / "out.csv")]
    assert written == [("1", "~~~", True), ("", "", False), ("", "", False), ("2", " ", False), ("3", "AAA", True)]


def test_blank_lines_of_stdin(model, tmp_path):
    done = invoke(model, "--input", "-", "--json", input=b"~~~\n\n \nAAA\n")
    labels = [result["label"] for result in json.loads(done.stdout)["results"]]
    assert [label is None for label in labels] == [False, True, True, False]
    assert invoke(model, "--input", "-", "-o", tmp_path / "out.csv", input=b"~~~\n\n").exit_code == 0
    assert [bool(row["label"]) for row in read_back(tmp_path / "out.csv")] == [True, False]


def test_example_with_a_blank_row(model, tmp_path):
    source = Path(__file__).parents[3] / "shared" / "bug-inputs" / "predict_blank.csv"
    if not source.exists():
        pytest.skip("needs predict_blank.csv, an example of a user's file, beside the repository")
    assert invoke(model, "--input", source, "-o", tmp_path / "out.csv").exit_code == 0
    assert [(row["id"], bool(row["label"])) for row in read_back(tmp_path / "out.csv")] == [
        *(("0", True), ("1", True), ("2", False), ("3", True), ("4", True))
    ]


# Other forms of files


def test_forms_of_files(model, answers, tmp_path):
    expected = [answer.label for answer in answers]
    dicts = [{"id": n, "data": {"text": text}} for n, text in enumerate(TEXTS)]
    table = write_rows(tmp_path / "in.csv").read_text(encoding="utf-8")
    (tmp_path / "in.csv").write_bytes(table.encode("utf-16"))
    (tmp_path / "in.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, dicts)).encode()))
    (tmp_path / "in.json").write_text(json.dumps(dicts), encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(dicts), tmp_path / "in.parquet")
    for name, options in (
        ("in.csv", ()),
        ("in.jsonl.gz", ("--text-column", "data.text")),
        ("in.json", ("--text-column", "data.text")),
        ("in.parquet", ("--text-column", "data.text")),
    ):
        done = invoke(model, "--input", tmp_path / name, *options, "-o", tmp_path / "out.jsonl", "--force")
        assert done.exit_code == 0, done.stderr
        written = read_back(tmp_path / "out.jsonl")
        assert [row["label"] for row in written] == expected
        assert [str(row["id"]) for row in written] == [row["id"] for row in ROWS]


def test_a_given_separator(model, tmp_path):
    (tmp_path / "in.csv").write_text("id\ttext^x\n1\t~~~^5\n")
    for given, column in (("^", "text"), ("tab", "text^x"), ("\\t", "text^x")):
        command = (model, "--input", tmp_path / "in.csv", "--delimiter", given, "--text-column", column, "--json")
        done = invoke(*command)
        assert (done.exit_code == 0) == (given != "^"), done.stderr
    assert "exist: 'id\\ttext', 'x'" in invoke(model, "--input", tmp_path / "in.csv", "--delimiter", "^").stderr
    done = invoke(model, "--input", tmp_path / "in.csv", "--delimiter", "ab")
    assert "A separator (--delimiter) must be one character" in done.stderr


def test_a_directory_of_texts(model, tmp_path):
    for name in ("a/1.txt", "a/2.txt", "b/1.txt"):
        (tmp_path / "texts" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "texts" / name).write_text("" if name == "a/2.txt" else "~~~\n")
    command = (model, "--input", tmp_path / "texts", "--column-prefix", "p_", "-o")
    assert invoke(*command, tmp_path / "out.csv").exit_code == 0
    rows = [(row["file"], row["label"], bool(row["p_label"])) for row in read_back(tmp_path / "out.csv")]
    assert rows == [("a/1.txt", "a", True), ("a/2.txt", "a", False), ("b/1.txt", "b", True)]
    assert "must not lie in the directory" in invoke(*command, tmp_path / "texts" / "out.csv").stderr


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".parquet"])
def test_all_bad_rows_in_one_message(kind, model, tmp_path):
    if kind == ".csv":
        (tmp_path / "in.csv").write_text("text\n" + "x\n" * 600 + "a,b\n" + "x\n" * 600 + "c,d\ny\n")
        numbers = (602, 1203)
    else:
        rows = [{"text": ["x"]} if n in (700, 1_300) else {"text": "x"} for n in range(1_400)]
        numbers = (701, 1_301)
        write_rows(tmp_path / "in.jsonl", rows)
    if kind == ".parquet":
        raw = [b"\xff" if n in (700, 1_300) else b"x" for n in range(1_400)]
        binary = pa.array(raw, pa.binary())
        text = pa.StringArray.from_buffers(len(raw), binary.buffers()[1], binary.buffers()[2])
        pq.write_table(pa.table({"text": text}), tmp_path / "in.parquet")
    done = invoke(model, "--input", tmp_path / f"in{kind}", "-o", tmp_path / "out.jsonl")
    assert done.exit_code == 1
    assert f"in{kind}: 2 rows cannot be used." in done.stderr
    assert re.findall(r"^  row (\d+): ", done.stderr, re.MULTILINE) == list(map(str, numbers))
    assert not (tmp_path / "out.jsonl").exists()
    assert "Correct this error, then continue with --resume" in done.stderr


# Texts that begin with a dash


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (["-5 degrees"], ["-5 degrees"]),
        (["-5", "x", "--top", "2", "-.5"], ["-5", "x", "-.5"]),
        (["--5 or so", "- a point", "--- a b", "-"], ["--5 or so", "- a point", "--- a b", "-"]),
        (["-hello there", "-warm today", "-only this"], ["-hello there", "-warm today", "-only this"]),
        (["--help me", "--top it"], ["--help me", "--top it"]),
        (["--top=2", "--", "--top", "-x"], ["--top", "-x"]),
        (["-5 a", "--", "-5 b", "--", "c"], ["-5 a", "-5 b", "--", "c"]),
    ],
)
def test_texts_that_begin_with_a_dash(arguments, texts, model):
    done = invoke(model, "--json", *arguments)
    assert done.exit_code == 0, done.stderr
    assert [result["text"] for result in json.loads(done.stdout)["results"]] == texts


@pytest.mark.parametrize("argument", ["--wram", "-x", "--tpo"])
def test_an_unknown_option_names_the_double_dash(argument, model):
    done = invoke(model, argument)
    assert done.exit_code == 2
    assert f"No such option '{argument}'" in done.stderr.replace("option: ", "option ")
    assert "goes after --, as in: edgedistil predict MODEL -- -text" in " ".join(done.stderr.split())


def test_options_are_as_before(model, tmp_path):
    assert "requires an argument" in invoke(model, "text", "--top").stderr
    assert invoke("--help").exit_code == invoke("-h").exit_code == 0
    source = write_rows(tmp_path / "in.csv")
    assert invoke(model, f"--input={source}", f"-o{tmp_path / 'my labels.csv'}").exit_code == 0
    assert (tmp_path / "my labels.csv").exists()
    lines = invoke(model, "--input", "-", "--json", input=b"-5 degrees\n--top\n").stdout
    assert [result["text"] for result in json.loads(lines)["results"]] == ["-5 degrees", "--top"]

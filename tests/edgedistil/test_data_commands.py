"""Commands that read data files: their options, what they print about rows, and what they leave after bad input."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from edgedistil.cli import main
from edgedistil.data import LabelledTexts, TrainingData
from edgedistil.measuring.models import measure
from edgedistil_runtime.benchmarking.speed import BenchmarkSettings
from edgedistil_runtime.errors import DataError

EXAMPLES = Path(__file__).parents[3] / "shared" / "bug-inputs"
CLASSES = ("billing", "defect", "delivery")


def invoke(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def given(monkeypatch):
    """`given`: the data that `train` would train on; it stops there."""
    found = {}

    def stop(training, **parts):
        found["training"] = training
        found.update(parts)
        raise DataError("stop here")

    monkeypatch.setattr(TrainingData, "prepare", stop)
    return found


def train(*arguments):
    done = invoke("train", "--from-scratch", "tiny", "-o", "no_such_output", "--train-data", *arguments)
    assert done.stderr.endswith("Error: stop here\n"), done.stderr
    assert not Path("no_such_output").exists()
    return done


def example(name):
    if not (EXAMPLES / name).exists():
        pytest.skip(f"needs {name}, an example of a user's file, beside the repository")
    return EXAMPLES / name


@pytest.mark.parametrize(
    ("name", "skipped", "options"),
    [
        ("semicolon.csv", 0, ()),
        ("excel_utf16.csv", 0, ()),
        ("emptyrows.csv", 2, ()),
        ("classlabel.parquet", 0, ()),
        ("spaces.csv", 0, ("--strip-labels",)),
    ],
)
def test_examples(name, skipped, options, artifact, given):
    model = artifact(labels=CLASSES)
    done = invoke("evaluate", model, "--data", example(name), "--json", *options)
    assert done.exit_code == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed["models"][0]["texts"] == 60
    assert printed["skipped"]["rows"] == skipped
    train(example(name), "--test-data", example(name), *options)
    assert set(given["training"].labels) == set(given["test"].labels) == set(CLASSES)


@pytest.fixture
def gaps(tmp_path):
    path = tmp_path / "gaps.csv"
    path.write_text("text;label\na;low\n;\nb; low\nc;\n;high\nd;high\n")
    return path


SKIPPED = "gaps.csv: 3 rows skipped: 1 blank row, 1 row without a text, 1 row without a label (row 3, row 5, row 6)"
WARNING = (
    "Warning: gaps.csv: 1 label begins or ends with a blank: ' low' (1 row), another class than 'low'. "
    "Pass --strip-labels to remove such blanks.\n"
)


def test_what_is_printed_about_rows(gaps, model, given, tmp_path):
    trained = train(gaps)
    assert trained.stdout.splitlines() == [SKIPPED]
    assert trained.stderr.startswith(WARNING)
    assert train(gaps, "--json").stdout == ""
    assert WARNING in train(gaps, "--json").stderr
    stripped = train(gaps, "--strip-labels")
    assert "Warning" not in stripped.stderr
    assert given["training"].labels == ("low", "low", "high")

    done = invoke("evaluate", model, "--data", gaps, "--strip-labels")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[0] == SKIPPED
    unknown = invoke("evaluate", model, "--data", gaps)
    assert (unknown.exit_code, unknown.stdout) == (1, SKIPPED + "\n")
    assert unknown.stderr.startswith(WARNING)
    report = ("report", model, "--data", gaps, "--strip-labels", "--runs", "1", "-o", tmp_path / "report.html")
    done = invoke(*report)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[0] == SKIPPED


def test_a_given_separator(model, given, tmp_path):
    (tmp_path / "a.csv").write_text("text^label\na^low\nb^high\n")
    train(tmp_path / "a.csv", "--delimiter", "^")
    assert given["training"].labels == ("low", "high")
    for command in ("evaluate", "report", "benchmark"):
        output = ("-o", tmp_path / "report.html") if command == "report" else ()
        runs = () if command == "evaluate" else ("--runs", "1")
        arguments = (command, model, "--data", tmp_path / "a.csv", *output, *runs)
        assert "no column 'text'" in invoke(*arguments).stderr
        assert "A separator (--delimiter) must be" in invoke(*arguments, "--delimiter", "ab").stderr
        done = invoke(*arguments, "--delimiter", "^")
        assert done.exit_code == 0, done.stderr


def test_convert_reads_all_forms(tmp_path, monkeypatch):
    requests = []

    def stop(request):
        requests.append(request)
        raise DataError("stop here")

    monkeypatch.setattr("edgedistil.conversion.ConversionRequest.check", stop)
    names = {"feature": {"names": ["no", "yes"], "_type": "ClassLabel"}}
    table = pa.table({"data": [{"text": "a"}, {"text": "b"}, {"text": " "}], "feature": [1, -1, 0]})
    metadata = {"huggingface": json.dumps({"info": {"features": names}})}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "a.parquet")
    options = ("--text-column", "data.text", "--label-column", "feature")
    data = [
        x for option in ("train", "calibration", "verification") for x in (f"--{option}-data", tmp_path / "a.parquet")
    ]
    done = invoke("convert", "--preset", "p", "-o", tmp_path / "m.tflite", *options, *data)
    assert done.stderr == "Error: stop here\n"
    assert "a.parquet: 2 rows skipped: 1 row without a text, 1 row without a label" in done.stdout
    [request] = requests
    assert (request.training.texts, request.training.labels) == (("a",), ("yes",))
    assert request.calibration_texts == ("a", "b")
    assert (request.verification_texts, request.verification_labels) == (("a", "b"), ("yes", None))


def test_bad_rows_leave_nothing(model, tmp_path):
    data = tmp_path / "a.csv"
    data.write_text("text,label\n" + "x,low,more\n" * 47 + "y,high\n")
    output = tmp_path / "out"
    for arguments in (
        ("train", "--from-scratch", "tiny", "--train-data", data, "-o", output),
        ("evaluate", model, "--data", data),
        ("report", model, "--data", data, "-o", output),
        ("convert", "--preset", "p", "--train-data", data, "-o", output),
        ("predict", model, "--input", data, "-o", output.with_suffix(".csv"), "--column-prefix", "p_"),
    ):
        before = sorted(tmp_path.iterdir())
        done = invoke(*arguments)
        assert done.exit_code == 1
        assert done.stderr.splitlines()[0] == f"Error: {data}: 47 rows cannot be used."
        assert done.stderr.splitlines()[-2] == "  and 37 more"
        assert sorted(tmp_path.iterdir()) == before


def test_labels_of_a_model_that_spells_them_otherwise(artifact, tmp_path):
    model = artifact(labels=("True", "False", "3.0"))
    (tmp_path / "a.csv").write_text("text,label\na,TRUE\nb,false\nc,3\n")
    done = invoke("evaluate", model, "--data", tmp_path / "a.csv", "--json")
    assert done.exit_code == 0, done.stderr
    classes = json.loads(done.stdout)["models"][0]["classes"]
    assert [(scores["label"], scores["support"]) for scores in classes] == [("True", 1), ("False", 1), ("3.0", 1)]
    texts = LabelledTexts(("a", "b"), ("true", "3"))
    measured = measure([model], texts, settings=BenchmarkSettings(runs=1, starts=1, largest_sample=2))
    assert measured.models[0].evaluation.texts == 2

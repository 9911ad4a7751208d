"""Several interpreters that label one input: the same output, and what happens if one fails."""

import threading
from contextlib import contextmanager

import pytest

from edgedistil.labelling import label_file
from edgedistil.labelling.partial import partial_path
from edgedistil.labelling.pool import open_pool
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.errors import BackendError, DataError

from ..conftest import HANG
from .labelling_files import ROWS, TEXTS, invoke, label, read_back, request_of, write_rows

MANY = [{**row, "id": str(number)} for number, row in enumerate(ROWS * 6)]


@pytest.mark.parametrize("output", ["out.csv", "out.jsonl", "out.parquet"])
def test_the_output_is_that_of_one_worker(output, model, tmp_path):
    source = write_rows(tmp_path / "in.csv", MANY)
    label(model, source, tmp_path / f"one_{output}")
    done = label_file(request_of(model, source, tmp_path / output), TextClassifier, workers=3)
    assert done.rows == len(MANY)
    assert done.truncation.texts == len(MANY)
    assert (tmp_path / output).read_bytes() == (tmp_path / f"one_{output}").read_bytes()


class Meeting:
    """A classifier whose calls wait until as many as there are workers have begun."""

    def __init__(self, classifier, barrier, fails_on=None):
        self._classifier, self._barrier, self._fails_on = classifier, barrier, fails_on

    def __getattr__(self, name):
        return getattr(self._classifier, name)

    def classify_batch(self, texts, pairs=None):
        if self._barrier is not None:
            self._barrier.wait(HANG)
        if self._fails_on in texts:
            raise BackendError("The run failed.")
        return self._classifier.classify_batch(texts, pairs)


def opening(barrier=None, fails_on=None):
    @contextmanager
    def open_classifier(path):
        with TextClassifier(path) as classifier:
            yield Meeting(classifier, barrier, fails_on)

    return open_classifier


def test_workers_label_at_the_same_time(model, tmp_path):
    source = write_rows(tmp_path / "in.csv", MANY)  # 22 chunks
    request = request_of(model, source, tmp_path / "out.csv")
    assert label_file(request, opening(threading.Barrier(2)), workers=2).rows == len(MANY)  # or it would wait in vain


def test_a_run_that_fails_keeps_the_rows_before_it(model, tmp_path):
    rows = [*ROWS * 2, {**ROWS[0], "text": "fail here"}, *ROWS]
    source = write_rows(tmp_path / "in.csv", rows)
    output = tmp_path / "out.csv"
    with pytest.raises(BackendError, match="The run failed"):
        label_file(request_of(model, source, output), opening(fails_on="fail here"), workers=3)
    assert partial_path(output).is_dir()
    assert not output.exists()
    done = label_file(request_of(model, source, output, is_resumed=True), TextClassifier, workers=2)
    assert (done.resumed_rows, done.rows) == (21, len(rows))  # the chunks of three before that of the error
    assert [row["text"] for row in read_back(output)] == [row["text"] for row in rows]


def test_classifiers_are_closed(model):
    with open_pool(TextClassifier, model, 2) as pool:
        first = pool.first
    with pytest.raises(BackendError):
        first.classify(TEXTS[0])


def test_no_workers(model, tmp_path):
    with pytest.raises(DataError, match="`workers` must be a whole number from 1 up. Received: 0"):
        label_file(request_of(model, write_rows(tmp_path / "in.csv"), tmp_path / "out.csv"), TextClassifier, workers=0)


def test_the_command(model, tmp_path):
    source = write_rows(tmp_path / "in.csv", MANY)
    result = invoke(model, "--input", source, "-o", tmp_path / "out.csv", "--workers", "2")
    assert result.exit_code == 0, result.output
    assert len(read_back(tmp_path / "out.csv")) == len(MANY)

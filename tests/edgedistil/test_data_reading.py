"""Files of labelled texts: the four kinds, and every way in which one can be wrong; see `test_data_formats.py` too."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgedistil.data import LabelledTexts, read_labelled_texts, read_texts
from edgedistil_runtime.errors import DataError

TEXTS = ("turn it off, now", "spielt «Für Elise»", 'say "hi"\nand go')
LABELS = ("a", "b", "a")


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def csv_content(separator):
    rows = ['"' + text.replace('"', '""') + '"' + separator + label for text, label in zip(TEXTS, LABELS, strict=True)]
    return "\n".join([f"text{separator}label", *rows]) + "\n"


def json_content():
    return "\n".join(json.dumps({"label": b, "text": a, "more": 1}) for a, b in zip(TEXTS, LABELS, strict=True))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", csv_content(",")),
        ("a.CSV", csv_content(",")),
        ("a.tsv", csv_content("\t")),
        ("a.jsonl", json_content()),
        ("a.ndjson", json_content() + "\n\n"),
        ("a.json", json_content()),
        ("bom.csv", b"\xef\xbb\xbf" + csv_content(",").encode()),
        ("bom.jsonl", b"\xef\xbb\xbf" + json_content().encode()),
        ("crlf.csv", csv_content(",").replace("\n", "\r\n").replace("\r\nand", "\nand")),
        ("blank_lines.csv", csv_content(",").replace("text,label\n", "text,label\n\n")),
    ],
)
def test_text_formats(tmp_path, name, content):
    path = write(tmp_path / name, content)
    assert read_labelled_texts(path) == LabelledTexts(TEXTS, LABELS, path)
    assert read_texts(path) == TEXTS


def test_parquet(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"utterance": TEXTS, "intent": LABELS, "other": [1, 2, 3]}), path)
    data = read_labelled_texts(path, text_column="utterance", label_column="intent")
    assert (data.texts, data.labels) == (TEXTS, LABELS)


def test_labels_that_are_numbers_become_their_string(tmp_path):
    lines = [{"text": "x", "label": label} for label in (3, 3.0, 0.5, True, "3", -1)]
    path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, lines)))
    assert read_labelled_texts(path).labels == ("3", "3", "0.5", "true", "3", "-1")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "sentence,intent\nx,y\n", "no column 'text' and no column 'label'.*exist: 'sentence', 'intent'"),
        ("a.tsv", "words,label\nx,y\n", "no column 'text'. The columns that exist: 'words', 'label'"),
        ("a.csv", "", "empty"),
        ("a.jsonl", "\n \n", "no example"),
        ("a.csv", "text,label\n", "no example"),
        ("a.csv", "\n\n", "no header row"),
        ("a.csv", "text,label\n  ,y\n", "no example in it. Received: 1 row skipped: 1 row without a text .row 2."),
        ("a.csv", "text,label\nx,\n", "no example in it. Received: 1 row skipped: 1 row without a label .row 2."),
        ("a.csv", b"text,label\nx,y\n\xff\xfe,y\n", "row 3: these bytes are not UTF-8"),
        ("a.csv", b'text,label\n"two\nlines",y\nx,caf\xe9\n', "row 3: these bytes are not UTF-8"),
        ("a.tsv", b"text\tlabel\n\xe9\ty\n", "row 2: these bytes are not UTF-8"),
        ("a.jsonl", b'{"text": "x", "label": "y"}\n{"text": "\xe9", "label": "y"}\n', "row 2: these bytes are not"),
        (
            "a.jsonl",
            '{"text": "\\ud800", "label": "y"}',
            "row 1: a string holds half of a character.*Received: '.ud800'",
        ),
        ("a.csv", "text,label\nx,y,z\n", "row 2: the header has 2 columns and this row has 3"),
        ("a.csv", "text,label\nx\n", "row 2: the header has 2 columns and this row has 1"),
        ("a.csv", 'text,label\nx,y\n"never closed,y\n', "row 3: this is not well-formed CSV"),
        ("a.csv", "text,label,text\nx,y,z\n", "more than one column 'text'"),
        ("a.csv", 'text,label\nx,"y\nz"\n', "row 2: a label must fit on one line"),
        ("a.jsonl", '{"text": "x", "label": "y"}\n{"text": \n', "row 2: this line is not one whole JSON value"),
        ("a.jsonl", '[{"text": "x", "label": "y"}]', "row 1: every row must be a JSON object; one list .* .json file"),
        ("a.json", '["x", {"text": "x", "label": "y"}]', "row 1: every row must be a JSON object"),
        ("a.json", '[{"text": "x", "label": "y"}', "begins as a JSON list and is none"),
        ("a.jsonl", '{"text": "x", "label": "y"}\n{"text": "x", "lable": "y"}', "row 2: .*exist: 'text', 'lable'"),
        ("a.jsonl", '{"text": 5, "label": "y"}', "row 1: the text in column 'text' must be a string.*Received: 5"),
        ("a.jsonl", '{"text": "x", "label": null}', "no example in it. Received: 1 row skipped: 1 row without a label"),
        ("a.jsonl", '{"text": "x", "label": NaN}', "row 1: the label in column 'label' is neither"),
        ("a.jsonl", '{"text": "x", "label": ["y"]}', "row 1: the label in column 'label' is neither"),
        ("a.xlsx", "PK", r"one of \.csv, \.tsv"),
        ("no_extension", "x", "extension of a data file must be one of"),
        ("a.parquet", "not parquet", "cannot be read as Parquet"),
    ],
)
def test_bad_input_names_file_and_row(tmp_path, name, content, message):
    path = write(tmp_path / name, content)
    with pytest.raises(DataError, match="(?s)" + message) as caught:
        read_labelled_texts(path)
    assert name in str(caught.value)


def test_the_next_step_is_one_that_every_command_has(tmp_path):
    with pytest.raises(DataError, match="0 bytes") as caught:
        read_texts(write(tmp_path / "empty.csv", ""))
    assert "label" not in str(caught.value)
    with pytest.raises(DataError, match=r"`text_column`, and `label_column`"):
        read_texts(write(tmp_path / "a.csv", "sentence\nx\n"))


def test_missing_file_and_directory(tmp_path):
    with pytest.raises(DataError, match="no data file"):
        read_labelled_texts(tmp_path / "absent.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="directory"):
        read_labelled_texts(tmp_path / "folder.csv")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": [0, 1], "label": ["x", "y"]}, "row 1: the text in column 'text' must be a string. Received: 0"),
        ({"text": ["a", "b"], "label": [["x"], ["y"]]}, "row 1: the label in column 'label' is neither a string"),
        ({"text": ["a"], "class": ["x"]}, "no column 'label'. The columns that exist: 'text', 'class'"),
    ],
)
def test_bad_parquet(tmp_path, columns, message):
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=message):
        read_labelled_texts(tmp_path / "a.parquet")


def test_parquet_with_bytes_that_are_not_utf8(tmp_path):
    raw = pa.array([b"fine", b"caf\xe9"], pa.binary())
    text = pa.StringArray.from_buffers(2, raw.buffers()[1], raw.buffers()[2])
    pq.write_table(pa.table({"text": text, "label": ["x", "y"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="row 2: these bytes are not UTF-8"):
        read_labelled_texts(tmp_path / "a.parquet")

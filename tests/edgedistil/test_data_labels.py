"""Labels in files: names of classes, numbers, gaps, and blanks around them."""

import json
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgedistil.data import LabelledTexts, TrainingData, read_labelled_texts, read_texts_and_labels
from edgedistil_runtime.errors import DataError

from .written_tables import LABELS, TEXTS, read, separated


def hugging_face(column, names, values, **more):
    features = {"text": {"dtype": "string", "_type": "Value"}, column: {"names": names, "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.table({"text": [f"text {number}" for number in range(len(values))], column: values, **more})
    return table.replace_schema_metadata(metadata)


NUMBERS = [2, 0, -1, None, 1]


@pytest.mark.parametrize("numbers", [NUMBERS, pa.array(NUMBERS, pa.int8()), pa.array(NUMBERS).dictionary_encode()])
def test_class_labels_have_their_names(numbers, tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(hugging_face("label", ["no", "3.0", "True"], numbers), path)
    data = read_labelled_texts(path)
    assert data.labels == ("true", "no", "3")
    assert data.remarks.skipped.missing_labels == 2
    assert read_texts_and_labels(path)[1] == ("true", "no", None, None, "3")


def test_class_labels_out_of_range(tmp_path):
    pq.write_table(hugging_face("intent", ["no", "yes"], [0, 2, -2, 1]), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"(?s)2 rows cannot.*row 2: the class number in column 'intent'.*row 3: "):
        read_labelled_texts(tmp_path / "a.parquet", label_column="intent")


@pytest.mark.parametrize("metadata", ["", "[]", '{"info": {"features": null}}', '{"info": {"features": {"label": 3}}}'])
def test_foreign_metadata(metadata, tmp_path):
    table = pa.table({"text": ["a", "b"], "label": [0, -1]}).replace_schema_metadata({"huggingface": metadata})
    pq.write_table(table, tmp_path / "a.parquet")
    assert read_labelled_texts(tmp_path / "a.parquet").labels == ("0", "-1")


def test_dictionary_encoded_columns(tmp_path):
    table = pa.table({"text": pa.array(TEXTS).dictionary_encode(), "label": pa.array(LABELS).dictionary_encode()})
    pq.write_table(table, tmp_path / "a.parquet")
    assert read_labelled_texts(tmp_path / "a.parquet").labels == LABELS


@pytest.mark.parametrize(
    ("in_csv", "in_json", "in_parquet", "spelling"),
    [
        (("True", "true", "TRUE", "False"), (True, True, True, False), pa.array([True, True, True, False]), "true"),
        (("3.0", "3", "+3.", "4.00"), (3.0, 3, 3, 4), pa.array([3.0, 3, 3, 4]), "3"),
        (("0.5", "0.5", "0.5", "-1"), (0.5, 0.5, 0.5, -1.0), pa.array([0.5, 0.5, 0.5, -1]), "0.5"),
        (
            ("7.0", "7", "7", "8"),
            ("7.0", "7", 7, 8),
            pa.array([Decimal("7.00"), Decimal(7), Decimal(7), Decimal(8)]),
            "7",
        ),
    ],
)
def test_booleans_and_numbers_have_one_spelling(in_csv, in_json, in_parquet, spelling, tmp_path):
    texts = ["a", "b", "c", "d"]
    pq.write_table(pa.table({"text": texts, "label": in_parquet}), tmp_path / "a.parquet")
    lines = [json.dumps({"text": text, "label": label}) for text, label in zip(texts, in_json, strict=True)]
    csv = read(tmp_path / "a.csv", separated(",", list(zip(texts, in_csv, strict=True)))).labels
    assert csv[:3] == (spelling,) * 3
    assert csv[3] != spelling
    assert read(tmp_path / "a.jsonl", "\n".join(lines)).labels == csv
    assert read_labelled_texts(tmp_path / "a.parquet").labels == csv


def test_other_labels_stay_as_they_are(tmp_path):
    labels = ["truely", "1.10", "1e3", "3.0.0", "v3.0", "0x1", "٣.0", "", "007"]
    data = read(tmp_path / "a.csv", separated(",", [("x", label) for label in labels]))
    assert data.labels == tuple(label for label in labels if label)


def test_blanks_around_labels(tmp_path):
    rows = [("x", "on"), ("x", " on"), ("x", "off\u00a0"), ("x", " on"), ("x", "of f")]
    remarks = read(tmp_path / "a.csv", separated(",", rows)).remarks
    assert remarks.blanks == {" on": 2, "off\u00a0": 1}
    assert remarks.merged == {" on": "on"}
    warning = remarks.warn_of_blanks()
    assert "2 labels begin or end with a blank: ' on' (2 rows), another class than 'on'" in warning
    assert "Pass `strip_labels`" in warning
    stripped = read(tmp_path / "a.csv", separated(",", rows), strip_labels=True)
    assert stripped.labels == ("on", "on", "off", "on", "of f")
    assert stripped.remarks.warn_of_blanks() == ""
    assert read_texts_and_labels(tmp_path / "a.csv", strip_labels=True)[1] == stripped.labels


def test_blanks_that_make_a_class_unknown():
    known, other = LabelledTexts(("a", "b"), ("on", "off")), LabelledTexts(("a",), (" on",))
    with pytest.raises(DataError, match=r"Unknown: ' on' .1 rows.*`strip_labels`"):
        TrainingData(known, other)

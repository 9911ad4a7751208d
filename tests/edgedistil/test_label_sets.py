"""Texts with several labels: how files write them, what is refused, and their division."""

import json

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgedistil.data import MultiLabelTexts, MultiLabelTrainingData, read_label_sets
from edgedistil.data.label_sets import guess_label_separator, has_label_lists
from edgedistil.data.multi_label import divide_label_sets
from edgedistil_runtime.errors import DataError

TEXTS = ("late", "late and broken", "hi")
SETS = (("delivery",), ("delivery", "damage"), ())


def write(path, content):
    path.write_text(content, encoding="utf-8")
    return path


def json_lines(path, *rows):
    return write(path, "".join(json.dumps(row) + "\n" for row in rows))


def texts_with(*sets):
    return MultiLabelTexts(tuple(f"text {number}" for number in range(len(sets))), tuple(map(tuple, sets)))


def test_cells_with_a_separator(tmp_path):
    path = write(tmp_path / "a.csv", "text,label\nlate,delivery\nlate and broken,delivery|damage\nhi,\n")
    data = read_label_sets(path, label_separator="|")
    assert (data.texts, data.label_sets) == (TEXTS, SETS)
    assert data.remarks.skipped.count == 0


def test_the_separator_of_the_cells_may_be_the_separator_of_labels_too(tmp_path):
    path = write(tmp_path / "a.csv", 'text,label\nlate,delivery\nlate and broken,"delivery,damage"\nhi,\n')
    assert read_label_sets(path, label_separator=",").label_sets == SETS


@pytest.mark.parametrize("kind", ["jsonl", "json", "parquet"])
def test_lists(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    rows = [{"text": text, "tags": list(labels)} for text, labels in zip(TEXTS, SETS, strict=True)]
    if kind == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        write(path, json.dumps(rows) if kind == "json" else "".join(json.dumps(row) + "\n" for row in rows))
    assert has_label_lists(path, label_column="tags")
    data = read_label_sets(path, label_column="tags")
    assert (data.texts, data.label_sets) == (TEXTS, SETS)


@pytest.mark.parametrize("cells", [("0", "1"), ("0.0", "1.0"), ("False", "TRUE"), (" 0", "1 ")])
def test_a_column_for_each_label(tmp_path, cells):
    no, yes = cells
    path = write(
        tmp_path / "a.csv", f"damage,text,delivery\n{no},late,{yes}\n{yes},late and broken,{yes}\n{no},hi,{no}\n"
    )
    data = read_label_sets(path, label_columns=("delivery", "damage"))
    assert (data.texts, data.label_sets, data.columns) == (TEXTS, SETS, ("delivery", "damage"))


def test_numbers_and_booleans_have_one_spelling_and_a_label_counts_once(tmp_path):
    path = json_lines(tmp_path / "a.jsonl", {"text": "a", "label": [3.0, True, "3", " x"]})
    assert read_label_sets(path).label_sets == (("3", "true", " x"),)
    assert "`strip_labels`" in read_label_sets(path).remarks.warn_of_blanks()
    assert read_label_sets(path, strip_labels=True).label_sets == (("3", "true", "x"),)


def test_rows_without_a_text_or_a_list_are_skipped(tmp_path):
    rows = [{"text": "a", "label": ["x"]}, {"text": "b", "label": None}, {"text": " ", "label": ["x"]}]
    assert read_label_sets(json_lines(tmp_path / "a.jsonl", *rows)).remarks.skipped.to_dict() == {
        "rows": 2,
        "blank_rows": 0,
        "blank_texts": 1,
        "missing_labels": 1,
    }
    path = write(tmp_path / "a.csv", "text,x,y\na,1,0\nb,,\n,,\n")
    assert read_label_sets(path, label_columns=("x", "y")).remarks.skipped.first == ("row 3", "row 4")


def test_all_bad_cells_are_in_one_error(tmp_path):
    path = write(tmp_path / "a.csv", "text,x,y\na,1,2\nb,0,\nc,1,0\n")
    with pytest.raises(DataError, match=r"(?s)2 rows.*row 2: .*'y' must be 0 or 1.*'2'.*row 3: .*''.*Write 1 if"):
        read_label_sets(path, label_columns=("x", "y"))


@pytest.mark.parametrize("cell", ["a||b", "|a", "a|", "|"])
def test_an_empty_label_between_separators(tmp_path, cell):
    with pytest.raises(DataError, match=r"row 2: a label in column 'label' is empty"):
        read_label_sets(write(tmp_path / "a.csv", f"text,label\nt,{cell}\n"), label_separator="|")


@pytest.mark.parametrize(
    ("label", "options", "message"),
    [
        (["a|b"], {"label_separator": "|"}, r"contains the separator '\|'.*`label_separator`"),
        ("a|b", {}, r"must be a list.*`label_separator`.*'a\|b'"),
        ([["a"]], {}, "neither a string nor a number"),
        ([None], {}, "is empty"),
    ],
)
def test_labels_that_cannot_be_read(tmp_path, label, options, message):
    path = json_lines(tmp_path / "a.jsonl", {"text": "t", "label": ["x"]}, {"text": "t", "label": label})
    with pytest.raises(DataError, match=f"row 2: .*{message}"):
        read_label_sets(path, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_separator": "|", "label_columns": ("x", "y")}, "Received: both"),
        ({"label_separator": ""}, "`label_separator` must be"),
        ({"label_columns": ("x",)}, "`label_columns` must be two or more"),
        ({"label_columns": ("x", "x", "y")}, "`label_columns` must be two or more different"),
        ({"label_columns": ("x", "z")}, "no column 'z'.*`label_columns`"),
    ],
)
def test_options_that_do_not_fit(tmp_path, options, message):
    with pytest.raises(DataError, match=message):
        read_label_sets(write(tmp_path / "a.csv", "text,x,y\nt,0,1\n"), **options)


def test_a_file_of_one_label_has_no_lists(tmp_path):
    assert not has_label_lists(write(tmp_path / "a.csv", "text,label\nt,a|b\n"))
    assert not has_label_lists(json_lines(tmp_path / "a.jsonl", {"text": "t"}))
    assert not has_label_lists(write(tmp_path / "broken.jsonl", "{"))
    assert not has_label_lists(write(tmp_path / "broken.parquet", "?"))
    assert not has_label_lists(tmp_path)
    assert has_label_lists(json_lines(tmp_path / "b.jsonl", {"text": "t", "label": None}, {"text": "t", "label": []}))


def test_a_separator_in_class_names_is_found():
    assert guess_label_separator(["a", "b", "a;b"]) == ";"
    assert guess_label_separator(["x|y", "y|z"] * 3) == "|"
    assert guess_label_separator(["a"] * 99 + ["a|b"]) is None
    assert guess_label_separator(["this, and that", "one, or two"]) is None


def test_labels_in_the_spelling_of_a_classifier():
    assert texts_with(["true", "x"], []).spelled_as(("True", "x")).label_sets == (("True", "x"), ())


def test_training_data_that_need_no_sets():
    with pytest.raises(DataError, match="ordinary classifier"):
        MultiLabelTrainingData(texts_with(["a"], ["b"], ["a"]))
    with pytest.raises(DataError, match="at least two labels"):
        MultiLabelTrainingData(texts_with(["a"], []))


def test_a_label_column_without_a_text(tmp_path):
    path = write(tmp_path / "a.csv", "text,x,y,z\nt,1,0,0\nu,1,1,0\n")
    with pytest.raises(DataError, match=r"`label_columns`.*no 1 in 'z'"):
        MultiLabelTrainingData(read_label_sets(path, label_columns=("x", "y", "z")))


def test_labels_that_the_training_data_lack():
    with pytest.raises(DataError, match=r"validation data.*'c'"):
        MultiLabelTrainingData(texts_with(["a"], ["a", "b"]), validation=texts_with(["c"]))


@given(
    sets=st.lists(st.sets(st.sampled_from("abcde"), max_size=3), min_size=4, max_size=80),
    fraction=st.floats(0.05, 0.6),
    seed=st.integers(0, 3),
)
def test_a_division_keeps_every_text_once_and_every_label_in_the_larger_part(sets, fraction, seed):
    data = texts_with(*(sorted(labels) for labels in sets))
    larger, smaller = divide_label_sets(data, fraction, seed=seed)
    assert sorted(larger.texts + smaller.texts) == sorted(data.texts)
    assert larger.counts().keys() == data.counts().keys()
    assert divide_label_sets(data, fraction, seed=seed) == (larger, smaller)


def test_a_division_gives_every_label_its_share():
    sets = [labels for number in range(50) for labels in (["a"], ["a", "b"], ["b", "c"], [])] + [["c", "d"]] * 10
    _, smaller = divide_label_sets(texts_with(*sets), 0.2, seed=0)
    assert all(abs(smaller.counts()[label] - due) <= 3 for label, due in {"a": 20, "b": 20, "c": 12, "d": 2}.items())
    assert sum(not labels for labels in smaller.label_sets) == 10


def test_few_texts_are_all_trained_on():
    assert MultiLabelTrainingData.prepare(texts_with(["a"], ["a", "b"], [])).validation is None
    many = MultiLabelTrainingData.prepare(texts_with(*[["a"], ["a", "b"], []] * 40))
    assert len(many.validation) == 12

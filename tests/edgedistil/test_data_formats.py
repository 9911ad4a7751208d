"""Data files as people have them: separators, encodings, gaps, spellings, directories, and all bad rows at once."""

import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgedistil.data import LabelledTexts, read_labelled_texts, read_texts, read_texts_and_labels
from edgedistil.data.reading import read_rows
from edgedistil_runtime.errors import DataError

from .written_tables import LABELS, ROWS, TEXTS, read, separated

EXAMPLES = Path(__file__).parents[3] / "shared" / "bug-inputs"


def example(name):
    if not (EXAMPLES / name).exists():
        pytest.skip(f"needs {name}, an example of a user's file, beside the repository")
    return EXAMPLES / name


# One user's file of each kind


@pytest.mark.parametrize(
    ("name", "texts", "classes", "skipped"),
    [
        ("semicolon.csv", 60, 3, 0),
        ("excel_utf16.csv", 60, 3, 0),
        ("emptyrows.csv", 60, 3, 2),
        ("classlabel.parquet", 60, 3, 0),
        ("imbalance.csv", 1000, 2, 0),
        ("spaces.csv", 60, 6, 0),
    ],
)
def test_examples(name, texts, classes, skipped):
    data = read_labelled_texts(example(name))
    assert (len(data), len(set(data.labels)), data.remarks.skipped.count) == (texts, classes, skipped)


def test_examples_of_single_kinds():
    assert read_labelled_texts(example("emptyrows.csv")).remarks.skipped.first == ("row 22", "row 63")
    classes = {"delivery", "billing", "defect"}
    assert set(read_labelled_texts(example("classlabel.parquet")).labels) == classes
    assert set(read_labelled_texts(example("spaces.csv"), strip_labels=True).labels) == classes
    assert len(read_texts(example("predict_blank.csv"))) == 4


# Separators


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_separator_is_found_in_the_header(separator, name, tmp_path):
    assert read(tmp_path / name, separated(separator)) == LabelledTexts(TEXTS, LABELS, tmp_path / name)


def test_separator_makes_the_wanted_columns(tmp_path):
    content = "a|b|text;label,x\nv|w|hi;yes,z\n"  # three columns by |, two by ; and two by ,
    assert read(tmp_path / "a.csv", content, text_column="a|b|text", label_column="label,x").texts == ("v|w|hi",)
    content = "my text;label\nyes, or no;a\n"
    assert read(tmp_path / "a.csv", content, text_column="my text").texts == ("yes, or no",)
    assert read_texts(tmp_path / "a.csv", "my text") == ("yes, or no",)


def test_one_column_has_no_other_separator_than_the_usual(tmp_path):
    (tmp_path / "a.csv").write_text("text\na;b|c\td\n")
    assert read_texts(tmp_path / "a.csv") == ("a;b|c\td",)


def test_a_separator_that_is_given_or_declared(tmp_path):
    assert read(tmp_path / "a.csv", separated("^"), delimiter="^").texts == TEXTS
    assert read(tmp_path / "a.csv", "sep=^\r\n" + separated("^")).texts == TEXTS
    assert read(tmp_path / "a.csv", "sep=;\r\n" + separated("|"), delimiter="|").texts == TEXTS
    with pytest.raises(DataError, match=r"exist: 'text;label'.*The separator was given \(`delimiter`\): ','"):
        read(tmp_path / "a.csv", separated(";"), delimiter=",")
    for wrong in ("", ";;", '"', "\n"):
        with pytest.raises(DataError, match="separator .`delimiter`. must be one character.*Received"):
            read(tmp_path / "a.csv", separated(";"), delimiter=wrong)


def test_blanks_around_wanted_names_in_the_header(tmp_path):
    assert read(tmp_path / "a.csv", "text ; label\na;b\n").labels == ("b",)
    exact = read(tmp_path / "a.csv", "text, label,label\na,b,c\n")
    assert exact.labels == ("c",)


def test_a_header_may_have_line_ends_in_quotes(tmp_path):
    content = '"the\ntext";"label;s"\r\nhi;a\r\n'
    assert read(tmp_path / "a.csv", content, text_column="the\ntext", label_column="label;s").texts == ("hi",)


# Encodings, length, compression


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "json"])
def test_encodings_with_a_byte_order_mark(encoding, kind, tmp_path):
    dicts = [{"text": text, "label": label} for text, label in ROWS]
    content = {"csv": separated(";"), "jsonl": "\n".join(map(json.dumps, dicts)), "json": json.dumps(dicts)}[kind]
    content = ("" if encoding in ("utf-8-sig", "utf-16", "utf-32") else "\ufeff") + content
    assert read(tmp_path / f"a.{kind}", content.encode(encoding)).texts == TEXTS
    compressed = gzip.compress(content.encode(encoding))
    assert read(tmp_path / f"a.{kind}.gz", compressed).texts == TEXTS


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_byte_order_mark(encoding, tmp_path):
    assert read(tmp_path / "a.csv", separated(";").encode(encoding)).texts == TEXTS


def test_utf16_that_is_broken(tmp_path):
    with pytest.raises(DataError, match="begins as UTF-16, and not all of it is UTF-16"):
        read(tmp_path / "a.csv", separated(",").encode("utf-16") + b"x")
    half = separated(",").encode("utf-16").replace("né".encode("utf-16-le"), "n".encode("utf-16-le") + b"\x00\xd8")
    with pytest.raises(DataError, match="row 4: a string holds half of a character"):
        read(tmp_path / "a.csv", half)


def test_cells_of_any_length(tmp_path):
    long = "word " * 60_000
    assert read(tmp_path / "a.csv", f'text,label\n"{long}",a\nb,{"l" * 200_000}\n').texts == (long, "b")


@pytest.mark.parametrize("name", ["a.csv.gz", "a.CSV.GZ", "a.tsv.gz"])
def test_compressed_tables(name, tmp_path):
    assert read(tmp_path / name, gzip.compress(separated("\t").encode())).texts == TEXTS


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv.gz", b"text,label\nx,y\n", "cannot be decompressed: Not a gzipped file"),
        (
            "a.csv.gz",
            gzip.compress(b"text,label\nx,y\n", mtime=0)[:-9],
            "cannot be decompressed: Compressed file ended",
        ),
        ("a.jsonl.gz", gzip.compress(b'{"text": "x"}', mtime=0)[:12] + b"\xff" * 20, "cannot be decompressed"),
        ("a.csv.gz", gzip.compress(b"", mtime=0), "no header row"),
        ("a.parquet.gz", b"PAR1", "must be one of .csv.*or one of these but .parquet with .gz"),
        ("a.gz", b"x", "extension of a data file must be one of"),
        (".csv", b"x", "extension of a data file must be one of"),
    ],
)
def test_bad_compressed_files(name, content, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read(tmp_path / name, content)


# Gaps


def test_blank_rows_and_cells_are_skipped_and_counted(tmp_path):
    content = "text;label;;\nhi;a;;\n;;;\n\n ;a;;\nbye; ;;\n;;;;;;\nyo;b;;\n\n\n"
    data = read(tmp_path / "a.csv", content)
    assert (data.texts, data.labels) == (("hi", "yo"), ("a", "b"))
    skipped = data.remarks.skipped
    assert (skipped.blank_rows, skipped.blank_texts, skipped.missing_labels) == (3, 1, 1)
    assert skipped.first == ("row 3", "row 4", "row 5", "row 6", "row 7")
    assert read_texts(tmp_path / "a.csv") == ("hi", "bye", "yo")
    assert read_texts_and_labels(tmp_path / "a.csv") == (("hi", "bye", "yo"), ("a", None, "b"))


def test_rows_of_separators_before_the_header(tmp_path):
    assert read(tmp_path / "a.csv", ";;\n\n" + separated(";")).texts == TEXTS


def test_null_is_a_gap(tmp_path):
    lines = [{"text": "x", "label": "a"}, {"text": None, "label": None}, {"text": "y", "label": None}]
    data = read(tmp_path / "a.jsonl", "\n".join(map(json.dumps, lines)))
    assert data.remarks.skipped.to_dict() == {"rows": 2, "blank_rows": 1, "blank_texts": 0, "missing_labels": 1}
    pq.write_table(pa.Table.from_pylist(lines), tmp_path / "a.parquet")
    assert read_labelled_texts(tmp_path / "a.parquet").remarks.skipped.count == 2


def test_whole_rows_keep_gaps(tmp_path):
    (tmp_path / "a.csv").write_text("id;text;;\n1;x;;\n;;;\n\n2; ;;\n\n")
    rows = [(row.number, dict(row.values)) for row in read_rows(tmp_path / "a.csv", ("text",))]
    assert rows == [
        (2, {"id": "1", "text": "x"}),
        (3, {"id": "", "text": ""}),
        (4, {"id": "", "text": ""}),
        (5, {"id": "2", "text": " "}),
    ]
    (tmp_path / "a.csv").write_text("id;text;;\n1;x;;lost\n")
    with pytest.raises(DataError, match="row 2: a cell lies in one of several columns without a name.*'lost'"):
        list(read_rows(tmp_path / "a.csv", ("text",)))


# Directories


def write_texts(folder, texts):
    for name, content in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def test_directory_of_texts(tmp_path):
    files = {"spam/2.txt": "win!\n", "spam/1.txt": "\ufeffné\r\nx\n\n", "ham/9.TXT": "\ufeffhi".encode("utf-16-le")}
    ignored = {"spam/.DS_Store": b"\xff", ".git/config": "x", "readme.md": "x", "ham/0.txt": " \n"}
    folder = write_texts(tmp_path / "mails", files | ignored)
    data = read_labelled_texts(folder)
    assert (data.texts, data.labels) == (("hi", "né\r\nx", "win!"), ("ham", "spam", "spam"))
    assert data.remarks.skipped.first == ("ham/0.txt",)
    assert [row.values["file"] for row in read_rows(folder, ("text",))][-1] == "spam/2.txt"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"1.txt": "x"}, "a directory without a folder in it.*spam/1.txt"),
        ({"a/1.txt": "x", "b/.hidden": "x"}, "must hold .txt files.*Received: 'b' with no file in it"),
        ({"a/1.txt": "x", "a/b/1.txt": "x"}, "Received: 'a' with 'b' in it"),
        ({f"a/{n}.eml": "x" for n in range(5)}, "Received: 'a' with '0.eml', '1.eml', '2.eml' and 2 more in it"),
        ({"a/1.txt": b"\xff\xfa", "b/1.txt": "x"}, "a/1.txt: these bytes are not UTF-8"),
    ],
)
def test_bad_directories(files, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read_labelled_texts(write_texts(tmp_path / "mails", files))


def test_columns_of_a_directory(tmp_path):
    with pytest.raises(DataError, match="no column 'words'.*exist: 'text', 'label', 'file'"):
        read_texts(write_texts(tmp_path / "mails", {"a/1.txt": "x"}), "words")


# JSON lists and nested keys


def test_json_list(tmp_path):
    content = "\n " + json.dumps([{"label": label, "text": text} for text, label in ROWS], indent=2)
    assert read(tmp_path / "a.json", content) == LabelledTexts(TEXTS, LABELS, tmp_path / "a.json")
    with pytest.raises(DataError, match=r"(?s)row 2: there is no column 'text'.*row 3: .*row 4: "):
        read(tmp_path / "a.json", '[{"text": "x", "label": 1}, {"label": 1}, 5, [], {"text": "x", "label": 1}]')
    with pytest.raises(DataError, match="no example"):
        read(tmp_path / "a.json", "[]")
    with pytest.raises(DataError, match="one JSON object over several lines.*Legal: one list of objects"):
        read(tmp_path / "a.json", json.dumps({"data": [{"text": "x", "label": 1}]}, indent=1))
    with pytest.raises(DataError, match="row 1: this line is not one whole JSON value"):
        read(tmp_path / "a.json", '{"text": \n{"text": "x", "label": 1}\n')


NESTED = [
    {"data": {"text": "a", "meta": {"label": 1.0}}},
    {"data": {"text": None, "meta": {"label": 2}}},
    {"data": None},
]


def test_nested_keys(tmp_path):
    columns = {"text_column": "data.text", "label_column": "data.meta.label"}
    data = read(tmp_path / "a.json", json.dumps(NESTED), **columns)
    assert (data.texts, data.labels) == (("a",), ("1",))
    assert data.remarks.skipped.to_dict() == {"rows": 2, "blank_rows": 1, "blank_texts": 1, "missing_labels": 0}
    pq.write_table(pa.Table.from_pylist(NESTED), tmp_path / "a.parquet")
    assert read_labelled_texts(tmp_path / "a.parquet", **columns).labels == ("1",)
    assert read_texts(tmp_path / "a.parquet", "data.text") == ("a",)
    for name in ("a.json", "a.parquet"):
        with pytest.raises(DataError, match="no column 'data.words'"):
            read_texts(tmp_path / name, "data.words")


def test_an_exact_key_comes_first(tmp_path):
    row = {"data.text": "exact", "data": {"text": "nested", "text.x": "deep"}, "label": "a"}
    assert read(tmp_path / "a.jsonl", json.dumps(row), text_column="data.text").texts == ("exact",)
    assert read(tmp_path / "a.jsonl", json.dumps(row), text_column="data.text.x").texts == ("deep",)
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "a.parquet")
    assert read_texts(tmp_path / "a.parquet", "data.text") == ("exact",)


# All bad rows at once


def test_all_bad_rows_are_in_one_message(tmp_path):
    rows = ["good,a", *["too,many,cells"] * 2, "caf\udce9,a", '"a"b,c', "good,b", *["few"] * 42]
    content = "\n".join(["text,label", *rows]).encode("utf-8", "surrogateescape")
    with pytest.raises(DataError) as caught:
        read(tmp_path / "a.csv", content)
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("a.csv: 46 rows cannot be used.")
    assert [line.split(":")[0].strip() for line in lines[1:-2]] == [
        f"row {number}" for number in (3, 4, 5, 6, 8, 9, 10, 11, 12, 13)
    ]
    assert "this row has 3. Received: ['too', 'many', 'cells']" in lines[1]
    assert "not UTF-8" in lines[3]
    assert "not well-formed CSV" in lines[4]
    assert lines[-2] == "  and 36 more"
    assert lines[-1].count("must be quoted") == 2  # of the separator and of the quote, each once
    assert "iconv" in lines[-1]


def test_bad_rows_of_every_kind_in_json(tmp_path):
    bad = ["{", "[]", '{"text": 5, "label": 1}', '{"text": "x"}', '{"text": "\\ud800", "label": "a"}']
    bad += ['{"text": "x", "label": {}}', '{"text": "x", "label": "a\\nb"}']
    lines = ['{"text": "x", "label": "a"}', *bad, ""]
    with pytest.raises(DataError) as caught:
        read(tmp_path / "a.jsonl", "\n".join(lines))
    listed = [line.split(":")[0] for line in str(caught.value).splitlines()[1:-1]]
    assert listed == [f"  row {number}" for number in range(2, 9)]


def test_bad_rows_of_parquet(tmp_path):
    raw = pa.array([b"fine", b"caf\xe9", b"\xff", b"ok"], pa.binary())
    text = pa.StringArray.from_buffers(4, raw.buffers()[1], raw.buffers()[2])
    pq.write_table(pa.table({"text": text, "label": ["x", "y", "y", "a\nb"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="(?s)3 rows cannot.*row 2: .*row 3: .*row 4: a label must fit on one line"):
        read_labelled_texts(tmp_path / "a.parquet")


def test_nul_bytes_are_read(tmp_path):
    assert read(tmp_path / "a.csv", b"text,label\na\0b,c\n").texts == ("a\0b",)


def test_reading_is_not_ahead(tmp_path):
    """A compressed file is read as it is requested, too."""
    content = io.BytesIO()
    with gzip.GzipFile(fileobj=content, mode="wb") as file:
        file.write(b"text\n" + b"some text\n" * 200_000)
    (tmp_path / "a.csv.gz").write_bytes(content.getvalue())
    first = next(read_rows(tmp_path / "a.csv.gz", ("text",)))
    assert first.position < 200_000
    assert first.values == {"text": "some text"}

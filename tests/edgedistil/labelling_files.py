"""Rows to be labelled, as files of every format, and what is read back of them."""

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
from click.testing import CliRunner

from edgedistil.cli import main
from edgedistil.labelling import ChunkLimits, LabellingRequest, label_file
from edgedistil_runtime import TextClassifier

TEXTS = (
    *("turn it off, now", "spielt «Für Elise»", 'say "hi"\nand go', "a\rb", "\t tab", "~~~~~", "AAAA", "dark"),
    *("zzz", "\U0001f600", "one more"),
)
ROWS = [{"id": str(number), "text": text, "group": "x"} for number, text in enumerate(TEXTS)]
SMALL = ChunkLimits(rows=3)  # eleven rows are four chunks, the last of them not full


def write_rows(path, rows=ROWS, *, row_group_size=4):
    if path.suffix in (".csv", ".tsv"):
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter="," if path.suffix == ".csv" else "\t")
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=row_group_size)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read_back(path):
    if path.suffix in (".csv", ".tsv"):
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file, delimiter="," if path.suffix == ".csv" else "\t", strict=True))
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def request_of(model, source, output, **fields):
    return LabellingRequest(**{"model": model, "source": source, "output": output, "limits": SMALL, **fields})


def label(model, source, output, **fields):
    return label_file(request_of(model, source, output, **fields), TextClassifier)


def invoke(*arguments, **options):
    return CliRunner().invoke(main, ["predict", *map(str, arguments)], **options)

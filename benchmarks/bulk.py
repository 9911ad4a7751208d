"""Rows a second of `edgedistil predict -o`, by one worker and by several, and that the output is the same.

    python benchmarks/bulk.py my_classifier.tflite --data ../shared/data/banking77 --rows 20000 --workers 1 2

The rows are those of the data's test.csv, again and again. The numbers of workers take turns.
"""

import argparse
import csv
import hashlib
import itertools
import json
import statistics
from pathlib import Path
from tempfile import TemporaryDirectory

from edgedistil.data import read_labelled_texts
from edgedistil.labelling import LabellingRequest, label_file
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.benchmarking.machine import read_machine


def open_interpreter(path: Path) -> TextClassifier:
    """A classifier that runs without Python's lock, as `predict --workers` opens it."""
    return TextClassifier(path, weight_cache=False)


def write_rows(path: Path, texts: tuple[str, ...], count: int) -> None:
    """Writes a CSV file with a number and a text in each row."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text"])
        writer.writerows(enumerate(itertools.islice(itertools.cycle(texts), count)))


def main() -> None:
    """Labels the rows and prints a table, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder with test.csv")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    lines, found = ["| file | workers | rows/s | times one worker |", "|---|---|---|---|"], []
    with TemporaryDirectory() as folder:
        source, output = Path(folder) / "in.csv", Path(folder) / "out.csv"
        write_rows(source, read_labelled_texts(options.data / "test.csv").texts, options.rows)
        for model in options.models:
            rates: dict[int, list[float]] = {workers: [] for workers in options.workers}
            digests = set()
            for _, workers in itertools.product(range(options.rounds), options.workers):
                request = LabellingRequest(model, source, output, force=True)
                rates[workers].append(label_file(request, open_interpreter, workers=workers).rows_per_second)
                digests.add(hashlib.sha256(output.read_bytes()).hexdigest())
            if len(digests) > 1:
                raise SystemExit(f"{model}: the outputs differ")
            base = rates[options.workers[0]]
            for workers, values in rates.items():
                times = statistics.median(one / other for one, other in zip(values, base, strict=True))
                lines.append(f"| {model.name} | {workers} | {statistics.median(values):,.0f} | {times:.2f} |")
                found.append({"model": model.name, "workers": workers, "rates": values, "times": times})
    print("\n".join([*lines, "", f"{read_machine()}; {options.rows:,} rows, outputs equal."]))
    print(json.dumps({"machine": str(read_machine()), "rows": options.rows, "found": found}))


if __name__ == "__main__":
    main()

"""Accuracy from labelled texts to the device: Keras, fp32, fp16 and int8 on one test split, by the command line alone.

    python benchmarks/accuracy.py ../shared/data/snips ../shared/data/sms_spam

For each folder with train.csv, validation.csv and test.csv: `edgedistil train --from-scratch`, three times
`edgedistil convert`, and `edgedistil evaluate` of the preset (through Keras) and the three files (through the runtime).
A table comes first, one line of JSON last.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SCHEMES = ("fp32", "fp16", "int8")


def run(*arguments: object) -> dict[str, Any]:
    """Runs one verb of the command line with --json and returns its object."""
    command = [sys.executable, "-m", "edgedistil", *map(str, arguments), "--json"]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


def measure(data: Path, size: str, seed: int, folder: Path) -> list[dict[str, Any]]:
    """Trains, converts and evaluates on one data set; a row for each model."""
    preset = folder / data.name
    started = time.perf_counter()
    trained = run(
        "train", "--from-scratch", size, "--seed", seed, "-o", preset,
        "--train-data", data / "train.csv", "--validation-data", data / "validation.csv",
    )  # fmt: skip
    seconds = time.perf_counter() - started
    models = [preset]
    for scheme in SCHEMES:
        models.append(folder / f"{data.name}_{scheme}.tflite")
        run("convert", "--preset", preset, "--quantize", scheme, "-o", models[-1])
    results = run("evaluate", *models, "--data", data / "test.csv")["models"]
    common = {"data": data.name, "size": size, "seed": seed, "epochs": trained["epochs"]}
    common["train_seconds"] = round(seconds)
    return [
        {
            **common,
            "model": name,
            "accuracy": result["accuracy"],
            "macro_f1": result["macro_f1"],
            "megabytes": path.stat().st_size / 1e6 if path.is_file() else None,
        }
        for name, path, result in zip(("Keras", *SCHEMES), models, results, strict=True)
    ]


def main() -> None:
    """Measures every data set and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--size", default="tiny")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [row for data in arguments.data for row in measure(data, arguments.size, arguments.seed, Path(folder))]
    print("| data | model | accuracy | macro F1 | MB | training s |\n|---|---|---|---|---|---|")
    for row in rows:
        size = f"{row['megabytes']:.2f}" if row["megabytes"] else "-"
        print(
            f"| {row['data']} | {row['model']} | {row['accuracy']:.2%} | {row['macro_f1']:.4f} | {size} "
            f"| {row['train_seconds']} |"
        )
    print(json.dumps(rows))


if __name__ == "__main__":
    main()

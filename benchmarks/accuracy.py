"""Accuracy from labelled texts to the device: every scheme beside the Keras model, several data sets and seeds.

    python benchmarks/accuracy.py ../shared/data/{snips,clinc150,banking77,sms_spam} --table docs/accuracy.md

For each folder with train.csv, test.csv and perhaps validation.csv, and each seed: `edgedistil train --from-scratch`,
one `edgedistil convert` per scheme, and the whole test split through the Keras preset and through each file with the
runtime.
Presets, files and results stay in --work, and what is there already is not made again: the same command goes on where
it was interrupted, and figures of another version of the code go with `rm -r`. Milliseconds are medians over texts of
the test split, the files in turn for each text; they tell the schemes apart on one machine and nothing else.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgedistil.data import read_labelled_texts
from edgedistil.scores import evaluate_labels

SCHEMES: Mapping[str, Sequence[str]] = {
    "fp32": ("--quantize", "fp32"),
    "fp16": ("--quantize", "fp16"),
    "int8": ("--quantize", "int8"),
    "int8-static": ("--quantize", "int8-static", "--calibration-data", "TRAIN"),
    "int8-qat": ("--quantize", "int8-qat", "--train-data", "TRAIN"),
    "int4": ("--quantize", "int4"),
    "int4 by GPTQ": ("--quantize", "int4", "--calibration-data", "TRAIN"),
    "int8 pruned": ("--quantize", "int8", "--prune-vocabulary", "TRAIN"),
}
GOALS = {
    "fp16": 0.05,
    "int8": 0.2,
    "int8-static": 1.0,
    "int8-qat": 0.3,
    "int4": 0.5,
    "int4 by GPTQ": 0.5,
}  # points from Keras
TIMED_TEXTS = 200


def edgedistil(*arguments: object) -> dict[str, Any]:
    """Runs one verb of the command line with --json and returns its object."""
    command = [sys.executable, "-m", "edgedistil", *map(str, arguments), "--json"]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


def train(data: Path, preset: Path, size: str, seed: int) -> None:
    """Trains a preset from scratch, unless it is there."""
    if preset.is_dir():
        return
    validation = data / "validation.csv"
    more = ("--validation-data", validation) if validation.is_file() else ()
    options = ("--from-scratch", size, "--seed", seed, "-o", preset, "--train-data", data / "train.csv")
    edgedistil("train", *options, *more)


def output_file(preset: Path, scheme: str) -> Path:
    """Where a preset's file of a scheme is kept."""
    return preset.with_name(f"{preset.name}_{scheme.replace(' ', '_')}.tflite")


def convert(data: Path, preset: Path, scheme: str, seed: int) -> Path:
    """Converts a preset by a scheme, unless the file is there."""
    output = output_file(preset, scheme)
    if not output.is_file():
        options = [str(data / "train.csv") if option == "TRAIN" else option for option in SCHEMES[scheme]]
        edgedistil("convert", "--preset", preset, "-o", output, "--seed", seed, *options)
    return output


def keras_probabilities(preset: Path, texts: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """What the preset answers, and its labels."""
    from edgedistil.presets.loading import load_labelled_classifier
    from edgedistil.training.keras_outputs import predict_probabilities

    trained = load_labelled_classifier(str(preset))
    return predict_probabilities(trained.classifier, texts), trained.labels


def evaluate(data: Path, preset: Path, files: Mapping[str, Path]) -> list[dict[str, Any]]:
    """A row for the Keras preset and one for each file."""
    from edgedistil_runtime import TextClassifier

    test = read_labelled_texts(data / "test.csv")
    keras, labels = keras_probabilities(preset, test.texts)
    models = {scheme: TextClassifier(path, num_threads=2) for scheme, path in files.items()}
    answers = {
        scheme: np.array([list(answer.probabilities.values()) for answer in map(model.classify, test.texts)])
        for scheme, model in models.items()
    }
    milliseconds = time_in_turn(models, test.texts[:TIMED_TEXTS])
    rows = []
    for scheme, probabilities in {"Keras": keras, **answers}.items():
        found = evaluate_labels(test.labels, [labels[i] for i in probabilities.argmax(1)], labels)
        rows.append(
            {
                "scheme": scheme,
                "texts": len(test),
                "accuracy": found.accuracy,
                "macro_f1": found.macro_f1,
                "agreement": float((probabilities.argmax(1) == keras.argmax(1)).mean()),
                "mean_difference": float(np.abs(probabilities - keras).mean()),
                "megabytes": files[scheme].stat().st_size / 1e6 if scheme in files else None,
                "milliseconds": milliseconds.get(scheme),
            }
        )
    for model in models.values():
        model.close()
    return rows


def time_in_turn(models: Mapping[str, Any], texts: Sequence[str]) -> dict[str, float]:
    """Median milliseconds of a text; every text goes through each model in turn."""
    seconds: dict[str, list[float]] = {scheme: [] for scheme in models}
    for text in texts:
        for scheme, model in models.items():
            started = time.perf_counter()
            model.classify(text)
            seconds[scheme].append(time.perf_counter() - started)
    return {scheme: 1e3 * statistics.median(found) for scheme, found in seconds.items()}


def results_file(work: Path, data: Path, seed: int) -> Path:
    """Where the rows of one data set and seed are kept."""
    return work / f"{data.name}_{seed}.json"


def time_again(work: Path, data: Path, seed: int) -> None:
    """Replaces the milliseconds of a data set and seed that were measured before, perhaps beside other work."""
    from edgedistil_runtime import TextClassifier

    results = results_file(work, data, seed)
    if not results.is_file():
        return
    rows = json.loads(results.read_text("utf-8"))
    preset = work / f"{data.name}_{seed}"
    paths = {row["scheme"]: output_file(preset, row["scheme"]) for row in rows if row["scheme"] in SCHEMES}
    models = {scheme: TextClassifier(path, num_threads=2) for scheme, path in paths.items()}
    milliseconds = time_in_turn(models, read_labelled_texts(data / "test.csv").texts[:TIMED_TEXTS])
    for row in rows:
        row["milliseconds"] = milliseconds.get(row["scheme"])
    results.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def measure(data: Path, size: str, seed: int, work: Path) -> list[dict[str, Any]]:
    """All rows of one data set and seed, measured now or before."""
    results = results_file(work, data, seed)
    rows: list[dict[str, Any]] = json.loads(results.read_text("utf-8")) if results.is_file() else []
    measured = {row["scheme"] for row in rows}
    missing = [scheme for scheme in SCHEMES if scheme not in measured]
    if missing:
        preset = work / f"{data.name}_{seed}"
        train(data, preset, size, seed)
        files = {scheme: convert(data, preset, scheme, seed) for scheme in missing}
        found = [row for row in evaluate(data, preset, files) if row["scheme"] not in measured]
        rows += [{"data": data.name, "seed": seed, "size": size, **row} for row in found]
        rows.sort(key=lambda row: ("Keras", *SCHEMES).index(row["scheme"]))
        results.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return rows


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: for each data set and scheme the mean over seeds, and the change from Keras with its spread."""
    lines = [
        "| data | seeds | scheme | accuracy | macro-F1 | change, points | goal | agrees with Keras | MB | ms |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for data in dict.fromkeys(row["data"] for row in rows):
        of_data = [row for row in rows if row["data"] == data]
        keras = {row["seed"]: row["accuracy"] for row in of_data if row["scheme"] == "Keras"}
        schemes = dict.fromkeys(row["scheme"] for row in of_data)
        lines += [_line(data, scheme, [row for row in of_data if row["scheme"] == scheme], keras) for scheme in schemes]
    return "\n".join(lines)


def _line(data: str, scheme: str, rows: Sequence[Mapping[str, Any]], keras: Mapping[int, float]) -> str:
    def mean(key: str) -> float:
        return float(statistics.mean(row[key] for row in rows))

    changes = [100 * (row["accuracy"] - keras[row["seed"]]) for row in rows]
    change = f"{statistics.mean(changes):+.2f} ({min(changes):+.2f} to {max(changes):+.2f})"
    goal = f"±{GOALS[scheme]:g}" if scheme in GOALS else ""
    is_file = scheme != "Keras"
    seeds = ", ".join(str(row["seed"]) for row in rows)
    cells = [data, seeds, scheme, f"{mean('accuracy'):.2%}", f"{mean('macro_f1'):.4f}"]
    cells += [change, goal, f"{mean('agreement'):.2%}"] if is_file else ["", "", ""]
    cells += [f"{mean('megabytes'):.2f}", f"{mean('milliseconds'):.2f}"] if is_file else ["", ""]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measures every data set and seed and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--size", default="mini", help="of the backbone; mini has 4 layers of width 256 (default)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--work", type=Path, default=Path("build/accuracy"), help="folder for presets, files and results"
    )
    parser.add_argument("--only-measured", action="store_true", help="tabulate what is in --work, and measure nothing")
    parser.add_argument("--time-again", action="store_true", help="milliseconds of what is in --work, measured now")
    parser.add_argument("--table", type=Path, help="a Markdown file whose part between the two marks is replaced")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    rows = []
    for seed in arguments.seeds:
        for data in arguments.data:
            if arguments.only_measured and not results_file(arguments.work, data, seed).is_file():
                continue
            if arguments.time_again:
                time_again(arguments.work, data, seed)
            rows += measure(data, arguments.size, seed, arguments.work)
            print(f"{data.name}, seed {seed}: measured", file=sys.stderr)
    text = f"{table(rows)}\n\n{_provenance(arguments)}"
    if arguments.table:
        before, _, rest = arguments.table.read_text("utf-8").partition("<!-- table -->\n")
        arguments.table.write_text(
            f"{before}<!-- table -->\n{text}\n<!-- end -->{rest.partition('<!-- end -->')[2]}", "utf-8"
        )
    print(text)
    print(json.dumps(rows))


def _provenance(arguments: argparse.Namespace) -> str:
    return f"`--size {arguments.size}`; {platform.machine()}, 2 threads, one text at a time."


if __name__ == "__main__":
    main()

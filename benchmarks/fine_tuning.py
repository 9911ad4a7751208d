"""Fine-tuning of a pretrained preset: arms side by side on all training texts or on some of every class.

    python benchmarks/fine_tuning.py ../shared/data/banking77 --per-class 10 --seeds 0 1 --arms default frozen

An arm is a change of the default settings, or a control: the baseline, or a small classifier from scratch. A table of
arms on validation data (the default, `--on validation`) says what each setting brings; `--on test` measures the whole
test split, once, with settings that are chosen already. With few texts a class, the seed also draws the texts. Without
a validation.csv, a tenth of train.csv is held out for it. `--file int8` also converts each classifier, and asks it.

Results are appended to --work/results.jsonl, and what is there is not measured again: the same command goes on after an
interruption. Figures of another version of the code go with `rm`.
"""

import argparse
import json
import platform
import random
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgedistil.data import LabelledTexts, TrainingData, read_labelled_texts, split
from edgedistil.sizes import SIZES
from edgedistil.training.settings import FINE_TUNING, TrainingSettings, from_scratch_settings

RATE = 1e-4  # the default at the width of all_minilm_l6_v2_en
BASELINE = "TF-IDF + linear"
SCRATCH = {f"{size} from scratch": size for size in ("tiny", "mini")}
ARMS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    # A rate this small leaves the fitted head as it is.
    "frozen": {"epochs": 1, "is_backbone_frozen": True, "learning_rate": 1e-9},
    "first token": {"pooling": "first"},
    "smoothing 0.1": {"label_smoothing": 0.1},
    "rate / 3": {"learning_rate": RATE / 3},
    "rate x 2": {"learning_rate": RATE * 2},
    "layer decay 0.85": {"layer_decay": 0.85},
    "batches of 16": {"batch_size": 16},
    "twice the epochs": {"epochs": 2 * FINE_TUNING.epochs},
    "half the epochs": {"epochs": max(1, FINE_TUNING.epochs // 2)},
}


def some_of_each_class(data: LabelledTexts, count: int, seed: int) -> LabelledTexts:
    """Up to `count` texts of every class, drawn by the seed."""
    rows_of: dict[str, list[int]] = {}
    for row, label in enumerate(data.labels):
        rows_of.setdefault(label, []).append(row)
    generator = random.Random(seed)
    rows = [
        row for label in sorted(rows_of) for row in generator.sample(rows_of[label], min(count, len(rows_of[label])))
    ]
    return LabelledTexts(tuple(data.texts[row] for row in rows), tuple(data.labels[row] for row in rows))


def read_parts(folder: Path, on: str, per_class: int | None, seed: int) -> tuple[TrainingData, LabelledTexts]:
    """Data to train on, and the texts to measure."""
    training = read_labelled_texts(folder / "train.csv")
    path = folder / "validation.csv"
    validation = read_labelled_texts(path) if path.is_file() else None
    if validation is None and (on == "validation" or per_class is None):
        training, validation = split(training, 0.1, seed=0)
    measured = read_labelled_texts(folder / "test.csv") if on == "test" else validation
    assert measured is not None
    if per_class is not None:
        return TrainingData(some_of_each_class(training, per_class, seed)), measured
    return TrainingData(training, validation), measured


def accuracy(predicted: Sequence[str], expected: Sequence[str]) -> float:
    """Share of equal labels."""
    return statistics.mean(one == other for one, other in zip(predicted, expected, strict=True))


def measure(preset: str, folder: Path, arm: str, options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """One row: the arm trained with one seed."""
    data, measured = read_parts(folder, options.on, options.per_class, seed)
    started = time.process_time()
    if arm == BASELINE:
        from edgedistil.measuring.baseline import train_baseline

        return {"accuracy": accuracy(train_baseline(data.training).predict(measured.texts), measured.labels)}
    from edgedistil.training.keras_outputs import predict_probabilities
    from edgedistil.training.loop import train
    from edgedistil.training.start import from_preset, from_scratch

    settings: TrainingSettings
    if arm in SCRATCH:
        size = SCRATCH[arm]
        settings = replace(from_scratch_settings(SIZES[size].hidden_dim), seed=seed)
        classifier = from_scratch(size, data, settings)
    else:
        settings = replace(FINE_TUNING, seed=seed, **ARMS[arm])
        classifier = from_preset(preset, data, settings)
    result = train(classifier, data, settings)
    seconds = time.process_time() - started
    keras = predict_probabilities(classifier, measured.texts).argmax(axis=1)
    row = {
        "accuracy": accuracy([data.labels[index] for index in keras], measured.labels),
        "processor_seconds": round(seconds),
        "best_epoch": result.best_epoch,
        "history": [round(epoch["val_accuracy"], 4) for epoch in result.history if "val_accuracy" in epoch],
    }
    if options.save:
        from edgedistil.training.record import write_training

        directory = options.work / f"{folder.name}_{options.per_class or 'all'}_{arm.replace(' ', '_')}_{seed}"
        write_training(result, data, directory, origin={"preset": preset}, force=True)
    if options.file:
        row |= ask_file(result, data, measured, options.file, options.work)
    return row


def ask_file(result: Any, data: TrainingData, measured: LabelledTexts, scheme: str, work: Path) -> dict[str, Any]:
    """Accuracy and size of the converted file, which `convert` judges by its rules on texts that were held out."""
    from edgedistil.data.samples import choose_samples
    from edgedistil_converters import QuantizationPlan, convert_classifier
    from edgedistil_runtime import TextClassifier

    path, trained = work / "measured.tflite", result.trained
    samples = choose_samples(data.validation or data.training)
    convert_classifier(
        trained.classifier,
        trained.labels,
        path,
        plan=QuantizationPlan(scheme),
        verification_texts=samples.texts,
        verification_labels=samples.labels,
        force=True,
    )
    with TextClassifier(path, num_threads=2) as model:
        given = [model.classify(text).label for text in measured.texts]
    return {"file": scheme, "file_accuracy": accuracy(given, measured.labels), "bytes": path.stat().st_size}


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: mean accuracies over seeds."""
    lines = [
        "| data | texts a class | on | arm | seeds | Keras | range | file | change, points | epochs | processor s |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    keys = dict.fromkeys((row["data"], row["per_class"], row["on"], row["arm"]) for row in rows)
    for key in keys:
        found = [row for row in rows if (row["data"], row["per_class"], row["on"], row["arm"]) == key]
        accuracies = [row["accuracy"] for row in found]
        files = [row["file_accuracy"] for row in found if "file_accuracy" in row]
        changes = [100 * (row["file_accuracy"] - row["accuracy"]) for row in found if "file_accuracy" in row]
        spread = f"{100 * min(accuracies):.2f} to {100 * max(accuracies):.2f}" if len(found) > 1 else ""
        epochs = ", ".join(str(row["best_epoch"]) for row in found if "best_epoch" in row)
        seconds = [row["processor_seconds"] for row in found if "processor_seconds" in row]
        cells = [key[0], str(key[1] or "all"), key[2], key[3], ", ".join(str(row["seed"]) for row in found)]
        cells += [f"{100 * statistics.mean(accuracies):.2f}", spread]
        cells += [f"{100 * statistics.mean(files):.2f}", f"{statistics.mean(changes):+.2f}"] if files else ["", ""]
        cells += [epochs, f"{statistics.median(seconds):,.0f}" if seconds else ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def replace_part(page: Path, name: str, text: str) -> None:
    """Replaces the part of a Markdown file between the marks of a name."""
    before, _, rest = page.read_text("utf-8").partition(f"<!-- {name} -->\n")
    after = rest.partition(f"<!-- end of {name} -->")[2]
    page.write_text(f"{before}<!-- {name} -->\n{text}\n<!-- end of {name} -->{after}", "utf-8")


def main() -> None:
    """Measures the arms and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "data", nargs="*", type=Path, help="folders with train.csv, test.csv and perhaps validation.csv"
    )
    parser.add_argument("--preset", default="all_minilm_l6_v2_en")
    parser.add_argument("--arms", nargs="+", default=["default"], choices=[BASELINE, *SCRATCH, *ARMS])
    parser.add_argument("--per-class", type=int, help="texts of every class to train on (default: all)")
    parser.add_argument("--on", choices=["validation", "test"], default="validation")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--file", help="also convert by this scheme, and ask the file")
    parser.add_argument("--save", action="store_true", help="keep the presets in --work")
    parser.add_argument("--work", type=Path, default=Path("build/fine_tuning"), help="folder for results")
    parser.add_argument("--table", type=Path, help="a Markdown file whose part between the two marks is replaced")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    results = options.work / "results.jsonl"
    rows = [json.loads(line) for line in results.read_text("utf-8").splitlines()] if results.is_file() else []
    for seed in options.seeds:
        for folder in options.data:
            for arm in options.arms:
                key = {"data": folder.name, "per_class": options.per_class, "on": options.on, "arm": arm, "seed": seed}
                if any(all(row[name] == value for name, value in key.items()) for row in rows):
                    continue
                row = {**key, **measure(options.preset, folder, arm, options, seed)}
                rows.append(row)
                with results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
                print(json.dumps(row), file=sys.stderr, flush=True)
    text = f"{table(rows)}\n\n`{options.preset}`; {platform.machine()}, two threads; accuracies in percent."
    if options.table:
        replace_part(options.table, "fine-tuning", text)
    print(text)


if __name__ == "__main__":
    main()

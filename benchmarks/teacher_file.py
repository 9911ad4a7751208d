"""How equal and how fast the answers of a teacher's int8 file are, beside those of the teacher in Keras.

    python benchmarks/teacher_file.py my_classifier ../shared/data/banking77

Both are asked for logits as distillation asks them, for training texts of the data. Speed is measured in blocks of
texts that take turns, and is the median over the blocks: by the clock, which other work on the machine slows down, and
by processor time of all threads. Keras uses all cores, the file one thread.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from fine_tuning import replace_part

from edgedistil.conversion import ConversionRequest, convert_preset
from edgedistil.data import read_labelled_texts
from edgedistil.distillation.teacher import Teacher
from edgedistil.training.keras_outputs import softmax
from edgedistil_converters import QuantizationPlan
from edgedistil_runtime.benchmarking.machine import read_machine

BLOCK = 250


def compare(preset: Path, file: Path, texts: tuple[str, ...]) -> dict[str, Any]:
    """Answers and speeds of a preset and of its file."""
    teachers = {"Keras": Teacher.load(preset), "file": Teacher.load(file)}
    labels = teachers["Keras"].labels
    found: dict[str, list[Any]] = {name: [] for name in teachers}
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in teachers}  # by the clock, by processor time
    for teacher in teachers.values():
        teacher.logits(texts[:BLOCK], labels)  # the first call traces and allocates
    for first in range(0, len(texts), BLOCK):
        block = texts[first : first + BLOCK]
        for name, teacher in teachers.items():
            clock, processor = time.perf_counter(), time.process_time()
            found[name].append(softmax(teacher.logits(block, labels)))
            seconds = time.perf_counter() - clock, time.process_time() - processor
            rates[name].append((len(block) / seconds[0], len(block) / seconds[1]))
    keras, of_file = (np.concatenate(found[name]) for name in teachers)
    differences = np.abs(keras - of_file)  # [texts, classes]
    best = keras.max(axis=1)
    changed = keras.argmax(axis=1) != of_file.argmax(axis=1)
    pairs = list(zip(rates["Keras"], rates["file"], strict=True))
    medians = {name: [statistics.median(some) for some in zip(*found, strict=True)] for name, found in rates.items()}
    return {
        "texts": len(texts),
        "equal_labels": 1 - changed.mean(),
        "surest_changed": float(best[changed].max()) if changed.any() else None,
        "mean_of_best": float(np.abs(best - of_file[np.arange(len(best)), keras.argmax(axis=1)]).mean()),
        "mean": float(differences.mean()),
        "largest": float(differences.max()),
        "keras_rates": medians["Keras"],
        "file_rates": medians["file"],
        "times_faster": [statistics.median(file[i] / keras[i] for keras, file in pairs) for i in range(2)],
        "machine": str(read_machine()),
    }


def table(row: dict[str, Any], data: str, scheme: str) -> str:
    """Markdown: one row, and the machine below it."""
    cells = {
        "data": data,
        "file": scheme,
        "texts": f"{row['texts']:,}",
        "equal labels, %": f"{100 * row['equal_labels']:.2f}",
        "mean difference of Keras' best probability": f"{row['mean_of_best']:.4f}",
        "of all": f"{row['mean']:.5f}",
        "largest": f"{row['largest']:.3f}",
        "Keras, texts/s": f"{row['keras_rates'][0]:.0f}",
        "file, texts/s": f"{row['file_rates'][0]:.0f}",
        "times faster": f"{row['times_faster'][0]:.1f}",
        "by processor time": f"{row['times_faster'][1]:.1f}",
    }
    lines = [f"| {' | '.join(cells)} |", "|---" * len(cells) + "|", f"| {' | '.join(cells.values())} |"]
    return "\n".join([*lines, "", f"{row['machine']}; Keras on all cores, the file on one thread."])


def main() -> None:
    """Converts the teacher, compares the answers and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("teacher", type=Path, help="a directory that `edgedistil train` wrote")
    parser.add_argument("data", type=Path, help="folder with train.csv")
    parser.add_argument("--texts", type=int, default=2000, help="training texts, at most")
    parser.add_argument("--file", default="int8", help="scheme of the file")
    parser.add_argument("--work", type=Path, default=Path("build/teacher_file"), help="folder for the file")
    parser.add_argument("--table", type=Path, help="a Markdown file whose part between the two marks is replaced")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    file = options.work / f"{options.teacher.name}.{options.file}.tflite"
    if not file.is_file():
        convert_preset(ConversionRequest(str(options.teacher), file, QuantizationPlan(options.file), keep_failed=True))
    texts = read_labelled_texts(options.data / "train.csv").texts
    chosen = np.random.default_rng(0).permutation(len(texts))[: options.texts]  # files are often sorted by class
    row = compare(options.teacher, file, tuple(texts[number] for number in chosen))
    print(json.dumps(row), file=sys.stderr)
    shown = table(row, options.data.name, options.file)
    if options.table:
        replace_part(options.table, "teacher file", shown)
    print(shown)


if __name__ == "__main__":
    main()

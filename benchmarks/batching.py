"""How `classify_batch` should group texts: texts a second, one by one, in groups of equal length, and padded.

    python benchmarks/batching.py MODEL.tflite --texts TEST.csv [--column text] [--count 400] [--rounds 5]

The rules take turns on the same texts, in the order of the file; what is printed are medians of the rounds, and the
largest difference of a probability and the number of other labels against the texts one by one. A table comes first,
one line of JSON last.
"""

import argparse
import csv
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from edgedistil_runtime.artifact import read_artifact
from edgedistil_runtime.backends import default_backend
from edgedistil_runtime.runner import SignatureRunner

Rows = Sequence[Sequence[int]]
Plan = list[list[int]]  # positions of the rows that go through the model together


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--texts", type=Path, required=True, help="a CSV file")
    parser.add_argument("--column", default="text")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    with arguments.texts.open(encoding="utf-8", newline="") as file:
        texts = [row[arguments.column] for row in csv.DictReader(file)][: arguments.count]
    rows = measure(arguments.model, texts, arguments.rounds, arguments.threads)
    print("| rule | texts/s | runs | largest difference | other labels |\n|---|---|---|---|---|")
    for row in rows:
        print("| {rule} | {texts_per_second:.0f} | {runs} | {difference:.1e} | {other_labels} |".format(**row))
    print(json.dumps({"model": arguments.model.name, "texts": len(texts), "rules": rows}))


def rules() -> dict[str, Callable[[list[int]], Plan]]:
    """Name -> from the lengths of all rows to the rows of each run."""
    found: dict[str, Callable[[list[int]], Plan]] = {
        f"equal length, {size}": lambda lengths, size=size: padded(lengths, size, 0.0) for size in (8, 32)
    }
    for size in (8, 32):
        for waste in (0.1, 0.25):
            found[f"padded, {size}, waste {waste:g}"] = lambda lengths, size=size, waste=waste: padded(
                lengths, size, waste
            )
    return found


def padded(lengths: list[int], size: int, waste: float) -> Plan:
    """Neighbours by length, as long as no more than that share of a run's ids would be padding."""
    plan: Plan = []
    total = 0
    for position in sorted(range(len(lengths)), key=lengths.__getitem__):
        cells = lengths[position] * (len(plan[-1]) + 1) if plan else 0
        if not plan or len(plan[-1]) == size or cells - total - lengths[position] > waste * cells:
            plan.append([])
            total = 0
        plan[-1].append(position)
        total += lengths[position]
    return plan


def measure(model: Path, texts: Sequence[str], rounds: int, threads: int | None) -> list[dict[str, object]]:
    """A row of the table for each rule."""
    metadata = read_artifact(model).metadata
    runner = SignatureRunner(default_backend(model, num_threads=threads), metadata)
    single = np.array([runner.classify(runner.encode(text)).probabilities for text in texts])
    seconds: dict[str, list[float]] = {"one by one": []}
    answers, runs = {"one by one": single}, {"one by one": len(texts)}
    for _ in range(rounds):
        started = time.perf_counter()
        for text in texts:
            runner.classify(runner.encode(text))
        seconds["one by one"].append(time.perf_counter() - started)
        for name, rule in rules().items():
            started = time.perf_counter()
            rows = [runner.tokenize(runner.encode(text)) for text in texts]
            plan = rule(list(map(len, rows)))
            answers[name] = classified(runner, rows, plan, metadata.tokenizer.pad_id)
            seconds.setdefault(name, []).append(time.perf_counter() - started)
            runs[name] = len(plan)
    return [
        {
            "rule": name,
            "texts_per_second": len(texts) / statistics.median(found),
            "runs": runs[name],
            "difference": float(np.abs(answers[name] - single).max()),
            "other_labels": int((answers[name].argmax(1) != single.argmax(1)).sum()),
        }
        for name, found in seconds.items()
    ]


def classified(runner: SignatureRunner, rows: Rows, plan: Plan, pad_id: int) -> np.ndarray:
    """Probabilities of all rows, in their order."""
    found: list[np.ndarray] = [np.empty(0)] * len(rows)
    for positions in plan:
        longest = max(len(rows[position]) for position in positions)
        ids = np.full((len(positions), longest), pad_id, np.int32)
        for line, position in zip(ids, positions, strict=True):
            line[: len(rows[position])] = rows[position]
        for position, (probabilities, _) in zip(positions, runner.classify_tokens(ids), strict=True):
            found[position] = probabilities
    return np.array(found)


if __name__ == "__main__":
    main()

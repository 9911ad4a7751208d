"""What packed weights cost and save: first label and memory of one model, in an interpreter and in `CompiledModel`.

    python benchmarks/weight_cache.py MODEL.tflite [--runs 5] [--threads 2]

Each start is a process of its own, which imports the runtime, opens the model (its golden cases are replayed) and
labels one text; the ways take turns. Resident memory is split as Linux does: private pages, pages of files (the
model's and the cache's, which the system can drop and share) and shared memory (packed weights without a file). A table
comes first, one line of JSON last.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

START = """
import sys, time
started = time.perf_counter()
from edgedistil_runtime import TextClassifier
imported = time.perf_counter()
path, threads, cache = sys.argv[1], int(sys.argv[2]), sys.argv[3]
weight_cache = False if cache == "interpreter" else cache
if cache == "memory":
    weight_cache = None
    from edgedistil_runtime.backends import choice
    choice.LARGEST_IN_MEMORY = 0
with TextClassifier(path, num_threads=threads, weight_cache=weight_cache) as classifier:
    classifier.classify("turn on the light in the kitchen")
    first = time.perf_counter()
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    names = ("VmRSS", "RssAnon", "RssFile", "RssShmem", "VmHWM")
    print(imported - started, first - started, *(int(status[name].split()[0]) / 1e3 for name in names))
"""
COLUMNS = ("import_s", "first_label_s", "resident", "private", "files", "shared", "peak")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    found: dict[str, list[list[float]]] = {}
    for _ in range(arguments.runs):
        with tempfile.TemporaryDirectory() as folder:
            ways = {
                "interpreter": "interpreter",
                "compiled, in memory": "memory",
                "compiled, cache written": folder,
                "compiled, cache read": folder,
            }
            for name, way in ways.items():
                found.setdefault(name, []).append(start(arguments.model, arguments.threads, way))
    rows = [
        {"way": name, **dict(zip(COLUMNS, map(statistics.median, zip(*runs, strict=True)), strict=True))}
        for name, runs in found.items()
    ]
    print("| way | import, s | first label, s | resident, MB | private | files | shared | peak |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        numbers = " | ".join(f"{row[column]:.0f}" for column in COLUMNS[2:])
        print(f"| {row['way']} | {row['import_s']:.2f} | {row['first_label_s']:.2f} | {numbers} |")
    print(json.dumps({"model": arguments.model.name, "rows": rows}))


def start(model: Path, threads: int, way: str) -> list[float]:
    """Seconds and megabytes of one process."""
    command = [sys.executable, "-c", START, str(model), str(threads), way]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return list(map(float, done.stdout.split()))


if __name__ == "__main__":
    main()

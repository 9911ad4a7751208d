"""Texts a second on several cores by one interpreter with several threads, several interpreters, or several processes.

    python benchmarks/bulk_ways.py my_classifier.tflite --data ../shared/data/banking77 [--workers 2] [--rounds 5]

Each way is a child process that is idle while another one runs; they label the same chunks of 512 texts by
`classify_batch`, in turn, and the ratio is the median over the rounds. Memory is the proportional set size of a way's
processes after one round while no other way runs (pages that two processes share count half for each); `--rounds 0`
measures nothing else. The last lines are the share of
padding in the runs of the model, by token, for texts in chunks of 512, as `predict -o` reads them: what a run without
padding would save.
"""

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgedistil_runtime import TextClassifier
from edgedistil_runtime.batches import batches
from edgedistil_runtime.benchmarking.machine import read_machine

CHUNK = 512  # texts that `predict -o` reads together
WAYS = {  # name -> interpreters in threads, threads of each, processes, and whether packed weights are in a file
    "1 interpreter, 1 thread": (1, 1, 1, False),
    "1 interpreter, all threads": (1, 0, 1, False),
    "interpreters in threads": (0, 1, 1, False),
    "interpreters in threads, CompiledModel, weights in a file": (0, 1, 1, True),
    "processes": (1, 1, 0, False),
    "processes, CompiledModel, weights in a file": (1, 1, 0, True),
}  # 0: as many as --workers


class Way:
    """The processes of one way."""

    def __init__(self, name: str, options: argparse.Namespace, cache: Path) -> None:
        interpreters, threads, processes, is_cached = WAYS[name]
        arguments = [interpreters or options.workers, threads or options.workers, cache if is_cached else ""]
        command = [sys.executable, __file__, str(options.model), "--child", *map(str, arguments)]
        self.name = name
        self._children = [
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            for _ in range(processes or options.workers)
        ]
        self.megabytes = sum(one["megabytes"] for one in self.ask([[]] * len(self._children)))

    def ask(self, shares: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
        """Gives each process its texts, and returns their answers."""
        for child, texts in zip(self._children, shares, strict=True):
            assert child.stdin is not None
            child.stdin.write(json.dumps(texts) + "\n")
            child.stdin.flush()
        return [json.loads(child.stdout.readline()) for child in self._children if child.stdout is not None]

    def label(self, texts: Sequence[str]) -> float:
        """Seconds for texts; each process takes every nth chunk."""
        chunks = [texts[start : start + CHUNK] for start in range(0, len(texts), CHUNK)]
        count = len(self._children)
        shares = [[text for chunk in chunks[number::count] for text in chunk] for number in range(count)]
        started = time.perf_counter()
        answers = self.ask(shares)
        seconds = time.perf_counter() - started
        self.megabytes = sum(one["megabytes"] for one in answers)
        return seconds

    def close(self) -> None:
        """Ends the processes."""
        for child in self._children:
            child.communicate()


def serve(model: Path, interpreters: int, threads: int, cache: str) -> None:
    """The child: labels the texts of each line of standard input, chunk by chunk."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # runtimes print to standard output too
    classifiers = [TextClassifier(model, num_threads=threads, weight_cache=cache or False) for _ in range(interpreters)]
    with ThreadPoolExecutor(interpreters) as pool:
        for line in sys.stdin:
            texts = json.loads(line)
            chunks = [texts[start : start + CHUNK] for start in range(0, len(texts), CHUNK)]
            work = [(classifier, chunks[number::interpreters]) for number, classifier in enumerate(classifiers)]
            list(pool.map(lambda pair: [pair[0].classify_batch(chunk) for chunk in pair[1]], work))
            found = re.findall(r"^Pss:\s+(\d+) kB", Path("/proc/self/smaps_rollup").read_text(), re.MULTILINE)
            answers.write(json.dumps({"megabytes": int(found[0]) / 1000}) + "\n")
            answers.flush()


def measure_memory(way: Way, texts: Sequence[str]) -> float:
    """MB of a way's processes after one round; they end."""
    way.label(texts)
    way.close()
    return way.megabytes


def padding(texts: Sequence[str], count_tokens: Callable[[str], int]) -> float:
    """Share of padding ids in all runs."""
    used = cells = 0
    for start in range(0, len(texts), CHUNK):
        lengths = [count_tokens(text) for text in texts[start : start + CHUNK]]
        used += sum(lengths)
        cells += sum(len(run) * max(lengths[position] for position in run) for run in batches(lengths))
    return 1 - used / cells


def main() -> None:
    """Measures and prints."""
    if "--child" in sys.argv:
        model, interpreters, threads, cache = sys.argv[1], *sys.argv[3:]
        serve(Path(model), int(interpreters), int(threads), cache)
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders with test.csv; the first is timed")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--texts", type=int, default=2048)
    options = parser.parse_args()
    from edgedistil.data import read_labelled_texts

    tests = {folder.name: read_labelled_texts(folder / "test.csv").texts for folder in options.data}
    texts = next(iter(tests.values()))[: options.texts]
    with TemporaryDirectory() as cache:
        ways = [Way(name, options, Path(cache)) for name in WAYS]
        seconds: dict[str, list[float]] = {way.name: [] for way in ways}
        draw = random.Random(0)
        for _ in range(options.rounds):
            for way in draw.sample(ways, len(ways)):
                seconds[way.name].append(way.label(texts))
        for way in ways:
            way.close()
        memory = {name: measure_memory(Way(name, options, Path(cache)), texts) for name in WAYS}
    first = next(iter(seconds.values()))
    rows = [
        {
            "way": name,
            "rate": len(texts) / statistics.median(found) if found else None,
            "times": statistics.median(one / mine for one, mine in zip(first, found, strict=True)) if found else None,
            "megabytes": memory[name],
        }
        for name, found in seconds.items()
    ]
    with TextClassifier(options.model) as classifier:
        shares = {name: padding(some, lambda text: len(classifier.tokenize(text))) for name, some in tests.items()}
    print("| way | texts/s | times 1 interpreter | MB |\n|---|---|---|---|")
    for row in rows:
        speed = "{rate:,.0f} | {times:.2f}".format(**row) if options.rounds else "| "
        print(f"| {row['way']} | {speed} | {row['megabytes']:.0f} |")
    for name, found in shares.items():
        print(f"padding, {name}: {100 * found:.1f} % of the tokens")
    print(json.dumps({"machine": str(read_machine()), "model": options.model.name, "rows": rows, "padding": shares}))


if __name__ == "__main__":
    main()

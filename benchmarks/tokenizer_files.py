"""Two or more builds of the tokenizer in the graph beside each other: bytes and time, as ratios to the first file.

    python benchmarks/tokenizer_files.py write new.tflite --rules hugging_face --shared ../shared
    python benchmarks/tokenizer_files.py compare old.tflite new.tflite --shared ../shared

`write` makes a file that only has a tokenizer of the English vocabulary. The goal for Hugging Face's rules is a share
of what KerasHub's rules took in commit 3b7949d, the last one without the others. This writes its file:

    git worktree add ../old 3b7949d && cp benchmarks/tokenizer_files.py ../old/benchmarks
    PYTHONPATH=../old/converters:../old/runtime:../old python ../old/benchmarks/tokenizer_files.py write old.tflite

`compare` runs all files in turn in one process and one thread, and measures processor time, so that other work on the
machine disturbs little. Medians of `invoke` alone, and of the ratios text by text:

* again: the text that ran just before. Shapes stay, so the interpreter does not prepare its ops.
* new: texts of other lengths, as in use: resize, allocate, set, invoke. Each op is prepared before it runs.

One line of JSON comes last.
"""

import argparse
import csv
import json
import os
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

LENGTHS = (18, 50, 276, 1000)  # characters
GOAL = 0.8
REPEATS = 10  # of the same text
BLOCK = 6  # new texts in a row for one file


def texts_of(source: str, length: int, count: int, spread: float) -> list[np.ndarray]:
    """Return the bytes of texts of about that many characters, int32[n] each, from random places."""
    rng = random.Random(length)
    found = []
    for _ in range(count):
        size = length + rng.randrange(-int(spread * length), int(spread * length) + 1)
        start = rng.randrange(len(source) - size)
        found.append(np.frombuffer(source[start : start + size].encode(), np.uint8).astype(np.int32))
    return found


class Tokenizer:
    """A file in LiteRT's interpreter."""

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(str(path), num_threads=1)
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._size = -1

    def run(self, text: np.ndarray) -> float:
        """Return the microseconds of processor time that a text takes."""
        started = time.thread_time_ns()
        if self._size != len(text):
            self._interpreter.resize_tensor_input(self._input, [len(text)])
            self._interpreter.allocate_tensors()
            self._size = len(text)
        self._interpreter.set_tensor(self._input, text)
        self._interpreter.invoke()
        return (time.thread_time_ns() - started) / 1e3

    def run_again(self) -> float:
        """Return the microseconds that the last text takes once more."""
        started = time.thread_time_ns()
        for _ in range(REPEATS):
            self._interpreter.invoke()
        return (time.thread_time_ns() - started) / 1e3 / REPEATS


def compare(paths: Sequence[Path], source: str, count: int) -> list[dict[str, Any]]:
    """Return a row for each length and way of measuring."""
    tokenizers = [Tokenizer(path) for path in paths]
    rows = []
    for length in LENGTHS:
        again: list[list[float]] = []
        for text in texts_of(source, length, count, 0):
            for tokenizer in tokenizers:
                tokenizer.run(text)
            again.append([tokenizer.run_again() for tokenizer in tokenizers])
        new: list[list[float]] = []
        texts = texts_of(source, length, BLOCK * count, 0.2)
        for i in range(0, len(texts), BLOCK):
            # The first text of a block finds the caches full of another file, and is left out.
            new += zip(*([t.run(text) for text in texts[i : i + BLOCK]][1:] for t in tokenizers), strict=True)
        for way, found in (("again", again), ("new", new)):
            times = np.array(found)
            ratios = np.median(times / times[:, :1], 0)
            row = {"characters": length, "text": way, "microseconds": np.median(times, 0).tolist()}
            rows.append({**row, "ratio": ratios.tolist()})
    return rows


def write(path: Path, rules: str, vocabulary: Path) -> None:
    """Write a file with nothing but a tokenizer."""
    import tokenizer_peers

    make = "make_hugging_face_preprocessor" if rules == "hugging_face" else "make_preprocessor"
    preprocessor = getattr(tokenizer_peers, make)(vocabulary, 512)
    path.write_bytes(tokenizer_peers.tokenizer_model("builtin", preprocessor))
    print(f"{path}: {path.stat().st_size} bytes")


def main() -> None:
    """Writes or compares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("write", "compare"))
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="folder with vocab/ and data/snips/")
    parser.add_argument("--rules", choices=("keras_hub", "hugging_face"), default="keras_hub")
    parser.add_argument("--texts", type=int, default=60, help="texts of each length")
    arguments = parser.parse_args()
    if arguments.what == "write":
        write(arguments.files[0], arguments.rules, arguments.shared / "vocab" / "bert-base-uncased.txt")
        return
    with (arguments.shared / "data" / "snips" / "test.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    random.Random(0).shuffle(texts)
    sizes = [path.stat().st_size for path in arguments.files]
    rows = compare(arguments.files, " ".join(texts), arguments.texts)
    print("| characters | text | " + " | ".join(f"{path.stem}, μs | ratio" for path in arguments.files) + " |")
    print("|---|---|" + "---|---|" * len(sizes))
    for row in rows:
        cells = (f"{us:.1f} | {ratio:.2f}" for us, ratio in zip(row["microseconds"], row["ratio"], strict=True))
        print(f"| {row['characters']} | {row['text']} | {' | '.join(cells)} |")
    print("bytes:", ", ".join(f"{size} ({size / sizes[0]:.3f})" for size in sizes), f"goal {GOAL}")
    names = [path.name for path in arguments.files]
    print(json.dumps({"files": names, "bytes": sizes, "rows": rows, "load": os.getloadavg()}))


if __name__ == "__main__":
    main()

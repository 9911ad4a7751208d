"""Where the time of one text goes: ops, pieces for XNNPACK, bytes, multiply-adds, processor time and instructions.

    python benchmarks/profile_ops.py MODEL.tflite [OTHER.tflite ...] [--text TEXT ...] [--runs 60] [--instructions]

Counts need no clock (`edgedistil_converters.tflite.run_cost`). Processor time is that of the running thread, of one
thread, so that other programs count little. The files take turns in random order in one process, each after an untimed
run of its own; the ratio is the median of paired runs. *repeated* is a text after itself, *changed* the same text after
one that is longer by a word: then LiteRT plans its memory anew and XNNPACK reshapes every op.

LiteRT's Python interfaces do not reach its profiler. --instructions runs a file under callgrind (`valgrind`), which
counts the same on a busy machine. XNNPACK's kernels keep their names in the wheel. Valgrind 3.19 shows a processor with
AVX2 and without AVX-512, so these are the kernels of such a processor. Counts are instructions, which do not take equal
time.

Prints tables, then one line of JSON.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from edgedistil_converters.tflite.run_cost import PARTS, RunCost, read_run_cost
from edgedistil_runtime.contract import CLASSIFY_TEXT, CLASSIFY_TOKENS, TEXT, TOKEN_IDS
from edgedistil_runtime.text_bytes import encode_text

_TEXTS = (
    "where is my new card",
    "I would like to know where my new card is now and why it takes you so long to send it to me",
)
_TIMED = 3  # runs after an untimed one, of which the median counts
_MOST_KERNELS = 12
_UNDER_CALLGRIND = """
import sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter
run = Interpreter(model_path=sys.argv[1], num_threads=1).get_signature_runner(sys.argv[2])
for path in sys.argv[3:]:
    with np.load(path) as inputs:
        run(**inputs)
"""
Inputs = dict[str, Any]


def main() -> None:
    """Prints the tables and the line of JSON."""
    arguments = _arguments()
    rows: list[dict[str, Any]] = []
    for text in arguments.text or _TEXTS:
        print(f"\n{len(text)} characters: {text[:60]}")
        models = [_Model(path, text) for path in arguments.files]
        costs = [read_run_cost(model.path.read_bytes(), model.signature, model.inputs) for model in models]
        times = _times(models, arguments.runs)
        print(
            "| file | ops | delegated | pieces | MB read | million multiply-adds | repeated, ms | ratio | changed, ms |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        for model, cost, timed in zip(models, costs, times, strict=True):
            counted = {
                "ops": len(cost.ops),
                "delegated": cost.count(is_delegated=True),
                "pieces": cost.pieces,
                "megabytes": round(cost.weight_bytes / 1e6, 2),
                "millions": round(cost.multiply_adds / 1e6, 1),
            }
            rows.append({"file": model.path.name, "characters": len(text), **counted, **timed})
            shown = [rows[-1][key] for key in ("file", *counted, "repeated", "ratio", "changed")]
            print(f"| {' | '.join(map(str, shown))} |")
        for model, cost, row in zip(models, costs, rows[-len(models) :], strict=True):
            _print_parts(model.path.name, cost)
            if arguments.instructions:
                row["instructions"] = _print_instructions(model)
    print(json.dumps({"processor": _features(), "rows": rows}))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--text", action="append", help="a text; can be given several times")
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--instructions", action="store_true", help="count instructions too; needs valgrind")
    arguments = parser.parse_args()
    if arguments.instructions and not shutil.which("valgrind"):
        parser.error("--instructions needs valgrind")
    return arguments


class _Model:
    """A file in an interpreter, and one text for it; without a tokenizer, as many ids as the text has words and two."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        interpreter = Interpreter(model_path=str(path), num_threads=1)
        self.signature = CLASSIFY_TEXT if CLASSIFY_TEXT in interpreter.get_signature_list() else CLASSIFY_TOKENS
        self.run = interpreter.get_signature_runner(self.signature)
        self.inputs, self.longer = self._inputs(text), self._inputs(f"{text} please")

    def _inputs(self, text: str) -> Inputs:
        if self.signature == CLASSIFY_TEXT:
            return {TEXT: encode_text(text)}
        return {TOKEN_IDS: np.ones((1, len(text.split()) + 2), np.int32)}

    def seconds(self, *, is_changed: bool) -> float:
        """The processor time of a run."""
        self.run(**self.inputs)
        found = []
        for _ in range(_TIMED):
            if is_changed:
                self.run(**self.longer)
            started = time.thread_time()
            self.run(**self.inputs)
            found.append(time.thread_time() - started)
        return float(np.median(found))


def _times(models: list[_Model], runs: int) -> list[dict[str, float]]:
    """Medians in ms, and their ratios to the first file."""
    order = np.random.default_rng(0)
    seconds = np.zeros((runs, 2, len(models)))
    for run in range(runs):
        for is_changed in (False, True):
            for k in order.permutation(len(models)):
                seconds[run, int(is_changed), k] = models[k].seconds(is_changed=is_changed)
    medians = np.median(seconds, axis=0) * 1e3
    ratios = np.median(seconds / seconds[:, :, :1], axis=0)
    return [
        {
            "repeated": round(float(medians[0, k]), 3),
            "ratio": round(float(ratios[0, k]), 3),
            "changed": round(float(medians[1, k]), 3),
            "changed_ratio": round(float(ratios[1, k]), 3),
        }
        for k in range(len(models))
    ]


def _print_parts(name: str, cost: RunCost) -> None:
    print(f"\n| {name} | ops | delegated | MB read | million multiply-adds | most frequent ops |")
    print("|---|---|---|---|---|---|")
    for part in PARTS:
        ops = [op for op in cost.ops if op.part == part]
        names = [op.op for op in ops]
        frequent = sorted(set(names), key=lambda op: (-names.count(op), op))[:6]
        cells = [
            part,
            len(ops),
            sum(op.is_delegated for op in ops),
            round(sum(op.weight_bytes for op in ops) / 1e6, 2),
            round(sum(op.multiply_adds for op in ops) / 1e6, 1),
            ", ".join(f"{names.count(op)} {op}" for op in frequent),
        ]
        print(f"| {' | '.join(map(str, cells))} |")


def _print_instructions(model: _Model) -> dict[str, int]:
    """Instructions of one run of a text after itself, by kernel; two runs less one, so that loading does not count."""
    once, twice = (_instructions(model, runs) for runs in (2, 3))
    found = {name: count - once.get(name, 0) for name, count in twice.items()}
    total = sum(found.values())
    print(f"\n| instructions of {model.path.name} | millions | share |\n|---|---|---|")
    print(f"| all | {total / 1e6:.2f} | 100 % |")
    for name, count in sorted(found.items(), key=lambda pair: -pair[1])[:_MOST_KERNELS]:
        print(f"| {name} | {count / 1e6:.2f} | {100 * count / total:.1f} % |")
    return {"all": total, "matmuls": sum(count for name, count in found.items() if "gemm_minmax" in name)}


def _instructions(model: _Model, runs: int) -> dict[str, int]:
    """Function -> instructions in `Invoke`, over some runs."""
    with TemporaryDirectory() as folder:
        inputs, counts = Path(folder, "inputs.npz"), Path(folder, "callgrind.out")
        np.savez(inputs, **model.inputs)
        command = ["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--callgrind-out-file={counts}"]
        command += ["--toggle-collect=*InterpreterWrapper::Invoke*", sys.executable, "-c", _UNDER_CALLGRIND]
        subprocess.run([*command, model.path, model.signature, *[inputs] * runs], check=True, capture_output=True)
        table = subprocess.run(
            ["callgrind_annotate", "--threshold=100", counts], check=True, capture_output=True, text=True
        )
    found: dict[str, int] = {}
    for line in table.stdout.splitlines():
        match = re.match(r"\s*([\d,]+) \([^)]*\)\s+[^:]*:(.+?)(?: \[[^]]*\])?$", line)
        if match:
            found[match[2]] = found.get(match[2], 0) + int(match[1].replace(",", ""))
    return found


def _features() -> list[str]:
    """The features of the processor that choose matmul kernels, as Linux names them."""
    known = {"avx2", "avx_vnni", "avx512f", "avx512_vnni", "amx_int8", "asimddp", "i8mm", "sve"}
    path = Path("/proc/cpuinfo")
    return sorted(known.intersection(path.read_text().split())) if path.exists() else []


if __name__ == "__main__":
    main()

"""`edgedistil-runtime benchmark MODEL…`: speed of files on this device, side by side."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistil_runtime.cli.options import positive_integer
from edgedistil_runtime.contract import CPU
from edgedistil_runtime.errors import DataError

if TYPE_CHECKING:
    from edgedistil_runtime.benchmarking.speed import Benchmark, ModelSpeed

__all__: list[str] = []  # `cli.main` calls `add_parser` and `run`

_HEAD = ("model", "MB", "p50 ms", "p90 ms", "p99 ms", "texts/s", "batch texts/s", "load ms", "peak MB")
_NEXT = "Give another file with --texts, or leave --texts out to time built-in texts."


def add_parser(commands: Any) -> None:
    """Declare the command."""
    summary = (
        "Measure latency, throughput, start-up and memory of files on this device. A run classifies every text once; "
        "the files take turns, and a text's time is its median over a file's runs."
    )
    parser = commands.add_parser("benchmark", help=summary, description=summary)
    parser.add_argument("models", metavar="MODEL", nargs="+", type=Path, help="a .tflite file")
    parser.add_argument(
        "--texts", metavar="FILE", type=Path, help="texts to time, UTF-8, one per line (default: built-in)"
    )
    parser.add_argument("--runs", type=positive_integer, default=5, metavar="N", help="runs of each file (default: 5)")
    parser.add_argument(
        "--sample",
        type=positive_integer,
        default=200,
        metavar="N",
        help="texts of --texts to time, at most (default: 200)",
    )
    parser.add_argument("--accelerator", default=CPU, help="cpu (default), or the target of the files")
    parser.add_argument("--num-threads", type=positive_integer, metavar="N", help="threads for one text")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the table.

    Raises:
        EdgeDistilError: A file cannot be run, or the file of texts has none.
    """
    from edgedistil_runtime.benchmarking.speed import BenchmarkSettings, benchmark
    from edgedistil_runtime.benchmarking.texts import BENCHMARK_TEXTS

    texts = _read(options.texts) if options.texts else BENCHMARK_TEXTS
    settings = BenchmarkSettings(
        runs=options.runs,
        largest_sample=options.sample,
        accelerator=options.accelerator,
        num_threads=options.num_threads,
    )
    source = options.texts.name if options.texts else None
    measured = benchmark(options.models, texts, source=source, settings=settings, on_progress=_show)
    print(json.dumps(measured.to_dict()) if options.json else "\n".join(_table(measured)))


def _read(path: Path) -> list[str]:
    try:
        lines = path.read_bytes().decode("utf-8-sig", "replace").splitlines()
    except OSError as error:
        raise DataError(
            f"The texts must be in a file that can be read. Received: {path}: {error.strerror}. {_NEXT}"
        ) from error
    texts = [line for line in lines if line.strip()]
    if not texts:
        raise DataError(f"The file must have a text on each line. Received: {path}, which has none. {_NEXT}")
    return texts


def _show(stage: str) -> None:
    if sys.stderr.isatty():
        print(stage, file=sys.stderr, flush=True)


def _table(measured: Benchmark) -> list[str]:
    rows = [_HEAD, *map(_cells, measured.models)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))])
        for row in rows
    ]
    return [*lines, *measured.circumstances]


def _cells(speed: ModelSpeed) -> tuple[str, ...]:
    peak = speed.load.peak_bytes
    return (
        speed.model,
        f"{speed.size / 1e6:.2f}",
        *(f"{value:.3g}" for value in (speed.p50_ms, speed.p90_ms, speed.p99_ms)),
        *(f"{value:,.0f}" for value in (speed.texts_per_second, speed.batch_texts_per_second)),
        f"{speed.load.load_ms:.0f}",
        f"{peak / 1e6:.0f}" if peak else "-",
    )

"""`edgedistil benchmark`: speed of .tflite files, side by side."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgedistil.cli.data_options import data_options
from edgedistil.cli.output import print_json, stdout_console
from edgedistil.cli.progress import stage_line

if TYPE_CHECKING:
    from edgedistil_runtime.benchmarking.speed import Benchmark

__all__ = ["benchmark"]


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), help="Texts to time. [built-in ones of many lengths]")
@data_options(has_labels=False)
@click.option(
    "--runs", type=click.IntRange(min=1), default=5, show_default=True, help="Runs of each model, which take turns."
)
@click.option(
    "--sample", type=click.IntRange(min=1), default=200, show_default=True, help="Texts of --data to time, at most."
)
@click.option("--accelerator", default="cpu", show_default=True, help="Device that runs the models.")
@click.option("--num-threads", type=click.IntRange(min=1), help="Threads for one text. [chosen by the interpreter]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on the last line.")
def benchmark(
    models: tuple[Path, ...],
    data: Path | None,
    text_column: str,
    delimiter: str | None,
    runs: int,
    sample: int,
    accelerator: str,
    num_threads: int | None,
    as_json: bool,
) -> None:
    """Measure latency, throughput, start-up and memory of .tflite files.

    A run classifies every text once; the models take turns, and a text's time is its median over a model's runs.
    Start-up and memory are measured in a process that imports only the runtime, opens the file and labels one text.

    \b
    edgedistil benchmark fp32.tflite int8.tflite
    edgedistil benchmark int8.tflite --data test.csv --num-threads 2 --json
    """  # noqa: D301  # \b is for click
    from edgedistil.data import read_texts
    from edgedistil_runtime.benchmarking.speed import BenchmarkSettings
    from edgedistil_runtime.benchmarking.speed import benchmark as measure
    from edgedistil_runtime.benchmarking.texts import BENCHMARK_TEXTS

    texts = read_texts(data, text_column, delimiter=delimiter) if data else BENCHMARK_TEXTS
    settings = BenchmarkSettings(runs=runs, largest_sample=sample, accelerator=accelerator, num_threads=num_threads)
    with stage_line() as show:
        measured = measure(models, texts, source=data.name if data else None, settings=settings, on_progress=show)
    if as_json:
        print_json(measured.to_dict())
    else:
        _print(measured)


def _print(measured: "Benchmark") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("model", box=None, header_style="bold")
    for column in ("MB", "p50 ms", "p90 ms", "p99 ms", "texts/s", "batch texts/s", "load ms", "peak MB"):
        table.add_column(column, justify="right")
    for speed in measured.models:
        peak = speed.load.peak_bytes
        table.add_row(
            Text(speed.model),
            f"{speed.size / 1e6:.2f}",
            *(f"{value:.3g}" for value in (speed.p50_ms, speed.p90_ms, speed.p99_ms)),
            *(f"{value:,.0f}" for value in (speed.texts_per_second, speed.batch_texts_per_second)),
            f"{speed.load.load_ms:.0f}",
            f"{peak / 1e6:.0f}" if peak else "-",
        )
    screen = stdout_console()
    screen.print(table)
    for line in measured.circumstances:
        screen.print(Text(line, style="dim"))

r"""Labels many rows with the local engine and with Ray, and compares outputs, speed and memory.

    .venv-ray/bin/python benchmarks/bulk_ray.py ../shared/data --model small.tflite --rows 200000

The rows are the texts of the data sets' `train.csv`, over and over, with a number each. The outputs must be equal byte
for byte. With --kill, one worker of each run is killed after the first third. Speed is measured between the first and
the last tenth of the rows, because the workers are ahead of the rows that have come back, and some are idle at the end.
The seconds until the first rows are those of starting Ray and the workers. Rows per second of processor time are those
of the labelling processes only, and depend little on what else the machine does; those of this process, which appends
what they give, are `rows_per_own_cpu_second`. It needs Ray: `make setup-ray`.
"""

import argparse
import contextlib
import csv
import filecmp
import itertools
import json
import signal
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from edgedistil.labelling import LabellingRequest, Progress, label_file, label_files
from edgedistil.labelling.blocks import Reading, read_blocks
from edgedistil.labelling.input_files import find_input_files
from edgedistil.labelling.sources import TextColumns
from edgedistil_runtime import TextClassifier

SETS = ("snips", "clinc150", "banking77", "sms_spam")


@dataclass
class Watch:
    """Times, processor seconds and memory of the processes that label, at each report of progress.

    Attributes:
        is_killing: Kill one of them after the first third.
    """

    is_killing: bool = False
    rows: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    own_cpu: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    spilled: float = 0.0
    killed: int | None = None

    def __call__(self, progress: Progress) -> None:
        """Takes one measurement."""
        processes = workers() or [psutil.Process()]
        self.rows.append(progress.rows)
        self.times.append(time.monotonic())
        self.cpu.append(sum(sum(one.cpu_times()[:2]) for one in processes))
        self.own_cpu.append(sum(psutil.Process().cpu_times()[:2]))
        self.memory.append(max(one.memory_info().rss for one in processes) / 1e6)
        self.spilled = max(self.spilled, spilled_bytes() / 1e6)
        if self.is_killing and self.killed is None and (progress.fraction or 0) > 1 / 3:
            self.killed = processes[0].pid
            processes[0].send_signal(signal.SIGKILL)

    def summary(self, started: float) -> dict[str, float | None]:
        """Speed and memory between the first and the last tenth of the rows."""
        total = self.rows[-1]
        first = next(at for at, rows in enumerate(self.rows) if rows >= total / 10)
        last = max(at for at, rows in enumerate(self.rows) if rows <= 9 * total / 10)
        rows = self.rows[last] - self.rows[first]
        return {
            "seconds": round(time.monotonic() - started, 1),
            "first_rows_after": round(next(at for at, n in zip(self.times, self.rows, strict=True) if n) - started, 1),
            "rows_per_second": round(rows / (self.times[last] - self.times[first])),
            "rows_per_cpu_second": None if self.killed else round(rows / (self.cpu[last] - self.cpu[first])),
            "rows_per_own_cpu_second": round(rows / (self.own_cpu[last] - self.own_cpu[first])),
            "mb_after_a_tenth": round(self.memory[first]),
            "mb_after_nine_tenths": round(self.memory[last]),
            "mb_on_disk": round(self.spilled),
        }


def spilled_bytes() -> int:
    """Bytes that Ray has on the disk because they do not fit into its memory."""
    sizes = []
    for path in Path(tempfile.gettempdir(), "ray").glob("session_*/ray_spilled_objects*/*"):
        with contextlib.suppress(OSError):  # it is gone again
            sizes.append(path.stat().st_size)
    return sum(sizes)


def workers() -> list[psutil.Process]:
    """The processes in which Ray labels."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if line.startswith("ray::") and "_Actor" in line:
            found.append(process)
    return found


def write_rows(data: Path, rows: int, path: Path, *, characters: int) -> None:
    """Writes the input, of texts with at least a number of characters."""
    texts = []
    for name in SETS:
        with (data / name / "train.csv").open(encoding="utf-8", newline="") as file:
            texts += [row["text"] for row in csv.DictReader(file)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text"])
        following = itertools.cycle(texts)
        for number in range(rows):
            text = next(following)
            while len(text) < characters:
                text += " " + next(following)
            writer.writerow([number, text])


def rows_read_per_cpu_second(source: Path) -> float:
    """Rows that a reader makes blocks of in a second of processor time: the most that the workers behind it can get."""
    [file] = find_input_files(str(source))
    reading = Reading(TextColumns(), ("label", "score", "is_truncated"))
    started = time.process_time()
    rows = sum(block.rows for block in read_blocks(file, reading))
    return rows / (time.process_time() - started)


def main() -> None:
    """Runs the engines one after another and prints a table, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of the data sets")
    parser.add_argument("--model", type=Path, required=True, help=".tflite file")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--characters", type=int, default=0, help="join texts until they have as many")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--kill", action="store_true", help="kill a worker in the middle of each run")
    arguments = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, local = folder / "in.csv", folder / "local.csv"
        write_rows(arguments.data, arguments.rows, source, characters=arguments.characters)
        watch, started = Watch(), time.monotonic()
        label_file(LabellingRequest(arguments.model, source, local), TextClassifier, on_progress=watch)
        results["local"] = watch.summary(started) | {"is_equal": True}
        print(f"a reader: {rows_read_per_cpu_second(source):,.0f} rows a processor second")
        for count in arguments.workers:
            output = folder / f"{count}.csv"
            watch, started = Watch(arguments.kill), time.monotonic()
            request = LabellingRequest(arguments.model, str(source), output)
            label_files(request, {}, workers=count, on_progress=watch)
            is_equal = filecmp.cmp(local, output, shallow=False)
            results[f"ray, {count}"] = watch.summary(started) | {"is_equal": is_equal, "was_killed": bool(watch.killed)}
    names = list(next(iter(results.values())))
    print(f"{arguments.rows:,} rows, {arguments.model.name}", *names, sep=" | ")
    for engine, values in results.items():
        print(engine, *(values[name] for name in names), sep=" | ")
    print(json.dumps(results))
    if not all(values["is_equal"] for values in results.values()):
        raise SystemExit("an output differs from the local engine's")


if __name__ == "__main__":
    main()

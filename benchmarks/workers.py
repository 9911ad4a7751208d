r"""Trains with one process and with several workers, and counts steps, seconds and bytes.

    .venv/bin/python benchmarks/workers.py ../shared/data/banking77 --workers 1 2 4
    sh tools/loopback_only.sh .venv/bin/python benchmarks/workers.py ../shared/data/banking77 --workers 1 2 4

Every training is `edgedistil train` with the same options and the same batches, and each worker has one thread, so
that the cores that are used are as many as the workers. The bytes are those that the loopback interface has sent, which
no other program uses in a separate namespace (the second command). What a step takes is the difference between a
training with more epochs and one with fewer, over the steps between: the start, and the weights that worker 0 sends
before the first step, are in neither. Seconds need a machine that does nothing else.

Dropout is off: the losses differ by rounding only, because workers add up in another order. Two controls show how much
that is. `--parts` trains in one process that adds up the gradients of a batch in parts of other sizes. With
`--float64`, all trainings compute in float64, and the losses of all epochs must be equal.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from edgedistil_runtime.child_process import python_environment

# A batch is computed in parts of at most so many tokens; 1,024 are the default.
_WITH_PARTS = """
from edgedistil.training import network
network._TOKENS_PER_PART = {tokens}
from edgedistil.cli import main
main(prog_name="edgedistil")
"""


@dataclass(frozen=True)
class Result:
    """What one training took.

    Attributes:
        seconds: From the start of the command to its end.
        cpu_seconds: Of all processes.
        sent_bytes: Bytes that loopback has sent.
        steps: Steps of the training.
        losses: Loss of each epoch.
    """

    seconds: float
    cpu_seconds: float
    sent_bytes: int
    steps: int
    losses: tuple[float, ...]


def sent_bytes(interface: str = "lo") -> int:
    """Bytes that an interface has sent, from /proc/net/dev."""
    for line in Path("/proc/net/dev").read_text(encoding="utf-8").splitlines():
        name, _, counts = line.partition(":")
        if name.strip() == interface:
            return int(counts.split()[8])
    raise SystemExit(f"there is no interface {interface}")


def train(arguments: argparse.Namespace, workers: int, epochs: int, folder: Path, parts: int = 0) -> Result:
    """Trains once."""
    output = folder / f"{workers}-{epochs}-{parts}"
    program = ["-c", _WITH_PARTS.format(tokens=parts)] if parts else ["-m", "edgedistil"]
    command = [
        *(sys.executable, *program, "train", "--workers", workers, "-o", output),
        *("--from-scratch", arguments.size, "--train-data", folder / "train.csv"),
        *("--validation-fraction", 0.1, "--epochs", epochs, "--patience", epochs),
        *("--batch-size", arguments.batch_size, "--dropout", 0, "--no-samples"),
    ]
    before, started, cpu = sent_bytes(), time.monotonic(), sum(os.times()[2:4])
    # One thread for each worker; Eigen's and oneDNN's threads are TensorFlow's.
    environment = {**python_environment(), "TF_NUM_INTRAOP_THREADS": "1"}
    if arguments.float64:
        (folder / "keras.json").write_text('{"floatx": "float64"}', encoding="utf-8")
        environment["KERAS_HOME"] = str(folder)
    done = subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{workers} workers ended with the exit code {done.returncode}: {done.stderr}")
    seconds, used = time.monotonic() - started, sum(os.times()[2:4]) - cpu
    record = json.loads((output / "training.json").read_text(encoding="utf-8"))
    steps = len(record["history"]) * -(-record["data"]["training"]["rows"] // arguments.batch_size)
    losses = tuple(epoch["loss"] for epoch in record["history"])
    return Result(seconds, used, sent_bytes() - before, steps, losses)


def cut(source: Path, target: Path, rows: int) -> None:
    """Copies the first rows of texts that are spread over a file."""
    with source.open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    chosen = found[:: max(1, len(found) // rows)][:rows]
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["text", "label"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(chosen)


def main() -> None:
    """Trains with each number of workers, and prints a table and then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with train.csv")
    parser.add_argument("--size", default="tiny", help="of --from-scratch: a preset's own dropout would stay on")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, nargs=2, default=[1, 3], help="of the short and of the long training")
    parser.add_argument("--parts", type=int, nargs="*", default=[128, 256, 512], help="controls: tokens of a part")
    parser.add_argument("--float64", action="store_true", help="compute in float64")
    arguments = parser.parse_args()
    results: dict[int, tuple[Result, Result]] = {}
    controls: dict[int, Result] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cut(arguments.data / "train.csv", folder / "train.csv", arguments.rows)
        for workers in arguments.workers:
            short, long = (train(arguments, workers, epochs, folder) for epochs in arguments.epochs)
            results[workers] = short, long
            print(f"{workers} workers: {short}, {long}", file=sys.stderr)
        for parts in arguments.parts:
            controls[parts] = train(arguments, 1, arguments.epochs[1], folder, parts)
            print(f"parts of {parts} tokens: {controls[parts]}", file=sys.stderr)
    report(results, controls, arguments)


def report(
    results: Mapping[int, tuple[Result, Result]], controls: Mapping[int, Result], arguments: argparse.Namespace
) -> None:
    """Prints what the steps took that the long training has more than the short one, and the losses."""
    first = next(iter(results.values()))
    steps = first[1].steps - first[0].steps
    rows = []
    for workers, (short, long) in results.items():
        per_step = {name: (getattr(long, name) - getattr(short, name)) / steps for name in ("seconds", "sent_bytes")}
        cpu = (long.cpu_seconds - short.cpu_seconds) / steps
        rows.append((workers, per_step["seconds"], cpu, per_step["sent_bytes"] / workers))
    one = rows[0]
    print(f"{arguments.size}, batch of {arguments.batch_size}, {steps} steps")
    print("| workers | time of a step, of one's | processor time of a step, of one's | MB sent a step and worker |")
    print("|---|---|---|---|")
    for workers, seconds, cpu, sent in rows:
        print(f"| {workers} | {seconds / one[1]:.2f} | {cpu / one[2]:.2f} | {sent / 1e6:.2f} |")
    print()
    # The optimizer's schedule depends on the number of epochs, so only the same lengths are compared.
    losses = {f"{count} workers": long.losses for count, (_, long) in results.items()}
    losses |= {f"1, parts of {parts} tokens": found.losses for parts, found in controls.items()}
    print("| " + " | ".join(["loss of", *(f"epoch {number + 1}" for number in range(len(first[1].losses)))]) + " |")
    print("|---" * (len(first[1].losses) + 1) + "|")
    for name, of_epochs in losses.items():
        print("| " + " | ".join([name, *(f"{loss:.6f}" for loss in of_epochs)]) + " |")
    found = {str(count): [asdict(one) for one in pair] for count, pair in results.items()}
    print(json.dumps(found | {f"parts {parts}": asdict(one) for parts, one in controls.items()}))


if __name__ == "__main__":
    main()

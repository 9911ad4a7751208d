"""Raw text to label: this project's files beside other runtimes, with the same weights, in one run.

    make setup-race race
    .venv/bin/python benchmarks/race.py minilm --data ../shared/data/banking77 --threads 1 2
    .venv/bin/python benchmarks/race.py minilm --data ../shared/data/banking77 --without-avx512

Each contestant (`race_contestant.py`) is a child process that is idle while another one runs. They take turns in
blocks of texts, in another order each round; a ratio is the median, over the rounds, of a contestant's median seconds
in a block and those of the int8 file in the same round, so that a machine that is slower at some times disturbs all
alike. Below 1 is faster than the int8 file. Texts have 8 to 16 tokens, or are joined to about 32 and 128.

First, probabilities show that the contestants have the same weights: those in float32 must be within 1e-3 of
PyTorch's. *as PyTorch* is the share of test texts with PyTorch's label, beside the accuracy on them. The head is a
logistic regression on 3,000 texts (`race_checkpoint.py`) and the encoder is not fine-tuned, so accuracies are to be
compared with each other only.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fine_tuning import replace_part
from race_contestant import CONTESTANTS, IN_PROJECT
from without_avx512 import environment_without_avx512

from edgedistil.data import read_labelled_texts
from edgedistil_runtime.benchmarking.machine import read_machine

HERE = Path(__file__).parent
OWN, REFERENCE = "EdgeDistil int8", "PyTorch, fp32"
PLANS = {  # name of a file -> scheme, and which int4 weights share a scale
    "int8": ("int8", "block"),
    "int4": ("int4", "block"),
    "int4_channel": ("int4", "channel"),
    "fp32": ("fp32", "block"),
}
FILES = {  # name of a file -> its contestant
    "int8": OWN,
    "int4": "EdgeDistil int4",
    "int4_channel": "EdgeDistil int4, a scale per channel",
    "fp32": "EdgeDistil fp32",
}
EXPORT = "KerasHub export, 128 tokens"
LENGTHS = {"8 to 16 tokens": (8, 16), "32 tokens": (28, 34), "128 tokens": (118, 128)}
FLOAT32, SAME = "fp32", 1e-3
TOKENS = 128  # of every text in KerasHub's export
SEES_AVX512 = "PyTorch, int8"  # its int8 kernels choose by themselves, and have no switch
WITH_AVX512 = ("avx512", "avx_vnni", "amx")  # beginnings of the features that --without-avx512 hides
FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm", "sve")


class Contestant:
    """A child process that classifies texts."""

    def __init__(self, name: str, folder: Path, threads: int, python: Path, variables: Mapping[str, str]) -> None:
        self.name = name
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false", **variables}
        command = [str(python), str(HERE / "race_contestant.py"), name, str(folder), str(threads)]
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / "stderr.txt").open("a", encoding="utf-8"),
            text=True,
            env=environment,
        )
        self.start = self._read()

    def ask(self, **request: Any) -> dict[str, Any]:
        """Returns the answer to a request."""
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(request) + "\n")
        self._child.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise ChildProcessError(f"{self.name} ended with {self._child.wait()}")
        return dict(json.loads(line))

    def close(self) -> None:
        """Ends the process."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.wait()


def prepare(shape: str, options: argparse.Namespace) -> Path:
    """Writes the checkpoint and all files of a shape, unless they are there."""
    folder = Path(options.work / shape)
    if not (folder / "train.csv").is_file():
        from edgedistil.presets.packaged import packaged_files

        encoder = options.encoder or packaged_files()
        if encoder is None:
            raise SystemExit("Run `make setup-minilm` first, or give --encoder: a BERT's directory.")
        command = [
            options.race_python,
            HERE / "race_checkpoint.py",
            shape,
            "--data",
            options.data,
            "--encoder",
            encoder,
        ]
        subprocess.run([*map(str, command), "--out", str(folder)], check=True)
        shutil.copy(options.data / "train.csv", folder / "train.csv")
    for name, contestant in FILES.items():
        if contestant in options.contestants and not (folder / f"edgedistil_{name}.tflite").is_file():
            convert(folder, name)
    if EXPORT in options.contestants and not (folder / "keras_hub.tflite").is_file():
        export(folder)
    return folder


def convert(folder: Path, name: str) -> None:
    """Writes a file of this project, also one that verification refuses: the table shows its agreement."""
    from edgedistil.conversion import ConversionRequest, convert_preset
    from edgedistil_converters import QuantizationPlan
    from edgedistil_runtime.errors import ParityError

    scheme, scales = PLANS[name]
    path, plan = folder / f"edgedistil_{name}.tflite", QuantizationPlan(scheme, int4_scales=scales)
    training = read_labelled_texts(folder / "train.csv") if scheme == "int4" else None  # rounded by GPTQ
    request = ConversionRequest(str(folder / "checkpoint"), path, plan, training=training)
    try:
        convert_preset(replace(request, keep_failed=True))
    except ParityError as error:
        print(f"{name}: {error}", file=sys.stderr)
        if not path.with_name(f"{path.stem}.failed.tflite").is_file():
            raise  # refused before there was a file
        path.with_name(f"{path.stem}.failed.tflite").rename(path)


def export(folder: Path) -> None:
    """Writes KerasHub's own file, in the way that its documentation shows."""
    import tensorflow as tf

    from edgedistil.presets.loading import load_labelled_classifier

    classifier = load_labelled_classifier(str(folder / "checkpoint")).classifier
    classifier.preprocessor.sequence_length = TOKENS
    optimizations = [tf.lite.Optimize.DEFAULT]
    classifier.export(str(folder / "keras_hub.tflite"), format="litert", verbose=False, optimizations=optimizations)


def make_texts(vocabulary: Path, texts: Sequence[str], lengths: tuple[int, int], count: int) -> list[str]:
    """Texts with a number of tokens within bounds: as they are, or joined."""
    from tokenizers import BertWordPieceTokenizer

    tokenizer = BertWordPieceTokenizer(str(vocabulary))
    least, most = lengths
    draw, found = random.Random(0), []
    while len(found) < count:
        joined = ""
        while len(tokenizer.encode(joined).ids) < least:
            joined = f"{joined} {draw.choice(texts)}".strip()
        if len(tokenizer.encode(joined).ids) <= most:
            found.append(joined)
    return found


def race(shape: str, threads: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each contestant."""
    folder = prepare(shape, options)
    test = read_labelled_texts(options.data / "test.csv")
    order = random.Random(1).sample(range(len(test)), min(options.texts, len(test)))
    asked, labels = [test.texts[i] for i in order], [test.labels[i] for i in order]
    names = sorted(set(test.labels))
    entered = enter(folder, threads, options)
    rows = {one.name: {"shape": shape, "threads": threads, "name": one.name, **facts(one)} for one in entered}
    check_weights(entered, asked[:20])
    given = {one.name: one.ask(texts=asked, together=False)["labels"] for one in entered}
    for one in entered:
        answers = given[one.name]
        rows[one.name]["accuracy"] = share(names[i] == label for i, label in zip(answers, labels, strict=True))
        rows[one.name]["same"] = share(i == k for i, k in zip(answers, given.get(REFERENCE, answers), strict=True))
    vocabulary = folder / "checkpoint" / "vocab.txt"
    for length, bounds in LENGTHS.items():
        texts = make_texts(vocabulary, test.texts, bounds, options.block * options.rounds)
        blocks = [texts[start : start + options.block] for start in range(0, len(texts), options.block)]
        take_turns(entered, blocks, rows, length, is_together=False)
    together = make_texts(vocabulary, test.texts, (8, 40), options.bulk)
    take_turns(entered, [together] * max(3, options.rounds // 3), rows, "bulk", is_together=True)
    for one in entered:
        rows[one.name]["megabytes"] = one.ask(texts=asked[:1], together=False)["megabytes"]
        one.close()
    return list(rows.values())


def enter(folder: Path, threads: int, options: argparse.Namespace) -> list[Contestant]:
    """Starts the contestants; one that does not start is named and left out."""
    found = []
    variables = kernels(options)
    for name in options.contestants:
        if options.without_avx512 and name == SEES_AVX512:
            continue
        python = Path(sys.executable) if name.startswith(IN_PROJECT) else options.race_python
        try:
            found.append(Contestant(name, folder, threads, python, variables.get(python, {})))
        except ChildProcessError as error:
            print(f"left out: {error}; see {folder / 'stderr.txt'}", file=sys.stderr)
    return found


def kernels(options: argparse.Namespace) -> dict[Path, dict[str, str]]:
    """Variables for the processes of each interpreter: none, or those that hide AVX-512 from the runtimes."""
    if not options.without_avx512:
        return {}
    found = {}
    for number, python in enumerate((Path(sys.executable), options.race_python)):
        [site_packages] = python.parent.parent.glob("lib/python*/site-packages")
        found[python] = environment_without_avx512(site_packages, options.work / f"without_avx512_{number}")
    return found


def facts(one: Contestant) -> dict[str, Any]:
    """What a contestant reports about its start."""
    return {"start_seconds": one.start["seconds"], "start_megabytes": one.start["megabytes"]}


def check_weights(entered: Sequence[Contestant], texts: Sequence[str]) -> None:
    """Stops if a contestant in float32 has other probabilities than PyTorch."""
    scores = {one.name: one.ask(scores=list(texts))["scores"] for one in entered if one.name.endswith(FLOAT32)}
    for name, rows in scores.items():
        expected = scores.get(REFERENCE, rows)
        difference = max(
            abs(p - q) for row, other in zip(rows, expected, strict=True) for p, q in zip(row, other, strict=True)
        )
        if difference > SAME:
            raise SystemExit(f"{name} has other weights: a probability differs from PyTorch's by {difference:.4f}.")


def take_turns(
    entered: Sequence[Contestant],
    blocks: Sequence[Sequence[str]],
    rows: dict[str, dict[str, Any]],
    key: str,
    *,
    is_together: bool,
) -> None:
    """Measures a block for each contestant in each round, in another order each time."""
    seconds: dict[str, list[float]] = {one.name: [] for one in entered}
    draw = random.Random(2)
    for block in blocks:
        for one in draw.sample(list(entered), len(entered)):
            measured = one.ask(texts=list(block), together=is_together)["seconds"]
            seconds[one.name].append(measured[0] / len(block) if is_together else statistics.median(measured))
    for name, found in seconds.items():
        own = seconds[OWN]
        rows[name][key] = {
            "milliseconds": 1000 * statistics.median(found),
            "ratio": statistics.median(mine / other for mine, other in zip(found, own, strict=True)),
        }


def share(values: Any) -> float:
    """Share of True."""
    found = list(values)
    return sum(found) / len(found)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown: a row for each contestant; ratios to the int8 file, and milliseconds."""
    lengths = [*LENGTHS, "bulk"]
    head = ["threads", "contestant", *lengths, "accuracy, %", "as PyTorch, %", "start, s", "peak, MB"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in sorted(rows, key=lambda row: (row["threads"], row[lengths[0]]["ratio"])):
        times = [f"{row[key]['ratio']:.2f} ({row[key]['milliseconds']:.2f} ms)" for key in lengths]
        shares = [f"{100 * row['accuracy']:.1f}", f"{100 * row['same']:.1f}"]
        ends = [f"{row['start_seconds']:.2f}", f"{row['megabytes']:.0f}"]
        lines.append(f"| {' | '.join([str(row['threads']), row['name'], *times, *shares, *ends])} |")
    return "\n".join(lines)


def processor_features(options: argparse.Namespace) -> list[str]:
    """The processor's features that matrix multiplications use."""
    path = Path("/proc/cpuinfo")
    words = set(path.read_text(encoding="utf-8").split()) if path.is_file() else set()
    hidden = WITH_AVX512 if options.without_avx512 else ()
    return [name for name in FEATURES if name in words and not name.startswith(hidden)]


def main() -> None:
    """Runs the race and prints a table, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="+", choices=["base", "minilm", "small", "tiny"])
    parser.add_argument("--data", type=Path, required=True, help="folder with train.csv and test.csv")
    parser.add_argument("--threads", nargs="+", type=int, default=[1])
    parser.add_argument(
        "--contestants", nargs="+", default=list(CONTESTANTS), choices=list(CONTESTANTS), metavar="NAME"
    )
    parser.add_argument("--texts", type=int, default=300, help="test texts for accuracy and agreement")
    parser.add_argument("--block", type=int, default=20, help="texts in a block")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--bulk", type=int, default=256, help="texts that are classified together")
    parser.add_argument("--encoder", type=Path, help="a BERT's directory (default: that of make setup-minilm)")
    parser.add_argument("--race-python", type=Path, default=Path(".venv-race/bin/python"))
    parser.add_argument("--without-avx512", action="store_true", help="hide it from all runtimes (without_avx512.py)")
    parser.add_argument("--work", type=Path, default=Path("build/race"), help="folder for checkpoints and files")
    parser.add_argument("--table", type=Path, help="a Markdown file whose parts between marks are replaced")
    options = parser.parse_args()
    if OWN not in options.contestants:
        parser.error(f"--contestants must have {OWN!r}, the base of all ratios. Received: {options.contestants}")
    rows = []
    for shape in options.shapes:
        found = [row for threads in options.threads for row in race(shape, threads, options)]
        rows += found
        features = processor_features(options)
        hidden = "; AVX-512 hidden from the runtimes" if options.without_avx512 else ""
        shown = f"{table(found)}\n\n{read_machine()}; {', '.join(features)}{hidden}."
        print(f"\n{shape}\n\n{shown}\n", flush=True)
        if options.table:
            replace_part(options.table, f"race {shape}{' without AVX-512' if options.without_avx512 else ''}", shown)
    print(json.dumps({"machine": str(read_machine()), "features": features, "rows": rows}))


if __name__ == "__main__":
    main()

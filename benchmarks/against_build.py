"""This build beside an earlier one: the same weights, converted and classified by each, in one run.

    git worktree add --detach ../before 384cdd0 && make -C ../before setup setup-minilm
    .venv/bin/python benchmarks/against_build.py ../before --data ../shared/data/banking77
    .venv/bin/python benchmarks/against_build.py ../before --data ../shared/data/banking77 --without-avx512

A classifier is trained by the earlier build, as a new last layer on a preset that both have, and converted by both to
`int8`; or it is the bundled one. Each build then runs its own file by its own runtime in a child process, and the two
take turns in blocks of texts. A ratio is the median, over the blocks, of the seconds of this build and those of the
earlier one. *bulk* is `classify_batch` of many texts with one thread; *predict -o* labels a file of texts: by the
earlier build as it is, by this one also with `--workers 2`.

--instructions also counts the instructions of a whole process by callgrind, which shows a processor with AVX2 only: a
count is that of five more texts, less what the process takes without them. Prints a table, then one line of JSON.
"""

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bulk import write_rows
from race import LENGTHS, Contestant, make_texts
from without_avx512 import environment_without_avx512

from edgedistil.data import read_labelled_texts
from edgedistil_runtime.benchmarking.machine import read_machine

HERE = Path(__file__).parent
NAME = "EdgeDistil int8"
BUNDLED = "smart_home_tiny_en"
PRESETS = {BUNDLED: "2 × 128", "edgedistil_tiny_en": "2 × 128, mean of the tokens", "all_minilm_l6_v2_en": "MiniLM"}
COUNTED = """
import sys
from edgedistil_runtime import TextClassifier
with TextClassifier(sys.argv[1], num_threads=1, weight_cache=False) as classifier:
    for text in sys.argv[2:]:
        classifier.classify(text)
"""
COUNTED_TEXTS = (
    "where is my new card",
    "I would like to know where my new card is now and why it takes you so long to send it to me",
)
REPEATED = 5  # texts that are counted


@dataclass(frozen=True)
class Build:
    """A checkout with its environment, and the file of a preset that it converted."""

    python: Path
    folder: Path
    variables: dict[str, str]

    @property
    def file(self) -> Path:
        """The int8 file, named as `race_contestant.py` looks for it."""
        return self.folder / "edgedistil_int8.tflite"

    def command(self, *arguments: str | Path) -> list[str]:
        """An `edgedistil` command of this build."""
        return [str(self.python), "-P", "-m", "edgedistil", *map(str, arguments)]  # -P: nothing of this folder


def prepare(preset: str, before: Path, options: argparse.Namespace) -> tuple[Path, dict[str, Build]]:
    """Trains and converts what is not there yet; returns the vocabulary, and the two builds."""
    trained = options.work / preset
    pythons = {"before": before / ".venv" / "bin" / "python", "now": Path(sys.executable)}
    builds = {}
    for name, python in pythons.items():
        folder = options.work / f"{preset}_{name}"
        folder.mkdir(parents=True, exist_ok=True)
        builds[name] = Build(python, folder, kernels(python, options.work / f"without_avx512_{name}", options))
    if preset != BUNDLED and not trained.is_dir():
        settings = ["--freeze-backbone", "--epochs", "1", "--validation-fraction", "0.05"]
        data = options.data / "train.csv"
        command = builds["before"].command("train", "--preset", preset, "--train-data", data, "-o", trained, *settings)
        subprocess.run(command, check=True)
    source: str | Path = preset if preset == BUNDLED else trained
    for build in builds.values():
        if not build.file.is_file():
            subprocess.run(build.command("convert", "--preset", source, "-o", build.file), check=True)
    root = HERE.parent / "edgedistil" / "presets" / preset if preset == BUNDLED else trained
    [vocabulary] = root.rglob("vocab*.txt")
    return vocabulary, builds


def kernels(python: Path, folder: Path, options: argparse.Namespace) -> dict[str, str]:
    """Variables that hide AVX-512 from the runtimes of an environment, if that is asked for."""
    if not options.without_avx512:
        return {}
    [site_packages] = python.parent.parent.glob("lib/python*/site-packages")
    return environment_without_avx512(site_packages, folder)


def compare(preset: str, before: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The measurements of one preset."""
    vocabulary, builds = prepare(preset, before, options)
    test = read_labelled_texts(options.data / "test.csv").texts
    entered = {name: Contestant(NAME, build.folder, 1, build.python, build.variables) for name, build in builds.items()}
    row: dict[str, Any] = {"preset": preset, **differences(entered, random.Random(1).sample(test, options.texts))}
    for length, bounds in LENGTHS.items():
        texts = make_texts(vocabulary, test, bounds, options.block * options.rounds)
        blocks = [texts[start : start + options.block] for start in range(0, len(texts), options.block)]
        row[length] = take_turns(entered, blocks, is_together=False)
    together = make_texts(vocabulary, test, (8, 40), options.bulk)
    row["bulk"] = take_turns(entered, [together] * max(3, options.rounds // 3), is_together=True)
    for one in entered.values():
        one.close()
    if options.rows:
        row["predict"] = predict(builds, test, options)
    if options.instructions:
        row["instructions"] = {
            len(text): {name: count(build, text) for name, build in builds.items()} for text in COUNTED_TEXTS
        }
    return row


def differences(entered: dict[str, Contestant], texts: Sequence[str]) -> dict[str, float]:
    """The largest difference of a probability, and the share of texts with the same label."""
    first, second = (one.ask(scores=list(texts))["scores"] for one in entered.values())
    same = [one.index(max(one)) == other.index(max(other)) for one, other in zip(first, second, strict=True)]
    pairs = [pair for rows in zip(first, second, strict=True) for pair in zip(*rows, strict=True)]
    return {"difference": max(abs(p - q) for p, q in pairs), "same": sum(same) / len(same)}


def take_turns(
    entered: dict[str, Contestant], blocks: Sequence[Sequence[str]], *, is_together: bool
) -> dict[str, float]:
    """Milliseconds of a text for each build, and the median ratio of paired blocks."""
    seconds: dict[str, list[float]] = {name: [] for name in entered}
    draw = random.Random(2)
    for block in blocks:
        for name in draw.sample(list(entered), len(entered)):
            measured = entered[name].ask(texts=list(block), together=is_together)["seconds"]
            seconds[name].append(measured[0] / len(block) if is_together else statistics.median(measured))
    pairs = zip(seconds["now"], seconds["before"], strict=True)
    times = {name: 1000 * statistics.median(found) for name, found in seconds.items()}
    return {**times, "ratio": statistics.median(now / before for now, before in pairs)}


def predict(builds: dict[str, Build], texts: Sequence[str], options: argparse.Namespace) -> dict[str, float]:
    """Rows a second of `edgedistil predict -o`, in turn."""
    ways = {"before": ("before", []), "now": ("now", []), "now, --workers 2": ("now", ["--workers", "2"])}
    rates: dict[str, list[float]] = {way: [] for way in ways}
    with TemporaryDirectory() as folder:
        rows, out = Path(folder, "rows.csv"), Path(folder, "out.csv")
        write_rows(rows, tuple(texts), options.rows)
        for _ in range(3):
            for way, (name, flags) in ways.items():
                build = builds[name]
                command = build.command("predict", build.file, "--input", rows, "-o", out, "--force", "--json", *flags)
                done = subprocess.run(
                    command, env=os.environ | build.variables, check=True, capture_output=True, text=True
                )
                rates[way].append(json.loads(done.stdout.splitlines()[-1])["rows_per_second"])
    return {way: statistics.median(found) for way, found in rates.items()}


def count(build: Build, text: str) -> float:
    """Instructions of a text, of those of a whole process."""
    few, many = (instructions(build, [text] * runs) for runs in (2, 2 + REPEATED))
    return (many - few) / REPEATED


def instructions(build: Build, texts: Sequence[str]) -> int:
    """Instructions of a process that loads a file and classifies texts."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", str(build.python), "-c", COUNTED]
    settings = os.environ | {"PYTHONHASHSEED": "0"}
    done = subprocess.run([*command, str(build.file), *texts], env=settings, check=True, capture_output=True, text=True)
    [found] = re.findall(r"Collected : (\d+)", done.stderr)
    return int(found)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown: a row for each preset; ratios to the earlier build, and milliseconds of both."""
    lengths = [*LENGTHS, "bulk"]
    head = ["shape", *lengths, "predict -o, rows/s", "same labels, %", "largest difference"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in rows:
        cells = [f"{row[key]['ratio']:.2f} ({row[key]['before']:.3f}, {row[key]['now']:.3f} ms)" for key in lengths]
        cells.append(", ".join(f"{rate:,.0f}" for rate in row.get("predict", {}).values()))
        cells += [f"{100 * row['same']:.1f}", f"{row['difference']:.4f}"]
        lines.append(f"| {row['preset']}, {PRESETS.get(row['preset'], '')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="a checkout of the earlier build, with its .venv")
    parser.add_argument("--data", type=Path, required=True, help="folder with train.csv and test.csv")
    parser.add_argument("--presets", nargs="+", default=list(PRESETS))
    parser.add_argument("--texts", type=int, default=300, help="test texts whose answers are compared")
    parser.add_argument("--block", type=int, default=20, help="texts in a block")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--bulk", type=int, default=256, help="texts that are classified together")
    parser.add_argument("--rows", type=int, default=4000, help="rows of predict -o; 0 leaves it out")
    parser.add_argument("--instructions", action="store_true", help="count them; needs valgrind")
    parser.add_argument("--without-avx512", action="store_true", help="hide it from LiteRT (without_avx512.py)")
    parser.add_argument("--work", type=Path, default=Path("build/against"), help="folder for presets and files")
    options = parser.parse_args()
    rows = [compare(preset, options.before.resolve(), options) for preset in options.presets]
    hidden = "; AVX-512 hidden from LiteRT" if options.without_avx512 else ""
    print(f"{table(rows)}\n\n{read_machine()}{hidden}.")
    for row in rows:
        for size, found in row.get("instructions", {}).items():
            shown = ", ".join(f"{name} {value / 1e6:.2f}" for name, value in found.items())
            print(f"{row['preset']}, {size} characters, millions of instructions: {shown}")
    print(json.dumps({"machine": str(read_machine()), "rows": rows}))


if __name__ == "__main__":
    main()

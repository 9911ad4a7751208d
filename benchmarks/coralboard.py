"""Files for a Coralboard in its vendor's simulator and on this CPU: labels, cycles, and which ops leave the NPU.

    make setup-torq && export TORQ_TOOLS=build/torq/bin
    python -m datasets.smart_home build/smart_home        # writes train.csv and test.csv
    python benchmarks/coralboard.py smart_home_tiny_en --data build/smart_home --table docs/coral.md

Several presets take as many `--data` and `--sequence-length`, in the same order. The student of docs/coral.md is
trained on Snips: `edgedistil train --preset edgedistil_tiny_en --epochs 2 --sequence-length 32 --seed 0`.

Nothing here runs on a board. The simulator computes what the NPU computes, in seconds a text; cycles are an estimate of
the compiler, and milliseconds are these cycles at 800 MHz. Texts are every n-th of test.csv.
"""

import argparse
import json
import platform
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from accuracy import edgedistil

from edgedistil.data import read_labelled_texts
from edgedistil_converters.targets.torq_tools import find_torq_tools
from edgedistil_converters.verification.simulation import simulate_texts
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.artifact import read_artifact

MARKS = "<!-- coralboard -->\n", "<!-- end of coralboard -->"


def convert(preset: str, data: Path, length: int, path: Path) -> None:
    """Writes the file, which the conversion itself simulates on some golden cases."""
    plan = ["--quantize", "int8-static", "--calibration-data", data / "train.csv", "--sequence-length", length]
    edgedistil("convert", "--preset", preset, "--target", "coralboard", *plan, "-o", path, "--force")


def measure(name: str, path: Path, texts: Sequence[str]) -> dict[str, Any]:
    """Answers of the simulator, of LiteRT's kernels and of the whole file on this CPU."""
    artifact = read_artifact(path)
    part = artifact.metadata.encoder
    assert part is not None
    with TextClassifier(path) as classifier:
        rows = [classifier.tokenize(text) for text in texts]
        whole = [classifier.classify(text).label for text in texts]
    simulated = simulate_texts(artifact, rows, find_torq_tools())
    differences = [text.difference for text in simulated]
    found = [artifact.metadata.labels[int(text.simulated.argmax())] for text in simulated]
    mapping = part.mapping
    return {
        "preset": name,
        "texts": len(texts),
        "tokens": part.lengths[-1],
        "as_cpu_file": sum(one == other for one, other in zip(found, whole, strict=True)),
        "as_reference_kernels": sum(text.has_label(artifact.metadata.decision) for text in simulated),
        "median_difference": float(np.median(differences)),
        "largest_difference": max(differences),
        "largest_spread": max(text.spread for text in simulated),
        "golden_cases": mapping["simulated"],
        "vmfb_bytes": len(artifact.encoder().compiled or b""),
        **{key: mapping[key] for key in ("cycles", "estimated_milliseconds", "mapped", "on_css", "reasons", "busy")},
    }


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: a row for each preset, then the ops that leave the NPU."""
    head = (
        "| preset | tokens | texts | labels as the CPU file | as LiteRT's reference kernels | difference of a "
        "probability, median and largest | LiteRT's own kernels, largest | VMFB | cycles | at 800 MHz | ops on the "
        "NPU / the CSS |\n|" + "---|" * 11
    )
    lines = [
        f"| `{row['preset']}` | {row['tokens']} | {row['texts']} | {row['as_cpu_file']} "
        f"| {row['as_reference_kernels']} | {row['median_difference']:.4f} / {row['largest_difference']:.4f} "
        f"| {row['largest_spread']:.4f} | {row['vmfb_bytes'] / 1e6:.2f} MB | {row['cycles'] / 1e6:.2f} M "
        f"| {row['estimated_milliseconds']:.1f} ms | {row['mapped']} / {row['on_css']} |"
        for row in rows
    ]
    left = "\n".join(
        f"* `{row['preset']}`: {', '.join(f'{op.split(chr(58))[0]}: {n}' for op, n in row['reasons'].items())}"
        for row in rows
    )
    versions = ", ".join(f"{name} {version}" for name, version in find_torq_tools().versions().items())
    provenance = f"int8-static, {versions}, {platform.machine()}; no board."
    return f"{head}\n" + "\n".join(lines) + f"\n\n{provenance}\n\nPrograms for the CSS, by op:\n\n{left}\n"


def main() -> None:
    """Converts, simulates, prints a line of JSON for each preset and then the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="+", help="presets of classifiers")
    parser.add_argument(
        "--data", required=True, type=Path, action="append", help="folder with train.csv and test.csv, for each preset"
    )
    parser.add_argument("--texts", type=int, default=24, help="texts to simulate")
    parser.add_argument("--sequence-length", type=int, action="append", help="tokens, for each preset (48)")
    parser.add_argument("--table", type=Path, help="a Markdown file whose part between the two marks is replaced")
    options = parser.parse_intermixed_args()
    lengths = options.sequence_length or [48] * len(options.presets)
    if not len(options.data) == len(lengths) == len(options.presets):
        counts = f"{len(options.presets)} presets, {len(options.data)} and {len(lengths)}"
        parser.error(f"each preset needs one --data and one --sequence-length. Received: {counts}.")
    rows = []
    with tempfile.TemporaryDirectory(prefix="edgedistil-") as folder:
        for preset, data, length in zip(options.presets, options.data, lengths, strict=True):
            path = Path(folder, "coralboard.tflite")
            convert(preset, data, length, path)
            test = read_labelled_texts(data / "test.csv").texts
            chosen = test[:: max(1, len(test) // options.texts)][: options.texts]
            rows.append(measure(Path(preset).name, path, chosen))
            print(json.dumps(rows[-1]), flush=True)  # minutes of work, if the next preset is refused
    text = table(rows)
    if options.table:
        before, _, rest = options.table.read_text("utf-8").partition(MARKS[0])
        options.table.write_text(f"{before}{MARKS[0]}{text}{MARKS[1]}{rest.partition(MARKS[1])[2]}", "utf-8")
    print(text)


if __name__ == "__main__":
    main()

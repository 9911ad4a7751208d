"""DistilBERT-base by every scheme that needs no data: size of the file, and what the conversion costs.

    python benchmarks/base_sizes.py --vocabulary VOCAB.txt [--schemes fp32 fp16 int8 int4]

The base shape (6 layers, width 768, 66 M parameters) with random weights; each conversion is a process of its own,
whose time and peak memory are taken. A table comes first, one line of JSON last.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from against_keras_hub_export import build_preset

GOALS = {"int8": 0.27, "int4": 0.16}  # of the fp32 file


def main() -> None:
    """Converts by each scheme and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocabulary", type=Path, default=Path("../shared/vocab/bert-base-uncased.txt"))
    parser.add_argument("--schemes", nargs="+", default=["fp32", "fp16", "int8", "int4"])
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build_preset(arguments.vocabulary, folder / "base")
        (folder / "labels.txt").write_text("a\nb\nc\nd\n", encoding="utf-8")
        for scheme in arguments.schemes:
            rows.append({"scheme": scheme, **convert(folder, scheme)})  # noqa: PERF401  # minutes each
    whole = next((row["megabytes"] for row in rows if row["scheme"] == "fp32"), None)
    print("| scheme | MB | of fp32 | goal | conversion, s | peak memory, GB |\n|---|---|---|---|---|---|")
    for row in rows:
        share = f"{row['megabytes'] / whole:.3f}" if whole else ""
        goal = GOALS.get(row["scheme"], "")
        print(
            f"| {row['scheme']} | {row['megabytes']:.1f} | {share} | {goal} | {row['seconds']:.0f} "
            f"| {row['gigabytes']:.1f} |"
        )
    print(json.dumps(rows))


def convert(folder: Path, scheme: str) -> dict[str, float]:
    """Runs the command line; returns the size of the file, seconds and the peak memory of the process."""
    output = folder / f"{scheme}.tflite"
    command = [sys.executable, "-m", "edgedistil", "convert", "--preset", str(folder / "base"), "--quantize", scheme]
    command += ["--labels", str(folder / "labels.txt"), "-o", str(output)]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"edgedistil convert --quantize {scheme} failed")
    megabytes = output.stat().st_size / 1e6
    output.unlink()
    seconds = time.perf_counter() - started
    return {"megabytes": megabytes, "seconds": seconds, "gigabytes": usage.ru_maxrss / 1e6}


if __name__ == "__main__":
    main()

"""What the runtime costs a small device: installed size and packages, cold start to the first label, memory.

    python benchmarks/runtime_footprint.py [MODEL.tflite ...] [--extra serve] [--runs 5]

Installs `runtime/` into a virtual environment that is thrown away. Then, for each model, a fresh process imports the
package, opens the model (its golden cases are replayed) and labels one text: the median time of several such processes,
measured inside them from before the import, and the resident memory after the label. Tables come first, one line of
JSON last.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

RUNTIME = Path(__file__).parents[1] / "runtime"
INSTALLERS = {"pip", "setuptools", "wheel"}  # of the environment, not of the runtime
LARGEST = 8  # folders to show
FIRST_LABEL = """
import sys, time
started = time.perf_counter()
from edgedistil_runtime import TextClassifier
with TextClassifier(sys.argv[1]) as classifier:
    label = classifier.classify("turn on the light in the kitchen").label
    seconds = time.perf_counter() - started
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(seconds, int(status["VmRSS"].split()[0]) / 1e3, int(status["VmHWM"].split()[0]) / 1e3, label)
"""


def main() -> None:
    """Installs, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL")
    parser.add_argument("--extra", action="append", default=[], help="of the runtime, to be installed with it")
    parser.add_argument("--runs", type=int, default=5, help="fresh processes a model")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        python = install(Path(name), arguments.extra)
        size = footprint(python)
        rows = [{"model": model.name, **first_label(python, model, arguments.runs)} for model in arguments.models]
    print(
        f"{size['megabytes']:.1f} MB, of which {size['bytecode_megabytes']:.1f} MB bytecode, "
        f"in {len(size['packages'])} packages: {', '.join(size['packages'])}\n"
    )
    print("| folder | MB |\n|---|---|")
    for folder, megabytes in size["largest"].items():
        print(f"| {folder} | {megabytes:.1f} |")
    if rows:
        print("\n| model | import to first label, ms | from | to | memory, MB | peak, MB |\n|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['model']} | {row['median_ms']:.0f} | {row['fastest_ms']:.0f} | {row['slowest_ms']:.0f} "
            f"| {row['resident_mb']:.0f} | {row['peak_mb']:.0f} |"
        )
    print(json.dumps({"size": size, "models": rows}))


def install(folder: Path, extras: list[str]) -> Path:
    """The interpreter of a new environment with the runtime and nothing else; uv if there is one, else pip."""
    python = folder / "environment" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    target = f"{RUNTIME}[{','.join(extras)}]" if extras else str(RUNTIME)
    uv = shutil.which("uv")
    if uv:
        run([uv, "venv", "--quiet", "--python", sys.executable, str(folder / "environment")])
        run([uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), target])
    else:
        run([sys.executable, "-m", "venv", str(folder / "environment")])
        run([str(python), "-m", "pip", "install", "--quiet", target])
    return python


def footprint(python: Path) -> dict[str, object]:
    """Bytes on disk of site-packages, its packages and its largest folders; bytecode counts, the installers do not."""
    code = (
        "import importlib.metadata as m, json, sysconfig\n"
        "print(json.dumps([sysconfig.get_path('purelib'), sorted(d.metadata['Name'] for d in m.distributions())]))"
    )
    site, names = json.loads(run([str(python), "-c", code]))
    sizes = {
        entry.name: size_of(entry) / 1e6
        for entry in Path(site).iterdir()
        if entry.name.split("-")[0] not in {*INSTALLERS, "_distutils_hack", "distutils"}
    }
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:LARGEST]
    packages = [name for name in names if name not in INSTALLERS]
    bytecode = sum(file.stat().st_size for file in Path(site).rglob("*.pyc")) / 1e6
    return {
        "megabytes": sum(sizes.values()),
        "bytecode_megabytes": bytecode,
        "packages": packages,
        "largest": dict(largest),
    }


def size_of(entry: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = entry.rglob("*") if entry.is_dir() else [entry]
    return sum(file.lstat().st_size for file in files if file.is_file())


def first_label(python: Path, model: Path, runs: int) -> dict[str, float]:
    """Milliseconds from before the import to the first label, and megabytes then; a first run warms the file cache."""
    command = [str(python), "-c", FIRST_LABEL, str(model)]
    seconds, resident, peak = zip(*[map(float, run(command).split()[:3]) for _ in range(runs + 1)][1:], strict=True)
    return {
        "median_ms": statistics.median(seconds) * 1e3,
        "fastest_ms": min(seconds) * 1e3,
        "slowest_ms": max(seconds) * 1e3,
        "resident_mb": statistics.median(resident),
        "peak_mb": statistics.median(peak),
    }


def run(command: list[str]) -> str:
    """What a command prints; its messages on stderr are shown only if it fails."""
    finished = subprocess.run(command, capture_output=True, text=True)
    if finished.returncode:
        raise SystemExit(f"{' '.join(command[:4])} failed:\n{finished.stderr}")
    return finished.stdout


if __name__ == "__main__":
    main()

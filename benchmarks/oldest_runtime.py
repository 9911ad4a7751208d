"""What `--oldest-runtime 2.14` costs: int8 with one scale a matrix beside int8 with one an output channel.

    python benchmarks/oldest_runtime.py PRESET=TEST.csv ... --work build/oldest_runtime

For each preset: both files, the whole test split through Keras and through either file, and milliseconds of a text as
medians of runs in turn. With --python, the old file is timed in tflite-runtime 2.14 too: give the interpreter of an
environment that has it (`make setup-tflite-runtime`).
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
from accuracy import edgedistil, keras_probabilities, time_in_turn

from edgedistil.data import read_labelled_texts
from edgedistil_runtime import TextClassifier

TIMED_TEXTS = 200
FORMS = {"int8": (), "int8 for 2.14": ("--oldest-runtime", "2.14")}
# Run in the other environment: the runtime's package is taken from this checkout.
_OLD = """
import json, statistics, sys, time
from edgedistil_runtime import TextClassifier
texts, model = json.loads(sys.stdin.read()), TextClassifier(sys.argv[1], num_threads=2)
def timed(text):
    started = time.perf_counter(); model.classify(text); return time.perf_counter() - started
for text in texts: timed(text)
print(1e3 * statistics.median(map(timed, texts)))
"""


def converted(preset: str, form: str, work: Path) -> Path:
    """One of the two files, made now or before."""
    output = work / f"{Path(preset).name}_{form.replace(' ', '_')}.tflite"
    if not output.is_file():
        edgedistil("convert", "--preset", preset, "-o", output, *FORMS[form])
    return output


def in_old_runtime(python: str, model: Path, texts: tuple[str, ...]) -> float:
    """Median milliseconds of a text in another environment's interpreter."""
    runtime = Path(__file__).parents[1] / "runtime"
    command = [python, "-c", _OLD, str(model)]
    environment = {**os.environ, "PYTHONPATH": str(runtime)}
    done = subprocess.run(command, input=json.dumps(texts), env=environment, check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


def measure(preset: str, data: Path, work: Path, python: str | None) -> list[str]:
    """Rows of the table for one preset."""
    test = read_labelled_texts(data)
    keras, labels = keras_probabilities(Path(preset), test.texts)
    truth = np.array([labels.index(label) for label in test.labels])
    paths = {form: converted(preset, form, work) for form in FORMS}
    models = {form: TextClassifier(path, num_threads=2) for form, path in paths.items()}
    milliseconds = time_in_turn(models, test.texts[:TIMED_TEXTS])
    rows = [f"| {Path(preset).name} | Keras | {(keras.argmax(1) == truth).mean():.2%} | | | | | |"]
    for form, model in models.items():
        answers = np.array([list(model.classify(text).probabilities.values()) for text in test.texts])
        difference = np.abs(answers - keras)
        old = "refused"
        if form != "int8":
            old = f"{in_old_runtime(python, paths[form], test.texts[:TIMED_TEXTS]):.2f}" if python else "not run"
        cells = (
            f"{(answers.argmax(1) == truth).mean():.2%}",
            f"{(answers.argmax(1) == keras.argmax(1)).mean():.2%}",
            f"{difference.mean():.4f} / {difference.max():.2f}",
            f"{paths[form].stat().st_size / 1e6:.2f}",
            f"{milliseconds[form]:.2f}",
            old,
        )
        rows.append(f"| {Path(preset).name} | {form} | {' | '.join(cells)} |")
        model.close()
    return rows


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="+", metavar="PRESET=TEST.csv")
    parser.add_argument("--work", type=Path, default=Path("build/oldest_runtime"), help="folder for files")
    parser.add_argument("--python", help="interpreter of an environment with tflite-runtime 2.14")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    print("| preset | file | accuracy | agrees with Keras | mean / largest difference | MB | ms | ms in 2.14 |")
    print("|---|---|---|---|---|---|---|---|")
    for given in arguments.presets:
        preset, _, data = given.rpartition("=")
        print("\n".join(measure(preset, Path(data), arguments.work, arguments.python)))
    print(f"\n{platform.machine()}, 2 threads, one text at a time, medians of {TIMED_TEXTS} texts.", file=sys.stderr)


if __name__ == "__main__":
    main()

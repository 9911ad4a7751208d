"""Calibration of scores: fitted on the held-out samples that a preset keeps, measured on test data.

    python benchmarks/score_calibration.py PRESET=TEST.csv [PRESET=TEST.csv ...] --quantize int8

Each preset is converted twice, with and without `--calibrate-scores`. A row has the calibration error (15 bins of equal
width) and the Brier score of Keras and of the files, before and after, and how many labels the calibration changed.
Keras "after" is Keras' logits divided by the temperature in the file. The last line is JSON.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from edgedistil.data import read_labelled_texts
from edgedistil.measuring.answers import ask_file, ask_preset
from edgedistil.measuring.reliability import measure_scores
from edgedistil_converters.verification.reliability import Reliability, at_temperature


def measure(preset: Path, data: Path, scheme: str, folder: Path) -> dict[str, Any]:
    """One row."""
    from edgedistil.conversion import ConversionRequest, convert_preset
    from edgedistil_converters import QuantizationPlan

    examples = read_labelled_texts(data)
    paths = {True: folder / f"{preset.name}_calibrated.tflite", False: folder / f"{preset.name}.tflite"}
    for is_calibrated, path in paths.items():
        request = ConversionRequest(str(preset), path, QuantizationPlan(scheme), calibrate_scores=is_calibrated)
        convert_preset(request, lambda line: print(f"{preset.name}: {line}", file=sys.stderr))
    keras = ask_preset(preset, examples.texts)
    after, before = (ask_file(paths[is_calibrated], examples.texts) for is_calibrated in (True, False))
    expected, labels, temperature = examples.spelled_as(keras.labels).labels, keras.labels, after.temperature
    assert keras.probabilities is not None
    assert before.probabilities is not None
    assert after.probabilities is not None
    measured = {
        "Keras before": keras.probabilities,
        "Keras after": at_temperature(keras.probabilities, temperature),
        "file before": before.probabilities,
        "file after": after.probabilities,
    }
    return {
        "preset": preset.name,
        "texts": len(examples),
        "temperature": temperature,
        "accuracy": float(np.mean([one == other for one, other in zip(after.given, expected, strict=True)])),
        "changed_labels": sum(one != other for one, other in zip(before.given, after.given, strict=True)),
        "scores": {name: _two(measure_scores(rows, expected, labels).given) for name, rows in measured.items()},
        "ms_per_text": {"before": before.ms_per_text, "after": after.ms_per_text},
    }


def _two(scores: Reliability) -> dict[str, float]:
    return {"calibration_error": scores.calibration_error, "brier_score": scores.brier_score}


def main() -> None:
    """Print a line for each preset, and all of them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", nargs="+", metavar="PRESET=TEST.csv")
    parser.add_argument("--quantize", default="int8")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for pair in options.pairs:
            preset, _, data = pair.partition("=")
            row = measure(Path(preset), Path(data), options.quantize, Path(folder))
            rows.append(row)
            scores = ", ".join(
                f"{name} {one['calibration_error']:.4f} / {one['brier_score']:.4f}"
                for name, one in row["scores"].items()
            )
            print(
                f"{row['preset']}: {row['texts']:,} texts, accuracy {row['accuracy']:.2%}, temperature "
                f"{row['temperature']:.3f}, labels changed {row['changed_labels']}; {scores}",
                flush=True,
            )
    print(json.dumps({"quantize": options.quantize, "rows": rows}))


if __name__ == "__main__":
    main()

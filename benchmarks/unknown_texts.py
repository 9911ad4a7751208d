"""Recognition of texts with none of the labels: scores compared in Keras, and the score of the file with its cost.

    python benchmarks/unknown_texts.py --preset PRESET --in-scope test.csv --unknown far=FILE.csv \
        [--fit train.csv] [--threshold validation.csv] [--quantize int8]

For each file of unknown texts, a row a candidate: AUROC, AUPR, and the share of unknown texts that is found if 95 % and
97 % of the in-scope texts are kept. Candidates are functions of Keras' logits and, with `--fit`, the cosine to the
nearest class centre after whitening the head's hidden layer, with centres and covariance of those labelled texts. With
`--threshold`, the preset is converted by `--unknown-label` with that data: a row for the file's score, the shares at
its own threshold, and the milliseconds of a text with and without the output, medians over alternating blocks. The last
line is JSON. Nothing is trained.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistil.data import LabelledTexts, read_labelled_texts, read_texts
from edgedistil.measuring.unknown_texts import measure_unknown
from edgedistil_runtime import TextClassifier

Floats = NDArray[np.float64]
_BLOCK, _BLOCKS = 100, 20


def candidates(logits: Floats) -> dict[str, Floats]:
    """Scores that need the logits only; greater means unknown."""
    from edgedistil_converters.preparation.unknown_texts import energies

    ordered = np.sort(logits, axis=1)
    return {
        "energy": energies(logits),
        "energy at T=0.5": energies(logits / 0.5),
        "energy at T=2": energies(logits / 2),
        "largest logit": -ordered[:, -1],
        "largest probability": -np.exp(ordered[:, -1] + energies(logits)),
        "lead of the best logit": ordered[:, -2] - ordered[:, -1],
    }


def hidden_layer(classifier: Any) -> Callable[[Sequence[str]], Floats]:
    """A function from texts to the hidden layer of the classifier's head."""
    import keras

    from edgedistil_converters.model.keras_token_ids import keras_features

    model = keras.Model(classifier.inputs, classifier.get_layer(classifier.output_dense.name).input)

    def compute(texts: Sequence[str]) -> Floats:
        found = []
        for first in range(0, len(texts), 64):
            ids, mask = keras_features(classifier.preprocessor, texts[first : first + 64])
            longest = int(mask.any(axis=0).sum())
            batch = {"token_ids": ids[:, :longest], "padding_mask": mask[:, :longest]}
            found.append(np.asarray(model(batch, training=False), np.float64))
        return np.concatenate(found)

    return compute


def distance(hidden: Floats, classes: NDArray[Any]) -> Callable[[Floats], Floats]:
    """The cosine distance to the nearest class centre, after whitening with the covariance within classes."""
    numbers = np.unique(classes)
    centres = np.array([hidden[classes == number].mean(axis=0) for number in numbers])
    within, mean = hidden - centres[np.searchsorted(numbers, classes)], hidden.mean(axis=0)
    covariance = within.T @ within / max(len(hidden) - len(numbers), 1)
    covariance += 0.1 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    whitening = np.linalg.cholesky(np.linalg.inv(covariance))

    def white(rows: Floats) -> Floats:
        result: Floats = (rows - mean) @ whitening
        result /= np.sqrt((result**2).sum(axis=1, keepdims=True) + 1e-6)
        return result

    return lambda rows: 1 - (white(rows) @ white(centres).T).max(axis=1)


def row(known: Floats, unknown: Floats, threshold: float | None = None) -> dict[str, Any]:
    """Measures of one score."""
    kept = np.sort(known)[int(np.ceil(0.97 * len(known) - 1e-9)) - 1]
    return {**asdict(measure_unknown(known, unknown, threshold)), "recall_at_97": float((unknown > kept).mean())}


def in_keras(preset: Path, known: Sequence[str], unknown: dict[str, Sequence[str]], fit: Path | None) -> dict[str, Any]:
    """Rows of all candidates, by the name of the unknown texts."""
    from edgedistil.presets.loading import load_labelled_classifier

    trained = load_labelled_classifier(preset)
    dense, compute = trained.classifier.output_dense, hidden_layer(trained.classifier)
    kernel, bias = np.asarray(dense.kernel, np.float64), np.asarray(dense.bias, np.float64)
    nearest = None
    if fit is not None:
        data = read_labelled_texts(fit).spelled_as(trained.labels)
        classes = np.array([trained.labels.index(label) for label in data.labels])
        nearest = distance(compute(data.texts), classes)

    def scores(texts: Sequence[str]) -> dict[str, Floats]:
        hidden = compute(texts)
        found = candidates(hidden @ kernel + bias)
        return found if nearest is None else {**found, "distance": nearest(hidden)}

    of_known = scores(known)
    return {
        name: {key: row(of_known[key], of_unknown) for key, of_unknown in scores(texts).items()}
        for name, texts in unknown.items()
    }


def convert(preset: Path, data: LabelledTexts, scheme: str, folder: Path) -> tuple[Path, Path]:
    """Files of a preset with and without the output."""
    from edgedistil.conversion import ConversionRequest, convert_preset
    from edgedistil_converters import QuantizationPlan

    texts = {"verification_texts": data.texts, "verification_labels": data.labels}
    paths = folder / "with.tflite", folder / "without.tflite"
    for path, label in zip(paths, ("unknown", None), strict=True):
        request = ConversionRequest(str(preset), path, QuantizationPlan(scheme), unknown_label=label, **texts)
        convert_preset(request, lambda line: print(line, file=sys.stderr))
    return paths


def in_file(path: Path, known: Sequence[str], unknown: dict[str, Sequence[str]]) -> dict[str, Any]:
    """Rows of the file's own score."""
    with TextClassifier(path) as classifier:
        rule = classifier.metadata.unknown_rule
        assert rule is not None

        def scores(texts: Sequence[str]) -> Floats:
            return np.array([answer.unknown_score for answer in classifier.classify_batch(texts)], np.float64)

        of_known = scores(known)
        return {name: row(of_known, scores(texts), rule.threshold) for name, texts in unknown.items()}


def cost(paths: tuple[Path, Path], texts: Sequence[str]) -> dict[str, float]:
    """Median milliseconds of a text, with and without the output, in alternating blocks."""
    some = [texts[number * len(texts) // _BLOCK] for number in range(_BLOCK)]
    seconds: dict[int, list[float]] = {0: [], 1: []}
    with TextClassifier(paths[0]) as first, TextClassifier(paths[1]) as second:
        for block in range(_BLOCKS + 1):
            for number, classifier in enumerate((first, second)):
                started = time.perf_counter()
                for text in some:
                    classifier.classify(text)
                if block:  # the first warms up
                    seconds[number].append(time.perf_counter() - started)
    with_output, without = (1e3 * statistics.median(seconds[number]) / _BLOCK for number in (0, 1))
    ratio = statistics.median(one / other for one, other in zip(seconds[0], seconds[1], strict=True))
    return {"with_ms": with_output, "without_ms": without, "median_ratio": ratio}


def main() -> None:
    """Print the table, and all of it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", type=Path, required=True)
    parser.add_argument("--in-scope", type=Path, required=True)
    parser.add_argument("--unknown", action="append", required=True, metavar="NAME=FILE")
    parser.add_argument("--fit", type=Path)
    parser.add_argument("--threshold", type=Path)
    parser.add_argument("--quantize", default="int8")
    options = parser.parse_args()
    known = read_labelled_texts(options.in_scope).texts
    unknown = {name: read_texts(Path(path)) for name, _, path in (one.partition("=") for one in options.unknown)}
    result: dict[str, Any] = {"preset": options.preset.name, "in_scope": len(known)}
    result["keras"] = in_keras(options.preset, known, unknown, options.fit)
    if options.threshold is not None:
        with tempfile.TemporaryDirectory() as folder:
            paths = convert(options.preset, read_labelled_texts(options.threshold), options.quantize, Path(folder))
            found = in_file(paths[0], known, unknown)
            result |= {"scheme": options.quantize, "cost": cost(paths, known)}
        for name, measured in found.items():
            result["keras"][name][f"file, {options.quantize}"] = measured
    print(f"{'unknown':<14} {'score':<24} {'AUROC':>7} {'AUPR':>7} {'@95':>6} {'@97':>6} {'kept':>6} {'found':>6}")
    for name, rows in result["keras"].items():
        for key, one in rows.items():
            own = [
                f"{one[part]:6.3f}" if one[part] is not None else "     –"
                for part in ("in_scope_kept", "unknown_found")
            ]
            print(
                f"{name:<14} {key:<24} {one['auroc']:7.4f} {one['aupr']:7.4f} {one['recall_at_95']:6.3f} "
                f"{one['recall_at_97']:6.3f} {' '.join(own)}"
            )
    print(json.dumps(result))


if __name__ == "__main__":
    main()

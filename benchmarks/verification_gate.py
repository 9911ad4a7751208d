"""Does the gate of `convert` pass good files and refuse damaged ones? Both, for each kind of damage.

    python benchmarks/verification_gate.py --preset build/banking --data ../shared/data/banking77/train.csv

Every scheme is converted once as it is, and once with each damage below done to the weights that go into the file; the
reference is the undamaged Keras classifier. The verdict is that of `convert`, on the preset's samples and, in a second
column, on the built-in texts only. Prints a table, then JSON.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from int4_rounding import probabilities

from edgedistil.data import read_labelled_texts
from edgedistil.presets.loading import load_labelled_classifier
from edgedistil_converters import QuantizationPlan
from edgedistil_converters.flatbuffer import convert_module
from edgedistil_converters.interface import ModelInterface
from edgedistil_converters.model.keras_token_ids import unpadded_rows
from edgedistil_converters.model.read_classifier import read_classifier
from edgedistil_converters.model.weights import ClassifierWeights, Dense, LayerNorm
from edgedistil_converters.quantization.calibration import sampled
from edgedistil_converters.quantization.observed_ranges import activation_ranges
from edgedistil_converters.signatures import TextClassifierModule
from edgedistil_converters.verification.keras_answers import answer_with_keras
from edgedistil_converters.verification.texts import VERIFICATION_TEXTS

SCHEMES = ("fp32", "fp16", "int8", "int4", "int8-static")
TOKENS_ALONE = ModelInterface("none")
CALIBRATION_TEXTS = 256


def damages(weights: ClassifierWeights, seed: int) -> Iterator[tuple[str, str, ClassifierWeights]]:
    """(kind, which one, the damaged weights)."""
    generator = np.random.default_rng(seed)
    last = f"transformer_layer_{len(weights.layers) - 1}"
    for site in (
        *(f"transformer_layer_0/{name}" for name in ("query", "value", "intermediate")),
        *(f"{last}/{name}" for name in ("attention_output", "output")),
        "pooled_dense",
        "logits",
    ):
        yield "scale", site, changed(weights, site, lambda part: Dense(2 * part.kernel, part.bias))
    for site in ("transformer_layer_0/query", f"{last}/value"):
        yield "heads", site, changed(weights, site, lambda part: swapped(part, weights.num_heads))
    for epsilon in (1e-3, 0.1):
        parts = {
            site: replace(part, epsilon=epsilon) if isinstance(part, LayerNorm) else part
            for site, part in weights.parts.items()
        }
        yield "epsilon", f"{epsilon:g}", weights.with_parts(parts)
    some = generator.choice(weights.num_classes, 2, replace=False)
    yield "label", "swapped", changed(weights, "logits", lambda part: permuted(part, some))
    yield "label", "negated", changed(weights, "logits", lambda part: negated(part, some[0]))
    for site in ("transformer_layer_0/value", f"{last}/intermediate", f"{last}/output"):
        channel = int(generator.integers(weights.parts[site].bias.size))  # type: ignore[union-attr]
        yield "channel", site, changed(weights, site, lambda part, c=channel: stuck(part, c))


def changed(weights: ClassifierWeights, site: str, change: Any) -> ClassifierWeights:
    """The weights with those of one site changed."""
    return weights.with_parts({**weights.parts, site: change(weights.parts[site])})


def swapped(part: Dense, num_heads: int) -> Dense:
    """The first two heads in each other's place."""
    width = part.bias.size // num_heads
    order = np.arange(part.bias.size)
    order[: 2 * width] = np.roll(order[: 2 * width], width)
    return Dense(part.kernel[:, order], part.bias[order])


def permuted(part: Dense, pair: np.ndarray) -> Dense:
    """Two outputs in each other's place."""
    order = np.arange(part.bias.size)
    order[pair] = order[pair[::-1]]
    return Dense(part.kernel[:, order], part.bias[order])


def negated(part: Dense, output: int) -> Dense:
    """One output with the wrong sign."""
    sign = np.where(np.arange(part.bias.size) == output, -1, 1).astype(np.float32)
    return Dense(part.kernel * sign, part.bias * sign)


def stuck(part: Dense, channel: int) -> Dense:
    """One output that no longer follows its inputs: saturated, at six standard deviations of its column times inputs."""
    kernel, bias = part.kernel.copy(), part.bias.copy()
    level = 6 * float(np.linalg.norm(kernel[:, channel]))
    kernel[:, channel], bias[channel] = 0, level
    return Dense(kernel, bias)


def convert(module: TextClassifierModule, plan: QuantizationPlan, rows: Sequence[Sequence[int]]) -> bytes:
    """The flatbuffer that `convert` would write."""
    return convert_module(
        module, plan, {}, calibrate=lambda model: activation_ranges(model, rows), sample_rows=lambda: rows
    )


def measure(
    preset: str, data: Path, schemes: Sequence[str], seed: int, kinds: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """A row for each scheme and damage: all probabilities, for the verdict."""
    trained = load_labelled_classifier(preset)
    classifier, source = trained.classifier, read_classifier(trained.classifier, "none")
    training = read_labelled_texts(data)
    calibration = list(unpadded_rows(classifier.preprocessor, sampled(training.texts, CALIBRATION_TEXTS)))
    import os

    samples = [json.loads(l) for l in open(os.environ["SAMPLES"])]
    texts = [*(s["text"] for s in samples), *VERIFICATION_TEXTS]
    numbers = [trained.labels.index(s["label"]) for s in samples]
    keras = np.array([a.probabilities for a in answer_with_keras(classifier, texts)])
    rows = list(unpadded_rows(classifier.preprocessor, texts))
    candidates = [("good", "", source.weights), *damages(source.weights, seed)]
    for scheme in schemes:
        plan = QuantizationPlan(scheme).calibrated(len(source.weights.layers))
        for kind, which, weights in candidates:
            if kinds and kind not in kinds:
                continue
            module = TextClassifierModule(weights, source.settings, source.vocabulary, plan, TOKENS_ALONE)
            found = probabilities(convert(module, plan, calibration), rows)
            yield dict(preset=preset, scheme=scheme, kind=kind, which=which, keras=keras, found=found, numbers=numbers)


if __name__ == "__main__":
    import sys, pickle, time

    preset, data, out = sys.argv[1:4]
    schemes = sys.argv[4].split(",") if len(sys.argv) > 4 else SCHEMES
    kinds = sys.argv[5].split(",") if len(sys.argv) > 5 else ()
    with open(out, "ab") as f:
        for row in measure(preset, Path(data), schemes, 0, kinds):
            pickle.dump(row, f)
            f.flush()
            print(time.strftime("%X"), row["scheme"], row["kind"], row["which"], flush=True)

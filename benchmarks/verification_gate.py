"""Does the gate of `convert` pass good files and refuse damaged ones? Both, for each kind of damage.

    python benchmarks/verification_gate.py --preset build/banking --data ../shared/data/banking77/train.csv

Every scheme is converted once as it is, and once with each damage below done to the weights that go into the file; the
reference is the undamaged Keras classifier. `convert` refuses a file by the check of its weights in float, or by the
rules on the preset's samples; the table also has the rules by themselves, which is what they would find if the damage
were done after that check, and the rules on the built-in texts only. Prints a table, then JSON.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from int4_rounding import probabilities

from edgedistil.data import read_labelled_texts
from edgedistil.data.samples import read_samples
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
from edgedistil_converters.verification.judge import violations
from edgedistil_converters.verification.keras_answers import answer_with_keras
from edgedistil_converters.verification.measures import Comparison, compare
from edgedistil_converters.verification.samples import class_number
from edgedistil_converters.verification.texts import VERIFICATION_TEXTS
from edgedistil_converters.verification.weights_check import check_weights
from edgedistil_runtime.artifact import GoldenCase
from edgedistil_runtime.errors import ParityError

SCHEMES = ("fp32", "fp16", "int8", "int4", "int8-static")
Result = dict[str, Any]
Rows = Sequence[Sequence[int]]
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
    """One output that no longer follows its inputs: saturated at six times the norm of its column."""
    kernel, bias = part.kernel.copy(), part.bias.copy()
    level = 6 * float(np.linalg.norm(kernel[:, channel]))
    kernel[:, channel], bias[channel] = 0, level
    return Dense(kernel, bias)


def convert(module: TextClassifierModule, plan: QuantizationPlan, rows: Rows) -> bytes:
    """The flatbuffer that `convert` would write."""
    return convert_module(
        module, plan, {}, calibrate=lambda model: activation_ranges(model, rows), sample_rows=lambda: rows
    )


def measure(preset: str, data: Path, schemes: Sequence[str], kinds: Sequence[str], seed: int) -> Iterator[Result]:
    """A row for each scheme and damage."""
    trained = load_labelled_classifier(preset)
    source, samples = read_classifier(trained.classifier, "none"), read_samples(Path(preset))
    preprocessor = trained.classifier.preprocessor
    calibration = list(unpadded_rows(preprocessor, sampled(read_labelled_texts(data).texts, CALIBRATION_TEXTS)))
    numbers = [class_number(label, trained.labels) for label in samples.labels]
    answers = answer_with_keras(trained.classifier, [*samples.texts, *VERIFICATION_TEXTS])
    keras = np.array([answer.probabilities for answer in answers])
    rows, cut = [answer.token_ids for answer in answers], len(samples)
    for scheme in schemes:
        plan = QuantizationPlan(scheme).calibrated(len(source.weights.layers))
        for kind, which, weights in [("none", "", source.weights), *damages(source.weights, seed)]:
            if kinds and kind not in kinds:
                continue
            module = TextClassifierModule(weights, source.settings, source.vocabulary, plan, TOKENS_ALONE)
            found = probabilities(convert(module, plan, calibration), rows)
            on_samples = compare(keras[:cut], found[:cut], numbers)
            on_builtin = compare(keras[cut:], found[cut:])
            yield {
                "preset": trained.name,
                "scheme": scheme,
                "kind": kind,
                "which": which,
                "by_weights": is_refused_by_weights(weights, source.settings.pad_id, answers),
                "by_samples": refusals(on_samples, plan, trained.labels, are_samples=True),
                "by_builtin": refusals(on_builtin, plan, trained.labels, are_samples=False),
                "on_samples": on_samples.to_dict(),
                "on_builtin": on_builtin.to_dict(),
            }


def is_refused_by_weights(weights: ClassifierWeights, pad_id: int, answers: Sequence[GoldenCase]) -> bool:
    """Whether `convert` refuses the weights in float."""
    try:
        check_weights(weights, pad_id, answers)
    except ParityError:
        return True
    return False


def refusals(comparison: Comparison, plan: QuantizationPlan, labels: Sequence[str], *, are_samples: bool) -> list[str]:
    """The rules that a file breaks; fp32 has a strict tolerance in their place."""
    if plan.rules is None:
        is_far = comparison.largest_difference > plan.tolerance.largest
        return ["a probability differs by more than the tolerance"] if is_far else []
    return violations(comparison, plan.rules, labels, are_samples=are_samples)


def table(results: Sequence[Result]) -> str:
    """Markdown: the files that are refused, by damage and scheme."""
    lines = [
        "| damage | scheme | files | refused | by the rules, on samples | by the rules, on built-in texts |",
        "|---|---|---|---|---|---|",
    ]
    for kind, scheme in dict.fromkeys((result["kind"], result["scheme"]) for result in results):
        some = [result for result in results if (result["kind"], result["scheme"]) == (kind, scheme)]
        refused = sum(bool(result["by_weights"] or result["by_samples"]) for result in some)
        by_samples, by_builtin = (sum(bool(result[key]) for result in some) for key in ("by_samples", "by_builtin"))
        lines.append(f"| {kind} | {scheme} | {len(some)} | {refused} | {by_samples} | {by_builtin} |")
    return "\n".join(lines)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", action="append", required=True, help="a directory of `edgedistil train`")
    parser.add_argument("--data", type=Path, action="append", required=True, help="its training data, as often")
    parser.add_argument("--scheme", action="append", choices=SCHEMES, help="all by default")
    parser.add_argument("--kind", action="append", help="of damage, or `none`; all by default")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    results: list[Result] = []
    for preset, data in zip(options.preset, options.data, strict=True):
        for result in measure(preset, data, options.scheme or SCHEMES, options.kind or (), options.seed):
            print(json.dumps(result), flush=True)
            results.append(result)
    print(table(results))
    print(json.dumps(results))


if __name__ == "__main__":
    main()

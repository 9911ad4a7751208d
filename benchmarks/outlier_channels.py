"""Where static int8 loses and training with quantization wins back: a classifier with outlier channels.

    python benchmarks/outlier_channels.py --preset build/accuracy/snips_0 --data ../shared/data/snips

Large pretrained transformers have a few channels whose values are many times those of the others (Bondarenko et al.
2021, arXiv 2109.12948); small ones trained from scratch do not. Here they are put in by hand without changing what the
model computes: a few channels of the values, the queries and the pooled layer are multiplied by a factor, and weights
that read them (the attention's output, the keys, the logits) divided by it. Each scheme is then measured on
the test split beside the Keras model, also where `convert` would refuse to write the file. Prints a table, then JSON.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from int4_rounding import probabilities

from edgedistil.data import LabelledTexts, read_labelled_texts
from edgedistil.presets.loading import LabelledClassifier, load_labelled_classifier
from edgedistil.training.keras_outputs import predict_probabilities
from edgedistil_converters import QuantizationPlan, convert_classifier
from edgedistil_converters.flatbuffer import convert_module
from edgedistil_converters.interface import ModelInterface
from edgedistil_converters.model.keras_hub import read_weights, write_weights
from edgedistil_converters.model.keras_token_ids import unpadded_rows
from edgedistil_converters.model.weights import ClassifierWeights, Dense
from edgedistil_converters.preparation.prepared import ConversionOptions, PreparedClassifier
from edgedistil_converters.preparation.quantization_aware import QATSettings
from edgedistil_converters.preparation.quantization_aware.prepare import train_with_quantization
from edgedistil_converters.quantization.calibration import sampled
from edgedistil_converters.quantization.observed_ranges import activation_ranges
from edgedistil_converters.quantization.ranges import Ranges
from edgedistil_converters.signatures import TextClassifierModule
from edgedistil_converters.tokenizer.settings import read_tokenizer
from edgedistil_converters.verification.keras_answers import answer_with_keras
from edgedistil_converters.verification.texts import verification_inputs
from edgedistil_runtime.errors import ParityError

CHANNELS = 3
SCHEMES = ("int8", "int8-static", "int8-qat")
CALIBRATION_TEXTS = 512
TOKENS_ALONE = ModelInterface("none")


def with_outliers(weights: ClassifierWeights, factor: float, seed: int) -> ClassifierWeights:
    """The same function of the token ids, with stretched channels between its matmuls."""
    generator = np.random.default_rng(seed)

    def chosen(width: int) -> np.ndarray:
        return generator.choice(width, CHANNELS, replace=False)

    layers = []
    for layer in weights.layers:
        values, queries = chosen(weights.width), chosen(weights.width)
        layers.append(
            replace(
                layer,
                value=_outputs_times(layer.value, values, factor),
                attention_output=_inputs_times(layer.attention_output, values, 1 / factor),
                query=_outputs_times(layer.query, queries, factor),
                key=_outputs_times(layer.key, queries, 1 / factor),
            )
        )
    pooled = chosen(weights.pooled_dense.bias.size)  # a ReLU lies between, which lets a positive factor through
    return replace(
        weights,
        layers=tuple(layers),
        pooled_dense=_outputs_times(weights.pooled_dense, pooled, factor),
        logits=_inputs_times(weights.logits, pooled, 1 / factor),
    )


def _outputs_times(dense: Dense, channels: np.ndarray, factor: float) -> Dense:
    kernel, bias = dense.kernel.copy(), dense.bias.copy()
    kernel[:, channels] *= factor
    bias[channels] *= factor
    return Dense(kernel, bias)


def _inputs_times(dense: Dense, channels: np.ndarray, factor: float) -> Dense:
    kernel = dense.kernel.copy()
    kernel[channels] *= factor
    return Dense(kernel, dense.bias)


def load(preset: str, factor: float, seed: int) -> LabelledClassifier:
    """A trained preset, with outlier channels."""
    trained = load_labelled_classifier(preset)
    write_weights(trained.classifier, with_outliers(read_weights(trained.classifier), factor, seed))
    return trained


def graph(classifier: Any, plan: QuantizationPlan, texts: Sequence[str], ranges: Ranges | None) -> bytes:
    """What `convert` would write, before it is verified."""
    rows = list(unpadded_rows(classifier.preprocessor, texts))
    settings, vocabulary = read_tokenizer(classifier.preprocessor)
    module = TextClassifierModule(read_weights(classifier), settings, vocabulary, plan, TOKENS_ALONE)
    return convert_module(module, plan, {}, calibrate=lambda model: ranges or activation_ranges(model, rows))


def is_converted(
    trained: LabelledClassifier, plan: QuantizationPlan, texts: Sequence[str], ranges: Any, answers: Any
) -> bool:
    """Whether the file turns out as good as its plan promises."""
    options = {"plan": plan, "interface": TOKENS_ALONE, "calibration_texts": texts}
    with tempfile.TemporaryDirectory() as folder:
        options |= {"ranges": ranges, "answers": answers}
        try:
            convert_classifier(trained.classifier, trained.labels, Path(folder, "file.tflite"), **options)
        except ParityError:
            return False
    return True


def measure(preset: str, data: Path, factor: float, seed: int) -> list[dict[str, Any]]:
    """A row for the Keras preset and one for each scheme."""
    training, test = (read_labelled_texts(data / f"{part}.csv") for part in ("train", "test"))
    some = sampled(training.texts, CALIBRATION_TEXTS)
    keras = predict_probabilities(load(preset, factor, seed).classifier, test.texts)
    rows = []
    for scheme in ("Keras", *SCHEMES):
        trained, answers, found = load(preset, factor, seed), keras, {}
        if scheme != "Keras":
            plan, ranges = QuantizationPlan(scheme), None
            before = answer_with_keras(trained.classifier, verification_inputs((), TOKENS_ALONE))
            if plan.needs == "training data":
                ranges = train(trained, training, plan, seed)
            test_rows = list(unpadded_rows(trained.classifier.preprocessor, test.texts))
            answers = probabilities(graph(trained.classifier, plan, some, ranges), test_rows)
            found = {"is_converted": is_converted(trained, plan, some, ranges, before)}
        due = np.array([trained.labels.index(label) for label in test.labels])
        rows.append(
            {
                "data": data.name,
                "factor": factor,
                "seed": seed,
                "scheme": scheme,
                "accuracy": float((answers.argmax(1) == due).mean()),
                "agreement": float((answers.argmax(1) == keras.argmax(1)).mean()),
                "mean_difference": float(np.abs(answers - keras).mean()),
                **found,
            }
        )
    return rows


def train(trained: LabelledClassifier, texts: LabelledTexts, plan: QuantizationPlan, seed: int) -> Ranges:
    """Trains the classifier in place, with the settings of `edgedistil convert`."""
    numbers = [trained.labels.index(label) for label in texts.labels]
    prepared = PreparedClassifier(trained.classifier, trained.labels, trained.name)
    options, settings = ConversionOptions(plan), QATSettings(seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        after = train_with_quantization(prepared, texts.texts, numbers, settings, options=options, folder=Path(folder))
    assert after.ranges is not None
    return after.ranges


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown."""
    lines = [
        "| factor | scheme | accuracy | agrees with Keras | mean difference | `convert` |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [f"{row['factor']:g}", row["scheme"], f"{row['accuracy']:.2%}"]
        if row["scheme"] == "Keras":
            cells += ["", "", ""]
        else:
            written = "writes it" if row["is_converted"] else "refuses it"
            cells += [f"{row['agreement']:.2%}", f"{row['mean_difference']:.5f}", written]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measures one preset at each factor and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", required=True, help="a trained preset")
    parser.add_argument("--data", type=Path, required=True, help="a folder with its train.csv and test.csv")
    parser.add_argument("--factors", type=float, nargs="+", default=[30.0, 100.0, 300.0], help="of stretched channels")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rows = []
    for factor in arguments.factors:
        rows += measure(arguments.preset, arguments.data, factor, arguments.seed)
    print(table(rows))
    print(json.dumps(rows))


if __name__ == "__main__":
    main()

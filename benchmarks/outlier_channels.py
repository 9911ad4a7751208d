"""Where static int8 loses and training with quantization wins back: a classifier with outlier channels.

    python benchmarks/outlier_channels.py --preset build/accuracy/snips_0 --data ../shared/data/snips

Large pretrained transformers have a few channels whose values are many times those of the others (Bondarenko et al.
2021, arXiv 2109.12948); small ones trained from scratch do not. Here they are put in by hand without changing what the
model computes: a few channels of the values, the queries and the pooled layer are multiplied by a factor, and weights
that read them (the attention's output, the keys, the logits) divided by it. Each scheme is then made from that preset
and measured on the test split beside the Keras model, `int8-static` also where `convert` refuses to write such a file.
Prints a table, then JSON.
"""

import argparse
import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from accuracy import convert
from int4_rounding import probabilities

from edgedistil.data import read_labelled_texts
from edgedistil.presets.loading import load_labelled_classifier
from edgedistil.training.prediction import predict_probabilities
from edgedistil_converters.edge_graph.weights import ClassifierWeights, Dense, read_weights, write_weights
from edgedistil_converters.flatbuffer import convert_module
from edgedistil_converters.interface import ModelInterface
from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_converters.quantization.ranges import activation_ranges
from edgedistil_converters.signatures import TextClassifierModule
from edgedistil_converters.tokenizer.reference import unpadded_rows
from edgedistil_converters.tokenizer.settings import read_tokenizer
from edgedistil_runtime import TextClassifier

CHANNELS = 3
CALIBRATION_TEXTS = 512
REFUSED = 1  # how `edgedistil convert` ends when it has said what is wrong


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
    pooled = chosen(weights.pooled.bias.size)  # a ReLU lies between, which lets a positive factor through
    return replace(
        weights,
        layers=tuple(layers),
        pooled=_outputs_times(weights.pooled, pooled, factor),
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


def save_with_outliers(preset: Path, output: Path, factor: float, seed: int) -> None:
    """A copy of a trained preset with outlier channels, unless it is there."""
    if output.is_dir():
        return
    classifier = load_labelled_classifier(str(preset)).classifier
    write_weights(classifier, with_outliers(read_weights(classifier), factor, seed))
    work = output.with_name(f"{output.name}.partial")
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(preset, work)  # its labels
    classifier.save_to_preset(str(work))
    work.rename(output)


def static_int8(classifier: Any, texts: Sequence[str]) -> bytes:
    """The graph of `int8-static`, which `convert` would refuse to write where it loses too much."""
    plan, rows = QuantizationPlan("int8-static"), list(unpadded_rows(classifier.preprocessor, texts))
    settings, vocabulary = read_tokenizer(classifier.preprocessor)
    module = TextClassifierModule(read_weights(classifier), settings, vocabulary, plan, ModelInterface("none"))
    return convert_module(module, plan, {}, calibrate=lambda model: activation_ranges(model, rows))


def is_converted(preset: Path, data: Path, scheme: str, seed: int) -> bool:
    """Whether `edgedistil convert` finds the file as good as its plan promises."""
    try:
        convert(data, preset, scheme, seed)
    except subprocess.CalledProcessError as error:
        if error.returncode != REFUSED:
            raise
        return False
    return True


def measure(preset: Path, data: Path, factor: float, seed: int, work: Path) -> list[dict[str, Any]]:
    """A row for the Keras preset and one for each scheme."""
    stretched = work / f"{preset.name}_outliers_{factor:g}_{seed}"
    save_with_outliers(preset, stretched, factor, seed)
    trained = load_labelled_classifier(str(stretched))
    training, test = (read_labelled_texts(data / f"{part}.csv") for part in ("train", "test"))
    keras = predict_probabilities(trained.classifier, test.texts)
    answers = {"Keras": keras}
    graph = static_int8(trained.classifier, training.texts[:: -(-len(training) // CALIBRATION_TEXTS)])
    answers["int8-static"] = probabilities(graph, list(unpadded_rows(trained.classifier.preprocessor, test.texts)))
    for scheme in ("int8", "int8-qat"):
        with TextClassifier(convert(data, stretched, scheme, seed)) as model:
            found = [list(answer.probabilities.values()) for answer in map(model.classify, test.texts)]
        answers[scheme] = np.array(found)
    due = np.array([trained.labels.index(label) for label in test.labels])
    return [
        {
            "data": data.name,
            "factor": factor,
            "seed": seed,
            "scheme": scheme,
            "accuracy": float((found.argmax(1) == due).mean()),
            "agreement": float((found.argmax(1) == keras.argmax(1)).mean()),
            "mean_difference": float(np.abs(found - keras).mean()),
            "is_converted": scheme != "int8-static" or is_converted(stretched, data, scheme, seed),
        }
        for scheme, found in answers.items()
    ]


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
    parser.add_argument("--preset", type=Path, required=True, help="a trained preset")
    parser.add_argument("--data", type=Path, required=True, help="a folder with its train.csv and test.csv")
    parser.add_argument("--factors", type=float, nargs="+", default=[30.0, 100.0, 300.0], help="of stretched channels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("build/outlier_channels"), help="folder of presets and files")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    rows = []
    for factor in arguments.factors:
        rows += measure(arguments.preset, arguments.data, factor, arguments.seed, arguments.work)
    print(table(rows))
    print(json.dumps(rows))


if __name__ == "__main__":
    main()

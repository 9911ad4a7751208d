"""What signatures of fixed shapes add to a file: its size, and the constants in it, without them and with them.

    python benchmarks/fixed_lengths.py [--shapes 2x128 6x384] [--lengths 16,32,64,128] [--scheme int8]

Classifiers of several shapes (layers x width) with random weights and a vocabulary of BERT's. Nothing is run. A table
comes first, one line of JSON last.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import keras
import keras_hub

from edgedistil_converters import ModelInterface, QuantizationPlan
from edgedistil_converters.flatbuffer import convert_module
from edgedistil_converters.model.read_classifier import read_classifier
from edgedistil_converters.signatures import DEFAULT_SHAPES, FixedShapes, TextClassifierModule
from edgedistil_converters.tflite.structure import read_structure

SEQUENCE_LENGTH = 128
CLASSES = 10
WIDTH_OF_HEAD = 64


def main() -> None:
    """Converts each shape twice and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocabulary", type=Path, default=Path("../shared/vocab/bert-base-uncased.txt"))
    parser.add_argument("--shapes", nargs="+", default=["2x128", "6x384"])
    parser.add_argument("--lengths", default="16,32,64,128")
    parser.add_argument("--scheme", default="int8")
    arguments = parser.parse_args()
    lengths = tuple(map(int, arguments.lengths.split(",")))
    vocabulary = arguments.vocabulary.read_text("utf-8").removesuffix("\n").split("\n")
    rows = []
    for shape in arguments.shapes:
        layers, width = map(int, shape.split("x"))
        source = read_classifier(make_classifier(vocabulary, layers, width), "builtin")
        plain = sizes(source, QuantizationPlan(arguments.scheme), FixedShapes())
        fixed = sizes(source, QuantizationPlan(arguments.scheme), FixedShapes(lengths))
        rows.append({"shape": shape, "bytes": plain, "bytes_with_lengths": fixed})
    print(f"{arguments.scheme}, lengths {arguments.lengths}\n")
    print("| shape | MB | with lengths | constants |\n|---|---|---|---|")
    for row in rows:
        (file, constants), (larger, more) = row["bytes"], row["bytes_with_lengths"]
        print(
            f"| {row['shape']} | {file / 1e6:.2f} "
            f"| + {(larger - file) / 1e3:.0f} kB, {100 * (larger / file - 1):.1f} % "
            f"| + {(more - constants) / 1e3:.1f} kB, {100 * (more / constants - 1):.2f} % |"
        )
    print(json.dumps(rows))


def make_classifier(vocabulary: list[str], layers: int, width: int) -> Any:
    """Returns a classifier with random weights."""
    keras.utils.set_random_seed(0)
    backbone = keras_hub.models.DistilBertBackbone(
        vocabulary_size=len(vocabulary),
        num_layers=layers,
        num_heads=width // WIDTH_OF_HEAD,
        hidden_dim=width,
        intermediate_dim=4 * width,
        max_sequence_length=SEQUENCE_LENGTH,
    )
    tokenizer = keras_hub.models.DistilBertTokenizer(vocabulary=vocabulary, lowercase=True)
    preprocessor = keras_hub.models.DistilBertTextClassifierPreprocessor(tokenizer, sequence_length=SEQUENCE_LENGTH)
    return keras_hub.models.DistilBertTextClassifier(backbone, CLASSES, preprocessor=preprocessor, activation=None)


def sizes(source: Any, plan: QuantizationPlan, fixed: FixedShapes) -> tuple[int, int]:
    """Returns the bytes of the flatbuffer, and of the constants in it."""
    module = TextClassifierModule(
        source.weights, source.settings, source.vocabulary, plan, ModelInterface(), fixed=fixed
    )
    flatbuffer = convert_module(module, plan, DEFAULT_SHAPES)
    return len(flatbuffer), sum(read_structure(flatbuffer).constant_bytes.values())


if __name__ == "__main__":
    main()

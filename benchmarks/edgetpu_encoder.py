"""The encoder for an Edge TPU, run on the CPU: accuracy beside Keras and `int8-static`, and the predicted mapping.

    python -m datasets.smart_home build/smart_home        # writes train.csv and test.csv
    python benchmarks/edgetpu_encoder.py --preset smart_home_tiny_en --data build/smart_home --sequence-length 48

Nothing here runs on a chip, and without Coral's compiler the mapping is a prediction.
"""

import argparse
import platform
from pathlib import Path

import numpy as np
from accuracy import edgedistil, keras_probabilities

from edgedistil.data import read_labelled_texts
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.artifact import read_artifact
from edgedistil_runtime.backends.choice import encoder_on_cpu


def in_two_parts(path: Path) -> TextClassifier:
    """A file whose encoder runs behind the rest of it, on the CPU."""
    return TextClassifier(path, backend=encoder_on_cpu(read_artifact(path)))


def main() -> None:
    """Prints the table and the mapping."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", required=True)
    parser.add_argument("--data", required=True, type=Path, help="folder with train.csv and test.csv")
    parser.add_argument("--sequence-length", type=int, default=48)
    parser.add_argument("--work", type=Path, default=Path("build/edgetpu_encoder.tflite"), help="the file to write")
    arguments = parser.parse_args()
    arguments.work.parent.mkdir(parents=True, exist_ok=True)
    options = ["--target", "edgetpu", "--quantize", "int8-static", "--calibration-data", arguments.data / "train.csv"]
    options += ["--sequence-length", arguments.sequence_length, "-o", arguments.work, "--force"]
    edgedistil("convert", "--preset", arguments.preset, *options)
    test = read_labelled_texts(arguments.data / "test.csv")
    keras, labels = keras_probabilities(Path(arguments.preset), test.texts)
    truth = np.array([labels.index(label) for label in test.labels])
    print("| | accuracy | labels as Keras | mean / largest difference of a probability |\n|---|---|---|---|")
    print(f"| Keras, float32 | {(keras.argmax(1) == truth).mean():.2%} | | |")
    forms = {"int8-static for the CPU": TextClassifier, "Edge TPU's encoder, run on the CPU": in_two_parts}
    for name, load in forms.items():
        with load(arguments.work) as classifier:
            answers = [list(answer.probabilities.values()) for answer in classifier.classify_batch(test.texts)]
        found = np.array(answers)
        difference = np.abs(found - keras)
        accuracy, agreement = (found.argmax(1) == truth).mean(), (found.argmax(1) == keras.argmax(1)).mean()
        print(f"| {name} | {accuracy:.2%} | {agreement:.2%} | {difference.mean():.4f} / {difference.max():.2f} |")
    encoder = read_artifact(arguments.work).metadata.encoder
    assert encoder is not None
    mapping = {key: encoder.mapping[key] for key in ("source", "mapped", "on_cpu", "reasons")}
    print(f"\n{len(test)} texts, {arguments.sequence_length} tokens, {platform.machine()}; mapping: {mapping}")


if __name__ == "__main__":
    main()

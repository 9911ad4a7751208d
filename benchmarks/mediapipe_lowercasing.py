"""What MediaPipe's preprocessing costs: one classifier and one test set, with its own tokenizer and with MediaPipe's.

    make setup-mediapipe
    edgedistil train --from-scratch tiny --train-data train.csv -o my_classifier
    python benchmarks/mediapipe_lowercasing.py my_classifier test.csv

MediaPipe lowercases ASCII letters alone, folds no case and strips no accents, whatever the classifier was trained with.
The classifier's answers through Keras are compared with those of the real MediaPipe for the file that `edgedistil
convert --tokenizer none --metadata mediapipe` writes; a second model, which gives its token ids back, shows where the
ids differ. float32 by default, so that nothing but preprocessing differs. A table comes first, one line of JSON last.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from edgedistil.data import LabelledTexts, read_labelled_texts
from edgedistil.presets.loading import LabelledClassifier, load_labelled_classifier
from edgedistil_converters.flatbuffer import convert_module
from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_converters.targets.mediapipe import with_mediapipe_metadata
from edgedistil_converters.tokenizer.settings import read_tokenizer
from edgedistil_converters.verification.keras_answers import answer_with_keras
from edgedistil_runtime.artifact import vocabulary_bytes
from edgedistil_runtime.trailing_archive import append_archive

ROOT = Path(__file__).parents[1]
RUNNER = ROOT / "tests" / "mediapipe" / "classify_with_mediapipe.py"
SUBSETS: dict[str, Callable[[str], bool]] = {
    "all": lambda text: True,
    "ASCII": str.isascii,
    "not ASCII": lambda text: not text.isascii(),
    "letters beyond ASCII": lambda text: any(c.isalpha() and not c.isascii() for c in text),
    "capitals beyond ASCII": lambda text: any(c.isupper() and not c.isascii() for c in text),
}


def run_mediapipe(python: Path, model: Path, texts: Sequence[str]) -> list[list[dict[str, Any]]]:
    """Scores of each text, in the order of scores."""
    done = subprocess.run(
        [python, RUNNER, model], input=json.dumps(list(texts)), check=True, stdout=subprocess.PIPE, text=True
    )
    result = json.loads(done.stdout)
    if "error" in result:
        raise SystemExit(f"MediaPipe refuses the model: {result['error']}")
    answers: list[list[dict[str, Any]]] = result["answers"]
    return answers


def convert(preset: str, quantize: str, output: Path) -> None:
    """Writes the file for MediaPipe with the command line."""
    command = ["convert", "--preset", preset, "--quantize", quantize, "--tokenizer", "none", "--metadata", "mediapipe"]
    subprocess.run([sys.executable, "-m", "edgedistil", *command, "-o", output], check=True, stdout=sys.stderr)


def write_id_model(preprocessor: Any, output: Path) -> None:
    """Writes a model for MediaPipe whose score number k is the token id at position k."""
    settings, vocabulary = read_tokenizer(preprocessor)
    shape = [1, settings.sequence_length]
    module = tf.Module()
    module.functions = {
        "serving_default": tf.function(
            lambda ids, segment_ids, mask: {"scores": tf.cast(ids * mask + segment_ids, tf.float32)},
            input_signature=[tf.TensorSpec(shape, tf.int32, name=name) for name in ("ids", "segment_ids", "mask")],
        )
    }
    model = convert_module(module, QuantizationPlan("fp32"), {})
    model = with_mediapipe_metadata(model, name="token ids", settings=settings)
    labels = "".join(f"{k}\n" for k in range(shape[1])).encode()
    members = {"labels.txt": labels, "vocab.txt": vocabulary_bytes(vocabulary)}
    output.write_bytes(append_archive(model, members, is_deflated=False))


def ids_from_scores(answer: list[dict[str, Any]]) -> tuple[int, ...]:
    """Token ids without padding; no token has id 0 where [PAD] has it."""
    return tuple(int(c["score"]) for c in sorted(answer, key=lambda c: int(c["index"])) if c["score"])


def measure(
    source: LabelledClassifier, data: LabelledTexts, python: Path, preset: str, quantize: str
) -> list[dict[str, Any]]:
    """A row for each subset of the texts."""
    answers = answer_with_keras(source.classifier, data.texts)
    keras_labels = [source.labels[int(np.argmax(answer.probabilities))] for answer in answers]
    with tempfile.TemporaryDirectory() as folder:
        model, id_model = Path(folder, "model.tflite"), Path(folder, "ids.tflite")
        convert(preset, quantize, model)
        write_id_model(source.classifier.preprocessor, id_model)
        mediapipe_labels = [answer[0]["label"] for answer in run_mediapipe(python, model, data.texts)]
        mediapipe_ids = [ids_from_scores(answer) for answer in run_mediapipe(python, id_model, data.texts)]
    table = {
        "keras": [a == b for a, b in zip(keras_labels, data.labels, strict=True)],
        "mediapipe": [a == b for a, b in zip(mediapipe_labels, data.labels, strict=True)],
        "same_label": [a == b for a, b in zip(keras_labels, mediapipe_labels, strict=True)],
        "same_ids": [a.token_ids == b for a, b in zip(answers, mediapipe_ids, strict=True)],
    }
    rows = []
    for name, contains in SUBSETS.items():
        chosen = [i for i, text in enumerate(data.texts) if contains(text)]
        counts = {column: sum(values[i] for i in chosen) for column, values in table.items()}
        rows.append({"texts": name, "count": len(chosen), **counts})
    return rows


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("preset", help="a directory that `edgedistil train` wrote")
    parser.add_argument("data", type=Path, help="labelled texts, for instance test.csv")
    parser.add_argument("--quantize", default="fp32", choices=("fp32", "fp16", "int8"))
    parser.add_argument("--mediapipe-python", type=Path, default=ROOT / ".venv-mediapipe" / "bin" / "python")
    arguments = parser.parse_args()
    source, data = load_labelled_classifier(arguments.preset), read_labelled_texts(arguments.data)
    rows = measure(source, data, arguments.mediapipe_python, arguments.preset, arguments.quantize)
    print("| texts | count | accuracy, own tokenizer | accuracy, MediaPipe | same label | same token ids |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        shares = [f"{row[key]} ({row[key] / row['count']:.2%})" if row["count"] else "-" for key in list(row)[2:]]
        print(f"| {row['texts']} | {row['count']} | {' | '.join(shares)} |")
    print(json.dumps({"preset": arguments.preset, "data": str(arguments.data), "rows": rows}))


if __name__ == "__main__":
    main()

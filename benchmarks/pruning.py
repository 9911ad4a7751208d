"""What vocabulary pruning saves, and what it costs on texts that it did not see.

    python benchmarks/pruning.py --shared ../shared [--only texts]
    python benchmarks/pruning.py --preset build/accuracy/snips_0 --data ../shared/data/snips

Three measurements. The file: a classifier of the shape of distil_bert_base_multi (6 layers, width 768, 119,547 pieces,
random weights) is converted to int8 as it is and pruned to 20,000 pieces by the training texts of all data sets. The
texts: for each data set and BERT's English vocabulary, pieces are chosen by the training texts, and the share of test
texts is taken that keep their token ids, next to the estimate that the report makes from the training texts alone.
With --preset, the accuracy: a trained classifier is pruned to fewer pieces than its training texts need, which breaks
words of the test texts into shorter pieces that the classifier has learned less about, and answers them with Keras.
Tables come first, one line of JSON last.
"""

import argparse
import csv
import json
import os
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import keras_hub

from edgedistil.data import read_labelled_texts
from edgedistil.presets.loading import load_labelled_classifier
from edgedistil.scores import evaluate_labels
from edgedistil.training.keras_outputs import predict_probabilities
from edgedistil_converters import QuantizationPlan, convert_classifier
from edgedistil_converters.model.keras_token_ids import token_id_rows
from edgedistil_converters.preparation.pruning import prune_classifier

DATA_SETS = ("snips", "clinc150", "banking77", "sms_spam")
PIECES = 20_000
GOAL = 0.55  # of the file
SIZES = (None, 8_000, 12_000, 20_000)  # of the English vocabulary; None is what the texts and characters need
BASE = {"num_layers": 6, "num_heads": 12, "hidden_dim": 768, "intermediate_dim": 3072}
SMALL = {"num_layers": 1, "num_heads": 1, "hidden_dim": 8, "intermediate_dim": 8}  # only token ids are compared
TOKENS = 128
SHARES = (1 / 2, 1 / 4, 1 / 8, 1 / 16)  # of a preset's vocabulary


def read_texts(path: Path) -> list[str]:
    """The text column of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]


def make_classifier(vocabulary: Path, *, lowercase: bool, shape: dict[str, int]) -> Any:
    """A classifier of four classes with random weights."""
    keras.utils.set_random_seed(0)
    pieces = vocabulary.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    tokenizer = keras_hub.models.DistilBertTokenizer(pieces, lowercase=lowercase)
    preprocessor = keras_hub.models.DistilBertTextClassifierPreprocessor(tokenizer, sequence_length=TOKENS)
    backbone = keras_hub.models.DistilBertBackbone(vocabulary_size=len(pieces), **shape)
    return keras_hub.models.DistilBertTextClassifier(backbone, num_classes=4, preprocessor=preprocessor)


def unchanged_share(full: Any, pruned: Any, texts: Sequence[str]) -> float:
    """Share of texts whose ids, mapped back, are those of the full tokenizer."""
    rows = pruned.kept[token_id_rows(pruned.classifier.preprocessor, texts)]
    return float((rows == token_id_rows(full.preprocessor, texts)).all(axis=1).mean())


def measure_texts(shared: Path) -> list[dict[str, Any]]:
    """A row for each data set and size."""
    classifier = make_classifier(shared / "vocab" / "bert-base-uncased.txt", lowercase=True, shape=SMALL)
    results = []
    for name in DATA_SETS:
        training, test = (read_texts(shared / "data" / name / f"{part}.csv") for part in ("train", "test"))
        for size in SIZES:
            pruned = prune_classifier(classifier, training, vocabulary_size=size)
            share = unchanged_share(classifier, pruned, test)
            results.append({"data": name, "size": size, "test_unchanged": share, **pruned.report.to_dict()})
    return results


def measure_file(shared: Path) -> dict[str, Any]:
    """Bytes of the int8 files before and after, seconds and peak memory."""
    vocabulary = shared / "vocab" / "bert-base-multilingual-cased.txt"
    classifier = make_classifier(vocabulary, lowercase=False, shape=BASE)
    training, test = (
        [text for name in DATA_SETS for text in read_texts(shared / "data" / name / f"{part}.csv")]
        for part in ("train", "test")
    )
    labels, plan = ("a", "b", "c", "d"), QuantizationPlan("int8")
    with tempfile.TemporaryDirectory() as folder:
        whole = convert_classifier(classifier, labels, Path(folder) / "whole.tflite", plan=plan)
        started = time.perf_counter()
        pruned = prune_classifier(classifier, training, vocabulary_size=PIECES)
        seconds = time.perf_counter() - started
        small = convert_classifier(pruned.classifier, labels, Path(folder) / "small.tflite", plan=plan)
        sizes = [conversion.artifact.size for conversion in (whole, small)]
    return {
        "bytes_before": sizes[0],
        "bytes_after": sizes[1],
        "saved": 1 - sizes[1] / sizes[0],
        "goal": GOAL,
        "prune_seconds": seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "test_unchanged": unchanged_share(classifier, pruned, test),
        **pruned.report.to_dict(),
    }


def measure_accuracy(preset: str, data: Path) -> list[dict[str, Any]]:
    """A row for the preset as it is, one for what its training texts need, and one for each share of the pieces."""
    trained = load_labelled_classifier(preset)
    training, test = (read_labelled_texts(data / f"{part}.csv") for part in ("train", "test"))
    pieces = int(trained.classifier.backbone.vocabulary_size)
    results = []
    for size in (pieces, None, *(round(share * pieces) for share in SHARES)):
        pruned = prune_classifier(trained.classifier, training.texts, vocabulary_size=size)
        answers = predict_probabilities(pruned.classifier, test.texts).argmax(1)
        found = evaluate_labels(test.labels, [trained.labels[i] for i in answers], trained.labels)
        share = unchanged_share(trained.classifier, pruned, test.texts)
        results.append(
            {"data": data.name, "size": size, "accuracy": found.accuracy, "test_unchanged": share}
            | pruned.report.to_dict()
        )
    return results


def print_accuracy(results: Sequence[dict[str, Any]]) -> None:
    """One table."""
    print("| data | pieces asked | pieces kept | test texts unchanged | accuracy | change, points |")
    print("|---|---|---|---|---|---|")
    for row in results:
        asked = f"{row['size']:,}" if row["size"] else "what is needed"
        change = 100 * (row["accuracy"] - results[0]["accuracy"])
        print(
            f"| {row['data']} | {asked} | {row['vocabulary_after']:,} | {row['test_unchanged']:.1%} "
            f"| {row['accuracy']:.2%} | {change:+.2f} |"
        )


def print_file(result: dict[str, Any]) -> None:
    """One paragraph."""
    gigabytes = result["peak_mb"] / 1000
    print(
        f"int8 file of distil_bert_base_multi's shape: {result['bytes_before'] / 1e6:.1f} MB with "
        f"{result['vocabulary_before']:,} pieces, {result['bytes_after'] / 1e6:.1f} MB with "
        f"{result['vocabulary_after']:,}: {result['saved']:.1%} saved (goal {result['goal']:.0%}); pruning took "
        f"{result['prune_seconds']:.0f} s for {result['texts']:,} texts, peak memory {gigabytes:.1f} GB\n"
        f"unchanged: {result['unchanged']:.2%} of these texts, {result['test_unchanged']:.2%} of the test texts"
    )


def print_texts(results: Sequence[dict[str, Any]]) -> None:
    """One table."""
    print("| data | pieces asked | pieces kept | training texts unchanged | test texts unchanged | estimate |")
    print("|---|---|---|---|---|---|")
    for row in results:
        asked = f"{row['size']:,}" if row["size"] else "what is needed"
        print(
            f"| {row['data']} | {asked} | {row['vocabulary_after']:,} | {row['unchanged']:.1%} "
            f"| {row['test_unchanged']:.1%} | {row['unchanged_unseen']:.1%} |"
        )


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="folder with vocab/ and data/")
    parser.add_argument("--only", choices=("texts", "file"), help="one of the two measurements")
    parser.add_argument("--preset", help="a trained preset whose accuracy is to be measured, instead of the other two")
    parser.add_argument("--data", type=Path, help="the folder with its train.csv and test.csv")
    arguments = parser.parse_args()
    if (arguments.preset is None) != (arguments.data is None):
        parser.error("--preset and --data belong together")
    if arguments.preset is not None:
        results = measure_accuracy(arguments.preset, arguments.data)
        print_accuracy(results)
        print(json.dumps(results))
        return
    texts = measure_texts(arguments.shared) if arguments.only != "file" else []
    file = measure_file(arguments.shared) if arguments.only != "texts" else None
    if texts:
        print_texts(texts)
    if file is not None:
        print_file(file)
    print(json.dumps({"texts": texts, "file": file}))


if __name__ == "__main__":
    main()

"""DistilBERT-base, raw text to probabilities: EdgeDistil's int8 file against KerasHub's own LiteRT export.

    python benchmarks/against_keras_hub_export.py --vocabulary VOCAB.txt

A DistilBERT of the base shape (6 layers, width 768, 66 M parameters, random weights) is written as a preset and
converted twice: by `edgedistil convert --quantize int8`, as a process of its own whose time and peak memory are taken;
and by `classifier.export(format="litert", optimizations=[DEFAULT])` with 128 tokens, the way KerasHub's users go. The
second file takes token ids, so Hugging Face's `tokenizers` makes them, the fastest tokenizer at hand. Both run on
ai-edge-litert's Interpreter with the same number of threads. The two are timed in turn, text by text, and the ratio is
taken pair by pair, so that a noisy machine disturbs both alike. A table comes first, one line of JSON last.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import keras_hub
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from tokenizers import BertWordPieceTokenizer

from edgedistil_runtime import TextClassifier

LENGTHS = (18, 96, 276)  # characters
GOALS = (4.0, 2.5, 1.8)  # how many times faster
TOKENS = 128
SENTENCE = "please turn off the light in the living room and tell me what the weather will be like tomorrow, "


def build_preset(vocabulary: Path, folder: Path) -> keras_hub.models.DistilBertTextClassifier:
    """Writes a base-sized classifier with random weights as a preset directory."""
    keras.utils.set_random_seed(0)
    pieces = vocabulary.read_text(encoding="utf-8").split("\n")[:-1]
    preprocessor = keras_hub.models.DistilBertTextClassifierPreprocessor(
        keras_hub.models.DistilBertTokenizer(pieces, lowercase=True), sequence_length=TOKENS
    )
    backbone = keras_hub.models.DistilBertBackbone(
        vocabulary_size=len(pieces), num_layers=6, num_heads=12, hidden_dim=768, intermediate_dim=3072
    )
    classifier = keras_hub.models.DistilBertTextClassifier(backbone, num_classes=4, preprocessor=preprocessor)
    classifier.save_to_preset(str(folder))
    return classifier


def convert(preset: Path, output: Path) -> tuple[float, float]:
    """Runs the command line; returns seconds and the peak memory in MB."""
    command = [sys.executable, "-m", "edgedistil", "convert", "--preset", str(preset), "--quantize", "int8"]
    started = time.perf_counter()
    subprocess.run([*command, "-o", str(output), "--force"], check=True)
    return time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def keras_hub_export(classifier: keras_hub.models.DistilBertTextClassifier, output: Path) -> None:
    """KerasHub's own way, with its dynamic-range int8."""
    classifier.export(str(output), format="litert", optimizations=[tf.lite.Optimize.DEFAULT], verbose=False)


def keras_hub_runner(model: Path, vocabulary: Path, threads: int) -> Callable[[str], np.ndarray]:
    """Raw text to probabilities with the exported file and Hugging Face's tokenizer."""
    tokenizer = BertWordPieceTokenizer(str(vocabulary), lowercase=True)
    tokenizer.enable_truncation(TOKENS)
    tokenizer.enable_padding(length=TOKENS)
    run = Interpreter(str(model), num_threads=threads).get_signature_runner("serving_default")
    dtypes = {name: details["dtype"] for name, details in run.get_input_details().items()}

    def classify(text: str) -> np.ndarray:
        encoding = tokenizer.encode(text)
        features = {"token_ids": encoding.ids, "padding_mask": encoding.attention_mask}
        logits = run(**{name: np.array([features[name]], dtype) for name, dtype in dtypes.items()})["output_0"]
        exponentials = np.exp(logits - logits.max())
        return exponentials / exponentials.sum()

    return classify


def time_in_turn(
    first: Callable[[str], object], second: Callable[[str], object], text: str, rounds: int
) -> tuple[list[float], list[float]]:
    """Milliseconds of each run of two functions, run in turn."""
    for function in (first, second, first, second):
        function(text)
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for function, taken in zip((first, second), times, strict=True):
            started = time.perf_counter()
            function(text)
            taken.append((time.perf_counter() - started) * 1e3)
    return times


def main() -> None:
    """Builds, converts, times and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocabulary", type=Path, default=Path("../shared/vocab/bert-base-uncased.txt"))
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        classifier = build_preset(arguments.vocabulary, folder / "preset")
        seconds, megabytes = convert(folder / "preset", folder / "ours.tflite")
        keras_hub_export(classifier, folder / "theirs.tflite")
        ours = TextClassifier(folder / "ours.tflite", num_threads=arguments.threads)
        theirs = keras_hub_runner(folder / "theirs.tflite", arguments.vocabulary, arguments.threads)
        sizes = {path: (folder / f"{path}.tflite").stat().st_size / 1e6 for path in ("ours", "theirs")}
        rows = []
        for length, goal in zip(LENGTHS, GOALS, strict=True):
            text = (SENTENCE * 4)[:length]
            fast, slow = time_in_turn(ours.classify, theirs, text, arguments.rounds)
            ratio = statistics.median(b / a for a, b in zip(fast, slow, strict=True))
            rows.append((length, statistics.median(fast), statistics.median(slow), ratio, goal))
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {arguments.threads} threads")
    print(f"convert --quantize int8: {seconds:.0f} s, peak {megabytes / 1000:.1f} GB")
    print(f"file: {sizes['ours']:.1f} MB (KerasHub's export: {sizes['theirs']:.1f} MB, without a tokenizer)")
    print("\n| characters | EdgeDistil ms | KerasHub export ms | times faster | goal |\n|---|---|---|---|---|")
    for length, mine, other, ratio, goal in rows:
        print(f"| {length} | {mine:.2f} | {other:.2f} | {ratio:.2f} | {goal} |")
    keys = ("characters", "edgedistil_ms", "keras_hub_ms", "ratio", "goal")
    result = {"convert_seconds": seconds, "convert_peak_mb": megabytes, "sizes_mb": sizes}
    print(json.dumps({**result, "rows": [dict(zip(keys, row, strict=True)) for row in rows]}))


if __name__ == "__main__":
    main()

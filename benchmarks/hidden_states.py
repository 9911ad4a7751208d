"""Hidden states of a pretrained encoder beside PyTorch's: the last layer, every token of 200 texts.

    make setup-minilm setup-torch
    python benchmarks/hidden_states.py --shared ../shared

PyTorch with transformers runs in another environment and process (`pytorch_hidden_states.py`), which writes arrays.
They are compared, for the same token ids, with

* the Keras model that `load_classifier` returns;
* the encoder of the fp32 file: the graph that `convert` writes, converted in the same way and run by LiteRT, but with
  the hidden states as its output. A classifier's last layer computes the first position only, so the graph is converted
  twice: as it is, and with every position in the last layer too.

The texts are drawn with a seed: three in five from the test splits of the data sets, most of them short; one in five
from the corpus of sentences; the rest are sentences joined to 60 to 900 words, so that some are cut at 512 tokens.
Exits with 1 if token ids differ or a value differs by more than --tolerance. A table comes first, one line of JSON
last.
"""

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from edgedistil.data import read_labelled_texts
from edgedistil.presets.download import locate
from edgedistil.presets.loading import load_classifier
from edgedistil_converters import QuantizationPlan
from edgedistil_converters.flatbuffer import convert_module
from edgedistil_converters.graph.classifier import EdgeGraph
from edgedistil_converters.graph.embeddings import FloatTable
from edgedistil_converters.graph.ops import SingleText
from edgedistil_converters.graph.transformer import LOGITS, POOLED, classify_embeddings
from edgedistil_converters.model.keras_hub import read_weights
from edgedistil_converters.model.keras_token_ids import unpadded_rows
from edgedistil_converters.model.weights import ClassifierWeights

HERE = Path(__file__).parent
DATA_SETS = ("banking77", "clinc150", "sms_spam", "snips")
TOKENS, STATES = "token_ids", "hidden_states"
Encoder = Callable[[Any], Any]  # int32[1, m] -> float32[m, width], or float32[1, width]


class WithoutHead(SingleText):
    """The steps of a text whose result is what the head would read."""

    def dense(self, site: str, x: Any, *, activation: str | None = None) -> Any:
        """Returns x unchanged at the sites of the head."""
        return x if site in (POOLED, LOGITS) else super().dense(site, x, activation=activation)


class EveryPosition(WithoutHead):
    """The same with every position in the last layer too."""

    def first_position(self, layer: str, x: Any) -> Any:
        """Returns all positions."""
        return x


class EncoderModule(tf.Module):
    """Token ids to hidden states, with the graph that a file has."""

    def __init__(self, weights: ClassifierWeights, ops: type[WithoutHead]) -> None:
        super().__init__()
        graph = EdgeGraph(weights, FloatTable(weights.token_embeddings), FloatTable(weights.position_embeddings))

        @tf.function(input_signature=[tf.TensorSpec([1, None], tf.int32, name=TOKENS)])
        def encode(token_ids: Any) -> Mapping[str, Any]:
            return {STATES: classify_embeddings(graph.embed(token_ids), weights.architecture, ops(weights))}

        self.functions = {STATES: encode}


def main() -> int:
    """Compares, prints and returns an exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="all_minilm_l6_v2_en", help="in Hugging Face's format")
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="folder with data/ and corpus/")
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tolerance", type=float, default=2e-5)
    parser.add_argument("--python", type=Path, default=HERE.parent / ".venv-torch" / "bin" / "python")
    arguments = parser.parse_args()
    texts = draw_texts(arguments.shared, arguments.texts, random.Random(arguments.seed))
    ids, states, versions = run_pytorch(arguments.python, locate(arguments.preset), texts)
    classifier = load_classifier(arguments.preset, num_classes=2)
    rows = [list(row) for row in unpadded_rows(classifier.preprocessor, texts)]
    others = sum(row != due.tolist() for row, due in zip(rows, ids, strict=True))
    results = [compare(name, encode, ids, states) for name, encode in encoders(classifier).items()]
    print_table(results, ids, others, versions)
    return int(others > 0 or max(result["largest"] for result in results) > arguments.tolerance)


def draw_texts(shared: Path, count: int, draw: random.Random) -> list[str]:
    """Texts of all lengths in a random order."""
    short = [text for name in DATA_SETS for text in read_labelled_texts(shared / "data" / name / "test.csv").texts]
    files = sorted((shared / "corpus").glob("sentences-*.txt"))
    sentences = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    few = count // 5
    texts = draw.sample(short, count - 2 * few) + draw.sample(sentences, few)
    for _ in range(few):
        words, wanted = [], draw.randint(60, 900)
        while len(words) < wanted:
            words += draw.choice(sentences).split()
        texts.append(" ".join(words[:wanted]))
    draw.shuffle(texts)
    return texts


def run_pytorch(python: Path, checkpoint: Path, texts: list[str]) -> tuple[list[Any], list[Any], dict[str, str]]:
    """Token ids and hidden states of each text, and versions."""
    if not python.exists():
        raise SystemExit(f"PyTorch is not installed: there is no {python}. Run `make setup-torch`, or pass --python")
    with tempfile.TemporaryDirectory() as name:
        command = [str(python), str(HERE / "pytorch_hidden_states.py"), str(checkpoint), name]
        done = subprocess.run(command, input=json.dumps(texts), stdout=subprocess.PIPE, text=True, check=True)
        ids, lengths, states = (np.load(Path(name, f"{array}.npy")) for array in ("ids", "lengths", "states"))
    ends = np.cumsum(lengths)[:-1]
    return np.split(ids, ends), np.split(states, ends), json.loads(done.stdout.splitlines()[-1])


def encoders(classifier: Any) -> dict[str, Encoder]:
    """What is compared."""
    weights = read_weights(classifier)
    return {
        "the Keras model": lambda ids: keras_states(classifier, ids),
        "the fp32 file's encoder, every position": litert_encoder(weights, EveryPosition),
        "the same as it is in the file, first position": litert_encoder(weights, WithoutHead),
    }


def keras_states(classifier: Any, ids: Any) -> Any:
    """The backbone's output for one text."""
    return np.asarray(classifier.backbone({TOKENS: ids, "padding_mask": np.ones_like(ids)}, training=False))[0]


def litert_encoder(weights: ClassifierWeights, ops: type[WithoutHead]) -> Encoder:
    """The encoder's graph as a float32 file in LiteRT's interpreter."""
    content = convert_module(EncoderModule(weights, ops), QuantizationPlan("fp32"), {})
    run = Interpreter(model_content=content, num_threads=2).get_signature_runner(STATES)
    return lambda ids: run(token_ids=ids)[STATES]


def compare(name: str, encode: Encoder, ids: list[Any], states: list[Any]) -> dict[str, Any]:
    """Differences from PyTorch's states, over the positions that the encoder gives."""
    differences = []
    for row, due in zip(ids, states, strict=True):
        found = encode(row[None].astype(np.int32))
        differences.append(np.abs(found - due[: len(found)]).ravel())
    every = np.concatenate(differences)
    worst = int(np.argmax([part.max() for part in differences]))
    return {
        "encoder": name,
        "largest": float(every.max()),
        "mean": float(every.mean()),
        "values": int(every.size),
        "tokens of the text with the largest": len(ids[worst]),
    }


def print_table(results: list[dict[str, Any]], ids: list[Any], others: int, versions: Mapping[str, str]) -> None:
    """Prints Markdown, then JSON."""
    lengths = sorted(len(row) for row in ids)
    print(
        f"{len(ids)} texts of {lengths[0]} to {lengths[-1]} tokens (median {lengths[len(lengths) // 2]}, "
        f"{sum(lengths):,} in all); token ids differ in {others} texts.\n"
    )
    print("| beside PyTorch | values | mean difference | largest |\n|---|---|---|---|")
    for row in results:
        print(f"| {row['encoder']} | {row['values']:,} | {row['mean']:.1e} | {row['largest']:.1e} |")
    versions = {**versions, "tensorflow": tf.__version__, "machine": platform.machine()}
    print(json.dumps({"results": results, "texts with other ids": others, **versions}))


if __name__ == "__main__":
    sys.exit(main())

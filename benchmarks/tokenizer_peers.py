"""The tokenizers that `benchmarks/tokenizer.py` compares, each as a function from a text to its token ids.

All are given the same vocabulary and sequence length. EdgeDistil's two and KerasHub's give the same ids; Hugging Face's
`tokenizers` implements another definition (it strips accents when it folds case, and keeps `…` whole) and gives other
ids on some texts.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras_hub
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from tokenizers import BertWordPieceTokenizer

from edgedistil_converters import QuantizationPlan
from edgedistil_converters.flatbuffer import convert_module
from edgedistil_converters.model.hugging_face_tokenizer import HuggingFacePreprocessor, HuggingFaceTokenizer
from edgedistil_converters.signatures import DEFAULT_SHAPES
from edgedistil_converters.tokenizer.graph import GraphTokenizer
from edgedistil_converters.tokenizer.settings import read_tokenizer
from edgedistil_converters.tokenizer.tftext import TFTextTokenizer
from edgedistil_runtime.backends import LiteRTInterpreterBackend, TFTextBackend
from edgedistil_runtime.metadata import AddedToken
from edgedistil_runtime.text_bytes import encode_string, encode_text

BUILTIN, BARE, TFTEXT = "EdgeDistil builtin", "the same, invoke() alone", "EdgeDistil tftext"
OTHER_RULES = "EdgeDistil builtin, Hugging Face's rules"
HUGGING_FACE, KERAS_HUB = "Hugging Face tokenizers", "KerasHub preprocessor"

TOKENIZERS = {
    "builtin": (GraphTokenizer, tf.TensorSpec([None], tf.int32, name="text")),
    "tftext": (TFTextTokenizer, tf.TensorSpec([1], tf.string, name="text")),
}


@dataclass(frozen=True)
class Peer:
    """A tokenizer.

    Attributes:
        prepare: takes a text and returns what runs on it; not timed.
        ids: the token ids that a run returned.
    """

    prepare: Callable[[str], Callable[[], Any]]
    ids: Callable[[Any], list[int]] = list

    def token_ids(self, text: str) -> list[int]:
        """The token ids of a text."""
        run = self.prepare(text)
        return self.ids(run())


def read_vocabulary(path: Path) -> list[str]:
    """The pieces of a vocabulary file, one a line."""
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def make_preprocessor(vocabulary: Path, sequence_length: int) -> Any:
    """KerasHub's preprocessor; vocabularies with `uncased` in their name get lowercase texts."""
    tokenizer = keras_hub.models.DistilBertTokenizer(
        read_vocabulary(vocabulary), lowercase="uncased" in vocabulary.stem
    )
    return keras_hub.models.DistilBertTextClassifierPreprocessor(tokenizer, sequence_length=sequence_length)


def make_hugging_face_preprocessor(vocabulary: Path, sequence_length: int) -> Any:
    """The same with Hugging Face's rules: special tokens are found in every text."""
    pieces = read_vocabulary(vocabulary)
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    tokens = [AddedToken(token, pieces.index(token), special=True, is_piece=True) for token in special]
    tokenizer = HuggingFaceTokenizer(pieces, lowercase="uncased" in vocabulary.stem, added_tokens=tokens)
    return HuggingFacePreprocessor(tokenizer, sequence_length=sequence_length)


def tokenizer_model(kind: str, preprocessor: Any) -> bytes:
    """A flatbuffer with the signature `tokenize` and nothing else."""
    tokenizer_class, text = TOKENIZERS[kind]
    tokenizer = tokenizer_class(*read_tokenizer(preprocessor))
    module = tf.Module()
    module.functions = {"tokenize": tf.function(lambda value: {"token_ids": tokenizer(value)}, input_signature=[text])}
    shapes = DEFAULT_SHAPES if kind == "builtin" else {}
    return convert_module(module, QuantizationPlan("fp32"), shapes, has_custom_ops=kind == "tftext")


def make_peers(vocabulary: Path, sequence_length: int, folder: Path) -> dict[str, Peer]:
    """All tokenizers, for one thread each.

    Args:
        vocabulary: a file.
        sequence_length: tokens at which a text is cut.
        folder: for model files.
    """
    preprocessor = make_preprocessor(vocabulary, sequence_length)
    paths = {kind: folder / f"tokenizer_{kind}.tflite" for kind in TOKENIZERS}
    for kind, path in paths.items():
        path.write_bytes(tokenizer_model(kind, preprocessor))
    other_rules = folder / "tokenizer_hugging_face.tflite"
    other_rules.write_bytes(tokenizer_model("builtin", make_hugging_face_preprocessor(vocabulary, sequence_length)))
    return {
        BUILTIN: _through_the_runtime(LiteRTInterpreterBackend(paths["builtin"], num_threads=1), encode_text),
        OTHER_RULES: _through_the_runtime(LiteRTInterpreterBackend(other_rules, num_threads=1), encode_text),
        BARE: _bare(paths["builtin"]),
        TFTEXT: _through_the_runtime(TFTextBackend(paths["tftext"], num_threads=1), encode_string),
        HUGGING_FACE: _hugging_face(vocabulary, sequence_length),
        KERAS_HUB: _keras_hub(preprocessor),
    }


def _through_the_runtime(backend: Any, encode: Callable[[str], Any]) -> Peer:
    """From a Python string to a list of ids, as `TextClassifier.tokenize` does it."""

    def run(text: str) -> list[int]:
        ids: list[int] = backend.run("tokenize", {"text": encode(text)})["token_ids"].reshape(-1).tolist()
        return ids

    return Peer(lambda text: lambda: run(text))


def _bare(path: Path) -> Peer:
    """What a program in C pays: the input stands in its tensor, and nobody copies the output."""
    interpreter = Interpreter(str(path), num_threads=1)
    [text_input], [output] = interpreter.get_input_details(), interpreter.get_output_details()

    def prepare(text: str) -> Callable[[], Any]:
        values = encode_text(text)
        interpreter.resize_tensor_input(text_input["index"], values.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(text_input["index"], values)
        return interpreter.invoke

    return Peer(prepare, ids=lambda _: interpreter.get_tensor(output["index"])[0].tolist())


def _hugging_face(vocabulary: Path, sequence_length: int) -> Peer:
    tokenizer = BertWordPieceTokenizer(str(vocabulary), lowercase="uncased" in vocabulary.stem)
    tokenizer.enable_truncation(sequence_length)
    return Peer(lambda text: lambda: tokenizer.encode(text).ids)


def _keras_hub(preprocessor: Any) -> Peer:
    def ids(features: Any) -> list[int]:
        tokens, mask = (np.asarray(features[name]) for name in ("token_ids", "padding_mask"))
        kept: list[int] = tokens[mask].tolist()
        return kept

    return Peer(lambda text: lambda: preprocessor(text), ids=ids)

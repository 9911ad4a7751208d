"""Tokenizers of Hugging Face's library, described in its own JSON, and files that must give the same ids."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .vocabularies import SPECIAL_PIECES, pieces

# Option set -> arguments of `HuggingFaceTokenizer`.
OPTIONS = {
    "uncased": {},
    "cased": {"lowercase": False},
    "accents_kept": {"strip_accents": False},
    "accents_stripped_cased": {"lowercase": False, "strip_accents": True},
    "accents_stripped_uncased": {"strip_accents": True},
    "accents_kept_cased": {"lowercase": False, "strip_accents": False},
    "controls_kept": {"clean_text": False},
    "whole_cjk": {"handle_chinese_chars": False},
    "words_of_3": {"max_input_chars_per_word": 3},
    "words_of_200": {"max_input_chars_per_word": 200},
    "letter_indicator": {"suffix_indicator": "s"},
}
# (content, options) of tokens after the vocabulary, none of which can overlap.
TOKENS = (
    ("xr500", {"normalized": True}),
    ("xr5000", {"normalized": True}),
    ("Ünit-7", {"normalized": True}),
    ("京東", {"normalized": True}),
    ("new york", {"normalized": True}),
    ("<e>", {}),
    ("<E1>", {"special": True, "lstrip": True, "rstrip": True}),
    ("<e1>", {"special": True, "rstrip": True}),
    ("café", {"single_word": True}),
    ("foo bar", {"single_word": True, "lstrip": True}),
    ("€", {}),
)


def vocabulary(extra=()) -> list[str]:
    return [*dict.fromkeys([*SPECIAL_PIECES, *pieces(), *extra])]


def special_tokens(vocabulary) -> list[dict[str, Any]]:
    return [
        {"content": token, "id": vocabulary.index(token), "special": True, "is_piece": True} for token in SPECIAL_PIECES
    ]


def added_tokens(count: int, tokens=TOKENS) -> list[dict[str, Any]]:
    return [{"content": content, "id": count + i, **options} for i, (content, options) in enumerate(tokens)]


def library_tokenizer(vocabulary, added, **options):
    """A tokenizer from the JSON that `tokenizers` writes, so that no code of EdgeDistil is involved."""
    import tokenizers

    options = {"lowercase": True, "suffix_indicator": "##", "max_input_chars_per_word": 100, **options}
    flags = ("single_word", "lstrip", "rstrip", "normalized", "special")
    count = len(vocabulary) - sum(not token.get("is_piece", False) for token in added)
    document = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"content": t["content"], "id": t["id"], **{key: t.get(key, False) for key in flags}} for t in added
        ],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": options.get("clean_text", True),
            "handle_chinese_chars": options.get("handle_chinese_chars", True),
            "strip_accents": options.get("strip_accents"),
            "lowercase": options["lowercase"],
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "decoder": None,
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": options["suffix_indicator"],
            "max_input_chars_per_word": options["max_input_chars_per_word"],
            "vocab": {piece: i for i, piece in enumerate(vocabulary[:count])},
        },
    }
    document["post_processor"]["sep"][1] = vocabulary.index("[SEP]")
    document["post_processor"]["cls"][1] = vocabulary.index("[CLS]")
    return tokenizers.Tokenizer.from_str(json.dumps(document))


@dataclass
class HuggingFaceFile:
    """Only a tokenizer in a TFLite file, and the tokenizer of the library that it must equal.

    With `is_pair`, the file also takes pairs, and takes twice as long to convert.
    """

    vocabulary: list[str]
    added: list[dict[str, Any]]
    options: dict[str, Any]
    path: Path
    sequence_length: int = 64
    is_pair: bool = False

    @cached_property
    def preprocessor(self):
        from edgedistil_converters.model.hugging_face_tokenizer import HuggingFacePreprocessor, HuggingFaceTokenizer

        tokenizer = HuggingFaceTokenizer(self.vocabulary, added_tokens=self.added, **self.options)
        return HuggingFacePreprocessor(tokenizer, sequence_length=self.sequence_length)

    @cached_property
    def library(self):
        tokenizer = library_tokenizer(self.vocabulary, self.added, **self.options)
        tokenizer.enable_truncation(self.sequence_length)
        return tokenizer

    @cached_property
    def functions(self):
        """Signature -> the TensorFlow function that is converted."""
        import tensorflow as tf

        from edgedistil_converters.tokenizer.graph import GraphTokenizer
        from edgedistil_converters.tokenizer.settings import read_tokenizer

        tokenizer = GraphTokenizer(*read_tokenizer(self.preprocessor))
        text, text_pair = (tf.TensorSpec([None], tf.int32, name=name) for name in ("text", "text_pair"))
        functions = {
            "tokenize": tf.function(
                lambda text: {"token_ids": tokenizer(text)}, input_signature=[text], autograph=False
            )
        }
        if self.is_pair:
            functions["tokenize_pair"] = tf.function(
                lambda text, text_pair: {"token_ids": tokenizer.pair(text, text_pair)},
                input_signature=[text, text_pair],
                autograph=False,
            )
        return functions

    @cached_property
    def backend(self):
        import tensorflow as tf

        from edgedistil_converters import QuantizationPlan
        from edgedistil_converters.flatbuffer import convert_module
        from edgedistil_converters.signatures import DEFAULT_SHAPES
        from edgedistil_runtime import LiteRTInterpreterBackend

        module = tf.Module()
        module.functions = self.functions
        self.path.write_bytes(convert_module(module, QuantizationPlan("fp32"), DEFAULT_SHAPES))
        return LiteRTInterpreterBackend(self.path)

    def run(self, values) -> list[int]:
        [row] = self.backend.run("tokenize", {"text": np.asarray(values, np.int32)})["token_ids"].tolist()
        return row

    def ids(self, *texts: str) -> list[int]:
        from edgedistil_runtime.text_bytes import encode_text

        names = ("text", "text_pair")
        inputs = {name: encode_text(text) for name, text in zip(names, texts, strict=False)}
        [row] = self.backend.run("tokenize_pair" if len(texts) > 1 else "tokenize", inputs)["token_ids"].tolist()
        return row

    def differences(self, texts) -> list[tuple[str, list[int], list[int]]]:
        """(text, the library's ids, the file's ids) of the texts on which they differ."""
        found = ((text, self.library.encode(text.split("\0")[0]).ids, self.ids(text)) for text in texts)
        return [case for case in found if case[1] != case[2]]

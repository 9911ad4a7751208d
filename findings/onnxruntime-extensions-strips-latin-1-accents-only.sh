#!/bin/sh
# onnxruntime-extensions 0.15.2: `BertTokenizer` with `strip_accents=1` strips the accents of Latin-1 and of no other block.
#
# Uncased BERT vocabularies have no accented letters, because the training text was decomposed (NFD) and its marks dropped.
# The op that puts BERT's tokenizer into an ONNX graph has an attribute for that. It maps é and ü, and leaves č, ř, ő, ğ,
# ş, ā as they are: a Czech, Hungarian, Turkish or Latvian name becomes [UNK], where Hugging Face's tokenizer reads
# `dvorak`. Tests in French and German see no difference. Greek capitals are not lower-cased either, Cyrillic ones are.
# The script reads every letter that NFD takes apart into a letter of a to z and marks, by both tokenizers.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
	onnxruntime-extensions==0.15.2 onnxruntime==1.32.0 onnx==1.23.2 tokenizers==0.23.2 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import string
import unicodedata

import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from onnxruntime_extensions import get_library_path
from tokenizers import BertWordPieceTokenizer

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *string.ascii_lowercase, "α", "м"]
PIECES += [f"##{piece}" for piece in PIECES[5:]]
outputs = ["ids", "types", "mask"]
node = helper.make_node(
    "BertTokenizer", ["text"], outputs, domain="ai.onnx.contrib", vocab_file="\n".join(PIECES), do_lower_case=1,
    strip_accents=1,
)
graph = helper.make_graph(
    [node], "tokenizer", [helper.make_tensor_value_info("text", TensorProto.STRING, [None])],
    [helper.make_tensor_value_info(name, TensorProto.INT64, None) for name in outputs],
)
domains = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.contrib", 1)]
options = onnxruntime.SessionOptions()
options.register_custom_ops_library(get_library_path())
content = helper.make_model(graph, opset_imports=domains, ir_version=9).SerializeToString()
session = onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
hugging_face = BertWordPieceTokenizer({piece: id for id, piece in enumerate(PIECES)}, lowercase=True, strip_accents=True)


def in_graph(text):
    return [PIECES[id] for id in session.run(["ids"], {"text": np.array([text])})[0][1:-1]]


def expected(text):
    return hugging_face.encode(text).tokens[1:-1]


found = {}
for name, block in (("Latin-1", range(0xC0, 0x100)), ("all others", range(0x100, 0x2000))):
    letters = [chr(code) for code in block]
    letters = [letter for letter in letters if unicodedata.normalize("NFD", letter)[0] in string.ascii_letters]
    letters = [letter for letter in letters if len(unicodedata.normalize("NFD", letter)) > 1]
    assert all(expected(letter)[0] in string.ascii_lowercase for letter in letters)
    found[name] = sum(in_graph(letter) == expected(letter) for letter in letters), len(letters)
    print(f"{name}: {found[name][0]} of {found[name][1]} accented letters become the letter without accents")
for text in ("café", "Dvořák", "Şişli", "ΑΑ", "ММ"):
    print(f"{text}: {in_graph(text)} in the graph, {expected(text)} by Hugging Face's tokenizers")
right, of = found["Latin-1"]
others = found["all others"][0], in_graph("ΑΑ"), in_graph("ММ")
is_as_described = right == of > 40 and others == (0, ["[UNK]"], ["м", "##м"])
raise SystemExit(0 if is_as_described else "the behaviour has changed")
PYTHON

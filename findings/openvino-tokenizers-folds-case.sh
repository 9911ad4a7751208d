#!/bin/sh
# openvino-tokenizers 2026.4.1.0: an uncased BERT tokenizer converted to OpenVINO folds case instead of lower-casing.
#
# `convert_tokenizer` maps the lower-casing of a BERT tokenizer to OpenVINO's CaseFold op. English, French, German (ß stays) and
# Russian texts get the same ids, so spot checks pass. Folding also maps small letters to other small letters: final sigma ς
# to σ, the micro sign µ to the Greek letter μ, long ſ to s. Lower-casing leaves them, and BERT's vocabularies have ς, ##ς and
# µ as pieces. So every Greek word that ends in ς (most nouns) gets another last id than in Hugging Face's tokenizer, with
# which the model was trained, and so does "5 µg". There is no warning.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
	openvino-tokenizers==2026.4.1.0 openvino==2026.4.1 transformers==5.17.0 tokenizers==0.23.2
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import unicodedata

import openvino
from openvino_tokenizers import convert_tokenizer
from transformers import BertTokenizer

small = [chr(code) for code in range(0x80, 0x3000) if unicodedata.category(chr(code)) == "Ll"]
stays = [letter for letter in small if unicodedata.normalize("NFD", letter) == letter]  # accents are another step
pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *map(chr, range(97, 123)), *stays]
pieces += [f"##{piece}" for piece in pieces[5:]]
with open("vocab.txt", "w", encoding="utf-8") as file:
    file.write("\n".join(pieces))
hugging_face = BertTokenizer("vocab.txt")
tokenizer = openvino.Core().compile_model(convert_tokenizer(hugging_face), "CPU")


def pieces_of(ids):
    return hugging_face.convert_ids_to_tokens([int(id) for id in ids])[1:-1]


differ = []
for letter in stays:
    if pieces_of(tokenizer([letter])["input_ids"][0]) != pieces_of(hugging_face(letter)["input_ids"]):
        differ.append(letter)
print(f"{len(differ)} of {len(stays)} small letters become another letter: {' '.join(differ[:12])} ...")
for text in ("λόγος", "5 µg", "Straße", "МОСКВА"):
    converted, original = pieces_of(tokenizer([text])["input_ids"][0]), pieces_of(hugging_face(text)["input_ids"])
    print(f"{text}: {converted} by OpenVINO, {original} by Hugging Face")
last = pieces_of(tokenizer(["λόγος"])["input_ids"][0])[-1], pieces_of(hugging_face("λόγος")["input_ids"])[-1]
is_as_described = last == ("##σ", "##ς") and {"ς", "µ", "ſ"} <= set(differ) and "ß" not in differ
raise SystemExit(0 if is_as_described else "the behaviour has changed")
PYTHON

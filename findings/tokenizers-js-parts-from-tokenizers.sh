#!/bin/sh
# @huggingface/tokenizers 0.2.0 (npm; the tokenizers of Transformers.js) and tokenizers 0.23.2 (PyPI): from one tokenizer.json
# of an uncased BERT, other ids for Greek capitals and for rare ideographs.
#
# Both read the same file with the same `BertNormalizer`. (1) JavaScript lower-cases a string, where a capital sigma at the
# end of a word becomes ς (as Python does, in which BERT's first tokenizer was written); the Rust library lower-cases each
# character by itself, where it becomes σ. (2) `handle_chinese_chars` puts blanks around ideographs. In JavaScript it does
# so below U+10000 only, although 𠮷 or 𨋢 (U+20BB7, U+282E2, in names and in Cantonese) are in BERT's ranges: a word that
# touches one of them becomes [UNK] together with it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tokenizers==0.23.2
cd "$folder"
npm install --silent --no-audit --no-fund @huggingface/tokenizers@0.2.0
cat > encode.mjs <<'JS'
import { readFileSync } from "node:fs";
import { Tokenizer } from "@huggingface/tokenizers";

const tokenizer = new Tokenizer(JSON.parse(readFileSync("tokenizer.json", "utf8")), {});
console.log(JSON.stringify(JSON.parse(readFileSync("texts.json", "utf8")).map((text) => tokenizer.encode(text).ids)));
JS
"$folder/venv/bin/python" - <<'PYTHON'
import json
import subprocess

from tokenizers import BertWordPieceTokenizer

pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"λογςσabμ", *"吉野家是男"]
pieces += [f"##{piece}" for piece in pieces[5:13]]
rust = BertWordPieceTokenizer({piece: id for id, piece in enumerate(pieces)}, lowercase=True, strip_accents=True)
rust.save("tokenizer.json")
texts = ["λόγος", "ΛΌΓΟΣ", "吉野家", "𠮷野家", "ab𠮷"]
with open("texts.json", "w") as file:
    json.dump(texts, file)
in_javascript = json.loads(subprocess.run(["node", "encode.mjs"], check=True, capture_output=True).stdout)
found = {}
for text, ids in zip(texts, in_javascript):
    found[text] = [pieces[id] for id in ids][1:-1], rust.encode(text).tokens[1:-1]
    print(f"{text}: {found[text][0]} in JavaScript, {found[text][1]} in Rust")
due = {
    "ΛΌΓΟΣ": (["λ", "##ο", "##γ", "##ο", "##ς"], ["λ", "##ο", "##γ", "##ο", "##σ"]),
    "𠮷野家": (["[UNK]", "野", "家"], ["[UNK]", "野", "家"]),
    "ab𠮷": (["[UNK]"], ["a", "##b", "[UNK]"]),
}
equal = all(found[text][0] == found[text][1] for text in ("λόγος", "吉野家", "𠮷野家"))
changed = not equal or any(found[text] != pair for text, pair in due.items())
raise SystemExit("the behaviour has changed" if changed else 0)
PYTHON

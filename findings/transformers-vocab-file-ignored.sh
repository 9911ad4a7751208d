#!/bin/sh
# transformers 5.17.0: `DistilBertTokenizer(vocab_file="vocab.txt")` ignores the vocabulary without a warning.
#
# The keyword was the documented way for years. In 5.17 it is swallowed: the tokenizer has the five special pieces only,
# every word becomes [UNK], and there is no warning and no error. The same path as a positional argument works.
# `save_pretrained` then writes such a tokenizer beside a model whose embedding table has 30,522 rows.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.17.0 tokenizers==0.23.2
cd "$folder"
printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' hello world > vocab.txt
"$folder/venv/bin/python" -W error - 2> "$folder/stderr" <<'PYTHON'
from transformers import BertTokenizer, DistilBertTokenizer

changed = False
for tokenizer in (DistilBertTokenizer, BertTokenizer):
    for how, made in (("keyword", tokenizer(vocab_file="vocab.txt")), ("positional", tokenizer("vocab.txt"))):
        size, ids = len(made.get_vocab()), made("hello world")["input_ids"]
        print(f"{tokenizer.__name__}, {how}: {size} pieces, 'hello world' -> {ids}")
        changed |= (size, ids) != ((5, [2, 1, 1, 3]) if how == "keyword" else (7, [2, 5, 6, 3]))
raise SystemExit("the behaviour has changed" if changed else 0)
PYTHON
if grep -i vocab "$folder/stderr"; then echo "there is a warning now" >&2; exit 1; fi

#!/bin/sh
# tokenizers 0.23.2: one normalizer follows several versions of Unicode at once.
#
# `BertNormalizer(strip_accents=True, lowercase=True)` removes nonspacing marks (category Mn), but its table of them ends
# before Unicode 14.0 (2021): U+0898 and U+1DFA, Mn since 14.0, stay in the text, and so does U+11938, whose
# decomposition came with 13.0. Its lower case knows Unicode 17.0 (2025): U+A7CE becomes U+A7CF. A port that takes all
# tables from one version of Unicode gives other token ids, whichever version it takes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tokenizers==0.23.2
"$folder/venv/bin/python" - <<'PYTHON'
from tokenizers.normalizers import BertNormalizer

normalizer = BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=True, lowercase=True)
expected = {
    "\u0301": "",  # combining acute accent, Mn since Unicode 1.1: removed
    "\u0898": "\u0898",  # Arabic small high word al-juz, Mn since 14.0: kept
    "\u1dfa": "\u1dfa",  # combining dot below left, Mn since 14.0: kept
    "\U00011938": "\U00011938",  # Dives Akuru vowel sign o, decomposes since 13.0: kept whole
    "\u1c89": "\u1c8a",  # Cyrillic letter Tje, since 16.0: lowered
    "\ua7ce": "\ua7cf",  # Latin letter since 17.0: lowered
}
changed = False
for character, due in expected.items():
    found = normalizer.normalize_str("a" + character)[1:]
    print(f"U+{ord(character):04X} -> {' '.join(f'U+{ord(c):04X}' for c in found) or 'nothing'}")
    changed |= found != due
raise SystemExit("the behaviour has changed" if changed else 0)
PYTHON

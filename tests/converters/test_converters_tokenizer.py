"""The tokenizer in a TFLite file gives the token ids that KerasHub's gives: every one, on every text."""

import csv
import json
import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

FRAGMENTS = (
    *("turn", "on", "the", "light", "lights", "lighting", "playing", "Music", "STRASSE", "straße", "Paris"),
    *("NASA", "quiz"),
    *("é", "e\u0301", "ü", "İ", "ı", "ﬁ", "½", "Ⅷ", "™", "東", "京", "東京", "日本", "가", "が", "か\u3099"),
    *("👍", "👨‍👩‍👧", "مرحبا"),
    *(".", "!?", "'", "[SEP]", "[CLS]", "##s", "##", "@@s", "<unk>", "@", "-", "—", "“", "‗", "≠"),
    *(" ", "  ", "\t", "\n", "\r\n", "\u00a0", "a\u3000b", "\u2028", "\u200b", "\u00ad", "\u034f", "\ufe0f"),
    *("\x07", "\x7f"),
    *("\0", "\ufffd", "\U0010ffff", "𠮷", "\U0002f800", "a", "b", "z", "q", "1", "0"),
)  # fmt: skip
TEXTS = st.text(max_size=40) | st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join)
PROPERTY = settings(derandomize=True, deadline=None, database=None, max_examples=150)
NAMES = ("lowercase", "cased", "strip_accents", "whole_cjk", "custom_indicator", "one_piece", "no_piece")


@pytest.mark.parametrize("name", NAMES)
def test_any_text(tokenizer_file, is_folded_by_code_point, name):
    file = tokenizer_file(name)

    @PROPERTY
    @given(TEXTS)
    @example("")
    @example("a")
    @example("\0light")
    @example("light\0s")
    @example("東京 straße!")
    def check(text):
        assume(is_folded_by_code_point(file.preprocessor, text))
        assert file.differences([text]) == []

    check()


@pytest.mark.parametrize("name", NAMES)
def test_fragments_one_by_one_and_side_by_side(tokenizer_file, is_folded_by_code_point, name):
    file = tokenizer_file(name)
    texts = [*FRAGMENTS, *(f"light{f}s" for f in FRAGMENTS), *(f"{f}{f}" for f in FRAGMENTS)]
    texts = [text for text in texts if is_folded_by_code_point(file.preprocessor, text)]
    assert len(texts) > 0.9 * 3 * len(FRAGMENTS)
    assert file.differences(texts) == []


def test_option_sets_differ_where_they_should(tokenizer_file):
    """Else the comparisons above would compare one tokenizer seven times."""
    text = "Paris straße é 東京"
    ids = {name: tuple(tokenizer_file(name).ids(text)) for name in NAMES}
    assert len(set(ids.values())) == len(ids)


def pieces_of(file, text):
    vocabulary = file.preprocessor.tokenizer.get_vocabulary()
    return [vocabulary[number] for number in file.ids(text)[1:-1]]


@pytest.mark.parametrize(
    ("name", "text", "pieces"),
    [
        ("lowercase", "Lights ON!", ["light", "##s", "on", "!"]),
        ("lowercase", "straße", ["strasse"]),
        ("lowercase", "ﬁ", ["fi"]),
        ("lowercase", "東京", ["東", "京"]),
        ("lowercase", "quiz light", ["[UNK]", "light"]),
        ("lowercase", "lightq on", ["[UNK]", "on"]),
        ("cased", "Paris paris NASA straße", ["Paris", "p", "##a", "##r", "##i", "##s", "NASA", "straße"]),
        ("strip_accents", "é ü", ["e", "u"]),
        ("whole_cjk", "東京 東東 東京都 a京都", ["東京", "東", "##東", "[UNK]", "a", "##京都"]),
        ("custom_indicator", "Lights quiz", ["light", "@@s", "<unk>"]),
        ("one_piece", "a b aa", ["a", "[UNK]", "[UNK]"]),
        ("no_piece", "a b c d", ["[UNK]", "[UNK]"]),
    ],
)
def test_tokens_known_by_hand(tokenizer_file, name, text, pieces):
    assert pieces_of(tokenizer_file(name), text) == pieces


def test_a_nul_ends_the_text(tokenizer_file):
    file = tokenizer_file("lowercase")
    assert file.ids("light\0 on") == file.ids("light")
    assert file.ids("\0light") == file.ids("")
    assert file.run([*b"light", 0, 0xFF, -7, 2**31 - 1]) == file.ids("light")


@pytest.mark.parametrize("text", ["", "a", "!", "q", " ", "é", "東", "👍", "on", "a!"])
def test_rows_of_exactly_the_bytes_of_a_text(tokenizer_file, keras_ids, text):
    """No padding at all: an empty row, and rows of one to four bytes."""
    file = tokenizer_file("lowercase")
    assert [file.run(list(text.encode()))] == keras_ids(file.preprocessor, [text])


@pytest.mark.parametrize("length", [0, 1, 2, 3, 31, 64, 255, 256, 257])
def test_padding_changes_nothing(tokenizer_file, length):
    file = tokenizer_file("lowercase")
    values = (list(b"light on! ") * 26)[:length]
    rows = [file.run([*values, *[0] * padding]) for padding in (0, 1, 7, 100)]
    assert rows == [rows[0]] * 4


@pytest.mark.parametrize("unit", ["a", "é", "東", "👍", "ﬁ", "ß", "İ", "½"])
@pytest.mark.parametrize("name", ["lowercase", "cased", "whole_cjk"])
def test_words_of_about_100_bytes(tokenizer_file, is_folded_by_code_point, name, unit):
    file = tokenizer_file(name)
    for letters in ("", "a", "aa", "aaa"):
        texts = [f"on {letters}{unit * n} on" for n in range(20, 103)]
        texts = [text for text in texts if is_folded_by_code_point(file.preprocessor, text)]
        assert len(texts) > 70
        assert file.differences(texts) == []


def test_a_word_of_100_bytes_is_pieces_and_one_of_101_is_unknown(tokenizer_file):
    file = tokenizer_file("long_pieces")
    assert pieces_of(file, "a" * 100) == ["a" * 100]
    assert pieces_of(file, "a" + "é" * 49) == ["a", *["##é"] * 49]
    assert pieces_of(file, "a" * 101) == ["[UNK]"]
    assert pieces_of(file, "a" * 99 + "b") == ["a" * 99, "##b"]
    assert pieces_of(file, "a" * 99 + "é") == ["[UNK]"]
    assert pieces_of(file, "a" + "b" * 99) == ["a", "##" + "b" * 99]
    assert pieces_of(file, "é" * 50) == ["é" * 50]
    assert pieces_of(file, "é" * 51) == ["[UNK]"]


def test_long_pieces_and_long_texts(tokenizer_file):
    file = tokenizer_file("long_pieces")
    words = [
        *("a" * n for n in range(96, 103)),
        "a" * 200,
        *("é" * n for n in range(48, 53)),
        *("a" + "b" * n for n in range(96, 103)),
    ]
    assert file.differences([*words, " ".join(words), "a " * 2500, "é" * 5000, "a" * 5000, "ab" * 2500]) == []
    assert len(file.ids("a " * 2500)) == 2000


@pytest.mark.parametrize("name", ["lowercase", "no_piece"])
def test_texts_of_more_tokens_than_fit_are_cut(tokenizer_file, name):
    file = tokenizer_file(name)
    limit = file.preprocessor.sequence_length
    texts = ["light " * n for n in range(limit + 3)] + ["a" * n for n in range(limit + 3)]
    assert file.differences(texts) == []
    assert max(len(file.ids(text)) for text in texts) == limit


@settings(derandomize=True, deadline=None, database=None, max_examples=150)
@given(data=st.lists(st.integers(-(2**31), 2**31 - 1) | st.integers(0, 255), max_size=60))
def check_any_integers(file, data):
    row = file.run(data)
    inside = file.preprocessor.tokenizer
    assert row[0] == inside.start_token_id
    assert row[-1] == inside.end_token_id
    assert len(row) <= file.preprocessor.sequence_length
    assert all(0 <= number < inside.vocabulary_size() for number in row)


def test_bytes_that_are_not_utf8_give_some_ids(tokenizer_file):
    """Outside of the contract, and still no reason to read outside of a table."""
    check_any_integers(tokenizer_file("lowercase"))


@pytest.fixture(scope="module")
def bert(shared_folder, tokenizer_file):
    return tokenizer_file("bert")


ASSIGNED = [c for c in range(sys.maxunicode + 1) if unicodedata.category(chr(c)) not in ("Cn", "Cs")]


def test_naughty_strings(bert, shared_folder):
    texts = json.loads((shared_folder / "tokenizer-cases" / "blns" / "blns.json").read_text("utf-8"))
    assert len(texts) == 515
    assert bert.differences(texts) == []


DATA_SETS = ("banking77", "clinc150", "sms_spam", "snips")


def texts_of(folder):
    found = []
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            found += [row["text"] for row in csv.DictReader(file)]
    return found


@pytest.mark.parametrize("name", DATA_SETS)
def test_300_texts_of_a_data_set(bert, shared_folder, name):
    texts = texts_of(shared_folder / "data" / name)
    texts = texts[:: len(texts) // 300][:300]
    assert len(texts) == 300
    assert bert.differences(texts) == []


def test_every_37th_code_point_between_letters(bert):
    texts = [f"a{chr(c)}b" for c in ASSIGNED[::37]]
    assert len(texts) > 7000
    assert bert.differences(texts) == []


@pytest.mark.slow
def test_every_code_point_between_letters(bert):
    assert bert.differences([f"a{chr(c)}b" for c in ASSIGNED]) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", DATA_SETS)
def test_every_text_of_a_data_set(bert, shared_folder, name):
    texts = texts_of(shared_folder / "data" / name)
    assert len(texts) > 5000
    assert bert.differences(texts) == []


def test_bert_pieces_find_themselves(bert):
    """A piece typed as a word is its own token, where KerasHub says so."""
    vocabulary = bert.preprocessor.tokenizer.get_vocabulary()
    words = [piece for piece in vocabulary if piece.isalpha() and piece.isascii()][::20]
    found = [bert.ids(word) for word in words]
    assert len(words) > 900
    assert [vocabulary[ids[1]] for ids in found] == words
    assert np.unique([len(ids) for ids in found]).tolist() == [3]

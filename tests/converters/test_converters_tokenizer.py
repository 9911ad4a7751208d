"""The tokenizer in a TFLite file gives the token ids that KerasHub's gives: every one, on every text."""

import csv
import json
import random
import re
import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

FRAGMENTS = (
    *("turn", "on", "the", "light", "lights", "lighting", "playing", "Music", "STRASSE", "straße", "Paris"),
    *("NASA", "quiz"),
    *("é", "e\u0301", "ü", "İ", "ı", "ﬁ", "½", "Ⅷ", "™", "東", "京", "東京", "日本", "가", "が", "か\u3099"),
    *("👍", "👨‍👩‍👧", "مرحبا"),
    *(".", "!?", "'", "[SEP]", "[CLS]", "##s", "##", "@@s", "<unk>", "@", "-", "—", "“", "‗", "≠"),
    *(" ", "  ", "\t", "\n", "\r\n", "\u00a0", "a\u3000b", "\u2028", "\u200b", "\u00ad", "\u034f", "\ufe0f"),
    *("\x07", "\x7f"),
    *("[SEP", "SEP]", "[ĆLS]", "[C\u0301LS]", "[[MASK]]", "<x>", "<X>", "\u0301", "\u0323", "\u0307", "\u0345"),
    *("각", "가\u11a8", "\u1100", "\u1161", "\u11a8", "\u1100\u1161\u11a8", "\u302e", "\u09c7\u09be", "\U0001d165"),
    *("\0", "\ufffd", "\U0010ffff", "𠮷", "\U0002f800", "a", "b", "z", "q", "1", "0"),
)  # fmt: skip
TEXTS = st.text(max_size=40) | st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join)
PROPERTY = settings(derandomize=True, deadline=None, database=None, max_examples=60)
NAMES = (
    *(
        "lowercase",
        "cased",
        "strip_accents",
        "strip_accents_cased",
        "whole_cjk",
        "custom_indicator",
        "letter_indicator",
    ),
    *(
        "special_tokens",
        "special_tokens_stripped",
        "special_tokens_cased",
        "unsplit",
        "hangul",
        "one_piece",
        "no_piece",
    ),
)


@pytest.mark.parametrize("name", NAMES)
def test_any_text(tokenizer_file, name):
    file = tokenizer_file(name)

    @PROPERTY
    @given(TEXTS)
    @example("")
    @example("a")
    @example("\0light")
    @example("light\0s")
    @example("東京 straße!")
    def check(text):
        assert file.differences([text]) == []

    check()


@pytest.mark.parametrize("name", NAMES)
def test_fragments_one_by_one_and_side_by_side(tokenizer_file, name):
    file = tokenizer_file(name)
    texts = [*FRAGMENTS, *(f"light{f}s" for f in FRAGMENTS), *(f"{f}{f}" for f in FRAGMENTS)]
    assert file.differences(texts) == []


def test_option_sets_differ_where_they_should(tokenizer_file):
    """Else the comparisons above would compare one tokenizer many times."""
    text = "Paris straße é 東京 [SEP] [ĆLS] <x> 각 lights"
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
def test_words_of_about_100_bytes(tokenizer_file, name, unit):
    file = tokenizer_file(name)
    for letters in ("", "a", "aa", "aaa"):
        texts = [f"on {letters}{unit * n} on" for n in range(20, 103)]
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


# Bytes that begin, continue, end and break sequences: ASCII, leads of two, three and four, surrogates, overlong forms.
BYTES = st.sampled_from(
    [*b"ab ", 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xC3, 0xE0, 0xE6, 0xED, 0xF0, 0xF4, 0xF5]
)


@pytest.mark.parametrize("name", ["lowercase", "cased"])
def test_bytes_that_are_not_utf8_become_replacement_characters(tokenizer_file, name):
    """As WHATWG's decoder and Python's give them: one U+FFFD for each maximal subpart."""
    file = tokenizer_file(name)

    @settings(derandomize=True, deadline=None, database=None, max_examples=200)
    @given(st.binary(max_size=24) | st.lists(BYTES, max_size=24).map(bytes))
    @example(b"\xe6\x9d")
    @example(b"a\xf0\x9f\x91")
    @example(b"\xed\xa0\x80 \xc0\xaf \xf5")
    def check(data):
        assert file.run(list(data)) == file.ids(data.decode("utf-8", "replace"))

    check()


def test_values_that_are_no_bytes(tokenizer_file):
    file = tokenizer_file("lowercase")
    assert file.run([-5, 97, 300, 98]) == file.ids("")  # the nearest byte of -5 is 0, which ends the text
    assert file.run([97, 300, 98]) == file.ids("a\ufffdb")


@settings(derandomize=True, deadline=None, database=None, max_examples=150)
@given(data=st.lists(st.integers(-(2**31), 2**31 - 1) | st.integers(0, 255), max_size=60))
def check_any_integers(file, data):
    row = file.run(data)
    inside = file.preprocessor.tokenizer
    assert row[0] == inside.start_token_id
    assert row[-1] == inside.end_token_id
    assert len(row) <= file.preprocessor.sequence_length
    assert all(0 <= number < inside.vocabulary_size() for number in row)


def test_any_integers_give_some_ids(tokenizer_file):
    """Outside of the contract, and still no reason to read outside of a table."""
    check_any_integers(tokenizer_file("lowercase"))


def combining_texts(count, seed):
    """Strings of what composes, reorders and joins: marks in every order, jamo, Indic vowels, and letters around."""
    assigned = [chr(c) for c in range(1, 0x32000) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")]
    fields = {c: unicodedata.decomposition(c).split() for c in assigned}
    canonical = [[chr(int(f, 16)) for f in parts] for parts in fields.values() if parts and parts[0][0] != "<"]
    jamo = [chr(c) for r in ((0x1100, 0x1113), (0x1161, 0x1176), (0x11A8, 0x11C3)) for c in range(*r)]
    pools = [
        [c for c in assigned if unicodedata.combining(c)],
        sorted({parts[0] for parts in canonical}),
        sorted({part for parts in canonical for part in parts[1:]}),
        [c for c, parts in fields.items() if parts],
        [*jamo, "가", "각", "갂"],
        [*"aeioucnsAEIOU", "é", "\u0301", "\u0323", "\u0307", "\u0302"],
        assigned,
    ]
    mixes = [(0, 1, 2), (4, 4, 5), (1, 5, 5), (0, 3, 6), (5,), (1, 2), (6,)]
    generator = random.Random(seed)
    for _ in range(count):
        mix = generator.choice(mixes)
        length = generator.choice([2, 3, 4, 6, 12, 40])
        yield "".join(generator.choice(pools[generator.choice(mix)]) for _ in range(length))


@pytest.mark.parametrize("name", ["lowercase", "strip_accents", "strip_accents_cased", "hangul", "special_tokens"])
def test_characters_that_compose_with_their_neighbours(tokenizer_file, name):
    assert tokenizer_file(name).differences(list(combining_texts(1000, seed=3))) == []


# KerasHub's two paths agree on all but two kinds of text. Its graph path, which `fit` and `predict` take, is followed.
DISAGREEMENTS = {
    "U+0345 and another mark: folded before or after the marks are put in order": "\u0345\u0301",
    "an ignorable character inside a sequence that composes: dropped before or after composing": "e\ufe0f\u0301",
}


@pytest.mark.parametrize("text", DISAGREEMENTS.values(), ids=DISAGREEMENTS.keys())
def test_where_keras_hub_disagrees_with_itself_its_graph_path_counts(text):
    import tensorflow_text as tf_text
    from keras_hub.src.utils.tensor_utils import casefold_utf8

    assert tf_text.case_fold_utf8(text).numpy().decode() != casefold_utf8(text)


def test_keras_hubs_two_paths_agree_on_everything_else(tokenizer_file, keras_ids, eager_keras_ids):
    file = tokenizer_file("hangul")
    ignorable = re.compile("[\u0345\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0]")
    texts = [
        text for text in combining_texts(1500, seed=4) if not ignorable.search(unicodedata.normalize("NFKD", text))
    ]
    assert len(texts) > 1000
    limit = file.preprocessor.sequence_length - 2
    for text, ids in zip(texts, keras_ids(file.preprocessor, texts), strict=True):
        assert ids[1:-1] == eager_keras_ids(file.preprocessor, text)[:limit], text


@pytest.fixture(scope="module")
def normalization_columns(shared_folder):
    path = shared_folder / "tokenizer-cases" / "NormalizationTest.txt"
    rows = [line.split(";")[:5] for line in path.read_text("utf-8").splitlines() if line[:1] not in "#@"]
    return list(dict.fromkeys("".join(chr(int(c, 16)) for c in column.split()) for row in rows for column in row))


def test_a_share_of_the_columns_of_unicodes_normalization_test(bert, normalization_columns):
    assert bert.differences([f"a{text}b" for text in normalization_columns[::37]]) == []


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
def test_every_code_point_alone_and_doubled(bert):
    assert bert.differences([chr(c) for c in ASSIGNED]) == []
    assert bert.differences([chr(c) * 2 for c in ASSIGNED]) == []


@pytest.mark.slow
def test_every_column_of_unicodes_normalization_test(bert, normalization_columns):
    assert len(normalization_columns) > 35_000  # distinct ones
    assert bert.differences(normalization_columns) == []
    assert bert.differences([f"a{text}b" for text in normalization_columns]) == []


@pytest.mark.slow
def test_200_000_generated_strings(bert):
    assert bert.differences(list(combining_texts(200_000, seed=5))) == []


@pytest.mark.slow
def test_a_million_random_byte_strings(bert):
    generator = random.Random(6)
    for _ in range(1_000_000):
        data = generator.randbytes(generator.randrange(1, 16)).replace(b"\0", b"")
        ids = bert.run(list(data))
        assert 2 <= len(ids) <= 18
        if generator.random() < 0.05:
            assert ids == bert.ids(data.decode("utf-8", "replace"))


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

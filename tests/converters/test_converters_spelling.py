"""The table of code points says of each what KerasHub's splitting and folding make of it alone."""

import dataclasses
import hashlib
import random
import sys
import unicodedata

import numpy as np
import pytest
from keras_hub.src.tokenizers.word_piece_tokenizer import pretokenize_python

from edgedistil_converters.tokenizer.graph import GraphTokenizer
from edgedistil_converters.tokenizer.settings import read_tokenizer, start_and_continuation_pieces
from edgedistil_converters.tokenizer.spelling import (
    CODE_POINTS,
    NOTHING,
    PAGE_SIZE,
    WORD_BREAK,
    Spellings,
    code_point_table,
)
from edgedistil_converters.tokenizer.trie import SEPARATOR, UNKNOWN
from edgedistil_runtime.errors import ConversionError

OPTIONS = ("lowercase", "cased", "strip_accents", "whole_cjk")
# Every kind of character once, then a sample of all.
NOTABLE = [
    *range(0x250),
    *map(ord, "ﬁßİıſ½Ⅷ™東京가ⱼ𝐀👍ΐ‗\u00ad\u034f\u115f\u200b\u200d\u2028\u3000\ufeff\ufe0f≠≮;`𠮷丽豈"),
]
# The reference here is KerasHub's path in Python, which knows the characters that this Python knows.
ASSIGNED = [c for c in range(CODE_POINTS) if unicodedata.category(chr(c)) not in ("Cn", "Cs")]
SAMPLE = [*NOTABLE, *random.Random(5).sample(ASSIGNED, 4000)]


@pytest.fixture(scope="module", params=OPTIONS)
def settings(request, tokenizer_file):
    return read_tokenizer(tokenizer_file(request.param).preprocessor)[0]


def words_of(settings, text):
    return pretokenize_python(
        text, settings.lowercase, settings.strip_accents, split=True, split_on_cjk=settings.split_on_cjk
    )


def table_of(settings, symbols):
    return code_point_table(Spellings(settings), {WORD_BREAK: SEPARATOR, **symbols}, UNKNOWN)


def entry(table, code_point):
    row = table.page_of[code_point // PAGE_SIZE] * PAGE_SIZE
    number = table.entry_of[row + code_point % PAGE_SIZE]
    return table.symbols[table.offset[number] : table.offset[number] + table.length[number]].tolist()


def words_from_table(table, names, text):
    """Words of a text, told from the table alone; empty words are no words."""
    words = [""]
    for number in (n for c in text for n in entry(table, ord(c))):
        if number == SEPARATOR:
            words.append("")
        else:
            words[-1] += names[number]
    return [word for word in words if word]


def test_every_code_point_gives_the_words_that_keras_hub_gives(settings):
    # `a{c}b` tells the three kinds apart: one word, three, or two. Characters that compose with `a` would tell of
    # two code points, so a letter that composes with nothing stands for it.
    texts = {c: f"東{chr(c)}東" if not settings.split_on_cjk else f"\u01c0{chr(c)}\u01c0" for c in SAMPLE}
    expected = {c: [word for word in words_of(settings, text) if word] for c, text in texts.items()}
    alphabet = sorted({character for words in expected.values() for word in words for character in word})
    ids = {character: 2 + i for i, character in enumerate(alphabet)}
    table = table_of(settings, ids)
    names = {i: character for character, i in ids.items()}
    found = {c: words_from_table(table, names, text) for c, text in texts.items()}
    assert {hex(c): (found[c], due) for c, due in expected.items() if found[c] != due} == {}


def test_the_three_kinds_of_entries(tokenizer_file):
    table = table_of(read_tokenizer(tokenizer_file("lowercase").preprocessor)[0], {"a": 2, "f": 3, "i": 4})
    expected = {
        "a": [2],
        "A": [2],
        "ﬁ": [3, 4],
        "z": [UNKNOWN],
        " ": [SEPARATOR],
        "\0": [SEPARATOR],
        "\u200b": [SEPARATOR],  # a format character divides words
        "\u3000": [UNKNOWN],  # folds to a space *after* splitting, which is at ASCII white space only
        "!": [SEPARATOR, UNKNOWN, SEPARATOR],
        "東": [SEPARATOR, UNKNOWN, SEPARATOR],
        "\u034f": [],  # ignorable, and no format character
        "\ud800": [UNKNOWN],
    }
    assert {character: entry(table, ord(character)) for character in expected} == expected


def test_special_tokens_have_one_order_in_every_process(tokenizer_file):
    """KerasHub keeps them in a set, whose order is that of the process; equal classifiers must give equal files."""
    tokens = read_tokenizer(tokenizer_file("special_tokens").preprocessor)[0].special_tokens
    assert tokens == tuple(sorted(tokens)) and {"<x>", "[SEP]"} < set(tokens)


def test_tables_are_closed(tokenizer_file):
    for name in ("lowercase", "cased", "special_tokens"):
        settings = read_tokenizer(tokenizer_file(name).preprocessor)[0]
        symbols = {WORD_BREAK: SEPARATOR, "a": 2, **{token: 3 + i for i, token in enumerate(settings.special_tokens)}}
        table = code_point_table(Spellings(settings), symbols, UNKNOWN, settings.special_tokens)
        assert table.length[NOTHING] == 0
        assert int(table.entry_of.max()) < len(table.length) == len(table.characters)
        assert len(table.entry_of) == PAGE_SIZE * (int(table.page_of.max()) + 1)
        assert len(table.page_of) * PAGE_SIZE == sys.maxunicode + 1
        assert int((table.offset + table.length).max()) == len(table.symbols)
        assert table.entry_of.dtype == table.page_of.dtype == table.symbols.dtype == np.int32
        assert set(table.special_tokens) == set(settings.special_tokens)


@pytest.mark.parametrize(
    ("piece", "lowercase", "cased"),
    [
        ("a", True, True),
        ("light", True, True),
        ("A", False, True),
        ("Paris", False, True),
        ("é", True, True),
        ("ß", False, True),  # folds to ss
        ("ﬁ", False, True),
        ("!", True, True),
        ("東", True, True),
        ("東京", False, False),  # two words
        ("a!", False, False),
        ("a b", True, False),  # a\u3000b
        ("\u3000", False, True),
        (" \u0333", True, False),  # what U+2017, a punctuation mark, folds to
        (" ", True, False),  # U+3000 folds to it and is no white space to KerasHub
        ("[UNK]", False, False),
        ("\u200b", False, False),
    ],
)
def test_pieces_that_a_word_can_hold(tokenizer_file, piece, lowercase, cased):
    for name, expected in (("lowercase", lowercase), ("cased", cased)):
        spellings = Spellings(read_tokenizer(tokenizer_file(name).preprocessor)[0])
        assert spellings.can_be_in_a_word(piece) is expected


def test_whole_cjk_makes_words_of_several_characters_possible(tokenizer_file):
    assert Spellings(read_tokenizer(tokenizer_file("whole_cjk").preprocessor)[0]).can_be_in_a_word("東京")


def test_settings_are_those_of_the_tokenizer(make_preprocessor, vocabulary):
    pieces = ["<unk>", *vocabulary]
    preprocessor = make_preprocessor(
        pieces,
        sequence_length=9,
        lowercase=False,
        strip_accents=True,
        split_on_cjk=False,
        suffix_indicator="@@",
        oov_token="<unk>",
    )
    settings, found = read_tokenizer(preprocessor)
    assert found == tuple(pieces)
    assert dataclasses.asdict(settings) == {
        "kind": "builtin",
        "sequence_length": 9,
        "lowercase": False,
        "strip_accents": True,
        "split": True,
        "split_on_cjk": False,
        "suffix_indicator": "@@",
        "oov_token": "<unk>",
        "special_tokens_in_strings": False,
        "special_tokens": (),
        "truncate": "round_robin",
        "rules": "keras_hub",
        "clean_text": False,
        "max_input_chars_per_word": 0,
        "added_tokens": (),
        "vocabulary_size": len(pieces),
        "vocabulary_sha256": hashlib.sha256("".join(f"{piece}\n" for piece in pieces).encode()).hexdigest(),
        "start_id": pieces.index("[CLS]"),
        "end_id": pieces.index("[SEP]"),
        "pad_id": pieces.index("[PAD]"),
        "unknown_id": 0,
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sequence_length": 1}, "at least 2"),
        ({"special_tokens_in_strings": True, "special_tokens": ["[NEW]"]}, "piece of the vocabulary"),
        ({"special_tokens_in_strings": True, "special_tokens": ["é"]}, "ASCII"),
        ({"special_tokens_in_strings": True, "special_tokens": ["ss", "s"]}, "overlap"),
    ],
)
def test_options_that_the_graph_lacks_are_refused(make_preprocessor, vocabulary, options, message):
    with pytest.raises(ConversionError, match=message):
        read_tokenizer(make_preprocessor(list(vocabulary), **options))


def test_long_pieces_are_left_out():
    vocabulary = ["a", "##b", "é" * 50, "é" * 51, "##" + "c" * 100, "##" + "c" * 101, "", "##"]
    starts, continuations = start_and_continuation_pieces(vocabulary, "##")
    assert starts == {"a": 0, "##b": 1, "é" * 50: 2, "##": 7}
    assert continuations == {"b": 1, "c" * 100: 4}


def test_duplicate_pieces_are_refused_by_keras_hub_itself(make_preprocessor, vocabulary):
    with pytest.raises(RuntimeError, match="must be unique"):
        make_preprocessor([*vocabulary, "light"])


def test_characters_newer_than_this_python_are_refused_only_if_they_compose(make_preprocessor, vocabulary):
    new = [c for c in (0x1FAE8, 0x1E4EC, 0x11F02) if unicodedata.category(chr(c)) == "Cn"]
    for code_point in new:  # a face, a combining mark of Unicode 15, a sign of Unicode 15 that does not compose
        preprocessor = make_preprocessor([*vocabulary, chr(code_point)])
        if code_point == 0x1E4EC:
            with pytest.raises(ConversionError, match=r"U\+1E4EC.*newer Python"):
                GraphTokenizer(*read_tokenizer(preprocessor))
        else:
            GraphTokenizer(*read_tokenizer(preprocessor))

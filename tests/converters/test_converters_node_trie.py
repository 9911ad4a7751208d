"""The trie of numbered nodes gives what a dict of the pieces gives, packed or not, and the graph walks it alike."""

import random

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgedistil_converters.tokenizer.node_trie import DEAD, build_node_trie
from edgedistil_converters.tokenizer.trie import SEPARATOR
from edgedistil_converters.tokenizer.word_pieces import WordPieces

PIECES = st.dictionaries(st.text("cdef", min_size=1, max_size=9), st.integers(0, 40_000), max_size=40)
WORDS = st.lists(st.text("cdefg", min_size=1, max_size=20), max_size=4)  # g is in no piece
PROPERTY = settings(derandomize=True, deadline=None, database=None, max_examples=100)
FIRST_INNER, NO_TOKEN = 2, 50_000
SIZES = {"packed": 8, "not packed": 20_000}


def symbols_of(text):
    return tuple(3 + "cdefg".index(character) for character in text)


def trie_of(starts, continuations, size):
    pieces = ({symbols_of(piece): i for piece, i in found.items()} for found in (starts, continuations))
    return build_node_trie(*pieces, size)


def child_of(trie, node, symbol):
    slot = node + symbol
    if trie.check is not None:
        return int(trie.child[slot]) if trie.check[slot] == symbol else DEAD
    number = int(trie.child[slot]) - (symbol << trie.bits)
    return number if 0 < number < 1 << (trie.bits - 1) else DEAD


def longest_match(pieces, text):
    lengths = [n for n in range(1, len(text) + 1) if text[:n] in pieces]
    return (pieces[text[: lengths[-1]]], lengths[-1]) if lengths else None


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@PROPERTY
@given(PIECES, PIECES, st.text("cdefg", max_size=12))
@example({}, {}, "cde")
@example({"c": 0}, {}, "ccd")
@example({"cde": 3}, {"cde": 4, "c": 1}, "cdecde")
def test_the_deepest_node_has_the_longest_piece(size, starts, continuations, text):
    trie = trie_of(starts, continuations, size)
    for root, pieces in ((trie.start, starts), (trie.continuation, continuations)):
        node = deepest = root
        for symbol in symbols_of(text):
            node = child_of(trie, node, symbol)
            deepest = node or deepest
        expected = longest_match(pieces, text) or (0, trie.no_piece)
        assert (trie.token[deepest], trie.length[deepest]) == expected
        assert trie.length[child_of(trie, root, SEPARATOR)] == 0


def test_the_alphabet_decides_whether_the_trie_is_packed():
    pieces = {"".join(random.Random(i).choices("cdef", k=9)): i for i in range(500)}
    packed, other = (trie_of(pieces, {"c": 1}, size) for size in SIZES.values())
    assert packed.check is None and packed.bits > 0
    assert other.check is not None and other.bits == 0
    for trie, size in ((packed, SIZES["packed"]), (other, SIZES["not packed"])):
        assert len(trie.child) >= len(trie.token) + size  # every slot that a step can read is in the table
        assert np.all(trie.child < np.iinfo(np.int32).max)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@settings(PROPERTY, max_examples=60)
@given(PIECES, PIECES, WORDS)
@example({"c": 1}, {"d": 2}, ["cdddddddd", "cg", "g", "c"])
@example({"c": 1, "cdefcdefc": 5, "cdefcd": 6}, {"c": 2, "defcdef": 7}, ["cdefcdefc", "cdefcdefd", "ccccccccccc"])
def test_words_are_divided_from_the_left(size, starts, continuations, words):
    def division(word):
        found, rest, pieces = [], word, starts
        while rest:
            match = longest_match(pieces, rest)
            if match is None:
                return [NO_TOKEN]
            found.append(match[0])
            rest, pieces = rest[match[1] :], continuations
        return found if len(word) <= 12 else [NO_TOKEN]

    trie = build_node_trie(
        *({symbols_of(p): i for p, i in found.items()} for found in (starts, continuations)), size, most_symbols=12
    )
    text = [symbol for word in words for symbol in (*symbols_of(word), SEPARATOR)] or [SEPARATOR]
    ids = WordPieces(trie, FIRST_INNER, NO_TOKEN, 12)(np.array(text, np.int32)).numpy().tolist()
    assert ids == [token for word in words for token in division(word)]


@pytest.mark.parametrize("longest_word", [1, 2, 3, 4, 5, 8, 9, 16, 100])
def test_longest_word(longest_word):
    """Words of one-symbol pieces: as many as are legal, and one more, which makes the word unknown."""
    trie = build_node_trie({(3,): 7}, {(3,): 8}, 5, longest_word)
    divide = WordPieces(trie, first_inner=3, unknown_id=1, longest_word=longest_word)
    for symbols, expected in (
        (longest_word, [7] + [8] * (longest_word - 1)),
        (longest_word + 1, [1]),
        (longest_word + 2, [1]),
    ):
        text = np.array([3] * symbols + [SEPARATOR, 3, SEPARATOR], np.int32)
        assert divide(tf.constant(text)).numpy().tolist() == [*expected, 7]

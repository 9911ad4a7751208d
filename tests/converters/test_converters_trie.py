"""The double array gives what a dict of the pieces gives, and never leaves its tables."""

import random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgedistil_converters.tokenizer.trie import FIRST_SYMBOL, SEPARATOR, UNKNOWN, build_trie

PIECES = st.dictionaries(st.text("abcdeé東", min_size=1, max_size=6), st.integers(0, 40_000), max_size=40)
TEXTS = st.text("abcdeé東x", max_size=12)  # x is in no piece
PROPERTY = settings(derandomize=True, deadline=None, database=None, max_examples=200)


class NamedTrie:
    """A trie over pieces that are strings, with the symbol of every character."""

    def __init__(self, starts, continuations):
        alphabet = sorted({character for piece in (*starts, *continuations) for character in piece})
        self.symbols = {character: FIRST_SYMBOL + i for i, character in enumerate(alphabet)}
        self.size = FIRST_SYMBOL + len(alphabet)
        pieces = ({tuple(map(self.symbols.get, p)): i for p, i in found.items()} for found in (starts, continuations))
        self.trie = build_trie(*pieces, self.size)

    def __getattr__(self, name):
        return getattr(self.trie, name)


def longest_match(pieces, text):
    """Length and token id of the longest piece that `text` starts with."""
    lengths = [n for n in range(1, len(text) + 1) if text[:n] in pieces]
    return (lengths[-1], pieces[text[: lengths[-1]]]) if lengths else None


def walk(trie, state, text):
    """What the graph does: one step for every character, dead states included."""
    found = None
    for n, character in enumerate(text, 1):
        number = trie.symbols.get(character, UNKNOWN)
        slot = int(trie.base[state]) + number
        state = slot if trie.check[slot] == number else 0
        if trie.token[state] >= 0:
            found = n, int(trie.token[state])
    return found


@PROPERTY
@given(PIECES, PIECES, TEXTS)
@example({}, {}, "abc")
@example({"a": 0}, {}, "aab")
@example({}, {"a": 7}, "a")
@example({"a": 1, "ab": 2, "abc": 3}, {"abc": 4}, "abcabc")
def test_a_walk_finds_the_longest_piece(starts, continuations, text):
    trie = NamedTrie(starts, continuations)
    for suffix in (text[n:] for n in range(len(text) + 1)):
        assert walk(trie, trie.start, suffix) == longest_match(starts, suffix)
        assert walk(trie, trie.continuation, suffix) == longest_match(continuations, suffix)


def check_tables(trie, starts, continuations):
    characters = trie.size
    assert len(trie.base) == len(trie.check) == len(trie.token)
    # Every step from every state stays inside the tables: GATHER would read anything outside of them.
    assert trie.base.min() >= 0
    assert trie.base.max() + characters <= len(trie.check)
    # The dead state leads nowhere, and neither do separators and unknown characters.
    dead = trie.base[0] + np.arange(characters)
    assert (trie.check[dead] == -1).all()
    assert not np.isin(trie.check, [SEPARATOR, UNKNOWN]).any()
    assert trie.token[[0, trie.start, trie.continuation]].tolist() == [-1, -1, -1]
    # Every node but the roots is reached by exactly one edge, so bases of nodes with children differ.
    nodes = (
        {p[:n] for p in starts for n in range(1, len(p) + 1)},
        {p[:n] for p in continuations for n in range(1, len(p) + 1)},
    )
    assert int((trie.check >= 0).sum()) == sum(map(len, nodes))
    parents = [slot_of(trie, root, p) for root, found in zip((trie.start, trie.continuation), nodes, strict=True)
               for p in {"", *found} if any(q[:-1] == p for q in found)]  # fmt: skip
    bases = [int(trie.base[slot]) for slot in parents]
    assert len(set(bases)) == len(bases)
    assert int(trie.base[0]) not in bases


def slot_of(trie, slot, prefix):
    for character in prefix:
        slot = int(trie.base[slot]) + trie.symbols[character]
    return slot


@PROPERTY
@given(PIECES, PIECES)
@example({}, {})
@example({"a": 0}, {})
@example({"東": 0}, {"東": 1})
def test_tables_are_closed_and_no_two_parents_share_a_base(starts, continuations):
    check_tables(NamedTrie(starts, continuations), starts, continuations)


def test_longest_counts_characters_of_both_sets():
    assert NamedTrie({"ab": 0}, {"éééé": 1}).longest == 4
    assert NamedTrie({}, {}).longest == 1


@pytest.mark.parametrize(("parents", "children", "alphabet"), [(20, 20, 400), (100, 100, 2000), (3, 3000, 5000)])
def test_wide_nodes_over_a_wide_alphabet(parents, children, alphabet):
    """Like the two-character words of Chinese: no row fits the holes of the others, and the tables must grow."""
    generator = random.Random(1)
    characters = [chr(0x4E00 + i) for i in range(alphabet)]
    pieces = {
        first + second: parent * children + child
        for parent, first in enumerate(generator.sample(characters, parents))
        for child, second in enumerate(generator.sample(characters, children))
    }
    trie = NamedTrie(pieces, {})
    assert {piece: walk(trie, trie.start, piece) for piece in pieces} == {p: (2, i) for p, i in pieces.items()}
    for text in ("".join(generator.sample(characters, 3)) for _ in range(2000)):
        assert walk(trie, trie.start, text) == longest_match(pieces, text)
    assert int(trie.base.max()) + trie.size <= len(trie.check)

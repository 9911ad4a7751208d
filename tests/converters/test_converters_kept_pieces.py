"""Which pieces of a vocabulary stay when it is pruned."""

import numpy as np
import pytest

from edgedistil_converters.preparation.pieces import choose_pieces, texts_with_piece
from edgedistil_runtime.errors import ConversionError

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def choose(vocabulary, counts, **options):
    """The kept pieces, by a map from piece to the number of texts with it."""
    choice = choose_pieces(
        vocabulary, np.array([counts.get(piece, 0) for piece in vocabulary]), special_tokens=SPECIAL, **options
    )
    return [vocabulary[i] for i in choice.kept]


def test_special_tokens_used_pieces_and_single_characters_stay():
    vocabulary = ["[unused1]", *SPECIAL, "turn", "on", "off", "##s", "##ing", "o", "n", "##n", "é", "東"]
    assert choose(vocabulary, {"turn": 2, "##ing": 1}) == [
        *SPECIAL, "turn", "##s", "##ing", "o", "n", "##n", "é", "東",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("indicator", "characters", "words"),
    [
        ("##", ["a", "##a", "#", "é"], ["aa", "##aa", "##", "e\u0301"]),
        ("@@", ["a", "@@a", "@", "#"], ["##a", "@@aa", "@@"]),
        ("s", ["a", "s", "sa", "ss"], ["aa", "saa", "as"]),
        ("", ["a", "b"], ["ab"]),
    ],
)
def test_a_single_character_is_one_code_point_behind_any_indicator(indicator, characters, words):
    kept = choose([*SPECIAL, *characters, *words], {}, suffix_indicator=indicator)
    assert kept == [*SPECIAL, *characters]


def test_no_piece_is_invented():
    assert choose([*SPECIAL, "fi", "f"], {"fi": 1}) == [*SPECIAL, "fi", "f"]
    assert choose(["[UNK]", "fi"], {}) == ["[UNK]"]


def test_a_size_cuts_rare_pieces_and_unseen_characters():
    vocabulary = [*SPECIAL, "rare", "common", "##s", "x", "##x", "r", "##c"]
    counts = {"rare": 1, "common": 9, "##s": 4}
    needed = [*SPECIAL, "##s", "r", "##c"]  # characters of the texts' pieces; x is none
    assert choose(vocabulary, counts, vocabulary_size=8) == needed
    assert choose(vocabulary, counts, vocabulary_size=9) == [*SPECIAL, "common", "##s", "r", "##c"]
    assert choose(vocabulary, counts, vocabulary_size=10) == [*SPECIAL, "rare", "common", "##s", "r", "##c"]
    assert choose(vocabulary, counts, vocabulary_size=11) == [p for p in vocabulary if p != "##x"]
    assert choose(vocabulary, counts) == vocabulary


def test_of_equally_frequent_pieces_the_lower_ids_stay():
    vocabulary = [*SPECIAL, "aa", "bb", "cc"]
    assert choose(vocabulary, {"aa": 1, "bb": 1, "cc": 2}, vocabulary_size=7) == [*SPECIAL, "aa", "cc"]


def test_a_size_beyond_the_need_is_filled_in_the_order_of_the_vocabulary():
    vocabulary = ["[unused0]", *SPECIAL, "the", "the", "of", "and", "turn", "a"]
    assert choose(vocabulary, {"turn": 1}) == [*SPECIAL, "turn", "a"]
    assert choose(vocabulary, {"turn": 1}, vocabulary_size=9) == [*SPECIAL, "the", "of", "turn", "a"]
    # Free rows and what a later equal piece hides come last of all.
    assert choose(vocabulary, {"turn": 1}, vocabulary_size=10) == [*SPECIAL, "the", "of", "and", "turn", "a"]
    for size in (12, 1000):
        assert choose(vocabulary, {"turn": 1}, vocabulary_size=size) == vocabulary


def test_a_size_too_small_for_the_characters_of_the_texts_is_refused():
    vocabulary = [*SPECIAL, "ab", "a", "##a", "b", "##b", "c"]
    assert len(choose(vocabulary, {"ab": 1}, vocabulary_size=9)) == 9
    with pytest.raises(ConversionError, match=r"are 9 pieces.*`vocabulary_size`.*Received: 8\. .*the 11 pieces"):
        choose(vocabulary, {"ab": 1}, vocabulary_size=8)


def test_of_equal_pieces_the_last_stays():
    vocabulary = [*SPECIAL, "a", "turn", "a"]
    choice = choose_pieces(vocabulary, np.zeros(8, np.int64), special_tokens=SPECIAL)
    assert choice.kept.tolist() == [0, 1, 2, 3, 4, 7]


def test_pieces_are_counted_once_a_text():
    rows = np.array([[2, 5, 5, 5, 3, 0], [2, 5, 6, 3, 0, 0]], np.int32)
    assert texts_with_piece(rows, 8).tolist() == [2, 0, 2, 2, 0, 2, 1, 0]


def test_a_piece_lasts_if_the_other_texts_keep_it():
    vocabulary = [*SPECIAL, "once", "twice", "a", "unused"]
    counts = np.array([2, 0, 2, 2, 0, 1, 2, 1, 0])
    due = {*SPECIAL, "twice", "a"}
    assert lasting(vocabulary, counts) == due
    assert lasting(vocabulary, counts, vocabulary_size=9) == set(vocabulary)
    # With room for the vocabulary's first pieces, "once" would be among these.
    wide = [*vocabulary, "more"]
    assert lasting(wide, [*counts, 0], vocabulary_size=9) == {*due, "once", "unused"}


def lasting(vocabulary, counts, **options):
    choice = choose_pieces(vocabulary, np.array(counts), special_tokens=SPECIAL, **options)
    return {vocabulary[i] for i in np.flatnonzero(choice.is_lasting)}


def test_a_piece_lasts_under_a_size_if_it_stays_more_frequent_than_what_was_dropped():
    vocabulary = [*SPECIAL, "four", "three", "two"]
    assert lasting(vocabulary, [4, 0, 4, 4, 0, 4, 3, 2], vocabulary_size=7) == {*SPECIAL, "four", "three"}
    assert lasting(vocabulary, [4, 0, 4, 4, 0, 4, 3, 3], vocabulary_size=7) == {*SPECIAL, "four"}
    # As one of two texts, "three" would come behind "two": of equally frequent pieces the lower ids stay.
    vocabulary = [*SPECIAL, "four", "two", "three"]
    assert lasting(vocabulary, [4, 0, 4, 4, 0, 4, 2, 3], vocabulary_size=7) == {*SPECIAL, "four"}

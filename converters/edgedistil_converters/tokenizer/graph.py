"""WordPiece as a straight line of TFLite builtins: UTF-8 bytes in, token ids out.

The graph has no loop, no branch, no string and no custom op; every op is of version 1 or 2.

1. Decode: four shifted copies of the byte vector give the code point that starts at every byte.
2. Spell: a two-level table turns each code point into its trie characters, already split and case-folded
   (`pretokenizer.py`); bytes that start no code point give nothing. A word is what stands between two separators.
3. Match: for all positions at once, one step down the trie per character of the longest piece; the last state that
   ended a piece is the longest match there.
4. Walk: greedy longest-match starts at a word's first character and hops from match to match. Which positions it
   visits follows from pointer doubling (Wyllie 1979): after k rounds every chain of 2^k hops is marked.
5. Emit: a word in which the walk got stuck, or which has more than 100 bytes, is one unknown token.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgedistil_converters.constants import shared_constant
from edgedistil_converters.tokenizer.pretokenizer import CODE_POINTS, PAGE_SIZE, CodePointTable, Pretokenizer
from edgedistil_converters.tokenizer.settings import MAX_BYTES_PER_WORD, start_and_continuation_pieces
from edgedistil_converters.tokenizer.trie import SEPARATOR, Trie, build_trie
from edgedistil_runtime.artifact import TokenizerSettings

__all__ = ["GraphTokenizer"]

_MOST_PIECES_PER_WORD = MAX_BYTES_PER_WORD  # a piece has at least one byte


class GraphTokenizer:
    """The tables of one vocabulary, and the graph that reads them.

    Args:
        settings: tokenizer options; `split=True` and `special_tokens_in_strings=False`.
        vocabulary: one piece an id.

    Example:
        >>> tokenizer = GraphTokenizer(*read_tokenizer(classifier.preprocessor))
        >>> token_ids = tf.function(tokenizer)(tf.constant(list(b"turn on the light")))
    """

    def __init__(self, settings: TokenizerSettings, vocabulary: Sequence[str]) -> None:
        self.settings = settings
        pretokenizer = Pretokenizer(settings)
        starts, continuations = (
            {piece: token_id for piece, token_id in pieces.items() if pretokenizer.can_be_in_a_word(piece)}
            for pieces in start_and_continuation_pieces(vocabulary, settings.suffix_indicator)
        )
        self.trie: Trie = build_trie(starts, continuations)
        self.code_points: CodePointTable = pretokenizer.table(self.trie.character_ids)
        self._bytes_of_character = _utf8_lengths(self.trie.character_ids)

    def __call__(self, text: Any) -> Any:
        """Token ids of one text, special tokens included.

        Args:
            text: int32[n], valid UTF-8 bytes; a zero ends the text.

        Returns:
            int32[1, m] with 2 <= m <= sequence_length.
        """
        characters, total = self._spell(_code_points(text))
        first = tf.logical_and(
            tf.not_equal(characters, SEPARATOR),
            tf.equal(tf.concat([[SEPARATOR], characters], 0)[0:total], SEPARATOR),
        )
        token, length = self._longest_match(characters, first, total)
        visited = _visited(characters, first, length, total)
        stuck = tf.logical_and(visited > 0, tf.equal(length, 0))
        is_unknown = self._is_in_unknown_word(characters, first, stuck)
        emitted = tf.where(is_unknown, tf.cast(first, tf.int32), visited) > 0
        emitted = tf.logical_and(emitted, tf.not_equal(characters, SEPARATOR))
        pieces = tf.boolean_mask(tf.where(is_unknown, self.settings.unknown_id, token), emitted)
        pieces = pieces[0 : tf.minimum(tf.shape(pieces)[0], self.settings.sequence_length - 2)]
        return tf.concat([[self.settings.start_id], pieces, [self.settings.end_id]], 0)[None]

    def _spell(self, code_points: Any) -> tuple[Any, Any]:
        """The trie characters of the whole text, a separator at the end, and how many they are."""
        table = self.code_points
        clipped = tf.clip_by_value(code_points, 0, CODE_POINTS - 1)
        row = tf.gather(shared_constant(table.page_of), clipped // PAGE_SIZE) * PAGE_SIZE
        entry = tf.gather(shared_constant(table.entry_of), row + clipped % PAGE_SIZE)
        entry = tf.where(code_points < 0, table.nothing, entry)
        length = tf.gather(shared_constant(table.length), entry)
        start = tf.cumsum(length, exclusive=True)
        total = tf.reduce_sum(length)
        # Entries without characters share their start with the next one, whose number is the higher: counting the
        # starts up to a position gives the entry that it belongs to.
        source = tf.cumsum(tf.scatter_nd(start[:, None], tf.ones_like(start), [total + 1]))[0:total] - 1
        where_it_lies = tf.gather(tf.gather(shared_constant(table.offset), entry) - start, source) + tf.range(total)
        characters = tf.gather(shared_constant(table.characters), where_it_lies)
        return tf.concat([characters, [SEPARATOR]], 0), total + 1

    def _longest_match(self, characters: Any, first: Any, total: Any) -> tuple[Any, Any]:
        """Token id and length of the longest piece that starts at each position; length 0 where none does."""
        trie = self.trie
        base, check = shared_constant(trie.base), shared_constant(trie.check)
        ahead = tf.concat([characters, tf.fill([trie.longest], SEPARATOR)], 0)
        state = tf.where(first, trie.start, trie.continuation)
        states = []
        for step in range(trie.longest):
            character = ahead[step : step + total]
            slot = tf.gather(base, state) + character
            state = tf.where(tf.equal(tf.gather(check, slot), character), slot, 0)
            states.append(state)
        tokens = tf.gather(shared_constant(trie.token), tf.stack(states))
        lengths = tf.constant(np.arange(1, trie.longest + 1, dtype=np.int32)[:, None])
        length = tf.reduce_max(tf.where(tokens >= 0, lengths, 0), 0)
        at = tf.maximum(length - 1, 0) * total + tf.range(total)
        return tf.gather(tf.reshape(tokens, [-1]), at), length

    def _is_in_unknown_word(self, characters: Any, first: Any, stuck: Any) -> Any:
        """bool[total]: whether the word at each position cannot be told in pieces, or is too long."""
        word = tf.cumsum(tf.cast(first, tf.int32))
        cost = tf.gather(shared_constant(self._bytes_of_character), characters)
        cost += tf.cast(stuck, tf.int32) * (MAX_BYTES_PER_WORD + 1)
        cost_of_word = tf.scatter_nd(word[:, None], cost, [tf.reduce_max(word) + 1])
        return tf.gather(cost_of_word, word) > MAX_BYTES_PER_WORD


def _utf8_lengths(character_ids: dict[str, int]) -> NDArray[np.int32]:
    """Bytes of each trie character; 4 for the unknown one, whose word is an unknown token however long it is."""
    return np.array([0, 4, *(len(c.encode("utf-8", "replace")) for c in character_ids)], np.int32)


def _code_points(text: Any) -> Any:
    """int32[n]: the code point that starts at each byte, -1 where none does; nothing after the first zero byte."""
    positions = tf.range(tf.shape(text)[0])
    # The appended position covers a text without a zero, and an empty one.
    end = tf.reduce_min(tf.concat([tf.where(tf.equal(text, 0), positions, tf.shape(text)[0]), tf.shape(text)], 0))
    padded = tf.concat([text[0:end], tf.zeros([4], tf.int32)], 0)
    # One zero stays at the end, so that no tensor is ever empty: code point 0 is dropped as white space is.
    b0, b1, b2, b3 = (padded[k : k + end + 1] for k in range(4))
    two = (b0 - 0xC0) * 64 + b1 - 0x80
    three = (b0 - 0xE0) * 4096 + (b1 - 0x80) * 64 + b2 - 0x80
    four = (b0 - 0xF0) * 262144 + (b1 - 0x80) * 4096 + (b2 - 0x80) * 64 + b3 - 0x80
    several = tf.where(b0 < 0xE0, two, tf.where(b0 < 0xF0, three, four))
    return tf.where(b0 < 0x80, b0, tf.where(b0 < 0xC0, -1, several))


def _visited(characters: Any, first: Any, length: Any, total: Any) -> Any:
    """int32[total]: 1 at the positions that the greedy walk of each word reaches, the stuck one included."""
    nowhere = total  # a position past the end, where chains stop
    target = tf.range(total) + length
    goes_on = tf.logical_and(length > 0, tf.not_equal(tf.gather(characters, target), SEPARATOR))
    hop = tf.concat([tf.where(goes_on, target, nowhere), [nowhere]], 0)
    visited = tf.concat([tf.cast(first, tf.int32), [0]], 0)
    for _ in range((_MOST_PIECES_PER_WORD - 1).bit_length()):
        visited = tf.minimum(1, visited + tf.scatter_nd(hop[:, None], visited, [total + 1]))
        hop = tf.gather(hop, hop)
    return visited[0:total]

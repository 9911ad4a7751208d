"""The pieces of a text's words, with Hugging Face's rules: from symbols to token ids.

The symbols below `inner` are no part of a longer word: the separator, and characters that are words by themselves.
"""

from typing import Any

import tensorflow as tf

from edgedistil_converters.tokenizer.matching import PieceMatcher, compact, look_up, shifted_rows
from edgedistil_converters.tokenizer.node_trie import NodeTrie
from edgedistil_converters.tokenizer.steady_shapes import first_positions
from edgedistil_converters.tokenizer.trie import SEPARATOR

__all__ = ["WordPieces"]

_COMMON_PIECES = 4  # few words have more


class WordPieces:
    """Divides words into pieces.

    Args:
        trie: The vocabulary.
        first_inner: The lowest symbol that can have neighbours in its word.
        unknown_id: Token id of words without a division.
        longest_word: Symbols of the longest word that is divided.

    Example:
        >>> from edgedistil_converters.tokenizer.node_trie import build_node_trie
        >>> trie = build_node_trie({(2,): 6, (3, 4): 7}, {(4,): 8}, symbols=5)  # 2 is a word by itself
        >>> pieces = WordPieces(trie, first_inner=3, unknown_id=1, longest_word=100)
        >>> pieces(tf.constant([3, 4, 4, 2, 3, 0])).numpy().tolist()
        [7, 8, 6, 1]
    """

    def __init__(self, trie: NodeTrie, first_inner: int, unknown_id: int, longest_word: int) -> None:
        self._matcher = PieceMatcher(trie)
        self._no_piece = trie.no_piece
        self._token, self._length = compact(trie.token), compact(trie.length)
        self._first_inner, self._unknown_id, self._longest_word = first_inner, unknown_id, longest_word

    def __call__(self, symbols: Any, added: Any = None) -> Any:
        """Return the token ids of a text, int32[m].

        Args:
            symbols: int32[n], the last a separator.
            added: int32[n], ids of tokens that begin at separators, -1 elsewhere; None if there are none.
        """
        steps = self._matcher.steps
        rows = shifted_rows(symbols, steps + 1)
        current, before = tf.unstack(rows)[-2:]
        # All below have the shape [total], total = n + steps. Symbol i is at i + steps - 1, around them are separators.
        is_inner = tf.minimum(before, current) >= self._first_inner
        # A separator is neither inner nor within a word; the first symbol of a word is not inner.
        is_first = tf.not_equal(is_inner, current > SEPARATOR)
        node = self._matcher(symbols, rows, is_inner)
        length = look_up(self._length, node)
        total = tf.shape(current)[0]
        positions = tf.range(total)
        last = tf.zeros_like(positions) + (total - 1)  # a separator, where all walks end
        target = tf.minimum(positions + length, last)
        hop = tf.where(tf.gather(is_inner, target), target, last)
        if added is not None:
            added = tf.concat([tf.fill([steps - 1], -1), added, [-1]], 0)
            return self._by_marks(node, length, hop, is_first, last, added)
        # `chain`, int32[k] each: the first, second, ... positions of all walks, and of some that are at the end.
        ends = tf.reshape(total - 1, [1])
        chain = [first_positions(is_first)]
        for _ in range(_COMMON_PIECES):
            chain.append(tf.gather(hop, chain[-1]))
        walks = tf.stack(chain[:-1], 1)  # [k, pieces]
        # At a position without a piece, the length is above that of every word.
        symbols_of_word = tf.reduce_sum(tf.gather(length, walks), 1)
        is_common = tf.logical_and(
            tf.reduce_max(symbols_of_word) <= self._longest_word, tf.reduce_min(chain[-1]) >= total - 1
        )
        return tf.cond(
            is_common,
            lambda: self._by_walks(node, walks, ends),
            lambda: self._by_marks(node, length, hop, is_first, last, None),
        )

    def _by_walks(self, node: Any, walks: Any, ends: Any) -> Any:
        """Return the ids at the positions of the walks before `ends`."""
        visited = tf.reshape(walks, [-1])
        visited = tf.gather(visited, tf.reshape(tf.where(visited < ends), [-1]))
        return look_up(self._token, tf.gather(node, visited))

    def _by_marks(self, node: Any, length: Any, hop: Any, is_first: Any, last: Any, added: Any) -> Any:
        """Return the ids for any text: words of many pieces, of too many symbols, and without a division."""
        # A shape that is unknown until it runs, so that LiteRT plans the rest only then.
        size = tf.reduce_max(last, keepdims=True) + 1
        node, length, hop, is_first, last = (tf.slice(x, [0], size) for x in (node, length, hop, is_first, last))
        total = tf.shape(node)[0]
        token = look_up(self._token, node)
        hop = tf.where(tf.equal(length, self._no_piece), last, hop)
        visited = tf.cast(is_first, tf.int32)
        for _ in range(self._longest_word.bit_length()):
            # Pointer doubling: before round k (from 0), `hop` goes 2^k matches ahead, and the first 2^k positions of a
            # walk are marked. At the end these are more than the longest word has, so that a longer word is noticed.
            visited = tf.minimum(1, visited + tf.scatter_nd(tf.reshape(hop, [-1, 1]), visited, [total]))
            hop = tf.gather(hop, hop)
        visited = tf.where(tf.range(total) < last, visited, 0)
        word = tf.cumsum(tf.cast(is_first, tf.int32))  # words count from 1; 0 before the first word
        # A walk counts the symbols of its word, and more than any word has if it is stuck.
        symbols = tf.scatter_nd(tf.reshape(word, [-1, 1]), visited * length, [total])
        is_unknown = tf.gather(symbols, word) > self._longest_word
        emitted = tf.where(is_unknown, tf.cast(is_first, tf.int32), visited)
        token = tf.where(is_unknown, self._unknown_id, token)
        if added is not None:
            token, emitted = tf.where(added >= 0, added, token), tf.where(added >= 0, 1, emitted)
        return tf.gather(token, tf.reshape(tf.where(emitted > 0), [-1]))

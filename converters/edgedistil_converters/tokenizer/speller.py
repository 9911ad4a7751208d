"""Code points to symbols: two gathers in the table of spellings, then an expansion."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from edgedistil_converters.tokenizer.matching import compact, look_up
from edgedistil_converters.tokenizer.spelling import NOTHING, PAGE_SIZE, CodePointTable
from edgedistil_converters.tokenizer.steady_shapes import LENGTH_STEP, round_up
from edgedistil_converters.tokenizer.trie import SEPARATOR

__all__ = ["Speller"]


class Speller:
    """Replaces the code points of a text by the symbols that spell them.

    Args:
        table: The spellings.
        find_tokens: Function that replaces tokens in entries of the table, None if there are no tokens.
    """

    def __init__(self, table: CodePointTable, find_tokens: Callable[[Any], Any] | None = None) -> None:
        self._find_tokens = find_tokens
        self._page_of, self._entry_of = compact(table.page_of), compact(table.entry_of)
        self._length, self._offset, self._symbols = map(compact, (table.length, table.offset, table.symbols))

    def __call__(self, code_points: Any) -> Any:
        """Replace code points by their symbols.

        Args:
            code_points: int32[n], -1 for none.

        Returns:
            int32[k], k a multiple of `LENGTH_STEP`: the symbols, then separators, at least one.
        """
        known = tf.maximum(code_points, 0)  # a valid index at the positions of -1, whose entry is replaced below
        row = look_up(self._page_of, known // PAGE_SIZE) * PAGE_SIZE
        # entry, length, start: int32[n]. An entry of `length` symbols fills the output from `start` on.
        entry = look_up(self._entry_of, row + known % PAGE_SIZE)
        entry = tf.where(code_points < 0, NOTHING, entry)
        if self._find_tokens is not None:
            entry = self._find_tokens(entry)
        length = look_up(self._length, entry)
        start = tf.cumsum(length, exclusive=True)
        total = tf.reduce_sum(length)
        size = round_up(total + 1, LENGTH_STEP)
        # source, int32[size]: the index of the entry that fills each output position. SCATTER_ND adds 1 at each start,
        # so the running sum counts the entries that start at or before a position. An entry without symbols has the
        # start of the next entry; that one has the higher index, so the count finds it. Entries without symbols at the
        # end start at `total`.
        counts = tf.scatter_nd(start[:, None], tf.ones_like(start), [size])
        source = tf.cumsum(counts) - 1
        # Output position p of entry e is symbol offset[e] + (p - start[e]) of the table.
        positions = tf.range(size)
        index = tf.gather(look_up(self._offset, entry) - start, source) + positions
        symbols = look_up(self._symbols, tf.minimum(index, len(self._symbols) - 1))
        return tf.where(positions < total, symbols, SEPARATOR)

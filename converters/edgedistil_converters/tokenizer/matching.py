"""The longest piece at every position of a text, with Hugging Face's rules.

All positions take a step down the trie at once for each of the first symbols. Few positions are still in it then: their
numbers are collected, only these take the further steps, and an IF takes the last ones only if a position gets there.
The deepest node that a position reaches decides: tables have the longest piece on the way to it (`node_trie.py`).

LiteRT copies a STRIDED_SLICE element by element, and plans memory anew after every op whose output shape depends on
values. So all shifted copies of the symbols are made at once: copies of the symbols with `r` separators after them lie
one after the other, the last one without separators. Cut into `r` rows, each is the row before, one later:

    a b c . . . a b c . . . a b c        a b c . .
                                         . a b c .
                                         . . a b c
"""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgedistil_converters.graph.tensors import shared_constant
from edgedistil_converters.tokenizer.node_trie import DEAD, NodeTrie
from edgedistil_converters.tokenizer.steady_shapes import first_positions
from edgedistil_converters.tokenizer.trie import SEPARATOR

__all__ = ["PieceMatcher", "compact", "look_up", "shifted_rows"]

_COMMON_STEPS, _FREQUENT_STEPS = 6, 11  # symbols


class PieceMatcher:
    """Finds the deepest node of the trie at each position.

    Args:
        trie: The vocabulary.

    Attributes:
        steps: Steps that all positions take. The position of symbol i is i + steps - 1.

    Example:
        >>> from edgedistil_converters.tokenizer.node_trie import build_node_trie
        >>> trie = build_node_trie({(2, 3): 7}, {(3,): 8}, symbols=4)
        >>> match, symbols = PieceMatcher(trie), tf.constant([2, 3, 3, 0])
        >>> is_inner = tf.constant([False, False, True, True, False, False])
        >>> node = match(symbols, shifted_rows(symbols, match.steps + 1), is_inner).numpy()[1:4]
        >>> trie.token[node].tolist(), trie.length[node].tolist()
        ([7, 8, 8], [2, 1, 1])
    """

    def __init__(self, trie: NodeTrie) -> None:
        self._trie = trie
        self.steps = min(_COMMON_STEPS, trie.longest)
        self._child, self._check = trie.child, None if trie.check is None else compact(trie.check)

    def __call__(self, symbols: Any, rows: Any, is_inner: Any) -> Any:
        """Return the number of the deepest node at each position, int32[total], `DEAD` if the first step fails.

        Args:
            symbols: int32[n].
            rows: int32[steps + 1, total], upwards: the symbol before each position, at it, after it, and so on.
            is_inner: bool[total], True at symbols that are not the first of their word.
        """
        trie = self._trie
        root = tf.cast(is_inner, tf.int32) * (trie.continuation - trie.start) + trie.start
        node, deepest = self._walk(root, rows, slice(-2, None, -1))
        if trie.longest == self.steps:
            return deepest
        at = first_positions(node > DEAD)  # int32[k]: positions still in the trie, then a separator, which is not
        ahead = tf.concat([symbols, tf.fill([trie.longest], SEPARATOR)], 0)
        far = self._far(tf.gather(node, at), ahead, at, self.steps)
        far = tf.scatter_nd(tf.reshape(at, [-1, 1]), far, tf.shape(deepest))  # back to all positions, 0 elsewhere
        return tf.where(far > DEAD, far, deepest)

    def _far(self, node: Any, ahead: Any, at: Any, first_step: int) -> Any:
        """Return the deepest nodes after steps from `first_step` on, int32[k], from the nodes before it."""
        last_step = min(_FREQUENT_STEPS, self._trie.longest) if first_step < _FREQUENT_STEPS else self._trie.longest
        steps = np.arange(first_step, last_step, dtype=np.int32)[:, None] - (self.steps - 1)
        node, deepest = self._walk(node, tf.gather(ahead, tf.reshape(at, [1, -1]) + steps))
        if last_step == self._trie.longest:
            return deepest
        size = tf.shape(at)

        def go_on() -> Any:
            later = tf.slice(at, [0], size)  # its shape is unknown until it runs, so only then the rest is planned
            farther = self._far(node, ahead, later, last_step)
            return tf.where(farther > DEAD, farther, deepest)

        return tf.cond(tf.reduce_max(node) > DEAD, go_on, lambda: deepest)

    def _walk(self, node: Any, symbols: Any, order: slice = slice(None)) -> tuple[Any, Any]:
        """Take a step from each node by each row of symbols, int32[rows, total], that `order` selects.

        Returns:
            The last nodes and the deepest, int32[total] each.
        """
        rows = checked = tf.unstack(symbols)
        if self._check is None:
            checked = tf.unstack(symbols * (1 << self._trie.bits))
        dead = deepest = tf.zeros_like(node)
        for symbol, to_check in zip(rows[order], checked[order], strict=True):
            slot = node + symbol
            child = tf.gather(shared_constant(self._child), slot)
            if self._check is None:
                # A number if the slot has this symbol; else negative, or at least 1 << bits, and negative after this.
                child = child - to_check
                child = tf.minimum(child, ((1 << self._trie.bits) - 1) - child)
                node, is_found = tf.maximum(child, dead), child > DEAD
            else:
                is_found = tf.equal(look_up(self._check, slot), to_check)
                node = tf.where(is_found, child, dead)
            deepest = tf.where(is_found, child, deepest)
        return node, deepest


def shifted_rows(symbols: Any, rows: int) -> Any:
    """Return int32[rows, n + rows - 1], the symbols with separators around them, each row one later than the last.

    Example:
        >>> shifted_rows(tf.constant([5, 6]), 3).numpy().tolist()
        [[5, 6, 0, 0], [0, 5, 6, 0], [0, 0, 5, 6]]
    """
    padding = tf.fill([rows], SEPARATOR)
    copies = tf.concat([*(part for _ in range(rows - 1) for part in (symbols, padding)), symbols], 0)
    return tf.reshape(copies, [rows, -1])


def compact(table: NDArray[np.int32]) -> NDArray[Any]:
    """Return the table in 8 or 16 bits if its numbers fit, else as it is."""
    for dtype in (np.uint8, np.int16):  # no int8: in a file, int8 tensors are weights
        limits = np.iinfo(dtype)
        if table.min(initial=0) >= limits.min and table.max(initial=0) <= limits.max:
            return table.astype(dtype)
    return table


def look_up(table: NDArray[Any], ids: Any) -> Any:
    """Return the entries of a table of 8, 16 or 32 bits as int32."""
    found = tf.gather(shared_constant(table), ids)
    return found if table.dtype == np.int32 else tf.cast(found, tf.int32)

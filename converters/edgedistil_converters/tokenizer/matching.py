"""The longest piece at every position of a text, as it is found with Hugging Face's rules.

The steps down the trie are those of `GraphTokenizer` with KerasHub's rules, with two savings: the symbols that lead to
the states have 16 bits, and an IF takes the last steps only in texts with a position that is still in the trie.
"""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgedistil_converters.graph.tensors import shared_constant
from edgedistil_converters.tokenizer.trie import SEPARATOR, Trie

__all__ = ["PieceMatcher", "compact", "look_up"]

_COMMON_STEPS, _FREQUENT_STEPS = 6, 11  # symbols


class PieceMatcher:
    """Finds the longest piece at each position.

    Args:
        trie: The vocabulary.

    Example:
        >>> from edgedistil_converters.tokenizer.trie import build_trie
        >>> match = PieceMatcher(build_trie({(2, 3): 7}, {(3,): 8}, symbols=4))
        >>> token, length = match(tf.constant([2, 3, 3, 0]), tf.constant([True, False, False, False]), 4)
        >>> token.numpy()[:3].tolist(), length.numpy().tolist()
        ([7, 8, 8], [2, 1, 1, 0])
    """

    def __init__(self, trie: Trie) -> None:
        self._trie = trie
        self._check, self._token = compact(trie.check), compact(trie.token)

    def __call__(self, symbols: Any, first: Any, total: Any) -> tuple[Any, Any]:
        """Return the id and length of the longest piece at each position, int32[total]; length 0 if there is none.

        Args:
            symbols: int32[total].
            first: bool[total], True at the first symbol of each word.
            total: Number of positions.
        """
        longest = self._trie.longest
        # Position p reads ahead[p + step]; the padding keeps that inside, and no piece contains a separator.
        ahead = tf.concat([symbols, tf.fill([longest], SEPARATOR)], 0)
        state = tf.where(first, self._trie.start, self._trie.continuation)
        read = [ahead[step : step + total] for step in range(min(_COMMON_STEPS, longest))]
        token, length, state = self._steps(state, read, 0, total)
        if longest <= _COMMON_STEPS:
            return token, length
        # `at`, int32[k]: positions still in the trie, and one past the end, so that the list is never empty.
        at = tf.cast(tf.reshape(tf.where(tf.concat([tf.not_equal(state, 0), [True]], 0)), [-1]), tf.int32)
        state = tf.gather(tf.concat([state, [0]], 0), at)
        far_token, far_length = self._far_steps(state, ahead, at, _COMMON_STEPS)
        # Back to all positions; the slot of the extra position is cut off.
        spread = tf.scatter_nd(at[:, None], tf.stack([far_token, far_length], 1), [total + 1, 2])[0:total]
        far_length = spread[:, 1]
        is_far = far_length > 0
        return tf.where(is_far, spread[:, 0], token), tf.where(is_far, far_length, length)

    def _far_steps(self, state: Any, ahead: Any, at: Any, first_step: int) -> tuple[Any, Any]:
        """Return the id and length of pieces of more than `first_step` symbols, int32[k], from the states before."""
        last_step = min(_FREQUENT_STEPS, self._trie.longest) if first_step < _FREQUENT_STEPS else self._trie.longest
        read = [tf.gather(ahead, at + step) for step in range(first_step, last_step)]
        token, length, state = self._steps(state, read, first_step, tf.shape(at)[0])
        if last_step == self._trie.longest:
            return token, length

        def go_on() -> tuple[Any, Any]:
            far = self._far_steps(state, ahead, at, last_step)
            return tf.where(far[1] > 0, far[0], token), tf.where(far[1] > 0, far[1], length)

        found: tuple[Any, Any] = tf.cond(tf.reduce_max(state) > 0, go_on, lambda: (token, length))
        return found

    def _steps(self, state: Any, read: list[Any], first_step: int, total: Any) -> tuple[Any, Any, Any]:
        """Take steps from states, int32[total], by symbols, one int32[total] each.

        Returns:
            The id and length of the longest piece that ends in these steps, 0 if none does; the states after them.
        """
        states = []
        for symbol in read:
            slot = tf.gather(shared_constant(self._trie.base), state) + symbol
            state = tf.where(tf.equal(look_up(self._check, slot), symbol), slot, 0)  # slot 0 is the dead state
            states.append(state)
        tokens = look_up(self._token, tf.stack(states))  # [steps, total], -1 where no piece ends
        lengths = tf.constant(np.arange(first_step + 1, first_step + 1 + len(read), dtype=np.int32)[:, None])
        length = tf.reduce_max(tf.where(tokens >= 0, lengths, 0), 0)
        # tokens[step, position] is at step * total + position of the flattened tensor.
        at = tf.maximum(length - (first_step + 1), 0) * total + tf.range(total)
        return tf.gather(tf.reshape(tokens, [-1]), at), length, state


def compact(table: NDArray[np.int32]) -> NDArray[Any]:
    """Return the table in 16 bits if its numbers fit, else as it is."""
    limits = np.iinfo(np.int16)
    fits = table.min(initial=0) >= limits.min and table.max(initial=0) <= limits.max
    return table.astype(np.int16) if fits else table


def look_up(table: NDArray[Any], ids: Any) -> Any:
    """Return the entries of a 16-bit or 32-bit table as int32."""
    found = tf.gather(shared_constant(table), ids)
    return found if table.dtype == np.int32 else tf.cast(found, tf.int32)

"""Special tokens that a text spells out, such as `[SEP]`: found before anything else looks at the text.

KerasHub splits a text at them first, folds no case in them, and looks each up whole. Here every position is compared
with every token at once; tokens that could overlap are refused at conversion, so every match stands. The entries under
a match are replaced: the first by one that spells the token as a word of one symbol, the others by nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from edgedistil_converters.graph.tensors import shared_constant

__all__ = ["VANISHES", "SpecialTokenFinder"]

VANISHES = -1  # instead of a character: what is stripped with accents, and does not keep a match apart


class SpecialTokenFinder:
    """Finds special tokens in a row of entries of the code-point table.

    Args:
        tokens: token -> the entry that spells it. ASCII, and none can overlap another.
        characters: for every entry the ASCII code that it has before case is folded, 0 for any other character,
            `VANISHES` for one that accents take with them.
        nothing: the entry that spells nothing.
    """

    def __init__(self, tokens: Mapping[str, int], characters: Sequence[int], nothing: int) -> None:
        self._tokens = {tuple(token.encode()): entry for token, entry in tokens.items()}
        self._characters = np.array(characters, np.int32)
        self._nothing = nothing

    def __call__(self, entries: Any) -> Any:
        """The entries with every special token replaced.

        Args:
            entries: int32[n]; those of bytes that begin no code point are `nothing`.

        Returns:
            int32[n].
        """
        characters = tf.gather(shared_constant(self._characters), entries)
        # Comparing needs neighbours side by side, so what vanishes is taken out first.
        where = tf.cast(tf.reshape(tf.where(characters >= 0), [-1]), tf.int32)
        characters, total = tf.gather(characters, where), tf.shape(where)[0]
        found, length = self._matches(characters, total)
        starts = tf.cast(found > 0, tf.int32)
        ends = tf.scatter_nd((tf.range(total) + length)[:, None], starts, [total + self._longest])[0:total]
        is_inside = tf.cumsum(starts - ends) > 0
        kept = tf.gather(entries, where)
        replaced = tf.where(found > 0, found - 1, tf.where(is_inside, self._nothing, kept))
        changed = tf.scatter_nd(where[:, None], replaced - kept, tf.shape(entries))
        return entries + changed

    def _matches(self, characters: Any, total: Any) -> tuple[Any, Any]:
        """At every position the entry of the token that begins there plus 1, or 0; and the token's length, or 0."""
        ahead = tf.concat([characters, tf.zeros([self._longest], tf.int32)], 0)
        shifted = [ahead[k : k + total] for k in range(self._longest)]
        found = length = tf.zeros_like(characters)
        for codes, entry in self._tokens.items():
            is_match = tf.equal(shifted[0], codes[0])
            for code, character in zip(codes[1:], shifted[1:], strict=False):
                is_match = tf.logical_and(is_match, tf.equal(character, code))
            found, length = tf.where(is_match, entry + 1, found), tf.where(is_match, len(codes), length)
        return found, length

    @property
    def _longest(self) -> int:
        return max(map(len, self._tokens))

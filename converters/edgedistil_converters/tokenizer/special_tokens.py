"""Special tokens that a text spells out, such as `[SEP]`.

KerasHub first splits a text at them, does not fold their case, and looks up each as a whole. Here every position is
compared with every token at once; tokens that could overlap are refused at conversion, so every match counts. The
first entry of a match is replaced by one that spells the token as a word of one symbol, the others by `NOTHING`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from edgedistil_converters.graph.tensors import shared_constant

__all__ = ["VANISHES", "SpecialTokenFinder"]

VANISHES = -1  # the character of a code point that accent stripping removes: a match may go on after it


class SpecialTokenFinder:
    """Replaces special tokens in a text, which is given as entries of the code-point table.

    Args:
        tokens: Special token -> the entry that spells it. Tokens are ASCII and cannot overlap.
        characters: For each entry the ASCII code of its character before case folding, 0 for any other character,
            `VANISHES` for one that accent stripping removes.
        nothing: The entry without symbols.

    Example:
        >>> finder = SpecialTokenFinder({"[A]": 9}, [0, ord("["), ord("A"), ord("]")], 0)  # entry 2 is `A`
        >>> finder(tf.constant([2, 1, 2, 3, 2])).numpy().tolist()
        [2, 9, 0, 0, 2]
    """

    def __init__(self, tokens: Mapping[str, int], characters: Sequence[int], nothing: int) -> None:
        self._tokens = {tuple(token.encode()): entry for token, entry in tokens.items()}
        self._characters = np.array(characters, np.int32)
        self._nothing = nothing

    def __call__(self, entries: Any) -> Any:
        """Return the entries with every special token replaced.

        Args:
            entries: int32[n]; `nothing` for bytes that begin no code point.

        Returns:
            int32[n].
        """
        characters = tf.gather(shared_constant(self._characters), entries)
        # A match is compared with neighbouring characters, so those that vanish are taken out first. `where`, int32[k],
        # has the positions of the others; all tensors up to `replaced` have k elements.
        where = tf.cast(tf.reshape(tf.where(characters >= 0), [-1]), tf.int32)
        characters, total = tf.gather(characters, where), tf.shape(where)[0]
        found, length = self._matches(characters, total)
        starts = tf.cast(found > 0, tf.int32)
        # +1 where a match starts and -1 where it ends: the running sum is 1 at the characters of a match.
        ends = tf.scatter_nd((tf.range(total) + length)[:, None], starts, [total + self._longest])[0:total]
        is_inside = tf.cumsum(starts - ends) > 0
        kept = tf.gather(entries, where)
        replaced = tf.where(found > 0, found - 1, tf.where(is_inside, self._nothing, kept))
        # Back to all n positions: SCATTER_ND gives 0 elsewhere, so the differences are added.
        changed = tf.scatter_nd(where[:, None], replaced - kept, tf.shape(entries))
        return entries + changed

    def _matches(self, characters: Any, total: Any) -> tuple[Any, Any]:
        """Return 1 + the entry of the token that begins at each position, and its length, int32[total]; 0 if none."""
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

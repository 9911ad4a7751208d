"""Added tokens of Hugging Face's tokenizers, found in a text as `tokenizers` finds them.

The library looks for them in two rounds, each from left to right, taking the longest token at the first place: first
those that are not normalized, in the text as it is, then those that are, in the normalized parts between. A token with
`single_word` next to a word character is passed over. White space that a token takes with `lstrip` and `rstrip` would
give no token ids anyway.

Here all positions are compared with all tokens at once. That gives the same tokens if no two of them can overlap, other
than one inside the other: then those that lie in no other are the leftmost and longest. Tokens that can overlap are
refused.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations_with_replacement
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from edgedistil_converters.graph.tensors import shared_constant
from edgedistil_converters.tokenizer.spelling import NOTHING, WORD_BREAK, CodePointTable
from edgedistil_converters.tokenizer.trie import SEPARATOR
from edgedistil_runtime.errors import ConversionError
from edgedistil_runtime.metadata import AddedToken

__all__ = ["AddedTokenFinder", "AddedTokens", "Pattern", "check_added_tokens", "find_patterns"]


class AddedTokens:
    """The added tokens of a tokenizer in the graph; none with KerasHub's rules.

    Args:
        tokens: Added tokens.
        spellings: Spellings of all code points, `HuggingFaceSpellings` if there are tokens.

    Attributes:
        names: Names of the tokens of the first round in the alphabet -> token id.
        first_characters: Code points with which tokens of the first round begin.
        characters: Characters that the tokens of the second round are compared by.

    Raises:
        ConversionError: The graph cannot find a token exactly, see `check_added_tokens`.
    """

    def __init__(self, tokens: Sequence[AddedToken], spellings: Any) -> None:
        self._spellings = spellings
        self._raw = [token for token in tokens if not token.normalized]
        self._normalized = {token: spellings.parts(token.content) for token in tokens if token.normalized}
        check_added_tokens({token: tuple(token.content) for token in self._raw})
        check_added_tokens(self._normalized)
        self.names = {_name(token): token.id for token in self._raw}
        self.first_characters = frozenset(ord(token.content[0]) for token in self._raw)
        self.characters = frozenset("".join("".join(parts) for parts in self._normalized.values())) - {WORD_BREAK}

    def with_first_characters_last(self, table: CodePointTable) -> CodePointTable:
        """Return the table with other numbers of entries: the first characters of tokens have the highest."""
        if not self._raw:
            return table
        first = self.first_characters
        order = sorted(range(len(table.characters)), key=lambda entry: table.characters[entry] in first)  # stable
        number = np.argsort(order).astype(np.int32)  # entry -> its new number
        return replace(
            table,
            entry_of=number[table.entry_of],
            length=table.length[order],
            offset=table.offset[order],
            characters=tuple(table.characters[entry] for entry in order),
            special_tokens={name: int(number[entry]) for name, entry in table.special_tokens.items()},
        )

    def finder(self, table: CodePointTable) -> Callable[[Any], Any] | None:
        """Return a function that replaces the tokens of the first round in entries of the table, None without tokens.

        Most texts contain no token: an IF skips the work if the text has no first character of one.
        """
        if not self._raw:
            return None
        patterns = [
            Pattern(tuple(map(ord, token.content)), table.special_tokens[_name(token)], token.single_word)
            for token in self._raw
        ]
        find = AddedTokenFinder(patterns, table.characters, [*map(self._spellings.is_word, table.characters)], NOTHING)
        first = {pattern.codes[0] for pattern in patterns}
        lowest = min(entry for entry, character in enumerate(table.characters) if character in first)
        return lambda entry: tf.cond(tf.reduce_max(entry) >= lowest, lambda: find(entry), lambda: entry)

    def take_out(self, symbols: Any, symbol_of: Mapping[str, int]) -> tuple[Any, Any]:
        """Find the tokens of the second round in a spelled text.

        Args:
            symbols: int32[total].
            symbol_of: Character, or `own_word` of a character -> symbol.

        Returns:
            The ids where tokens begin, int32[total], -1 elsewhere, or None if there are no such tokens; and the symbols
            with separators in the place of tokens.
        """
        if not self._normalized:
            return None, symbols
        numbers = {WORD_BREAK: SEPARATOR, **symbol_of}
        patterns = [
            Pattern(tuple(numbers[part] for part in parts), token.id) for token, parts in self._normalized.items()
        ]
        ids, is_inside = find_patterns(symbols, patterns)
        return ids, tf.where(is_inside, SEPARATOR, symbols)


def _name(token: AddedToken) -> str:
    """Return a name that no character has."""
    return f"{WORD_BREAK}{token.content}"


class Pattern(NamedTuple):
    """A token as a sequence of integers.

    Attributes:
        codes: The integers, at least one.
        value: The number that stands for the token, at least 0.
        is_single: The token is passed over next to a word character.
    """

    codes: tuple[int, ...]
    value: int
    is_single: bool = False


class AddedTokenFinder:
    """Replaces added tokens in a text, which is given as entries of the code-point table.

    Args:
        patterns: Added tokens as code points, with the entries that spell them.
        characters: For each entry its code point if added tokens contain it, a negative number if the entry begins no
            code point, or any other number.
        is_word: For each entry True if it is a word character.
        nothing: The entry without symbols.

    Example:
        >>> finder = AddedTokenFinder([Pattern((91, 65), 9)], [-2, 91, 65, 0], [False] * 4, 0)  # entry 1 is `[`, 2 `A`
        >>> finder(tf.constant([2, 1, 2, 3, 2])).numpy().tolist()
        [2, 9, 0, 3, 2]
    """

    def __init__(
        self, patterns: Sequence[Pattern], characters: Sequence[int], is_word: Sequence[bool], nothing: int
    ) -> None:
        self._patterns, self._nothing = patterns, nothing
        self._characters, self._is_word = np.array(characters, np.int32), np.array(is_word, np.int32)

    def __call__(self, entries: Any) -> Any:
        """Return the entries, int32[n], with the first entry of every token replaced and its others removed."""
        characters = tf.gather(shared_constant(self._characters), entries)
        # Bytes that begin no code point are taken out. `where`, int32[k], has the positions of the others.
        where = tf.cast(tf.reshape(tf.where(characters >= 0), [-1]), tf.int32)
        kept = tf.gather(entries, where)
        is_word = None
        if any(pattern.is_single for pattern in self._patterns):
            is_word = tf.gather(shared_constant(self._is_word), kept)
        found, is_inside = find_patterns(tf.gather(characters, where), self._patterns, is_word)
        replaced = tf.where(found >= 0, found, tf.where(is_inside, self._nothing, kept))
        # Back to all n positions: SCATTER_ND gives 0 elsewhere, so the differences are added.
        return entries + tf.scatter_nd(where[:, None], replaced - kept, tf.shape(entries))


def find_patterns(codes: Any, patterns: Sequence[Pattern], is_word: Any = None) -> tuple[Any, Any]:
    """Find patterns in a sequence; the outermost of several inside one another.

    Args:
        codes: int32[k], none negative.
        patterns: Patterns that cannot overlap, see `check_added_tokens`.
        is_word: int32[k], 1 for a word character; may be None if no pattern needs it.

    Returns:
        The values of the patterns where they begin, int32[k], -1 elsewhere; and bool[k], True at their positions.

    Example:
        >>> patterns = [Pattern((1, 2), 5), Pattern((1, 2, 3), 6)]
        >>> found, is_inside = find_patterns(tf.constant([7, 1, 2, 3, 1, 2]), patterns)
        >>> found.numpy().tolist(), is_inside.numpy().tolist()
        ([-1, 6, -1, -1, 5, -1], [False, True, True, True, True, True])
    """
    total, longest = tf.shape(codes)[0], max(len(pattern.codes) for pattern in patterns)
    ahead = tf.concat([codes, tf.fill([longest], -1)], 0)
    shifted = [ahead[k : k + total] for k in range(longest)]
    found, length, single = tf.fill([total], -1), tf.zeros_like(codes), tf.zeros_like(codes)
    for pattern in sorted(patterns, key=lambda pattern: len(pattern.codes)):  # the longest is written last
        is_match = tf.equal(shifted[0], pattern.codes[0])
        for code, values in zip(pattern.codes[1:], shifted[1:], strict=False):
            is_match = tf.logical_and(is_match, tf.equal(values, code))
        found = tf.where(is_match, pattern.value, found)
        length = tf.where(is_match, len(pattern.codes), length)
        if is_word is not None:
            single = tf.where(is_match, int(pattern.is_single), single)
    is_taken = tf.logical_and(
        found >= 0, tf.logical_not(_is_covered(found >= 0, length, total, is_first_counted=False))
    )
    if is_word is not None:
        around = tf.concat([[0], is_word, tf.zeros([longest + 1], tf.int32)], 0)
        words = around[0:total] + tf.gather(around, 1 + tf.range(total) + length)
        is_taken = tf.logical_and(is_taken, tf.equal(single * words, 0))
    return tf.where(is_taken, found, -1), _is_covered(is_taken, length, total, is_first_counted=True)


def _is_covered(starts: Any, length: Any, total: Any, *, is_first_counted: bool) -> Any:
    """Return bool[total], True at positions in the intervals that begin at `starts`, with or without the first."""
    opened = tf.cast(starts, tf.int32)
    ends = tf.where(starts, tf.range(total) + length, total)
    closed = tf.scatter_nd(ends[:, None], opened, [total + 1])[0:total]
    return tf.cumsum(opened, exclusive=not is_first_counted) - tf.cumsum(closed) > 0


def check_added_tokens(tokens: Mapping[AddedToken, Sequence[str]]) -> None:
    """Refuse added tokens that the graph cannot find exactly.

    Args:
        tokens: Added tokens of one round, each with the parts that it is compared by. White space is `WORD_BREAK`.

    Raises:
        ConversionError: A token is empty, begins or ends with white space or needs the neighbours of a normalized text,
            or two tokens can overlap.
    """
    for token, parts in tokens.items():
        if not parts or any(part.isspace() or part == WORD_BREAK for part in (parts[0], parts[-1])):
            raise _refusal("must neither be empty nor begin or end with white space or U+0000", token)
        if token.normalized and token.single_word:
            raise _refusal("that is `normalized` must not have `single_word`; add it with normalized=False", token)
    for first, second in combinations_with_replacement(tokens, 2):
        pairs = ((tokens[first], tokens[second]), (tokens[second], tokens[first]))
        if first is not second and tokens[first] == tokens[second]:
            raise _refusal("must not be equal to another after normalization", first, second)
        if any(left[-k:] == right[:k] for left, right in pairs for k in range(1, min(len(left), len(right)))):
            raise _refusal(
                "must not overlap another or itself, so that every text can be read in one way", first, second
            )


def _refusal(rule: str, *tokens: AddedToken) -> ConversionError:
    received = " and ".join(dict.fromkeys(repr(token.content) for token in tokens))
    return ConversionError(f"An added token {rule}. Received: {received}.")

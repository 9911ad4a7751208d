"""Composition across code points: KerasHub folds words to NFKC, where `e` and U+0301 are one character.

NFKC_Casefold of a word is the NFC of the concatenated case-folded forms of its code points (Unicode Standard, section
3.13, R5; section 3.11 defines NFC). Each folded form is already composed, so a text needs composing only if it contains
a symbol that can join or move past the one before it: a combining mark, or the second half of a pair such as a Hangul
vowel. These symbols have the highest numbers in `Alphabet`: if the maximum over a text reaches them, the graph takes
the branch that composes:

1. Decompose: replace every symbol by the symbols of its canonical decomposition.
2. Reorder: sort the marks between two starters by combining class; TOPK_V2 with k = n is a stable sort.
3. Compose starters: join adjacent pairs of a Hangul syllable or of the Indic vowels that are two starters.
4. Compose marks, in as many rounds as a character can absorb marks (3 in all of Unicode). In each round every starter
   absorbs the first mark that is not blocked and has a composite with it. A mark is blocked if the mark before it was
   not absorbed and has the same class.

Only symbols that can end up in a piece have numbers of their own. Any other character makes its word an unknown token
in every order of marks, so all of them share one symbol, and the tables stay small.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

from edgedistil_converters.graph.tensors import shared_constant
from edgedistil_converters.tokenizer.trie import FIRST_SYMBOL, SEPARATOR, UNKNOWN, build_trie
from edgedistil_runtime.errors import ConversionError

__all__ = ["Alphabet", "Composer", "build_alphabet"]

_HANGUL_SYLLABLES = range(0xAC00, 0xD7A4)
_CLASSES = 256  # combining classes are below 255


@dataclass(frozen=True)
class Alphabet:
    """Symbols: numbers for characters and special tokens, in an order that puts those that may need composing last.

    Attributes:
        symbols: Character or special token -> symbol, from 2 up.
        first_composing: The lowest symbol that can change the symbol before it.
        pairs: (first, second) -> composite, all symbols; `UNKNOWN` for a composite that no piece contains.
        decompositions: Symbol -> symbols of its canonical decomposition.
        classes: Symbol -> canonical combining class; symbols of class 0 are left out.
    """

    symbols: Mapping[str, int]
    first_composing: int
    pairs: Mapping[tuple[int, ...], int]
    decompositions: Mapping[int, tuple[int, ...]]
    classes: Mapping[int, int]

    @property
    def size(self) -> int:
        """Number of symbols, including `SEPARATOR` and `UNKNOWN`."""
        return FIRST_SYMBOL + len(self.symbols)

    @property
    def needs_composing(self) -> bool:
        """True if any symbol can change the symbol before it."""
        return self.first_composing < self.size


def build_alphabet(characters: Iterable[str], *, is_composed: bool, special_tokens: Sequence[str] = ()) -> Alphabet:
    """Build the alphabet for the characters of a vocabulary.

    Args:
        characters: Characters of all pieces.
        is_composed: True if words are composed, as KerasHub does when it folds case.
        special_tokens: Tokens that a text may spell out; each is one symbol.

    Raises:
        ConversionError: A character composes and is newer than this Python's Unicode database.

    Example:
        >>> alphabet = build_alphabet("eé", is_composed=True)
        >>> e, e_acute, acute = (alphabet.symbols[character] for character in "eé\u0301")
        >>> alphabet.pairs[e, acute] == e_acute, alphabet.first_composing == acute
        (True, True)
    """
    known = set(characters)
    if not is_composed:
        ordered = [*special_tokens, *sorted(known)]
        numbers = {character: FIRST_SYMBOL + i for i, character in enumerate(ordered)}
        return Alphabet(numbers, FIRST_SYMBOL + len(numbers), {}, {}, {})
    _check_known_to_python(known)
    parts = known.union(*(unicodedata.normalize("NFD", character) for character in known))
    pairs = {**_pairs_within(parts), **_hangul_pairs(parts, known)}
    distinct = parts | {composite for composite in pairs.values() if composite is not None}
    seconds = {second for _, second in pairs}
    composing = {c for c in distinct if unicodedata.combining(c) or c in seconds}
    ordered = [*special_tokens, *sorted(distinct - composing), *sorted(composing)]
    numbers = {character: FIRST_SYMBOL + i for i, character in enumerate(ordered)}
    return Alphabet(
        symbols=numbers,
        first_composing=FIRST_SYMBOL + len(ordered) - len(composing),
        pairs={
            (numbers[first], numbers[second]): UNKNOWN if composite is None else numbers[composite]
            for (first, second), composite in pairs.items()
        },
        decompositions={numbers[c]: tuple(numbers[part] for part in unicodedata.normalize("NFD", c)) for c in distinct},
        classes={numbers[c]: unicodedata.combining(c) for c in distinct if unicodedata.combining(c)},
    )


def _check_known_to_python(characters: set[str]) -> None:
    """Refuse characters that compose but are missing from this Python's Unicode database.

    KerasHub's graph path knows newer versions of Unicode than older Pythons do. Characters that are new to this Python
    and do not compose, such as new emoji, need no data and are accepted.
    """
    new = sorted(character for character in characters if unicodedata.category(character) == "Cn")
    texts = [(c, c) for c in new] + [(c, f"\u0301{c}") for c in new] + [(c, f"{c}\u0316") for c in new]
    normalized = tf_text.normalize_utf8(tf.constant([text.encode() for _, text in texts], tf.string), "NFD").numpy()
    composing = [c for (c, text), form in zip(texts, normalized, strict=True) if form.decode() != text]
    if composing:
        raise ConversionError(
            "Characters of the vocabulary that compose with others must be in this Python's Unicode database, version "
            f"{unicodedata.unidata_version}. Received: U+{ord(composing[0]):04X}. Convert with a newer Python."
        )


@lru_cache(maxsize=1)
def _primary_composites() -> tuple[tuple[str, str, str], ...]:
    """Return (first, second, composite) for every canonical pair that NFC composes, except Hangul syllables."""
    found = []
    for code_point in range(0x110000):
        if code_point in _HANGUL_SYLLABLES:
            continue
        fields = unicodedata.decomposition(chr(code_point)).split()
        composite = chr(code_point)
        if len(fields) == 2 and not fields[0].startswith("<") and unicodedata.normalize("NFC", composite) == composite:
            found.append((chr(int(fields[0], 16)), chr(int(fields[1], 16)), composite))
    return tuple(found)


def _pairs_within(parts: set[str]) -> dict[tuple[str, str], str | None]:
    """Return the pairs whose composite decomposes into the given characters only."""
    return {
        (first, second): composite
        for first, second, composite in _primary_composites()
        if parts.issuperset(unicodedata.normalize("NFD", composite))
    }


def _hangul_pairs(parts: set[str], known: set[str]) -> dict[tuple[str, str], str | None]:
    """Return pairs (lead, vowel) and (open syllable, final) -> syllable, or None if no piece contains the syllable."""
    leads, vowels, finals = ([chr(c) for c in r if chr(c) in parts] for r in _JAMO)
    pairs: dict[tuple[str, str], str | None] = {}
    for lead in leads:
        for vowel in vowels:
            open_syllable = unicodedata.normalize("NFC", lead + vowel)
            closed = {final: unicodedata.normalize("NFC", open_syllable + final) for final in finals}
            # An open syllable also needs a symbol if it is only a step on the way to a closed one.
            is_needed = open_syllable in known or not known.isdisjoint(closed.values())
            pairs[lead, vowel] = open_syllable if is_needed else None
            if is_needed:
                for final, syllable in closed.items():
                    pairs[open_syllable, final] = syllable if syllable in known else None
    return pairs


_JAMO = (range(0x1100, 0x1113), range(0x1161, 0x1176), range(0x11A8, 0x11C3))  # Unicode Standard, section 3.12


class Composer:
    """The graph that composes a text over one alphabet.

    Args:
        alphabet: An alphabet of composed words.

    Example:
        >>> alphabet = build_alphabet("eé", is_composed=True)
        >>> composed = Composer(alphabet)(tf.constant([alphabet.symbols[c] for c in "e\u0301"]))
        >>> composed.numpy().tolist() == [SEPARATOR, alphabet.symbols["é"]]
        True
    """

    def __init__(self, alphabet: Alphabet) -> None:
        self._alphabet = alphabet
        size = alphabet.size
        # All decompositions lie one after the other in `_parts`; symbol s has `_length[s]` parts from `_offset[s]` on.
        decompositions = [alphabet.decompositions.get(symbol, (symbol,)) for symbol in range(size)]
        lengths = np.array([len(parts) for parts in decompositions], np.int32)
        self._length = lengths
        self._offset = (np.cumsum(lengths) - lengths).astype(np.int32)
        self._parts = np.array([part for parts in decompositions for part in parts], np.int32)
        self._class = np.array([alphabet.classes.get(symbol, 0) for symbol in range(size)], np.int32)
        self._pairs = build_trie(alphabet.pairs, {}, size)
        # A round absorbs at most one mark per starter, so the most marks of any decomposition are enough rounds.
        self._rounds = max(sum(alphabet.classes.get(part, 0) > 0 for part in parts) for parts in decompositions)

    def __call__(self, symbols: Any) -> Any:
        """Compose the words of a text.

        Args:
            symbols: int32[n]; separators divide the words.

        Returns:
            int32[m], m <= 1 + the sum of the lengths of all decompositions; the first symbol is a separator.
        """
        # The leading separator is a starter, so that every mark below has a starter before it.
        composed = self._reorder(self._decompose(tf.concat([[SEPARATOR], symbols], 0)))
        for _ in range(2):  # a Hangul syllable is three starters, and no other character is more
            composed = self._compose_starters(composed)
        open_marks = tf.ones_like(composed)  # int32[m]: no mark has been passed over yet
        for _ in range(self._rounds):
            composed, open_marks = self._compose_marks(composed, open_marks)
        return composed

    def _decompose(self, symbols: Any) -> Any:
        """Expand int32[n] symbols to int32[total], their decompositions one after the other."""
        length = tf.gather(shared_constant(self._length), symbols)
        start, total = tf.cumsum(length, exclusive=True), tf.reduce_sum(length)
        # Every decomposition has a part, so the starts are distinct: 1 at each start, and the running sum less 1 is the
        # index in `symbols` from which each output position comes, int32[total].
        source = tf.cumsum(tf.scatter_nd(start[:, None], tf.ones_like(start), [total])) - 1
        # Position p comes from part offset[source] + (p - start[source]) of the table.
        offset = tf.gather(shared_constant(self._offset), symbols) - start
        return tf.gather(shared_constant(self._parts), tf.gather(offset, source) + tf.range(total))

    def _reorder(self, symbols: Any) -> Any:
        """Sort the marks after each starter by class; starters and marks of equal class keep their order."""
        combining_class = tf.gather(shared_constant(self._class), symbols)  # int32[n], 0 for starters
        run = tf.cumsum(tf.cast(tf.equal(combining_class, 0), tf.int32))  # number of the starter that a mark follows
        total = tf.shape(symbols)[0]
        # Descending keys: earlier runs first, then lower classes. top_k returns equal keys in their order.
        key = (total - run) * _CLASSES - combining_class
        return tf.gather(symbols, tf.math.top_k(key, k=total).indices)

    def _compose_starters(self, symbols: Any) -> Any:
        """Join each pair of adjacent starters that has a composite: int32[n] to int32[k], k <= n."""
        following = tf.concat([symbols, [SEPARATOR]], 0)[1 : tf.shape(symbols)[0] + 1]
        is_starter = tf.equal(tf.gather(shared_constant(self._class), following), 0)
        composite = tf.where(is_starter, self._composite(symbols, following), -1)
        # The second of a pair sits one position after the pair's composite. It never begins a pair itself: jamo vowels
        # and finals, and the second Indic vowels, are not the first of any pair.
        is_absorbed = tf.concat([[-1], composite], 0)[0 : tf.shape(symbols)[0]] >= 0
        return tf.boolean_mask(tf.where(composite >= 0, composite, symbols), tf.logical_not(is_absorbed))

    def _compose_marks(self, symbols: Any, open_marks: Any) -> tuple[Any, Any]:
        """Let every starter absorb one mark.

        Args:
            symbols: int32[n], the marks after each starter sorted by class.
            open_marks: int32[n], 1 for a mark after the last one that its starter has absorbed, else 0.

        Returns:
            Both without the absorbed marks, int32[k].
        """
        total = tf.shape(symbols)[0]
        position = tf.range(total)
        combining_class = tf.gather(shared_constant(self._class), symbols)
        is_starter = tf.equal(combining_class, 0)
        # `starters`: positions of all starters. `starter`, int32[n]: position of the last starter at or before each
        # position, which exists because the first symbol is a separator.
        starters = tf.cast(tf.reshape(tf.where(is_starter), [-1]), tf.int32)
        starter = tf.gather(starters, tf.cumsum(tf.cast(is_starter, tf.int32)) - 1)
        # Classes are sorted, so a mark is blocked exactly if the one before it has the same class (a starter has 0).
        before = tf.concat([[0], combining_class], 0)[0:total]
        is_free = tf.logical_and(open_marks > 0, combining_class > before)
        composite = self._composite(tf.gather(symbols, starter), symbols)  # int32[n], -1 if none
        is_candidate = tf.logical_and(is_free, composite >= 0)
        # `earlier` counts candidates before a position; equal counts at the mark and at its starter: it is the first.
        earlier = tf.cumsum(tf.cast(is_candidate, tf.int32), exclusive=True)
        is_absorbed = tf.logical_and(is_candidate, tf.equal(earlier, tf.gather(earlier, starter)))
        # Scatter to the starters; everything that is not absorbed goes to slot `total`, which is not read. Each starter
        # has at most one mark here, so SCATTER_ND, which adds, writes plain values.
        target = tf.where(is_absorbed, starter, total)[:, None]
        absorbed_at = tf.scatter_nd(target, position, [total + 1])  # 0: the starter absorbed nothing
        replacement = tf.scatter_nd(target, composite + 1, [total + 1])[0:total]  # plus 1, so that 0 means none
        symbols = tf.where(replacement > 0, replacement - 1, symbols)
        # NFC goes over the marks once: those before the absorbed one are not tried again with the new composite.
        open_marks = tf.where(position > tf.gather(absorbed_at, starter), open_marks, 0)
        stays = tf.logical_not(is_absorbed)
        return tf.boolean_mask(symbols, stays), tf.boolean_mask(open_marks, stays)

    def _composite(self, first: Any, second: Any) -> Any:
        """Return the composite of each pair, int32[n], or -1: two steps in the trie of pairs."""
        base, check = shared_constant(self._pairs.base), shared_constant(self._pairs.check)
        state: Any = self._pairs.start
        for symbol in (first, second):
            slot = tf.gather(base, state) + symbol
            state = tf.where(tf.equal(tf.gather(check, slot), symbol), slot, 0)
        return tf.gather(shared_constant(self._pairs.token), state)

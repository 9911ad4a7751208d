"""Composition across code points: `e` and U+0301 are one character to KerasHub, which folds whole words to NFKC.

NFKC_Casefold of a word is NFC of the case-folded forms of its code points, one after the other (Unicode Standard,
section 3.13, R5; section 3.11 defines NFC). Each folded form is composed already, so a text needs composing only if
it holds a symbol that can join or pass its predecessor: a combining mark, or the second half of a pair such as a
Hangul vowel. Those symbols have the highest numbers in `Alphabet`, so one maximum over a text tells whether it needs
composing, and the graph does it in a branch of its own:

1. Decompose: every symbol becomes the symbols of its canonical decomposition.
2. Reorder: marks are sorted by combining class between their starters; TOPK_V2 with k = n is a stable sort.
3. Compose starters: adjacent pairs of a Hangul syllable or of the Indic vowels that are two starters.
4. Compose marks, in as many rounds as a character absorbs marks (3 in all of Unicode): in each round every starter
   absorbs the first mark that is not blocked and has a composite with it. A mark is blocked if the one before it that
   was not absorbed has the same class.

Only symbols that can end up in a piece are told apart. Any other character makes its word an unknown token, in
whatever order its marks are, so all of them are one symbol, and the tables stay small.
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
    """The characters that are told apart, numbered so that those which may need composing come last.

    Attributes:
        symbols: character, or special token, -> number, from 2 up.
        first_composing: the lowest number of a symbol that can change what stands before it.
        pairs: (first, second) -> composite, by number; `UNKNOWN` for one that no piece contains.
        decompositions: number -> the numbers of its canonical decomposition.
        classes: number -> canonical combining class, where it is not 0.
    """

    symbols: Mapping[str, int]
    first_composing: int
    pairs: Mapping[tuple[int, ...], int]
    decompositions: Mapping[int, tuple[int, ...]]
    classes: Mapping[int, int]

    @property
    def size(self) -> int:
        """How many numbers there are, the two special ones included."""
        return FIRST_SYMBOL + len(self.symbols)

    @property
    def needs_composing(self) -> bool:
        """Whether there is any symbol that can change what stands before it."""
        return self.first_composing < self.size


def build_alphabet(characters: Iterable[str], *, is_composed: bool, special_tokens: Sequence[str] = ()) -> Alphabet:
    """The alphabet for the characters of a vocabulary.

    Args:
        characters: of all pieces.
        is_composed: whether words are composed (KerasHub does so when it folds case), or left as they are.
        special_tokens: tokens that are one symbol each, where a text spells them out.
    """
    known = set(characters)
    if not is_composed:
        ordered = [*special_tokens, *sorted(known)]
        numbers = {character: FIRST_SYMBOL + i for i, character in enumerate(ordered)}
        return Alphabet(numbers, FIRST_SYMBOL + len(numbers), {}, {}, {})
    _check_known_to_python(known)
    parts = known.union(*(unicodedata.normalize("NFD", character) for character in known))
    pairs = {**_pairs_within(parts), **_hangul_pairs(parts, known)}
    told_apart = parts | {composite for composite in pairs.values() if composite is not None}
    seconds = {second for _, second in pairs}
    composing = {c for c in told_apart if unicodedata.combining(c) or c in seconds}
    ordered = [*special_tokens, *sorted(told_apart - composing), *sorted(composing)]
    numbers = {character: FIRST_SYMBOL + i for i, character in enumerate(ordered)}
    return Alphabet(
        symbols=numbers,
        first_composing=FIRST_SYMBOL + len(ordered) - len(composing),
        pairs={
            (numbers[first], numbers[second]): UNKNOWN if composite is None else numbers[composite]
            for (first, second), composite in pairs.items()
        },
        decompositions={
            numbers[c]: tuple(numbers[part] for part in unicodedata.normalize("NFD", c)) for c in told_apart
        },
        classes={numbers[c]: unicodedata.combining(c) for c in told_apart if unicodedata.combining(c)},
    )


def _check_known_to_python(characters: set[str]) -> None:
    """Refuses characters that compose, and that are too new for this Python's Unicode database to tell how.

    KerasHub's graph path knows newer versions of Unicode than older Pythons do. What is new to this Python and does not
    compose, such as a new emoji, is as good as known.
    """
    new = sorted(character for character in characters if unicodedata.category(character) == "Cn")
    texts = [(c, c) for c in new] + [(c, f"\u0301{c}") for c in new] + [(c, f"{c}\u0316") for c in new]
    normalized = tf_text.normalize_utf8(tf.constant([text.encode() for _, text in texts], tf.string), "NFD").numpy()
    composing = [c for (c, text), form in zip(texts, normalized, strict=True) if form.decode() != text]
    if composing:
        raise ConversionError(
            f"The vocabulary holds U+{ord(composing[0]):04X}, which composes with other characters and is newer than "
            f"Unicode {unicodedata.unidata_version}, all that this Python knows. Convert with a newer Python."
        )


@lru_cache(maxsize=1)
def _primary_composites() -> tuple[tuple[str, str, str], ...]:
    """(first, second, composite) of every canonical pair that NFC composes, Hangul syllables aside."""
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
    """Pairs whose composite decomposes into the given characters."""
    return {
        (first, second): composite
        for first, second, composite in _primary_composites()
        if parts.issuperset(unicodedata.normalize("NFD", composite))
    }


def _hangul_pairs(parts: set[str], known: set[str]) -> dict[tuple[str, str], str | None]:
    """Pairs of jamo, and of a syllable without a final and a final; None for a syllable that no piece contains."""
    leads, vowels, finals = ([chr(c) for c in r if chr(c) in parts] for r in _JAMO)
    pairs: dict[tuple[str, str], str | None] = {}
    for lead in leads:
        for vowel in vowels:
            open_syllable = unicodedata.normalize("NFC", lead + vowel)
            closed = {final: unicodedata.normalize("NFC", open_syllable + final) for final in finals}
            is_useful = open_syllable in known or not known.isdisjoint(closed.values())
            pairs[lead, vowel] = open_syllable if is_useful else None
            if is_useful:
                for final, syllable in closed.items():
                    pairs[open_syllable, final] = syllable if syllable in known else None
    return pairs


_JAMO = (range(0x1100, 0x1113), range(0x1161, 0x1176), range(0x11A8, 0x11C3))  # Unicode Standard, section 3.12


class Composer:
    """The graph that composes a text over one alphabet."""

    def __init__(self, alphabet: Alphabet) -> None:
        self._alphabet = alphabet
        size = alphabet.size
        decompositions = [alphabet.decompositions.get(symbol, (symbol,)) for symbol in range(size)]
        lengths = np.array([len(parts) for parts in decompositions], np.int32)
        self._length = lengths
        self._offset = (np.cumsum(lengths) - lengths).astype(np.int32)
        self._parts = np.array([part for parts in decompositions for part in parts], np.int32)
        self._class = np.array([alphabet.classes.get(symbol, 0) for symbol in range(size)], np.int32)
        self._pairs = build_trie(alphabet.pairs, {}, size)
        self._rounds = max(sum(alphabet.classes.get(part, 0) > 0 for part in parts) for parts in decompositions)

    def __call__(self, symbols: Any) -> Any:
        """Composes the words of a text.

        Args:
            symbols: int32[n]; words stand between separators.

        Returns:
            int32[m], m <= the sum of all decompositions' lengths, a separator first.
        """
        composed = self._reorder(self._decompose(tf.concat([[SEPARATOR], symbols], 0)))
        for _ in range(2):  # a Hangul syllable is three starters, and no other character is more
            composed = self._compose_starters(composed)
        open_marks = tf.ones_like(composed)
        for _ in range(self._rounds):
            composed, open_marks = self._compose_marks(composed, open_marks)
        return composed

    def _decompose(self, symbols: Any) -> Any:
        length = tf.gather(shared_constant(self._length), symbols)
        start, total = tf.cumsum(length, exclusive=True), tf.reduce_sum(length)
        source = tf.cumsum(tf.scatter_nd(start[:, None], tf.ones_like(start), [total])) - 1
        offset = tf.gather(shared_constant(self._offset), symbols) - start
        return tf.gather(shared_constant(self._parts), tf.gather(offset, source) + tf.range(total))

    def _reorder(self, symbols: Any) -> Any:
        """Sorts marks by class, and leaves starters, and marks of one class, in their order."""
        combining_class = tf.gather(shared_constant(self._class), symbols)
        run = tf.cumsum(tf.cast(tf.equal(combining_class, 0), tf.int32))
        total = tf.shape(symbols)[0]
        key = (total - run) * _CLASSES - combining_class  # top_k puts the largest first, and of equals the first
        return tf.gather(symbols, tf.math.top_k(key, k=total).indices)

    def _compose_starters(self, symbols: Any) -> Any:
        following = tf.concat([symbols, [SEPARATOR]], 0)[1 : tf.shape(symbols)[0] + 1]
        is_starter = tf.equal(tf.gather(shared_constant(self._class), following), 0)
        composite = tf.where(is_starter, self._composite(symbols, following), -1)
        is_absorbed = tf.concat([[-1], composite], 0)[0 : tf.shape(symbols)[0]] >= 0
        return tf.boolean_mask(tf.where(composite >= 0, composite, symbols), tf.logical_not(is_absorbed))

    def _compose_marks(self, symbols: Any, open_marks: Any) -> tuple[Any, Any]:
        """One round; `open_marks` is 1 where a mark comes after all that its starter has absorbed, else 0."""
        total = tf.shape(symbols)[0]
        position = tf.range(total)
        combining_class = tf.gather(shared_constant(self._class), symbols)
        is_starter = tf.equal(combining_class, 0)
        starters = tf.cast(tf.reshape(tf.where(is_starter), [-1]), tf.int32)
        starter = tf.gather(starters, tf.cumsum(tf.cast(is_starter, tf.int32)) - 1)
        before = tf.concat([[0], combining_class], 0)[0:total]
        is_free = tf.logical_and(open_marks > 0, combining_class > before)
        composite = self._composite(tf.gather(symbols, starter), symbols)
        is_candidate = tf.logical_and(is_free, composite >= 0)
        earlier = tf.cumsum(tf.cast(is_candidate, tf.int32), exclusive=True)
        is_absorbed = tf.logical_and(is_candidate, tf.equal(earlier, tf.gather(earlier, starter)))
        target = tf.where(is_absorbed, starter, total)[:, None]
        absorbed_at = tf.scatter_nd(target, position, [total + 1])
        replacement = tf.scatter_nd(target, composite + 1, [total + 1])[0:total]
        symbols = tf.where(replacement > 0, replacement - 1, symbols)
        open_marks = tf.where(position > tf.gather(absorbed_at, starter), open_marks, 0)
        stays = tf.logical_not(is_absorbed)
        return tf.boolean_mask(symbols, stays), tf.boolean_mask(open_marks, stays)

    def _composite(self, first: Any, second: Any) -> Any:
        """int32[n]: the composite of each pair, -1 where there is none."""
        base, check = shared_constant(self._pairs.base), shared_constant(self._pairs.check)
        state: Any = self._pairs.start
        for symbol in (first, second):
            slot = tf.gather(base, state) + symbol
            state = tf.where(tf.equal(tf.gather(check, slot), symbol), slot, 0)
        return tf.gather(shared_constant(self._pairs.token), state)

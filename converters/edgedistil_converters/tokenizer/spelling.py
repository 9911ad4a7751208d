"""What each code point becomes before WordPiece sees it: its spelling, and a table from code points to spellings.

KerasHub splits a text into words with regular expressions and case-folds each word afterwards. Both depend on single
code points, composition aside (`composition.py`), so the result can be tabulated. The *spelling* of a code point is
the characters that it becomes, with a word break before and after one that is a word of its own (punctuation, CJK),
a word break alone for one that is dropped (white space, control and format characters), and nothing for one that
vanishes. A text is spelled by its spellings one after the other, and its words are what stands between word breaks.

The definition of correct is KerasHub's `WordPieceTokenizer`; its patterns and TensorFlow Text's case folding, the ones
that its graph path uses, are applied here to every code point.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text
from keras_hub.src.tokenizers import word_piece_tokenizer as keras_hub_word_piece
from numpy.typing import NDArray

from edgedistil_converters.tokenizer.special_tokens import VANISHES
from edgedistil_runtime.artifact import TokenizerSettings

__all__ = ["CODE_POINTS", "NOTHING", "PAGE_SIZE", "WORD_BREAK", "CodePointTable", "Spellings", "code_point_table"]

CODE_POINTS = 0x110000
PAGE_SIZE = 256
WORD_BREAK = "\0"  # in a spelling; U+0000 itself ends a text, so no text spells it
NOTHING = 0  # the entry of a byte that begins no code point
_SURROGATES = range(0xD800, 0xE000)
_NO_CHARACTER = -2  # beside the two entries that no code point has


class Spellings:
    """The spelling of every code point under a tokenizer's options.

    Args:
        settings: the tokenizer's options.
    """

    def __init__(self, settings: TokenizerSettings) -> None:
        self._spellings, self._plain = _all_spellings(
            is_lowercase=settings.lowercase,
            is_stripped=settings.strip_accents,
            is_split=settings.split,
            is_cjk_split=settings.split_on_cjk,
        )

    def __getitem__(self, code_point: int) -> str:
        """The spelling of a code point; U+FFFD's for a surrogate, which no valid text contains."""
        return self._spellings[0xFFFD if code_point in _SURROGATES else code_point]

    def before_folding(self, code_point: int) -> str:
        """The characters of a code point when accents are stripped and case is not folded yet."""
        return self._plain[0xFFFD if code_point in _SURROGATES else code_point]

    @cached_property
    def _unique(self) -> frozenset[str]:
        return frozenset(self._spellings)

    @cached_property
    def _word_characters(self) -> frozenset[str]:
        return frozenset().union(*(part for s in self._unique for part in s.split(WORD_BREAK)))

    @cached_property
    def _long_own_words(self) -> tuple[str, ...]:
        own_words = (s.strip(WORD_BREAK) for s in self._unique if s.startswith(WORD_BREAK))
        return tuple(sorted(word for word in own_words if len(word) > 1))

    @cached_property
    def _within_words(self) -> frozenset[str]:
        return frozenset().union(*(s for s in self._unique if WORD_BREAK not in s))

    def can_be_in_a_word(self, piece: str) -> bool:
        """Whether any text can spell the characters of a vocabulary piece within one word.

        A character that arises only by composition counts as one that can be spelled: its precomposed form can.
        """
        if len(piece) == 1:
            return piece in self._word_characters
        return self._within_words.issuperset(piece) or any(piece in word for word in self._long_own_words)


@dataclass(frozen=True)
class CodePointTable:
    """Two-level table: entry = `entry_of[page_of[c // PAGE_SIZE] * PAGE_SIZE + c % PAGE_SIZE]` for a code point c.

    Attributes:
        page_of: int32[CODE_POINTS / PAGE_SIZE].
        entry_of: int32[pages * PAGE_SIZE].
        length: int32[entries], symbols of an entry, separators included. Entry 0 has none: `NOTHING`.
        offset: int32[entries], where they start in `symbols`.
        symbols: int32[...], the symbols of all entries, one after the other.
        characters: for each entry, see `SpecialTokenFinder`.
        special_tokens: special token -> its entry.
    """

    page_of: NDArray[np.int32]
    entry_of: NDArray[np.int32]
    length: NDArray[np.int32]
    offset: NDArray[np.int32]
    symbols: NDArray[np.int32]
    characters: tuple[int, ...]
    special_tokens: Mapping[str, int]


def code_point_table(
    spellings: Spellings, symbol_ids: Mapping[str, int], unknown: int, special_tokens: Sequence[str] = ()
) -> CodePointTable:
    """The table for one alphabet.

    Args:
        spellings: of all code points.
        symbol_ids: character or special token -> symbol; `WORD_BREAK` must be among them.
        unknown: the symbol of every other character.
        special_tokens: each gets an entry of its own, which spells it as a word of one symbol, and the code points
            that can stand in it share no entry with others, so that an entry tells which character it was.
    """
    kept_apart = frozenset("".join(special_tokens))
    entries: dict[tuple[int, tuple[int, ...]], int] = {(_NO_CHARACTER, ()): 0}
    for token in special_tokens:
        as_a_word = (symbol_ids[WORD_BREAK], symbol_ids[token], symbol_ids[WORD_BREAK])
        entries[_NO_CHARACTER, as_a_word] = len(entries)
    pages: dict[tuple[int, ...], int] = {}
    page_of = np.zeros(CODE_POINTS // PAGE_SIZE, np.int32)
    for page in range(len(page_of)):
        row = []
        for code_point in range(page * PAGE_SIZE, (page + 1) * PAGE_SIZE):
            symbols = tuple([symbol_ids.get(character, unknown) for character in spellings[code_point]])
            plain = spellings.before_folding(code_point) if special_tokens else ""
            character = ord(plain) if plain in kept_apart and plain else VANISHES if special_tokens and not plain else 0
            row.append(entries.setdefault((character, symbols), len(entries)))
        page_of[page] = pages.setdefault(tuple(row), len(pages))
    lengths = np.array([len(symbols) for _, symbols in entries], np.int32)
    return CodePointTable(
        page_of=page_of,
        entry_of=np.array(list(pages), np.int32).ravel(),
        length=lengths,
        offset=(np.cumsum(lengths) - lengths).astype(np.int32),
        symbols=np.array([symbol for _, symbols in entries for symbol in symbols], np.int32),
        characters=tuple(character for character, _ in entries),
        special_tokens={token: 1 + i for i, token in enumerate(special_tokens)},
    )


@lru_cache(maxsize=4)  # seconds of work over all of Unicode, and tens of MB
def _all_spellings(
    *, is_lowercase: bool, is_stripped: bool, is_split: bool, is_cjk_split: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The spelling of every code point, and its characters before folding; surrogates stand for U+FFFD.

    A text ends at U+0000; the decoder puts one behind every text, and it must be a word break or nothing.
    """
    characters = ["\ufffd" if c in _SURROGATES else chr(c) for c in range(CODE_POINTS)]
    characters[0] = " "
    dropped, own_word = np.zeros(CODE_POINTS, bool), np.zeros(CODE_POINTS, bool)
    dropped[0] = True
    if is_split:
        own_word_regex = keras_hub_word_piece.PUNCTUATION_REGEX
        if is_cjk_split:
            own_word_regex = keras_hub_word_piece.PUNCTUATION_AND_CJK_REGEX
        dropped = _matches(characters, keras_hub_word_piece.WHITESPACE_REGEX)
        own_word = _matches(characters, own_word_regex)
    folded = _decode(tf_text.case_fold_utf8(_encode(characters))) if is_lowercase else characters
    if not is_stripped:
        spelled = (_spell(*parts) for parts in zip(folded, dropped.tolist(), own_word.tolist(), strict=True))
        return tuple(spelled), tuple(characters)
    stripped = _decode(tf.strings.regex_replace(tf_text.normalize_utf8(_encode(characters), "NFD"), r"\p{Mn}", ""))
    folded_whole = _decode(tf_text.case_fold_utf8(_encode(stripped))) if is_lowercase else stripped
    splits = dropped | own_word
    spelled = (
        _join([_spell(folded[ord(c)], bool(dropped[ord(c)]), bool(own_word[ord(c)])) for c in plain])
        if any(splits[ord(c)] for c in plain)
        else whole  # several characters fold to fewer where they compose: Hangul jamo
        for plain, whole in zip(stripped, folded_whole, strict=True)
    )
    return (WORD_BREAK, *itertools.islice(spelled, 1, None)), tuple(stripped)


def _spell(folded: str, is_dropped: bool, is_own_word: bool) -> str:
    if is_dropped:
        return WORD_BREAK
    return f"{WORD_BREAK}{folded}{WORD_BREAK}" if is_own_word else folded


def _join(spellings: Sequence[str]) -> str:
    """One spelling of several, with one break where several meet."""
    return re.sub(f"{WORD_BREAK}+", WORD_BREAK, "".join(spellings)) if len(spellings) > 1 else "".join(spellings)


def _encode(characters: Sequence[str]) -> Any:
    return tf.constant([character.encode() for character in characters])


def _decode(tensor: Any) -> list[str]:
    return [value.decode() for value in tensor.numpy().tolist()]


def _matches(characters: Sequence[str], pattern: str) -> NDArray[np.bool_]:
    """bool[characters]: which of them a regular expression of RE2 matches."""
    result: NDArray[np.bool_] = tf.strings.regex_full_match(_encode(characters), f"({pattern})").numpy()
    return result

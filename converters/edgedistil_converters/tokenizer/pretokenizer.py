"""What each code point becomes before WordPiece sees it: a two-level table from code point to trie characters.

KerasHub splits a text into words with regular expressions and case-folds each word afterwards. Both depend on single
code points (composition across code points aside), so a table holds the result: the characters of a code point after
folding, with `SEPARATOR` before and after a code point that is a word of its own (punctuation, CJK), `SEPARATOR`
alone for one that is dropped (white space, control and format characters), and nothing for one that vanishes.
A text is then the concatenation of its entries, and its words are what stands between separators.

The definition of correct is KerasHub's `WordPieceTokenizer`, whose own patterns and case folding are used here.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import regex
from keras_hub.src.tokenizers import word_piece_tokenizer as keras_hub_word_piece
from keras_hub.src.utils.tensor_utils import casefold_utf8
from numpy.typing import NDArray

from edgedistil_converters.tokenizer.trie import SEPARATOR, UNKNOWN_CHARACTER
from edgedistil_runtime.artifact import TokenizerSettings
from edgedistil_runtime.errors import ConversionError

__all__ = ["CODE_POINTS", "PAGE_SIZE", "CodePointTable", "Pretokenizer"]

CODE_POINTS = 0x110000
PAGE_SIZE = 256
_SURROGATES = range(0xD800, 0xE000)
_IN_WORD, _OWN_WORD, _DROPPED = range(3)


@lru_cache(maxsize=4)  # a few seconds of work over all of Unicode, and a few MB
def _pieces_of_code_point(*, lowercase: bool, strip_accents: bool, split_on_cjk: bool) -> Mapping[int, tuple[int, str]]:
    """Code point -> (in a word, a word of its own, or dropped; the characters it becomes)."""
    dropped = regex.compile(keras_hub_word_piece.PY_WHITESPACE_REGEX)
    own_word = keras_hub_word_piece.PY_PUNCTUATION_REGEX
    if split_on_cjk:
        own_word = f"{own_word}|{keras_hub_word_piece.PY_CJK_REGEX}"
    own_word = regex.compile(own_word)

    def split_and_fold(character: str) -> tuple[int, str]:
        stripped = _strip_accents(character) if strip_accents else character
        kinds = {
            _DROPPED if dropped.fullmatch(c) else _OWN_WORD if own_word.fullmatch(c) else _IN_WORD for c in stripped
        } or {_IN_WORD}
        if len(kinds) > 1 or (len(stripped) > 1 and kinds != {_IN_WORD}):
            raise ConversionError(
                f"U+{ord(character):04X} becomes several words when its accents are stripped, which the in-graph "
                "tokenizer cannot express. Use a tokenizer with strip_accents=False."
            )
        return kinds.pop(), casefold_utf8(stripped) if lowercase else stripped

    return {c: split_and_fold(chr(c)) for c in range(CODE_POINTS) if c not in _SURROGATES}


def _strip_accents(character: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", character) if unicodedata.category(c) != "Mn")


@dataclass(frozen=True)
class CodePointTable:
    """Two-level table: entry = `entry_of[page_of[c // PAGE_SIZE] * PAGE_SIZE + c % PAGE_SIZE]` for a code point c.

    Attributes:
        page_of: int32[CODE_POINTS / PAGE_SIZE].
        entry_of: int32[pages * PAGE_SIZE].
        length: int32[entries], trie characters of an entry, separators included. The last entry has length 0.
        offset: int32[entries], where they start in `characters`.
        characters: int32[...], trie characters of all entries, one after the other.
    """

    page_of: NDArray[np.int32]
    entry_of: NDArray[np.int32]
    length: NDArray[np.int32]
    offset: NDArray[np.int32]
    characters: NDArray[np.int32]

    @property
    def nothing(self) -> int:
        """The entry of length 0."""
        return len(self.length) - 1


class Pretokenizer:
    """Splits and folds single code points as KerasHub does with whole texts.

    Args:
        settings: the tokenizer's options; `split` must be true.
    """

    def __init__(self, settings: TokenizerSettings) -> None:
        self.pieces_of_code_point = _pieces_of_code_point(
            lowercase=settings.lowercase, strip_accents=settings.strip_accents, split_on_cjk=settings.split_on_cjk
        )

    def can_be_in_a_word(self, piece: str) -> bool:
        """Whether any text can bring forth the characters of a vocabulary piece within one word."""
        if len(piece) == 1:
            return piece in self._word_characters or piece in self._own_words
        return self._word_characters.issuperset(piece) or any(piece in word for word in self._long_own_words)

    def table(self, character_ids: dict[str, int]) -> CodePointTable:
        """The table for one trie's characters."""
        entries: dict[tuple[int, ...], int] = {}
        pages: dict[tuple[int, ...], int] = {}
        page_of = np.zeros(CODE_POINTS // PAGE_SIZE, np.int32)
        for page in range(len(page_of)):
            row = tuple(
                entries.setdefault(self._characters(c, character_ids), len(entries))
                for c in range(page * PAGE_SIZE, (page + 1) * PAGE_SIZE)
            )
            page_of[page] = pages.setdefault(row, len(pages))
        empty = entries.pop((), None)
        rows = np.array(list(pages), np.int32).ravel()
        if empty is not None:  # the empty entry goes last: `CodePointTable.nothing`
            rows = np.where(rows == empty, len(entries), np.where(rows > empty, rows - 1, rows)).astype(np.int32)
        sequences = [*entries, ()]
        lengths = np.array([len(s) for s in sequences], np.int32)
        return CodePointTable(
            page_of=page_of,
            entry_of=rows,
            length=lengths,
            offset=(np.cumsum(lengths) - lengths).astype(np.int32),
            characters=np.array([c for s in sequences for c in s], np.int32),
        )

    def _characters(self, code_point: int, character_ids: dict[str, int]) -> tuple[int, ...]:
        if code_point in _SURROGATES:
            return (UNKNOWN_CHARACTER,)
        kind, folded = self.pieces_of_code_point[code_point]
        if kind == _DROPPED:
            return (SEPARATOR,)
        ids = tuple(character_ids.get(character, UNKNOWN_CHARACTER) for character in folded)
        return (SEPARATOR, *ids, SEPARATOR) if kind == _OWN_WORD else ids

    @cached_property
    def _word_characters(self) -> frozenset[str]:
        folded = (text for kind, text in self.pieces_of_code_point.values() if kind == _IN_WORD)
        return frozenset(character for text in folded for character in text)

    @cached_property
    def _own_words(self) -> frozenset[str]:
        return frozenset(text for kind, text in self.pieces_of_code_point.values() if kind == _OWN_WORD)

    @cached_property
    def _long_own_words(self) -> tuple[str, ...]:
        return tuple(sorted(word for word in self._own_words if len(word) > 1))

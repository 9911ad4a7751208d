"""Hugging Face's rules as TFLite builtin ops: UTF-8 bytes in, token ids out.

1. Bytes: in most texts each byte has one symbol. An IF decodes and spells all others: those that are not ASCII, have a
   control character, or the first character of an added token.
2. Symbols: letters, and characters that are words by themselves, which need no separators around them.
3. Match and walk: `matching.py`, `word_pieces.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgedistil_converters.graph.tensors import shared_constant
from edgedistil_converters.tokenizer.added_tokens import AddedTokens
from edgedistil_converters.tokenizer.decoding import decode_utf8
from edgedistil_converters.tokenizer.hugging_face_spelling import HuggingFaceSpellings, check_order_of_marks
from edgedistil_converters.tokenizer.node_trie import build_node_trie
from edgedistil_converters.tokenizer.settings import start_and_continuation_pieces
from edgedistil_converters.tokenizer.speller import Speller
from edgedistil_converters.tokenizer.spelling import (
    PAGE_SIZE,
    WORD_BREAK,
    AllSpellings,
    CodePointTable,
    code_point_table,
    own_word,
)
from edgedistil_converters.tokenizer.steady_shapes import cut_at_zero
from edgedistil_converters.tokenizer.trie import SEPARATOR
from edgedistil_converters.tokenizer.word_pieces import WordPieces
from edgedistil_runtime.artifact import TokenizerSettings

__all__ = ["HuggingFacePieces", "WordAlphabet", "build_word_alphabet"]

_UNKNOWN_WORD = 1  # the symbol of every character that is a word by itself and no piece
_FIRST_OWN_WORD = 2
_BYTES = 256


@dataclass(frozen=True)
class WordAlphabet:
    """Symbols: first the separator and characters that are words by themselves, then those of longer words.

    Attributes:
        symbols: Character of longer words, `own_word` of a character, or name of an added token -> symbol.
        unknown: The symbol of every character of longer words that no piece contains, the lowest of these.
    """

    symbols: Mapping[str, int]
    unknown: int

    @property
    def size(self) -> int:
        """Number of symbols."""
        return _FIRST_OWN_WORD + 1 + len(self.symbols)

    def spell(self, piece: str) -> list[tuple[int, ...]]:
        """Return the ways in which texts spell a piece that starts a word: as one character, or as a longer word."""
        own = self.symbols.get(own_word(piece))
        inner = tuple(self.symbols[character] for character in piece if character in self.symbols)
        ways: list[tuple[int, ...]] = [] if own is None else [(own,)]
        return [*ways, inner] if len(inner) == len(piece) else ways


def build_word_alphabet(all_spellings: AllSpellings, characters: Iterable[str], names: Iterable[str]) -> WordAlphabet:
    """Build the alphabet of a vocabulary.

    Args:
        all_spellings: The spelling of every code point.
        characters: Characters of all pieces.
        names: Names of added tokens, which are words of one symbol.
    """
    own = [*names, *(own_word(c) for c in sorted(characters) if all_spellings.is_own_word[ord(c)])]
    inner = [c for c in sorted(characters) if all_spellings.is_in_longer_words[ord(c)]]
    unknown = _FIRST_OWN_WORD + len(own)
    symbols = {name: _FIRST_OWN_WORD + i for i, name in enumerate(own)}
    return WordAlphabet(symbols | {name: unknown + 1 + i for i, name in enumerate(inner)}, unknown)


class HuggingFacePieces:
    """The token ids of a text, without those around it.

    Args:
        settings: Tokenizer options whose `rules` are `hugging_face`.
        vocabulary: Pieces and added tokens; the index is the token id.

    Example:
        >>> from edgedistil_converters.model.hugging_face_tokenizer import HuggingFacePreprocessor, HuggingFaceTokenizer
        >>> from edgedistil_converters.tokenizer.settings import read_tokenizer
        >>> tokenizer = HuggingFaceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cafe", "##s", "!"])
        >>> pieces = HuggingFacePieces(*read_tokenizer(HuggingFacePreprocessor(tokenizer)))
        >>> tf.function(pieces)(tf.constant(list("CAFÉS!? cafe".encode()))).numpy().tolist()
        [5, 6, 7, 1, 5]
    """

    def __init__(self, settings: TokenizerSettings, vocabulary: Sequence[str]) -> None:
        spellings = HuggingFaceSpellings(settings)
        self._added = AddedTokens(settings.added_tokens, spellings)
        count = len(vocabulary) - sum(not token.is_piece for token in settings.added_tokens)
        longest_word = settings.max_input_chars_per_word
        starts, continuations = (
            {piece: token_id for piece, token_id in pieces.items() if spellings.can_be_in_a_word(piece)}
            for pieces in start_and_continuation_pieces(vocabulary[:count], settings.suffix_indicator, longest_word)
        )
        characters = frozenset().union(*starts, *continuations, self._added.characters)
        check_order_of_marks(settings, characters)
        alphabet = build_word_alphabet(spellings.all, characters, self._added.names)
        continuations_by_symbols = {
            spelled[-1]: token_id
            for piece, token_id in continuations.items()
            if (spelled := alphabet.spell(piece)) and spelled[-1][0] > alphabet.unknown
        }
        starts_by_symbols = {spelled: i for piece, i in starts.items() for spelled in alphabet.spell(piece)}
        names = {(alphabet.symbols[name],): token_id for name, token_id in self._added.names.items()}
        trie = build_node_trie(starts_by_symbols | names, continuations_by_symbols, alphabet.size, longest_word)
        self._alphabet = alphabet
        table = code_point_table(
            spellings,
            {WORD_BREAK: SEPARATOR, **alphabet.symbols},
            alphabet.unknown,
            tuple(self._added.names),
            unknown_word=_UNKNOWN_WORD,
        )
        table = self._added.with_first_characters_last(table)
        self._symbol_of_byte = _symbols_of_bytes(table, self._added.first_characters, alphabet.size)
        self._spell = Speller(table, self._added.finder(table))
        self._divide = WordPieces(trie, alphabet.unknown, settings.unknown_id, longest_word)

    def __call__(self, text: Any) -> Any:
        """Return the token ids of one text, int32[m].

        Args:
            text: int32[n], UTF-8 bytes; a zero ends the text.
        """
        text = cut_at_zero(text)
        symbols = tf.gather(shared_constant(self._symbol_of_byte), text)
        is_common = tf.reduce_max(symbols) < self._alphabet.size
        symbols = tf.cond(is_common, lambda: symbols, lambda: self._spell(decode_utf8(text)))
        added, symbols = self._added.take_out(symbols, self._alphabet.symbols)
        return self._divide(symbols, added)


def _symbols_of_bytes(table: CodePointTable, first_characters: Iterable[int], none: int) -> NDArray[np.int32]:
    """Return int32[256], the symbol of each ASCII character that has exactly one, else `none`."""
    entry = table.entry_of[table.page_of[0] * PAGE_SIZE + np.arange(PAGE_SIZE)]
    first = np.minimum(table.offset[entry], len(table.symbols) - 1)
    symbols = np.where(table.length[entry] == 1, table.symbols[first], none)
    symbols[_BYTES // 2 :] = none
    symbols[[code for code in first_characters if code < _BYTES]] = none
    return symbols.astype(np.int32)

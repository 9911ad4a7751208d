"""The spelling of each code point before WordPiece, and a table from code points to spellings.

KerasHub splits a text into words with regular expressions and then case-folds each word. Except for composition
(`composition.py`), both depend on single code points, so the result fits a table. The *spelling* of a code point is:

* the characters that it becomes, with a word break before and after if it is a word by itself (punctuation, CJK);
* only a word break, if it is dropped (white space, control and format characters);
* nothing, if it vanishes.

The spelling of a text is the spellings of its code points one after the other; its words lie between word breaks.

KerasHub's `WordPieceTokenizer` defines what is correct. Its patterns, and the case folding of TensorFlow Text that its
graph path uses, are applied here to every code point.
"""

import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
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

__all__ = [
    "CODE_POINTS",
    "NOTHING",
    "PAGE_SIZE",
    "WORD_BREAK",
    "AllSpellings",
    "CodePointTable",
    "Spellings",
    "code_point_table",
    "own_word",
]

CODE_POINTS = 0x110000
PAGE_SIZE = 256
WORD_BREAK = "\0"  # in a spelling; U+0000 ends a text, so no other spelling contains it
NOTHING = 0  # the entry without symbols, for a byte that begins no code point
_SURROGATES = range(0xD800, 0xE000)
_NO_CHARACTER = -2  # the character of `NOTHING` and of special tokens, entries that no code point has


@dataclass(frozen=True, eq=False)
class AllSpellings:
    """The spelling of every code point under one set of options, and what follows from these spellings.

    Each property is a walk over all of Unicode, so it is computed once.

    Attributes:
        spellings: Spelling of each code point; a surrogate, which no valid text contains, has that of U+FFFD.
        plain: Characters of each code point before case folding; empty under Hugging Face's rules.
    """

    spellings: tuple[str, ...]
    plain: tuple[str, ...] = ()

    @cached_property
    def single(self) -> NDArray[np.int32]:
        """int32[CODE_POINTS], the spelling of each code point if that is one character, else -1."""
        codes = (ord(spelling) if len(spelling) == 1 else -1 for spelling in self.spellings)
        return np.fromiter(codes, np.int32, CODE_POINTS)

    @cached_property
    def is_in_words(self) -> NDArray[np.bool_]:
        """bool[CODE_POINTS], True for all characters of spellings."""
        return self._characters_of(self._longer)

    @cached_property
    def is_within_words(self) -> NDArray[np.bool_]:
        """bool[CODE_POINTS], True for characters that can have neighbours in their word."""
        return self._characters_of(s for s in self._longer if WORD_BREAK not in s)

    @cached_property
    def is_own_word(self) -> NDArray[np.bool_]:
        """bool[CODE_POINTS], True for characters that are spelled as words by themselves."""
        found = np.zeros(CODE_POINTS, bool)
        found[[ord(spelling[1]) for spelling in self._longer if own_word(spelling[1]) == spelling]] = True
        return found

    @cached_property
    def is_in_longer_words(self) -> NDArray[np.bool_]:
        """bool[CODE_POINTS], True for characters of spellings that are no `own_word`."""
        return self._characters_of(spelling for spelling in self._longer if own_word(spelling[1]) != spelling)

    @cached_property
    def long_own_words(self) -> tuple[str, ...]:
        """Words of several characters that one code point spells between word breaks, such as `...`."""
        own_words = (s.strip(WORD_BREAK) for s in self._longer if s.startswith(WORD_BREAK))
        return tuple(sorted(word for word in own_words if len(word) > 1))

    def _characters_of(self, spellings: Iterable[str]) -> NDArray[np.bool_]:
        """Return bool[CODE_POINTS], True for the characters of these spellings, and for those of one character."""
        found = np.zeros(CODE_POINTS, bool)
        found[self.single[self.single >= 0]] = True
        found[[ord(character) for spelling in spellings for character in spelling]] = True
        found[ord(WORD_BREAK)] = False
        return found

    @cached_property
    def _longer(self) -> frozenset[str]:
        """Spellings of several characters."""
        return frozenset(s for s in self.spellings if len(s) > 1)


class Spellings:
    """The spelling of every code point under a tokenizer's options.

    Args:
        settings: Tokenizer options.

    Attributes:
        all: The spellings, shared by all tokenizers of the same options.

    Example:
        >>> import keras_hub
        >>> from edgedistil_converters.tokenizer.settings import read_tokenizer
        >>> preprocessor = keras_hub.models.DistilBertTextClassifierPreprocessor.from_preset("intents")
        >>> spellings = Spellings(read_tokenizer(preprocessor)[0])
        >>> [spellings[ord(character)].replace(WORD_BREAK, "|") for character in "Aß ,…"]
        ['a', 'ss', '|', '|,|', '|...|']
    """

    def __init__(self, settings: TokenizerSettings) -> None:
        self.all = _all_spellings(
            is_lowercase=settings.lowercase,
            is_stripped=settings.strip_accents,
            is_split=settings.split,
            is_cjk_split=settings.split_on_cjk,
        )

    def __getitem__(self, code_point: int) -> str:
        """Return the spelling of a code point; that of U+FFFD for a surrogate, which no valid text contains."""
        return self.all.spellings[code_point]

    def character(self, code_point: int, kept_apart: frozenset[str]) -> int:
        """Return the character of a code point as `SpecialTokenFinder` takes it.

        Accents are stripped before special tokens are found, and case is folded afterwards.

        Args:
            code_point: Code point.
            kept_apart: The characters of special tokens.
        """
        plain = self.all.plain[code_point]
        if not plain:
            return VANISHES
        return ord(plain) if plain in kept_apart else 0

    def can_be_in_a_word(self, piece: str) -> bool:
        """Return True if a text can spell the characters of a piece within one word.

        This includes characters that result from composition, because a text can contain them precomposed.
        """
        if len(piece) == 1:
            return bool(self.all.is_in_words[ord(piece)])
        is_within = all(self.all.is_within_words[ord(character)] for character in piece)
        return is_within or any(piece in word for word in self.all.long_own_words)


@dataclass(frozen=True)
class CodePointTable:
    """A two-level table: code point c has `entry_of[page_of[c // PAGE_SIZE] * PAGE_SIZE + c % PAGE_SIZE]`.

    Attributes:
        page_of: int32[CODE_POINTS / PAGE_SIZE], the stored page of each page of code points.
        entry_of: int32[pages * PAGE_SIZE], the entry of each code point of each stored page.
        length: int32[entries], number of symbols, including separators. Entry 0, `NOTHING`, has none.
        offset: int32[entries], index in `symbols` of an entry's first symbol.
        symbols: int32[...], the symbols of all entries, one after the other.
        characters: The character of each entry as `SpecialTokenFinder` takes it.
        special_tokens: Special token -> its entry.
    """

    page_of: NDArray[np.int32]
    entry_of: NDArray[np.int32]
    length: NDArray[np.int32]
    offset: NDArray[np.int32]
    symbols: NDArray[np.int32]
    characters: tuple[int, ...]
    special_tokens: Mapping[str, int]


def own_word(character: str) -> str:
    """Return the spelling of a character that is a word by itself.

    Example:
        >>> own_word(",").replace(WORD_BREAK, "|")
        '|,|'
    """
    return f"{WORD_BREAK}{character}{WORD_BREAK}"


def code_point_table(
    spellings: Spellings,
    symbol_ids: Mapping[str, int],
    unknown: int,
    special_tokens: Sequence[str] = (),
    unknown_word: int | None = None,
) -> CodePointTable:
    """Build the table for one alphabet.

    Args:
        spellings: Spellings of all code points.
        symbol_ids: Character or special token -> symbol; must contain `WORD_BREAK`.
        unknown: The symbol of every other character.
        special_tokens: Tokens that a text may spell out. Each gets an entry that spells it as a word of one symbol. The
            characters of these tokens share no entry with others, so that an entry determines its character.
        unknown_word: The symbol of every character that is a word by itself and is not in `symbol_ids` as `own_word`;
            None if such words are spelled with separators around them, and special tokens too.
    """
    entries: dict[tuple[int, tuple[int, ...]], int] = {(_NO_CHARACTER, ()): NOTHING}  # (character, symbols) -> entry
    for token in special_tokens:
        as_a_word: tuple[int, ...] = (symbol_ids[token],)
        if unknown_word is None:
            as_a_word = (symbol_ids[WORD_BREAK], symbol_ids[token], symbol_ids[WORD_BREAK])
        entries[_NO_CHARACTER, as_a_word] = len(entries)

    def spell(spelling: str) -> tuple[int, ...]:
        if unknown_word is not None and len(spelling) == 3 and spelling == own_word(spelling[1]):
            return (symbol_ids.get(spelling, unknown_word),)
        return tuple([symbol_ids.get(character, unknown) for character in spelling])

    entry_of = _number_entries(entries, spellings, symbol_ids, unknown, spell, frozenset("".join(special_tokens)))
    pages: dict[bytes, int] = {}  # the entries of 256 code points -> stored page
    page_of = [pages.setdefault(row.tobytes(), len(pages)) for row in entry_of.reshape(-1, PAGE_SIZE)]
    lengths = np.array([len(symbols) for _, symbols in entries], np.int32)
    return CodePointTable(
        page_of=np.array(page_of, np.int32),
        entry_of=np.frombuffer(b"".join(pages), np.int32),
        length=lengths,
        offset=(np.cumsum(lengths) - lengths).astype(np.int32),
        symbols=np.array([symbol for _, symbols in entries for symbol in symbols], np.int32),
        characters=tuple(character for character, _ in entries),
        special_tokens={token: 1 + i for i, token in enumerate(special_tokens)},
    )


def _number_entries(
    entries: dict[tuple[int, tuple[int, ...]], int],
    spellings: Spellings,
    symbol_ids: Mapping[str, int],
    unknown: int,
    spell: Callable[[str], tuple[int, ...]],
    kept_apart: frozenset[str],
) -> NDArray[np.int32]:
    """Return int32[CODE_POINTS], the entry of each code point, and add these entries in the order of code points.

    Most code points spell one character, and most of these are unknown: arrays group the equal ones, so that only one
    code point of each group is looked at here.
    """
    symbols = np.full(CODE_POINTS, unknown, np.int64)
    for name, symbol in symbol_ids.items():
        if len(name) == 1:
            symbols[ord(name)] = symbol
    single = spellings.all.single
    # `group`, int64[CODE_POINTS]: equal for code points with equal entries, and distinct for longer spellings.
    group = np.where(single >= 0, symbols[single], CODE_POINTS + np.arange(CODE_POINTS))
    characters = np.zeros(CODE_POINTS, np.int64)
    if kept_apart:
        characters[:] = [spellings.character(code_point, kept_apart) for code_point in range(CODE_POINTS)]
    _, first, inverse = np.unique(group + characters * (2 * CODE_POINTS), return_index=True, return_inverse=True)
    entry_of_group = np.empty(len(first), np.int32)
    for place in np.argsort(first):
        code_point = int(first[place])
        key = int(characters[code_point]), spell(spellings[code_point])
        entry_of_group[place] = entries.setdefault(key, len(entries))
    return entry_of_group[inverse]


@lru_cache(maxsize=4)  # seconds of work over all of Unicode, and tens of MB
def _all_spellings(*, is_lowercase: bool, is_stripped: bool, is_split: bool, is_cjk_split: bool) -> AllSpellings:
    """Return the spelling of every code point, and its characters before folding.

    A text ends at U+0000. The decoder appends one to every text, so its spelling is a word break or nothing.
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
        return AllSpellings(tuple(spelled), tuple(characters))
    stripped = _decode(tf.strings.regex_replace(tf_text.normalize_utf8(_encode(characters), "NFD"), r"\p{Mn}", ""))
    folded_whole = _decode(tf_text.case_fold_utf8(_encode(stripped))) if is_lowercase else stripped
    splits = dropped | own_word
    spelled = (
        _join([_spell(folded[ord(c)], bool(dropped[ord(c)]), bool(own_word[ord(c)])) for c in plain])
        if any(splits[ord(c)] for c in plain)
        else whole  # folding several characters at once also composes them (Hangul jamo)
        for plain, whole in zip(stripped, folded_whole, strict=True)
    )
    return AllSpellings((WORD_BREAK, *itertools.islice(spelled, 1, None)), tuple(stripped))


def _spell(folded: str, is_dropped: bool, is_own_word: bool) -> str:
    if is_dropped:
        return WORD_BREAK
    return f"{WORD_BREAK}{folded}{WORD_BREAK}" if is_own_word else folded


def _join(spellings: Sequence[str]) -> str:
    """Join spellings to one, with a single word break where several meet."""
    return re.sub(f"{WORD_BREAK}+", WORD_BREAK, "".join(spellings)) if len(spellings) > 1 else "".join(spellings)


def _encode(characters: Sequence[str]) -> Any:
    return tf.constant([character.encode() for character in characters])


def _decode(tensor: Any) -> list[str]:
    return [value.decode() for value in tensor.numpy().tolist()]


def _matches(characters: Sequence[str], pattern: str) -> NDArray[np.bool_]:
    """Return bool[characters], True for those that an RE2 regular expression matches."""
    result: NDArray[np.bool_] = tf.strings.regex_full_match(_encode(characters), f"({pattern})").numpy()
    return result

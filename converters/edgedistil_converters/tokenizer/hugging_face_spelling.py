"""The spelling of each code point under Hugging Face's rules, asked of the library `tokenizers` itself.

`BertNormalizer` and `BertPreTokenizer` look at one code point at a time, with one exception: to remove accents, they
decompose a text (NFD), which also sorts neighbouring marks. All that the library knows to be accents are then removed.
Some marks remain, such as U+302E; a vocabulary that contains two of them that change places is refused, because the
tables have one spelling for each code point. If it contains one, the order does not matter: a word with another mark is
unknown.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import combinations

import tokenizers
from tokenizers import models, pre_tokenizers

from edgedistil_converters.tokenizer.hugging_face import HuggingFaceRules, rules_of
from edgedistil_converters.tokenizer.spelling import CODE_POINTS, WORD_BREAK, AllSpellings, Spellings
from edgedistil_runtime.artifact import TokenizerSettings
from edgedistil_runtime.errors import ConversionError

__all__ = ["HuggingFaceSpellings", "check_order_of_marks", "is_word_character"]

_CHUNK = 1 << 16  # code points per call
# Between the code points of a call: a letter that no other code point becomes, that is no mark and has no case.
_BETWEEN = "\U00010000"
_SURROGATES = range(0xD800, 0xE000)
_SORTED_MARKS = ("\u302e", "\U0001d165")  # marks of two combining classes that are not removed as accents
_OTHER_WORD_CHARACTER = CODE_POINTS  # in `character`, beside the code points


class HuggingFaceSpellings(Spellings):
    """The spelling of every code point under Hugging Face's rules.

    Args:
        settings: Tokenizer options whose `rules` are `hugging_face`.

    Example:
        >>> from edgedistil_converters.model.hugging_face_tokenizer import HuggingFacePreprocessor, HuggingFaceTokenizer
        >>> from edgedistil_converters.tokenizer.settings import read_tokenizer
        >>> tokenizer = HuggingFaceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
        >>> spellings = HuggingFaceSpellings(read_tokenizer(HuggingFacePreprocessor(tokenizer))[0])
        >>> [spellings[ord(character)].replace(WORD_BREAK, "|") for character in "ÉßŁ ,…東"]
        ['e', 'ß', 'ł', '|', '|,|', '|…|', '|東|']
    """

    def __init__(self, settings: TokenizerSettings) -> None:
        rules = rules_of(settings)
        self.all = _all_spellings(rules.clean_text, rules.handle_chinese_chars, rules.is_stripped, rules.lowercase)
        self._has_single_words = any(token.single_word for token in settings.added_tokens)

    def character(self, code_point: int, kept_apart: frozenset[str]) -> int:
        """Return a code point itself if it is kept apart, because added tokens are compared before normalization."""
        if chr(code_point) in kept_apart:
            return code_point
        is_word = self._has_single_words and is_word_character(code_point)
        return _OTHER_WORD_CHARACTER if is_word else 0

    def parts(self, text: str) -> tuple[str, ...]:
        """Return the characters of a text after normalization, each word of one character with its word breaks."""
        spelled = (self[ord(character)] for character in text)
        return tuple(part for s in spelled for part in ((s,) if s.startswith(WORD_BREAK) else s))

    @staticmethod
    def is_word(character: int) -> bool:
        """Return True for a result of `character` that is next to no token with `single_word`."""
        return character == _OTHER_WORD_CHARACTER or (0 < character < CODE_POINTS and is_word_character(character))


def check_order_of_marks(settings: TokenizerSettings, characters: Iterable[str]) -> None:
    """Refuse a vocabulary in which two characters change places when a text is decomposed.

    Args:
        settings: Tokenizer options.
        characters: Characters of all pieces, as texts spell them.

    Raises:
        ConversionError: There are two such characters.
    """
    normalize = rules_of(settings).normalizer().normalize_str

    def is_sorted(first: str, second: str) -> bool:
        return first != second and normalize(f"a{first}{second}") == normalize(f"a{second}{first}")

    movable = sorted(c for c in characters if not c.isascii() and any(is_sorted(c, mark) for mark in _SORTED_MARKS))
    for first, second in combinations(movable, 2):
        if is_sorted(first, second):
            raise ConversionError(
                "A vocabulary must not contain two marks that are sorted, but not removed, with the accents. "
                f"Received: U+{ord(first):04X} and U+{ord(second):04X}. Remove the pieces with one of them."
            )


def is_word_character(code_point: int) -> bool:
    r"""Return True if a code point is a word character, `\w`, to the library.

    Example:
        >>> [is_word_character(ord(character)) for character in "aé_-\u0301"]
        [True, True, True, False, True]
    """
    return _word_characters()[code_point]


@lru_cache(maxsize=1)
def _word_characters() -> tuple[bool, ...]:
    """Return True for every code point next to which a token with `single_word` is not found."""
    tokenizer = tokenizers.Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    tokenizer.add_tokens([tokenizers.AddedToken(_BETWEEN, single_word=True, normalized=False)])
    found: list[bool] = []
    for characters in _chunks():
        # Every token has the code point on one side and a space on the other.
        text = "".join(f"{_BETWEEN}{character} " for character in characters)
        starts = {start for (start, _), i in zip(*_offsets(tokenizer, text), strict=True) if i == 1}
        found += [3 * place not in starts for place in range(len(characters))]
    found[ord(_BETWEEN)] = True
    return tuple(found)


def _offsets(tokenizer: tokenizers.Tokenizer, text: str) -> tuple[list[tuple[int, int]], list[int]]:
    encoding = tokenizer.encode(text)
    return encoding.offsets, encoding.ids


@lru_cache(maxsize=4)  # seconds of work over all of Unicode, and tens of MB
def _all_spellings(clean_text: bool, handle_chinese_chars: bool, strip_accents: bool, lowercase: bool) -> AllSpellings:
    """Return the spelling of every code point."""
    rules = HuggingFaceRules(clean_text, handle_chinese_chars, strip_accents, lowercase)
    normalizer = rules.normalizer()
    is_space, is_own_word = _divisions()
    written = dict.fromkeys(is_space, WORD_BREAK) | {c: f"{WORD_BREAK}{c}{WORD_BREAK}" for c in is_own_word}
    found: list[str] = []
    for characters in _chunks():
        normalized = normalizer.normalize_str(_BETWEEN.join(characters)).split(_BETWEEN)
        if _BETWEEN in characters:  # the separator itself, which gives two empty strings
            normalized[0:2] = [_BETWEEN]
        found += ["".join([written.get(c, c) for c in text]) for text in normalized]
    return AllSpellings((WORD_BREAK, *found[1:]))  # a text ends at U+0000


@lru_cache(maxsize=1)
def _divisions() -> tuple[frozenset[str], frozenset[str]]:
    """Return the characters at which the library divides words, and those that are words by themselves."""
    pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    spaces, own_words = [], []
    for characters in _chunks():
        # Letters are at the even places, the code points at the odd ones.
        words = pre_tokenizer.pre_tokenize_str("".join(f"a{c}" for c in characters) + "a")
        ends = {start + place for _, (start, end) in words for place in ((end - start,) if start % 2 == 0 else ())}
        own = {start for _, (start, end) in words if start % 2}
        own_words += [c for place, c in enumerate(characters) if 2 * place + 1 in own]
        spaces += [c for place, c in enumerate(characters) if 2 * place + 1 in ends and 2 * place + 1 not in own]
    return frozenset(spaces), frozenset(own_words)


def _chunks() -> Iterator[list[str]]:
    """Return all code points in chunks, with U+FFFD in the place of surrogates."""
    for first in range(0, CODE_POINTS, _CHUNK):
        yield ["\ufffd" if c in _SURROGATES else chr(c) for c in range(first, first + _CHUNK)]

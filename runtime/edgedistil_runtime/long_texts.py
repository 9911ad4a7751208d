"""Texts that may be longer than a row of token ids: only what fills the row is run, and whether more was there is told.

A WordPiece tokenizer decides word by word from the left. So a text may be cut where a word ends for certain: the token
ids of what stands before do not change, and what begins there gives at least one id more. A prefix is tokenized, and
doubled until its row is full or the text ends; a text of a megabyte then costs what a page costs.

A full row may be just full, or cut. If the text ended, the ids of its last part and of what stands before are counted
apart, where neither fills a row.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Optional

from edgedistil_runtime.metadata import TokenizerSettings

__all__ = ["Excerpt", "LongTexts", "Tokenize", "most_token_ids"]

Tokenize = Callable[[str, Optional[str]], Sequence[int]]  # a text, or a pair of texts, to a row of token ids

_FIRST_PREFIX = 8  # characters for each id of the row: English has four or five, so that one run fills it
_WINDOW = 256  # characters in which most prefixes find a cut
_MOST_FOLDED = 18  # characters of one that is folded, by NFKC: U+FDFA; one below U+0300 gives 3 at most: U+00BD
_MOST_FOLDED_LATIN = 3

# A word of more than 100 bytes is one `[UNK]` (docs/tokenizer.md), however long: base64 and the like are shortened.
_LONG_WORD = re.compile(r"(?<![A-Za-z0-9])([A-Za-z0-9]{128})[A-Za-z0-9]+")
_SPACE, _PUNCTUATION, _IDEOGRAPH = r" \t\n\r", r"!-/:-@\[-`{-~", r"\u4e00-\u9fff"
_LETTERS = frozenset({"Lu", "Ll", "Lo", "Nd"})  # not Lm: some fold to a mark, which a tokenizer may drop
_END_OF_LETTERS = "\ud800"  # some of the presentation forms above fold to marks too
_FILLERS = "\u115f\u1160\u3164"  # of Hangul: letters that fold to nothing


@dataclass(frozen=True)
class Excerpt:
    """What of a text, or of a pair, decides its row of token ids.

    Attributes:
        text: its beginning, or the whole of it.
        text_pair: likewise; None where there is one text.
        is_truncated: whether the row has no room for all ids; None where the tokenizer's settings leave it open.
        token_ids: the row, if it had to be found out.
    """

    text: str
    text_pair: str | None
    is_truncated: bool | None
    token_ids: Sequence[int] | None = None


class LongTexts:
    """Finds the part of a text that counts.

    Args:
        settings: of the tokenizer. It must split at whitespace, or texts are taken whole; special tokens in strings
            leave whitespace as the only place to cut at.
        tokenize: runs the tokenizer, which cuts rows at the sequence length; None where the model does not tell ids.
    """

    def __init__(self, settings: TokenizerSettings, tokenize: Tokenize | None) -> None:
        """Chooses where texts may be cut; nothing runs."""
        self._length, self._tokenize = settings.sequence_length, tokenize
        self._cuts = _cuts(settings)
        self._has_unknown_long_words = not settings.special_tokens  # a special token divides a word

    def excerpt(self, text: str, text_pair: str | None = None) -> Excerpt:
        """What has to be run for a text or a pair.

        Short ones cost nothing: no model runs for a text that has not the characters to fill a row.

        Raises:
            BackendError: a run failed.
        """
        if text_pair is not None:
            return self._pair(text, text_pair)
        text = _before_nul(text)
        if most_token_ids(text) <= self._length - 2:  # [CLS] and [SEP]
            return Excerpt(text, None, is_truncated=False)
        if self._tokenize is None:
            return Excerpt(text, None, is_truncated=None)
        prefix, row, is_all = self._prefix(text)
        if len(row) < self._length:
            return Excerpt(prefix, None, is_truncated=False, token_ids=row)
        return Excerpt(prefix, None, is_truncated=self._is_cut(prefix) if is_all else True, token_ids=row)

    def _pair(self, text: str, text_pair: str) -> Excerpt:
        """Both rules of truncation look at the lengths up to the room for both, so that excerpts give the same row."""
        room = self._length - 3  # [CLS], [SEP] twice
        texts = [_before_nul(text), _before_nul(text_pair)]
        if sum(map(most_token_ids, texts)) <= room:
            return Excerpt(texts[0], texts[1], is_truncated=False)
        if self._tokenize is None:
            return Excerpt(texts[0], texts[1], is_truncated=None)
        (first, first_row, _), (second, second_row, _) = map(self._prefix, texts)
        # A row of one text has room for one id more than a row of two, so that a full one says enough.
        count = len(first_row) + len(second_row) - 4
        return Excerpt(first, second, is_truncated=count > room)

    def _prefix(self, text: str) -> tuple[str, Sequence[int], bool]:
        """The shortest beginning that was found to fill a row, or all of the text; its row; and whether it is all."""
        assert self._tokenize is not None
        size = _FIRST_PREFIX * self._length
        while size < len(text):
            end = self._last_cut(text, size)
            row = self._tokenize(text[:end], None) if end else ()
            if len(row) >= self._length:
                return text[:end], row, False
            if size == _FIRST_PREFIX * self._length and self._has_unknown_long_words:
                text = _LONG_WORD.sub(r"\1", text)
            size *= 2
        return text, self._tokenize(text, None), True

    def _is_cut(self, text: str) -> bool | None:
        """Whether a text that fills a row has more ids than that."""
        assert self._tokenize is not None
        cut = self._last_cut(text, len(text))
        before, last = (len(self._tokenize(part, None)) - 2 for part in (text[:cut], text[cut:]))
        if last == self._length - 2 and not before:  # one part that cannot be divided fills the row
            return None
        return before + last > self._length - 2  # even if a part is cut itself: the other one has an id

    def _last_cut(self, text: str, end: int) -> int:
        """The last place before `end` where the text may be cut; 0 if there is none."""
        if self._cuts is None:
            return 0
        for start in (max(0, end - _WINDOW), 0):
            places = [match.start() for match in self._cuts.finditer(text, start, end)]
            for place in reversed(places):
                if place and _gives_an_id(text[place]):
                    return place
        return 0


def most_token_ids(text: str) -> int:
    """A bound of the ids of a text without special tokens: one for each character that folding can make of it.

    Example:
        >>> most_token_ids("light"), most_token_ids("größer")
        (5, 10)
    """
    if text.isascii():
        return len(text)
    return sum(1 if mark < "\x80" else _MOST_FOLDED_LATIN if mark < "\u0300" else _MOST_FOLDED for mark in text)


def _cuts(settings: TokenizerSettings) -> re.Pattern[str] | None:
    """Places where a word ends for certain, whatever follows."""
    if not settings.split:
        return None
    if settings.special_tokens:
        spaced = any(mark.isspace() for token in settings.special_tokens for mark in token)
        return None if spaced else re.compile(f"(?<=[{_SPACE}])(?=\\w)")
    places = [f"(?<=[{_SPACE}{_PUNCTUATION}])(?=\\w)", f"(?=[{_PUNCTUATION}])"]
    if settings.split_on_cjk:
        places.append(f"(?=[{_IDEOGRAPH}])")
    return re.compile("|".join(places))


def _gives_an_id(mark: str) -> bool:
    """Whether the word that begins so has at least one id, `[UNK]` included: no folding leaves nothing of it."""
    return mark.isascii() or (
        mark < _END_OF_LETTERS and mark not in _FILLERS and unicodedata.category(mark) in _LETTERS
    )


def _before_nul(text: str) -> str:
    return text.partition("\0")[0]

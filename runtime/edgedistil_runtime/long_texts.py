"""Find the part of a long text that fills a row of token ids, and whether the text was truncated.

A WordPiece tokenizer works word by word from the left. A text may therefore be cut at a certain end of a word: the ids
before the cut do not change, and the rest has at least one id. A prefix is tokenized and doubled until its row is full
or the text ends, so that a megabyte costs as much as a page.

A full row may be exactly full or truncated. If the text ended, its last part and the part before it are tokenized
separately, so that neither fills a row, and their ids are counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Optional

from edgedistil_runtime.contract import HUGGING_FACE, LONGEST_FIRST
from edgedistil_runtime.cuts import Cuts, before_nul
from edgedistil_runtime.metadata import TokenizerSettings
from edgedistil_runtime.utf8 import encode_bytes

__all__ = ["Excerpt", "LongTexts", "Tokenize", "most_token_ids"]

Tokenize = Callable[[str, Optional[str]], Sequence[int]]  # text, second text or None -> row of token ids

_FIRST_PREFIX = 8  # characters per id of the row: English has four or five, so that one run fills the row
_MAX_FOLDED = 18  # characters that NFKC makes of one: U+FDFA
_MAX_FOLDED_LATIN = 3  # the same for characters below U+0300: U+00BD

# Words of more than 100 bytes or characters become one `[UNK]` (docs/tokenizer.md), so that base64 and the like may be
# shortened.
_MOST_BYTES, _SHORTENED = 100, 128
_LONG_WORD = re.compile(rf"(?<![A-Za-z0-9])([A-Za-z0-9]{{{_SHORTENED}}})[A-Za-z0-9]+")


@dataclass(frozen=True)
class Excerpt:
    """The part of a text or pair that determines its row of token ids.

    Attributes:
        text: A beginning of the text, or all of it.
        text_pair: The same of the second text; None for single texts.
        is_truncated: True if the row has no room for all ids; None if unknown with this tokenizer.
        token_ids: The row, if it was computed on the way.
    """

    text: str
    text_pair: str | None
    is_truncated: bool | None
    token_ids: Sequence[int] | None = None


class LongTexts:
    """Finds the excerpts of texts that a model needs.

    Args:
        settings: Settings of the tokenizer. If it does not split at whitespace, texts are not cut; if texts may spell
            special tokens, they are cut only at whitespace.
        tokenize: Runs the tokenizer, which truncates rows at the sequence length; None if the model has no
            `tokenize` signature.
        most_bytes: Bytes of the longest text that the model takes, whose run then tells whether it was truncated; None
            if a text may have any length.

    Example:
        >>> from edgedistil_runtime import read_artifact
        >>> settings = read_artifact("intents.tflite").metadata.tokenizer  # sequence_length 16
        >>> row = lambda text, _: [2, *range(5, 5 + len(text.split())), 3][:16]
        >>> excerpt = LongTexts(settings, row).excerpt("music " * 1000)
        >>> len(excerpt.text) < 200, excerpt.is_truncated, len(excerpt.token_ids)
        (True, True, 16)
    """

    def __init__(
        self, settings: TokenizerSettings, tokenize: Tokenize | None, *, most_bytes: int | None = None
    ) -> None:
        """Find out where texts may be cut; nothing runs."""
        self._most_bytes = most_bytes
        self._length, self._tokenize = settings.sequence_length, tokenize
        self._cuts = Cuts(settings)
        # The least length of which every word is unknown. Special and added tokens divide a word.
        limit = settings.max_input_chars_per_word if settings.rules == HUGGING_FACE else _MOST_BYTES
        self._has_unknown_long_words = limit < _SHORTENED and not (settings.special_tokens or settings.added_tokens)
        # Two texts that both fill the row share an odd number of tokens by which of them is longer.
        self._is_order_needed = settings.truncate == LONGEST_FIRST and settings.sequence_length % 2 == 0

    def excerpt(self, text: str, text_pair: str | None = None) -> Excerpt:
        """Return the excerpt of a text or a pair.

        No model runs for a text with too few characters to fill a row.

        Raises:
            BackendError: A run failed.
        """
        if text_pair is not None:
            return self._pair(text, text_pair)
        text = before_nul(text)
        if self._most_bytes is not None:
            return self._within_bytes(text, self._most_bytes)
        if most_token_ids(text) <= self._length - 2:  # [CLS] and [SEP]
            return Excerpt(text, None, is_truncated=False)
        if self._tokenize is None:
            return Excerpt(text, None, is_truncated=None)
        prefix, row, is_all = self._full_prefix(text)
        if len(row) < self._length:
            return Excerpt(prefix, None, is_truncated=False, token_ids=row)
        return Excerpt(prefix, None, is_truncated=self._is_truncated(prefix) if is_all else True, token_ids=row)

    def _within_bytes(self, text: str, most_bytes: int) -> Excerpt:
        """Return a beginning of a text that has at most so many bytes and ends where a word certainly ends."""
        data = encode_bytes(text)
        if len(data) <= most_bytes:
            return Excerpt(text, None, is_truncated=None)
        end = self._cuts.last(text, len(data[: most_bytes + 1].decode("utf-8", "ignore")))
        # Without such a place the text is left whole, and is refused where its bytes are counted.
        return Excerpt(text[:end], None, is_truncated=True) if end else Excerpt(text, None, is_truncated=None)

    def _pair(self, text: str, text_pair: str) -> Excerpt:
        """Return the excerpts of a pair: truncation uses lengths only up to the room for both texts.

        `longest_first` may also use which text is longer; then nothing is cut if both fill the row.
        """
        room = self._length - 3  # [CLS], [SEP] twice
        texts = [before_nul(text), before_nul(text_pair)]
        if sum(map(most_token_ids, texts)) <= room:
            return Excerpt(texts[0], texts[1], is_truncated=False)
        if self._tokenize is None:
            return Excerpt(texts[0], texts[1], is_truncated=None)
        (first, first_row, _), (second, second_row, _) = map(self._full_prefix, texts)
        # A row of one text has room for one more id than a row of two: if it is full, the pair does not fit.
        count = len(first_row) + len(second_row) - 4
        if self._is_order_needed and min(len(first_row), len(second_row)) == self._length:
            first, second = texts
        return Excerpt(first, second, is_truncated=count > room)

    def _full_prefix(self, text: str) -> tuple[str, Sequence[int], bool]:
        """Return the shortest beginning found to fill a row, or all of the text; its row; and True if it is all."""
        assert self._tokenize is not None
        size = _FIRST_PREFIX * self._length
        while size < len(text):
            end = self._cuts.last(text, size)
            row = self._tokenize(text[:end], None) if end else ()
            if len(row) >= self._length:
                return text[:end], row, False
            if size == _FIRST_PREFIX * self._length and self._has_unknown_long_words:
                text = _LONG_WORD.sub(r"\1", text)
            size *= 2
        return text, self._tokenize(text, None), True

    def _is_truncated(self, text: str) -> bool | None:
        """Return True if a text that fills a row has more ids, None if unknown."""
        assert self._tokenize is not None
        cut = self._cuts.last(text, len(text))
        before, last = (len(self._tokenize(part, None)) - 2 for part in (text[:cut], text[cut:]))
        if last == self._length - 2 and not before:  # one indivisible part fills the row
            return None
        return before + last > self._length - 2  # also if one part is truncated: the other has at least one id


def most_token_ids(text: str) -> int:
    """Return an upper bound of a text's ids without special tokens: one per character after folding.

    Example:
        >>> most_token_ids("light"), most_token_ids("größer")
        (5, 10)
    """
    if text.isascii():
        return len(text)
    return sum(1 if mark < "\x80" else _MAX_FOLDED_LATIN if mark < "\u0300" else _MAX_FOLDED for mark in text)

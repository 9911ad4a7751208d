"""Positions where a text may be cut: the ids of the two parts, one after the other, are those of the text.

A WordPiece tokenizer works word by word, so a word must certainly end there, whatever the rest of the text is.
"""

from __future__ import annotations

import re
import unicodedata

from edgedistil_runtime.metadata import TokenizerSettings

__all__ = ["Cuts", "before_nul"]

_WINDOW = 256  # characters before a position that are searched first
_SPACE, _PUNCTUATION, _IDEOGRAPH = r" \t\n\r", r"!-/:-@\[-`{-~", r"\u4e00-\u9fff"
_LETTERS = frozenset({"Lu", "Ll", "Lo", "Nd"})  # not Lm: some fold to a mark, which a tokenizer may remove
_END_OF_LETTERS = "\ud800"  # above are presentation forms, some of which fold to marks
_FILLERS = "\u115f\u1160\u3164"  # Hangul letters that fold to nothing


class Cuts:
    """The positions where texts may be cut with a tokenizer's settings.

    Args:
        settings: Settings of the tokenizer. If it does not split at whitespace, there are none; if texts may spell
            special tokens, they are only after whitespace.

    Example:
        >>> from edgedistil_runtime import read_artifact
        >>> cuts = Cuts(read_artifact("intents.tflite").metadata.tokenizer)
        >>> cuts.all("lights on, please"), cuts.last("lights on, please", 11)
        ([7, 9, 11], 9)
    """

    def __init__(self, settings: TokenizerSettings) -> None:
        """Compile the pattern."""
        self._pattern = _pattern(settings)

    def all(self, text: str) -> list[int]:
        """Return the positions, ascending; the part after each has at least one id."""
        return self._places(text, 0, len(text))

    def last(self, text: str, end: int) -> int:
        """Return the last position before `end`; 0 if there is none."""
        for start in (max(0, end - _WINDOW), 0):
            places = self._places(text, start, end)
            if places:
                return places[-1]
        return 0

    def _places(self, text: str, start: int, end: int) -> list[int]:
        if self._pattern is None:
            return []
        places = (match.start() for match in self._pattern.finditer(text, start, end))
        return [place for place in places if place and _has_an_id(text[place])]


def before_nul(text: str) -> str:
    r"""Return the part of a text that is read: a NUL ends it.

    Example:
        >>> before_nul("lights\0on")
        'lights'
    """
    return text.partition("\0")[0]


def _pattern(settings: TokenizerSettings) -> re.Pattern[str] | None:
    """Return the pattern of positions where a word certainly ends; None if there are none."""
    if not settings.split:
        return None
    tokens = (*settings.special_tokens, *(token.content for token in settings.added_tokens))
    if tokens:
        spaced = any(mark.isspace() for token in tokens for mark in token)
        return None if spaced else re.compile(f"(?<=[{_SPACE}])(?=\\w)")
    places = [f"(?<=[{_SPACE}{_PUNCTUATION}])(?=\\w)", f"(?=[{_PUNCTUATION}])"]
    if settings.split_on_cjk:
        places.append(f"(?=[{_IDEOGRAPH}])")
    return re.compile("|".join(places))


def _has_an_id(mark: str) -> bool:
    """Return True if a word with this first character has at least one id: folding does not remove all of it."""
    return mark.isascii() or (
        mark < _END_OF_LETTERS and mark not in _FILLERS and unicodedata.category(mark) in _LETTERS
    )

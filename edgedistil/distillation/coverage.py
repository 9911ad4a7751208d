"""How many words of texts a vocabulary has: texts in another language are found by it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistil.training.batches import tokenize
from edgedistil_converters.tokenizer.settings import read_tokenizer
from edgedistil_runtime.artifact import TokenizerSettings

__all__ = ["Coverage", "count_words", "measure_coverage"]

_TEXTS_AT_ONCE = 2048
_LEAST_KNOWN = 0.9
_LEAST_WHOLE = 0.8


@dataclass(frozen=True)
class Coverage:
    """How many words of texts a vocabulary has, which shows texts in another language.

    A word that is no piece by itself is spelled in several, down to its letters, so that few words are `[UNK]` if the
    script is known: BERT's English vocabulary can spell all words of eight German and two Russian sentences, but has
    44 % and 14 % of them. It has 90 to 98 % of the words of the English data sets in docs/accuracy.md.

    Attributes:
        words: Number of words and punctuation marks that are read of the texts.
        whole: Those of them that are one piece of the vocabulary.
        unknown: Those of them that are `[UNK]`.

    Example:
        >>> coverage = Coverage(words=200, whole=170, unknown=24)
        >>> coverage.whole_share, coverage.known_share, coverage.is_low
        (0.85, 0.88, True)
    """

    words: int
    whole: int
    unknown: int

    def __add__(self, other: "Coverage") -> "Coverage":
        """The counts of both."""
        return Coverage(self.words + other.words, self.whole + other.whole, self.unknown + other.unknown)

    @property
    def whole_share(self) -> float:
        """Share of the words that are one piece; 1 if there are no words."""
        return self.whole / self.words if self.words else 1.0

    @property
    def known_share(self) -> float:
        """Share of the words that are not `[UNK]`; 1 if there are no words."""
        return 1 - self.unknown / self.words if self.words else 1.0

    @property
    def is_low(self) -> bool:
        """True if fewer than 90 % of the words are known, or fewer than 80 % are one piece."""
        return self.known_share < _LEAST_KNOWN or self.whole_share < _LEAST_WHOLE

    def warning(self, whose: str, part: str) -> str:
        """A sentence for a person whose texts are hardly covered.

        Args:
            whose: Whose vocabulary it is, such as `teacher big`.
            part: Which texts these are, such as `training`.

        Example:
            >>> print(Coverage(words=100, whole=50, unknown=20).warning("teacher big", "training"))
            The vocabulary of the teacher big has 50 % of the words of the training texts; it spells 30 % in ...
        """
        return (
            f"The vocabulary of the {whose} has {100 * self.whole_share:.0f} % of the words of the {part} texts; it "
            f"spells {100 * (self.known_share - self.whole_share):.0f} % in pieces, and "
            f"{100 * (1 - self.known_share):.0f} % are [UNK] to it. Are they in another language?"
        )


def measure_coverage(preprocessor: Any, texts: Sequence[str]) -> Coverage:
    """Counts the words of texts that a preprocessor's vocabulary has.

    Args:
        preprocessor: A `keras_hub.models.DistilBertTextClassifierPreprocessor`.
        texts: Texts; only what it reads of a long one counts.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> measure_coverage(load_classifier("intents").preprocessor, ["play some music louder", "gib mir Musik"])
        Coverage(words=7, whole=3, unknown=3)
    """
    settings, vocabulary = read_tokenizer(preprocessor)
    found = Coverage(0, 0, 0)
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        ids = tokenize(preprocessor, texts[start : start + _TEXTS_AT_ONCE]).token_ids
        found += count_words(ids, settings, vocabulary)
    return found


def count_words(token_ids: NDArray[Any], settings: TokenizerSettings, vocabulary: Sequence[str]) -> Coverage:
    """Counts the words of texts that are tokenized.

    Args:
        token_ids: Token ids with special tokens, padded, int[texts, length].
        settings: Settings of the tokenizer.
        vocabulary: Its pieces, in the order of their ids.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> settings, vocabulary = read_tokenizer(load_classifier("intents").preprocessor)
        >>> ids = [settings.start_id, vocabulary.index("music"), settings.unknown_id, settings.end_id, settings.pad_id]
        >>> count_words(np.array([ids]), settings, vocabulary)
        Coverage(words=2, whole=1, unknown=1)
    """
    continues = np.array([piece.startswith(settings.suffix_indicator) for piece in vocabulary])
    is_word = ~continues  # the first piece of one, or all of it
    is_word[[settings.start_id, settings.end_id, settings.pad_id]] = False
    is_unknown = token_ids == settings.unknown_id
    goes_on = np.pad(continues[token_ids[:, 1:]], ((0, 0), (0, 1)))  # [texts, length]: the next piece is of the word
    return Coverage(
        words=int(is_word[token_ids].sum()),
        whole=int((is_word[token_ids] & ~goes_on & ~is_unknown).sum()),
        unknown=int(is_unknown.sum()),
    )

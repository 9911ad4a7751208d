"""How much of long texts a model does not read: texts that were cut, and the share of their tokens that was lost."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgedistil_runtime import Classification, TextClassifier

__all__ = ["Truncation", "TruncationCounter"]

_COUNTED_CHARACTERS = 500_000
_DIGITS = 4


@dataclass(frozen=True)
class Truncation:
    """Texts that are longer than a model's sequence length.

    Attributes:
        texts: Number of texts.
        truncated: Texts that were not read as a whole.
        divided: Texts that were read in several pieces.
        sequence_length: Token ids of a row of the model, with special tokens.
        counted: Truncated texts whose tokens were counted; a run counts those of the first truncated texts only.
        tokens: Tokens of those texts.
        lost: Tokens of those texts that were not read.

    Example:
        >>> print(Truncation(texts=300, truncated=12, sequence_length=128, counted=12, tokens=2000, lost=500))
        12 of 300 texts are longer than the model's 128 tokens, and 25 % of their tokens were not read
        >>> print(Truncation(texts=300, truncated=0, divided=12, sequence_length=128))
        12 of 300 texts are longer than the model's 128 tokens, and were read in pieces
    """

    texts: int
    truncated: int
    sequence_length: int
    divided: int = 0
    counted: int = 0
    tokens: int = 0
    lost: int = 0

    @property
    def lost_share(self) -> float | None:
        """Share of the tokens of truncated texts that was not read; `None` if none were counted."""
        return self.lost / self.tokens if self.tokens else None

    def __add__(self, other: "Truncation") -> "Truncation":
        """The counts of other texts of the same model added.

        Example:
            >>> one = Truncation(texts=3, truncated=1, sequence_length=16)
            >>> (one + one).texts
            6
        """
        return Truncation(
            texts=self.texts + other.texts,
            truncated=self.truncated + other.truncated,
            sequence_length=self.sequence_length,
            divided=self.divided + other.divided,
            counted=self.counted + other.counted,
            tokens=self.tokens + other.tokens,
            lost=self.lost + other.lost,
        )

    def to_dict(self) -> dict[str, Any]:
        """The counts as plain data.

        Example:
            >>> Truncation(texts=3, truncated=1, sequence_length=16, counted=1, tokens=40, lost=26).to_dict()
            {'texts': 3, 'truncated': 1, 'divided': 0, 'sequence_length': 16, 'lost_share': 0.65}
        """
        share = self.lost_share
        return {
            "texts": self.texts,
            "truncated": self.truncated,
            "divided": self.divided,
            "sequence_length": self.sequence_length,
            "lost_share": None if share is None else round(share, _DIGITS),
        }

    def __str__(self) -> str:
        long = self.truncated + self.divided
        verb = "is" if long == 1 else "are"
        line = f"{long:,} of {self.texts:,} texts {verb} longer than the model's {self.sequence_length} tokens"
        if self.divided and self.truncated:
            line += f"; {self.divided:,} were read in pieces"
        elif self.divided:
            line += f", and {'was' if long == 1 else 'were'} read in pieces"
        share = self.lost_share
        if share is None:
            return line
        whose = f"{'its' if long == 1 else 'their'} tokens"
        if self.counted < self.truncated:
            whose = f"the tokens of the first {self.counted:,} that were cut"
        return f"{line}, and {100 * share:.0f} % of {whose} were not read"


class TruncationCounter:
    """Counts texts of which a classifier does not read all, as their answers come.

    Tokens are counted only until the counted texts have half a million characters, so that a large file costs no more.

    Args:
        classifier: The classifier that gave the answers, still open.
        characters: Characters of the truncated texts whose tokens are counted, at most.

    Example:
        >>> from edgedistil_runtime import TextClassifier
        >>> with TextClassifier("intents.tflite") as classifier:
        ...     counter = TruncationCounter(classifier)
        ...     counter.add(classifier.classify_batch(["music", "play some music " * 14]))
        >>> counter.result().to_dict()
        {'texts': 2, 'truncated': 1, 'divided': 0, 'sequence_length': 16, 'lost_share': 0.6667}
    """

    def __init__(self, classifier: "TextClassifier", *, characters: int = _COUNTED_CHARACTERS) -> None:
        self._classifier = classifier
        self._length = classifier.metadata.tokenizer.sequence_length
        self._left = characters
        self._texts = self._truncated = self._divided = 0
        self._counted = self._tokens = self._lost = 0

    def add(self, answers: Iterable["Classification"]) -> None:
        """Adds answers of the classifier.

        Raises:
            BackendError: a run of the tokenizer failed.
        """
        for answer in answers:
            self._texts += 1
            if answer.is_truncated:
                self._truncated += 1
                self._count([text for text in (answer.text, answer.text_pair) if text is not None])
            elif answer.num_pieces > 1:
                self._divided += 1

    def result(self) -> Truncation:
        """The counts so far."""
        return Truncation(
            texts=self._texts,
            truncated=self._truncated,
            sequence_length=self._length,
            divided=self._divided,
            counted=self._counted,
            tokens=self._tokens,
            lost=self._lost,
        )

    def _count(self, texts: list[str]) -> None:
        size = sum(map(len, texts))
        if size > self._left:
            self._left = 0  # the first texts, not the shorter ones of all
            return
        self._left -= size
        tokens = sum(map(self._classifier.count_tokens, texts))
        self._counted += 1
        self._tokens += tokens
        self._lost += max(0, tokens - (self._length - 1 - len(texts)))  # [CLS], and [SEP] after each text

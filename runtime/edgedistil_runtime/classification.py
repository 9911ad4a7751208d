"""The answer to one text, to one pair of texts or to one row of token ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgedistil_runtime.errors import InputError

__all__ = ["Classification"]


@dataclass(frozen=True)
class Classification:
    """A text, its label and the probability of every label.

    Attributes:
        text: as it was given; None where token ids were.
        label: the most probable one.
        score: the probability of `label`, from 0 to 1.
        probabilities: of every label, in the model's order.
        text_pair: the second text as it was given; None where there is one text.
        is_truncated: whether the text, or the pair, has more token ids than the model takes, so that its end had no
            say; None where that is not known (`LongTexts`).

    Example:
        >>> answer = Classification("hi", "greet", 0.75, {"order": 0.25, "greet": 0.75})
        >>> answer.top(2)
        [('greet', 0.75), ('order', 0.25)]
    """

    text: str | None
    label: str
    score: float
    probabilities: Mapping[str, float]
    text_pair: str | None = None
    is_truncated: bool | None = None

    def top(self, k: int = 3) -> list[tuple[str, float]]:
        """The `k` most probable labels with their probabilities, best first; all of them if there are fewer.

        Raises:
            InputError: `k` is less than 1.
        """
        if k < 1:
            raise InputError(f"top takes a number of labels of at least 1. Received: {k!r}.")
        return sorted(self.probabilities.items(), key=lambda item: -item[1])[:k]

"""The result for one text, one pair of texts or one row of token ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgedistil_runtime.arguments import as_integer
from edgedistil_runtime.errors import InputError

__all__ = ["Classification"]


@dataclass(frozen=True)
class Classification:
    """A text, its label and the probability of every label.

    Attributes:
        text: The text as it was passed; None if token ids were passed.
        label: The most probable label. A multi-label model may be sure of none; see `labels`.
        score: Probability of `label`, from 0 to 1.
        probabilities: Probability of every label, in the model's order; with `top_k`, of the most probable labels,
            best first.
        text_pair: The second text as it was passed; None for single texts.
        is_truncated: True if the model did not read all of the text or pair, because it is longer than the model's
            sequence length; None if unknown (`LongTexts`).
        labels: Labels whose probability reaches their threshold, the most probable first; none if the text has none.
            None for a model that gives every text one label.
        num_pieces: Number of pieces of the text whose probabilities were averaged; 1 unless `long_texts` is `windows`.
        unknown_score: How little the text is like those of any label, the larger the less; None if the model does
            not compute it.
        is_unknown: True if `unknown_score` is greater than the model's threshold, so that the text has none of the
            labels; `label` is the most probable one all the same. None if the model has no `unknown_score`.

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
    num_pieces: int = 1
    labels: tuple[str, ...] | None = None
    unknown_score: float | None = None
    is_unknown: bool | None = None

    def top(self, k: int = 3) -> list[tuple[str, float]]:
        """Return the `k` most probable labels with their probabilities, best first; all labels if there are fewer.

        Raises:
            InputError: `k` is not an integer of at least 1.
        """
        count = as_integer(k)
        if count is None or count < 1:
            raise InputError(f"`k`, the number of labels, must be an integer of at least 1. Received: {k!r}.")
        return sorted(self.probabilities.items(), key=lambda item: -item[1])[:count]

"""Single texts of a report: those with another label than the reference's, and the most confident mistakes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgedistil.data import LabelledTexts
from edgedistil.measuring.measurements import ChangedText, Changes, Mistake

__all__ = ["DIGITS", "Answers", "confident_mistakes", "count_changes", "shortened"]

_LONGEST_TEXT = 200  # characters of a text in a report
DIGITS = 6
"""Digits of scores."""


@dataclass(frozen=True)
class Answers:
    """Labels that a model gives texts.

    Attributes:
        labels: Label of each text.
        scores: Score of each label; `None` if the model has no scores.
    """

    labels: Sequence[str]
    scores: Sequence[float] | None = None


def count_changes(examples: LabelledTexts, reference: Answers, given: Answers, num_examples: int) -> Changes:
    """Compares a model's labels with the reference's.

    Args:
        examples: Texts and right labels.
        reference: The reference's answers.
        given: The model's answers.
        num_examples: Changed texts to keep: the broken ones first, then the repaired; of each kind those first of which
            the reference is surest.

    Example:
        >>> examples = LabelledTexts(("lights on", "lights off"), ("on", "off"))
        >>> changes = count_changes(examples, Answers(["on", "on"]), Answers(["off", "off"]), num_examples=1)
        >>> changes.broken, changes.repaired, changes.examples[0].text
        (1, 1, 'lights on')
    """
    columns = (reference.labels, given.labels, _rounded(reference, len(examples)), _rounded(given, len(examples)))
    rows = [ChangedText(*row) for row in zip(examples.texts, examples.labels, *columns, strict=True)]
    changed = sorted((row for row in rows if row.reference != row.given), key=lambda row: -(row.reference_score or 0))
    broken = [row for row in changed if row.reference == row.right]
    repaired = [row for row in changed if row.given == row.right]
    otherwise = [row for row in changed if row.right not in (row.reference, row.given)]
    return Changes(
        same=len(rows) - len(changed),
        broken=len(broken),
        repaired=len(repaired),
        otherwise=len(otherwise),
        examples=tuple(
            replace(row, text=shortened(row.text)) for row in [*broken, *repaired, *otherwise][:num_examples]
        ),
    )


def confident_mistakes(
    examples: LabelledTexts, probabilities: NDArray[np.float32], labels: Sequence[str], num_examples: int
) -> tuple[Mistake, ...]:
    """Returns the texts with a wrong label that a model is surest of, the surest first.

    They show wrong labels in the data, classes that overlap, and what the training texts lack.

    Args:
        examples: Texts and right labels.
        probabilities: float32 [texts, classes], the model's.
        labels: The model's labels, in its order.
        num_examples: Texts to return at most.

    Example:
        >>> examples = LabelledTexts(("lights on", "lights off"), ("on", "off"))
        >>> probabilities = np.array([[0.25, 0.75], [0.125, 0.875]], np.float32)
        >>> confident_mistakes(examples, probabilities, ["on", "off"], num_examples=20)
        (Mistake(text='lights on', right='on', given='off', score=0.75, right_score=0.25),)
    """
    number = {label: i for i, label in enumerate(labels)}
    right = np.array([number[label] for label in examples.labels])
    given, scores = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(given != right)
    surest = wrong[np.argsort(-scores[wrong], kind="stable")][:num_examples]
    return tuple(
        Mistake(
            text=shortened(examples.texts[i]),
            right=examples.labels[i],
            given=labels[given[i]],
            score=round(float(scores[i]), DIGITS),
            right_score=round(float(probabilities[i, right[i]]), DIGITS),
        )
        for i in surest
    )


def _rounded(answers: Answers, count: int) -> Sequence[float | None]:
    return [None] * count if answers.scores is None else [round(score, DIGITS) for score in answers.scores]


def shortened(text: str) -> str:
    """Returns a text of at most 200 characters; of a longer one, the beginning.

    Example:
        >>> shortened("a" * 300) == "a" * 199 + "…"
        True
    """
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1].rstrip() + "…"

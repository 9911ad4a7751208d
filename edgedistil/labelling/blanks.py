"""Rows with a blank text, which stay in the output and get no label."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgedistil_runtime import Classification, TextClassifier

__all__ = ["classify_rows", "count_blank_rows"]

Texts = Sequence[str | None]


def classify_rows(
    classifier: "TextClassifier", texts: Texts, text_pairs: Texts | None
) -> "list[Classification | None]":
    """Classifies the rows that have a text, and a second one if there are pairs.

    Args:
        classifier: The model.
        texts: Text of each row; None if it is blank.
        text_pairs: Second text of each row, as `texts`; None if rows have one text.

    Returns:
        The answer for each row; None for a row with a blank text.

    Example:
        >>> from edgedistil_runtime import TextClassifier
        >>> with TextClassifier("intents.tflite") as classifier:
        ...     [answer and answer.label for answer in classify_rows(classifier, [None, "play music"], None)]
        [None, 'music']
    """
    places = _places_of_texts(texts, text_pairs)
    answers: list[Classification | None] = [None] * len(texts)
    if places:
        pairs = None if text_pairs is None else _chosen(text_pairs, places)
        given = classifier.classify_batch(_chosen(texts, places), pairs)
        for place, answer in zip(places, given, strict=True):
            answers[place] = answer
    return answers


def count_blank_rows(texts: Texts, text_pairs: Texts | None) -> int:
    """Counts the rows that `classify_rows` has no answer for.

    Example:
        >>> count_blank_rows(["a", None, "c"], ["x", "y", None])
        2
    """
    return len(texts) - len(_places_of_texts(texts, text_pairs))


def _places_of_texts(texts: Texts, text_pairs: Texts | None) -> list[int]:
    rows = zip(texts, texts if text_pairs is None else text_pairs, strict=True)
    return [place for place, row in enumerate(rows) if None not in row]


def _chosen(texts: Texts, places: list[int]) -> list[str]:
    return [text for text in (texts[place] for place in places) if text is not None]

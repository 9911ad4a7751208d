"""Explain a label by occlusion: how the score of a label falls when a word is left out of the text.

It needs only the model's outputs, so it works for every file and every accelerator, and costs one run for each word. A
word whose meaning another word repeats has little effect, because the other one remains.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgedistil_runtime.classification import Classification
from edgedistil_runtime.classifier import TextClassifier
from edgedistil_runtime.errors import InputError

__all__ = ["MOST_WORDS", "Explanation", "WordEffect", "explain", "find_words"]

MOST_WORDS = 500  # each is a run of the model
# Ideographs, kana and Thai are written without blanks, so each of their characters counts as a word; other words are
# letters, digits and marks, with an apostrophe or hyphen between them. Any other visible character is one by itself.
_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+(?:['’-][^\W{_UNSPACED}]+)*|[^\w\s]")


@dataclass(frozen=True)
class WordEffect:
    """A word of a text and what it does for a label.

    Attributes:
        word: The word, as it is in the text.
        start, end: Its place in the text, in characters.
        effect: Score of the label with the word minus the score without it: above 0, the word speaks for the label.
        label_without: The label that the text has without the word.
    """

    word: str
    start: int
    end: int
    effect: float
    label_without: str


@dataclass(frozen=True)
class Explanation:
    """The effects of the words of a text on the score of a label.

    Attributes:
        classification: Result for the whole text.
        label: The label whose score is explained.
        score: Its score for the whole text.
        words: Every word with its effect, in the order of the text.
    """

    classification: Classification
    label: str
    score: float
    words: tuple[WordEffect, ...]

    def strongest(self, count: int = 3) -> list[WordEffect]:
        """Return the words that speak most for the label, the strongest first; none without an effect or against it."""
        return sorted((word for word in self.words if word.effect > 0), key=lambda word: -word.effect)[:count]


def find_words(text: str) -> list[tuple[int, int]]:
    """Return the places of the words of a text: words between blanks, punctuation, characters of unspaced scripts.

    Example:
        >>> text = "don't stop, 東京!"
        >>> [text[start:end] for start, end in find_words(text)]
        ["don't", 'stop', ',', '東', '京', '!']
    """
    return [found.span() for found in _WORD.finditer(text)]


def explain(classifier: TextClassifier, text: str, label: str | None = None) -> Explanation:
    """Explain the score of a label by leaving out each word of the text in turn.

    Args:
        classifier: The model.
        text: Text to explain.
        label: Label to explain; None for the text's own.

    Raises:
        InputError: The text is not a string or has more than 500 words, or the model lacks the label or takes no
            text.
        BackendError: A run failed.

    Example:
        >>> with TextClassifier("intents.tflite") as classifier:
        ...     explanation = explain(classifier, "play some music")
        >>> explanation.label, [word.word for word in explanation.words]
        ('music', ['play', 'some', 'music'])
    """
    if label is not None and label not in classifier.labels:
        raise InputError(f"`label` must be one of {', '.join(classifier.labels[:20])}. Received: {label!r}.")
    whole = classifier.classify(text)
    places = find_words(text)
    if len(places) > MOST_WORDS:
        raise InputError(
            f"A text to explain must have at most {MOST_WORDS} words, because each is a run of the model. "
            f"Received: {len(places):,} words. Pass a part of the text."
        )
    chosen = whole.label if label is None else label
    score = whole.probabilities[chosen]
    # One by one, as the whole text: in a batch, padding would change a score by a rounding error.
    without = [classifier.classify(text[:start] + text[end:]) for start, end in places]
    words = tuple(
        WordEffect(text[start:end], start, end, score - answer.probabilities[chosen], answer.label)
        for (start, end), answer in zip(places, without)
    )
    return Explanation(whole, chosen, score, words)

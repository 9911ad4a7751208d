"""New texts from training texts, for a teacher to answer.

A student learns more of its teacher from more texts, even from texts that nobody would write. Dropped words and sampled
n-grams are of https://arxiv.org/abs/1903.12136 (section 3.2), which masks words and also swaps words of one part of
speech. Here, a text's span is replaced by a span of another text of its class instead, which needs no tagger.
"""

import random
from collections.abc import Collection, Hashable, Iterator, Sequence

from edgedistil.data import LabelledTexts, MultiLabelTexts

__all__ = ["augment"]

# Shares of the new texts that each step changes. The first and the last are those of the paper.
_DROPPED_WORDS = 0.1
_WITH_OTHER_SPAN = 0.5
_SHORTENED = 0.25
_LONGEST_SPAN = 5  # words; the paper's n-grams have one to five
_TRIES = 5  # for each new text that is wanted: short texts have few variants


def augment(
    texts: LabelledTexts | MultiLabelTexts, per_text: int, *, seed: int = 0, known: Collection[str] = ()
) -> tuple[str, ...]:
    """Makes new texts from labelled ones; words are what white space separates.

    For each new text, a span of words is perhaps replaced by one of another text of the class, each word is perhaps
    dropped, and perhaps only some words in a row are kept.

    Args:
        texts: Texts and their labels. The class of a text with several labels is the set of them.
        per_text: Number of new texts for each text. A short text may get fewer: no text is made twice.
        seed: Seed; the same texts and seed give the same new texts.
        known: Texts that must not be made, beside `texts`.

    Example:
        >>> texts = LabelledTexts(("turn the lights on", "switch on every lamp"), ("on", "on"))
        >>> new = augment(texts, 3)
        >>> len(new), len({*new, *texts.texts})
        (6, 8)
        >>> sorted({word for text in new for word in text.split()} - set(" ".join(texts.texts).split()))
        []
    """
    seen = {_normal(text) for text in (*texts.texts, *known)}
    words_of = [text.split() for text in texts.texts]
    rows_of: dict[Hashable, list[int]] = {}
    classes: Sequence[Hashable] = (
        texts.labels if isinstance(texts, LabelledTexts) else [*map(frozenset, texts.label_sets)]
    )
    for row, label in enumerate(classes):
        if words_of[row]:
            rows_of.setdefault(label, []).append(row)
    new: list[str] = []
    for row, label in enumerate(classes):
        if not words_of[row]:
            continue
        # Of its own: what a text becomes does not depend on how often others were tried.
        generator = random.Random(f"{seed} {row}")
        others = [other for other in rows_of[label] if other != row]
        variants = _variants(words_of, row, others, generator)
        made = 0
        for _ in range(_TRIES * per_text):
            if made == per_text:
                break
            text = next(variants)
            if text not in seen:
                seen.add(text)
                new.append(text)
                made += 1
    return tuple(new)


def _variants(
    words_of: Sequence[list[str]], row: int, others: Sequence[int], generator: random.Random
) -> Iterator[str]:
    while True:
        words = words_of[row]
        if others and generator.random() < _WITH_OTHER_SPAN:
            words = _with_span(words, words_of[generator.choice(others)], generator)
        words = [word for word in words if generator.random() >= _DROPPED_WORDS] or words
        if generator.random() < _SHORTENED:
            words = _span(words, generator)
        yield " ".join(words)


def _with_span(words: Sequence[str], other: Sequence[str], generator: random.Random) -> list[str]:
    """The words with one of their spans replaced by a span of another text."""
    length = generator.randint(1, min(len(words), _LONGEST_SPAN))
    start = generator.randint(0, len(words) - length)
    return [*words[:start], *_span(other, generator), *words[start + length :]]


def _span(words: Sequence[str], generator: random.Random) -> list[str]:
    length = generator.randint(1, min(len(words), _LONGEST_SPAN))
    start = generator.randint(0, len(words) - length)
    return list(words[start : start + length])


def _normal(text: str) -> str:
    return " ".join(text.split())

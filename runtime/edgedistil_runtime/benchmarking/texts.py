"""Texts to time: built-in ones of many lengths, or a sample of a file."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from edgedistil_runtime.errors import DataError

__all__ = ["BENCHMARK_TEXTS", "TimedTexts", "choose_texts", "describe_texts"]

# One-word answers, commands, questions, reviews and letters, from 2 characters to the length that most models cut at.
BENCHMARK_TEXTS = (
    "ok",
    "stop",
    "yes please",
    "lights off",
    "what time is it",
    "thank you so much",
    "turn on the kitchen light",
    "play something by Nina Simone",
    "set a timer for twelve minutes",
    "is it going to rain in Zürich today?",
    "please close the blinds in the bedroom",
    "WIN A FREE PRIZE!!! text CLAIM to 80086 now",
    "I would like to move $250.00 to my savings account",
    "the package arrived late and one of the cups was broken",
    "could you remind me to call the dentist tomorrow at half past nine?",
    "An unhurried, warm and funny film; the two leads carry even its weaker half.",
    "My card was charged twice for the same order, #4711, and nobody answers the phone. What can I do?",
    "The update made everything slower: the app takes ten seconds to open, and the battery is empty by noon.",
    "We stayed for three nights. The room was clean and quiet, the breakfast plain but good, and the staff went out of "
    "their way to find us a table on the busiest evening of the year.",
    "The council has put off its decision on the new bridge until the autumn. Shopkeepers on both banks had warned "
    "that two years of building would cost them half of their customers, while the harbour company insists that the "
    "old one will not bear lorries for another winter.",
    "Dear neighbours, the water will be turned off on Thursday from eight in the morning until about two in the "
    "afternoon, because the main pipe in the cellar is being replaced. Please fill a few bottles the evening before, "
    "keep the taps closed, and let the water run for a minute afterwards, since it may be brown at first. If you have "
    "questions, ring at the second door on the left, or write to the address on the board downstairs.",
)


@dataclass(frozen=True)
class TimedTexts:
    """Facts about the texts that were timed.

    Attributes:
        source: Name of their file, never a whole path; `None` for the built-in ones.
        count: Number of texts.
        shortest: Characters of the shortest text.
        median: Median number of characters.
        longest: Characters of the longest text.
    """

    source: str | None
    count: int
    shortest: int
    median: float
    longest: int


def choose_texts(texts: Sequence[str], largest_sample: int) -> tuple[str, ...]:
    """A sample with the lengths of all texts: every k-th by length, the shortest and the longest among them.

    The order is shuffled, always in the same way: neighbours of one length would spare the interpreter its allocations.

    Raises:
        DataError: there are no texts.

    Example:
        >>> sorted(map(len, choose_texts(["a" * length for length in range(1, 100)], 3)))
        [1, 50, 99]
    """
    if not texts:
        raise DataError("There is nothing to time: no texts were given.")
    by_length = sorted(texts, key=len)
    count = min(largest_sample, len(by_length))
    if count == 1:
        return (by_length[len(by_length) // 2],)
    last = len(by_length) - 1
    chosen = [by_length[round(step * last / (count - 1))] for step in range(count)]
    random.Random(0).shuffle(chosen)
    return tuple(chosen)


def describe_texts(texts: Sequence[str], source: str | None) -> TimedTexts:
    """Number and lengths of texts.

    Example:
        >>> describe_texts(["on", "lights off"], None)
        TimedTexts(source=None, count=2, shortest=2, median=6.0, longest=10)
    """
    lengths = sorted(map(len, texts))
    return TimedTexts(source, len(lengths), lengths[0], float(statistics.median(lengths)), lengths[-1])

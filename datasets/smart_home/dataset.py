"""The data set: balanced splits of labelled sentences that share no text, no template and no held-out word.

The recipe of one text: pick a template of the label at random, make its choices, fill its slots with words of the
split, add noise, and keep it unless a text that differs only in case and punctuation was kept before. The test split
is generated first and training last, so that a text that two splits could make goes to the one that measures.
"""

import csv
import random
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from datasets.smart_home.grammar import check_split, realize
from datasets.smart_home.intents import INTENTS, OUT_OF_SCOPE
from datasets.smart_home.noise import NOISE, add_noise
from datasets.smart_home.slots import SLOTS
from datasets.smart_home.templates import TEMPLATES
from edgedistil_converters.files import atomic_path
from edgedistil_runtime.errors import DataError

__all__ = ["SPLIT_SIZES", "Example", "SplitSize", "generate", "generate_training", "write_csv"]

_MAX_ATTEMPTS_PER_TEXT = 200
_PUNCTUATION = re.compile(r"[^a-z0-9%]+")


class Example(NamedTuple):
    """One labelled text."""

    text: str
    label: str


class SplitSize(NamedTuple):
    """How many texts a split has of each intent, and how many out of scope."""

    per_intent: int
    out_of_scope: int

    @property
    def total(self) -> int:
        """The number of texts of the split."""
        return self.per_intent * (len(INTENTS) - 1) + self.out_of_scope


_GENERATION_ORDER = ("test", "validation", "train")

SPLIT_SIZES: Mapping[str, SplitSize] = MappingProxyType(
    {
        "train": SplitSize(per_intent=1020, out_of_scope=2580),
        "validation": SplitSize(per_intent=84, out_of_scope=236),
        "test": SplitSize(per_intent=126, out_of_scope=354),
    }
)
"""24,000 texts to train on, 2,000 to stop by and 3,000 to measure with."""


def generate(split: str, *, seed: int = 0) -> list[Example]:
    """Returns the texts of a split in random order; the same seed gives the same texts everywhere.

    Args:
        split: "train", "validation" or "test".
        seed: Where all random choices start.

    Raises:
        DataError: `split` is none of the three.

    Example:
        >>> len(generate("validation"))
        2000
    """
    check_split(split)
    return list(_generate_all(seed)[split])


def generate_training(rounds: int) -> list[Example]:
    """Returns the training texts of the seeds 0, 1, … without repeats: about 23,000 a round.

    The splits of one seed share no text. Those of different seeds may, so the texts that `generate` gives for
    validation and test are left out here.

    Args:
        rounds: How many seeds, from 1 up; one round gives the texts of `generate("train")`.

    Raises:
        DataError: `rounds` is below 1.
    """
    if rounds < 1:
        raise DataError(f"rounds must be a whole number from 1 up. Received: {rounds}")
    seen = {_spoken(example.text) for split in ("validation", "test") for example in generate(split)}
    kept = []
    for seed in range(rounds):
        for example in generate("train", seed=seed):
            key = _spoken(example.text)
            if key not in seen:
                seen.add(key)
                kept.append(example)
    return kept


def write_csv(split: str, path: Path, *, seed: int = 0) -> int:
    """Writes a split as CSV with the header `text,label`; a file at `path` is replaced.

    Args:
        split: "train", "validation" or "test".
        path: The file to write; its folder must exist.
        seed: Where all random choices start.

    Returns:
        The number of texts written.

    Raises:
        DataError: `split` is none of the three.
        OutputError: `path` cannot be written.
    """
    examples = generate(split, seed=seed)
    with atomic_path(path, force=True) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Example._fields)
        writer.writerows(examples)
    return len(examples)


@lru_cache(maxsize=1)
def _generate_all(seed: int) -> Mapping[str, tuple[Example, ...]]:
    seen: set[str] = set()
    return {split: _generate_split(split, seed, seen) for split in _GENERATION_ORDER}


def _generate_split(split: str, seed: int, seen: set[str]) -> tuple[Example, ...]:
    rng = random.Random(f"smart_home/{split}/{seed}")
    size = SPLIT_SIZES[split]
    examples: list[Example] = []
    for label in INTENTS:
        count = size.out_of_scope if label == OUT_OF_SCOPE else size.per_intent
        examples.extend(Example(_draw_text(label, split, rng, seen), label) for _ in range(count))
    rng.shuffle(examples)
    return tuple(examples)


def _draw_text(label: str, split: str, rng: random.Random, seen: set[str]) -> str:
    """Returns a text that is not in `seen` yet, and adds it there without its case and punctuation."""
    templates = TEMPLATES[label].written_out(split)
    for _ in range(_MAX_ATTEMPTS_PER_TEXT):
        text = add_noise(realize(rng.choice(templates), SLOTS, split, rng), NOISE[split], rng)
        key = _spoken(text)
        if key and key not in seen:
            seen.add(key)
            return text
    raise DataError(f"The {split} templates of {label!r} are exhausted. Add templates or ask for fewer texts.")


def _spoken(text: str) -> str:
    """A text without its case and punctuation."""
    return _PUNCTUATION.sub(" ", text.lower()).strip()

"""The expansion engine: template lines in, sentences out.

A template is one line of text:

    (turn|switch) on the {fixture} [in the {room}]

- `(a|b)` is one of several wordings, `[a]` may be left out, and both nest;
- `<name>` is replaced by the wordings of the frame `name`: "<want> the lights on";
- `{name}` is a word of the slot `name`;
- a leading `~` marks a line that is no imperative ("~it's dark in here") and takes no "could you" in front.

Written out, a line gives *wordings*: plain text with open slots. No two splits share a wording: one that the lists of
several splits can make belongs to the test before validation, and to validation before training.
"""

import random
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

from datasets.smart_home.frames import FRAMES
from edgedistil_runtime.errors import DataError

__all__ = ["SPLITS", "Sentence", "Slot", "Template", "Templates", "check_split", "expand", "realize"]

SPLITS = ("train", "validation", "test")
_PRECEDENCE = ("test", "validation", "train")
STATEMENT_MARK = "~"

_INNERMOST_CHOICE = re.compile(r"\(([^()]*)\)")
_FRAME = re.compile(r"<(\w+)>")
_SLOT = re.compile(r"\{(\w+)\}")
_A_BEFORE_VOWEL = re.compile(r"\ba (?=[aeio]|8|11\b|18\b)(?!one\b)")
_SPACES = re.compile(r"\s+")


class Template(NamedTuple):
    """One line, written out."""

    wordings: tuple[str, ...]
    is_imperative: bool


class Templates(NamedTuple):
    """The templates of one intent: for each split a block of text, one template a line.

    Example:
        >>> Templates(train="dim the lamp", validation="lower the lamp", test="soften the lamp").lines("test")
        ('soften the lamp',)
    """

    train: str
    validation: str
    test: str

    def written_out(self, split: str) -> tuple["Template", ...]:
        """Returns the templates of `split`, each with the wordings that are its own and no other split's.

        Raises:
            DataError: `split` is not one of `SPLITS`.
        """
        check_split(split)
        return _write_out(self, split)

    def lines(self, split: str) -> tuple[str, ...]:
        """Returns the templates of `split`, without blank lines.

        Raises:
            DataError: `split` is not one of `SPLITS`.
        """
        check_split(split)
        block: str = getattr(self, split)
        return tuple(line.strip() for line in block.splitlines() if line.strip())


class Slot(NamedTuple):
    """The words that may fill a slot, for each split."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def words(self, split: str) -> tuple[str, ...]:
        """Returns the words of `split`.

        Raises:
            DataError: `split` is not one of `SPLITS`.
        """
        check_split(split)
        words: tuple[str, ...] = getattr(self, split)
        return words

    @property
    def is_held_out(self) -> bool:
        """Whether the splits share no word; a closed class such as the weekdays is the same in all of them."""
        return not (set(self.train) & set(self.test) or set(self.train) & set(self.validation))


class Sentence(NamedTuple):
    """A template whose choices are made and whose slots are filled."""

    text: str
    is_imperative: bool


def check_split(split: str) -> None:
    """Refuses an unknown split.

    Raises:
        DataError: `split` is not one of `SPLITS`.
    """
    if split not in SPLITS:
        legal = ", ".join(repr(name) for name in SPLITS)
        raise DataError(f"The smart-home data has no such split; legal are {legal}. Received: {split!r}.")


@cache
def expand(template: str) -> tuple[str, ...]:
    """Returns every wording of a template, its slots still open, in a fixed order and without repeats.

    Example:
        >>> expand("(turn|switch) on the {room} light[s]")[0]
        'turn on the {room} lights'
    """
    template = _FRAME.sub(lambda frame: f"({FRAMES[frame[1]]})", template.removeprefix(STATEMENT_MARK))
    template = template.replace("[", "(").replace("]", "|)")
    choice = _INNERMOST_CHOICE.search(template)
    if choice is None:
        return (_SPACES.sub(" ", template).strip(),)
    head, tail = template[: choice.start()], template[choice.end() :]
    wordings = (wording for option in choice[1].split("|") for wording in expand(head + option + tail))
    return tuple(dict.fromkeys(wordings))


@cache
def _write_out(templates: Templates, split: str) -> tuple[Template, ...]:
    taken = {
        wording
        for earlier in _PRECEDENCE[: _PRECEDENCE.index(split)]
        for line in templates.lines(earlier)
        for wording in expand(line)
    }
    written = (
        Template(
            tuple(wording for wording in expand(line) if wording not in taken), not line.startswith(STATEMENT_MARK)
        )
        for line in templates.lines(split)
    )
    return tuple(template for template in written if template.wordings)


def realize(template: Template, slots: Mapping[str, Slot], split: str, rng: random.Random) -> Sentence:
    """Returns one random sentence of a template.

    Args:
        template: A line, written out.
        slots: The slots that a wording may name.
        split: Which words of a slot to use.
        rng: Where all choices come from.

    Raises:
        DataError: The template names a slot that does not exist.
    """
    text = rng.choice(template.wordings)
    while slot := _SLOT.search(text):
        word = rng.choice(_slot_words(slots, slot[1], split))
        text = text[: slot.start()] + word + text[slot.end() :]
    return Sentence(_A_BEFORE_VOWEL.sub("an ", text), template.is_imperative)


def _slot_words(slots: Mapping[str, Slot], name: str, split: str) -> Sequence[str]:
    if name not in slots:
        raise DataError(f"A template names an unknown slot; legal are {', '.join(slots)}. Received: {name!r}.")
    return slots[name].words(split)

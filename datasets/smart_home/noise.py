"""Surface noise: what people and speech recognisers do to a sentence before a classifier sees it.

Each function takes a text and a random generator and makes one kind of change; `add_noise` chains them in the order
in which a text comes about: wording, courtesy, wake word, slips of the finger, case, full stop.
"""

import random
import re
from typing import NamedTuple

from datasets.smart_home.grammar import Sentence

__all__ = [
    "NOISE",
    "NoiseProfile",
    "add_closing",
    "add_context",
    "add_courtesy",
    "add_filler",
    "add_noise",
    "add_typo",
    "add_wake_word",
]
__all__ += ["change_case", "change_contraction", "punctuate"]

FILLERS = ("um", "uh", "hey", "so", "ok", "well", "hmm", "oh", "right", "alright", "and", "er", "hi", "yeah")
REQUESTS = (
    "please", "can you", "could you", "could you please", "can you please", "would you", "i'd like you to", "just",
    "go ahead and", "i want you to", "will you", "quickly", "can someone", "could somebody", "is there a way to",
    "i need you to", "do me a favor and", "be so kind and", "why don't you", "it would be great if you could", "kindly",
    "i was wondering if you could", "are you able to", "do you think you could", "you should", "you can", "try to",
    "make sure to", "be sure to", "help me", "would you be able to", "it's time to", "could you maybe", "go",
)  # fmt: skip
CLOSINGS = (
    "please", "thanks", "thank you", "for me", "now", "right now", "would you", "for me please", "pls", "ok", "asap",
    "as soon as possible", "if you don't mind", "if possible", "when you have a minute", "immediately", "real quick",
    "before i go", "again", "will you", "if you could", "at once", "already", "when you get the chance", "tonight",
)  # fmt: skip
CONTEXTS = (
    "i just got home", "we have guests", "i'm in a hurry", "dinner is ready", "my hands are wet", "it's monday",
    "i'm on my way", "the kids are here", "my mother is coming", "i'm at my desk", "we are all upstairs", "i'm sick",
    "it has been a long day", "i'm on the sofa", "the phone is ringing", "it's almost midnight", "breakfast is over",
    "i have to work", "we're watching a movie", "the dog is barking", "listen", "one more thing", "before i forget",
    "i'm in the bathtub", "my wife is asking", "we are back from work", "it's a holiday", "i can't move right now",
)  # fmt: skip
LINKS = ("", ",", " so", " and", " now", ", so", ", then")
REMARK_CLOSINGS = ("please", "pls", "thanks", "thank you")
WAKE_WORDS = ("hey home", "ok house", "hello home", "hey house", "computer", "ok home")

CONTRACTIONS = (
    ("what's", "what is", "whats"),
    ("it's", "it is", "its"),
    ("i'm", "i am", "im"),
    ("can't", "cannot", "cant"),
    ("don't", "do not", "dont"),
    ("i'd", "i would", "id"),
    ("let's", "let us", "lets"),
    ("who's", "who is", "whos"),
    ("how's", "how is", "hows"),
    ("that's", "that is", "thats"),
)
"""Spellings of the same words: templates are written with the first one."""

_KEY_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_SHORTEST_TYPO_WORD = 4
_LONG_WORD = re.compile(rf"[a-z]{{{_SHORTEST_TYPO_WORD},}}")
_QUESTION = re.compile(
    r"(what|how|who|when|where|why|which|is|are|was|were|do|does|did|has|have you|will|would|can|could|should)\b"
)
_LONE_I = re.compile(r"\bi\b")


class NoiseProfile(NamedTuple):
    """How likely each kind of noise is, from 0 to 1."""

    context: float
    typo: float
    filler: float
    courtesy: float
    wake_word: float
    contraction: float
    sentence_case: float
    upper_case: float
    punctuation: float


NOISE = {
    "train": NoiseProfile(0.08, 0.16, 0.10, 0.40, 0.07, 0.35, 0.20, 0.03, 0.30),
    "validation": NoiseProfile(0.0, 0.08, 0.06, 0.25, 0.05, 0.30, 0.20, 0.02, 0.30),
    "test": NoiseProfile(0.0, 0.08, 0.06, 0.25, 0.05, 0.30, 0.20, 0.02, 0.30),
}
"""The profile of each split: training is noisier than the others, and only training has remarks in front."""


def add_noise(sentence: Sentence, profile: NoiseProfile, rng: random.Random) -> str:
    """Returns the sentence as somebody might have typed or dictated it.

    Args:
        sentence: A clean, lower-case sentence.
        profile: How likely each kind of noise is.
        rng: Where all choices come from.
    """
    text = sentence.text
    if rng.random() < profile.contraction:
        text = change_contraction(text, rng)
    if rng.random() < profile.courtesy:
        text = add_courtesy(text, rng) if sentence.is_imperative else add_closing(text, rng)
    if profile.context and rng.random() < profile.context:  # no random draw if the split has no remarks
        text = add_context(text, rng)
    if rng.random() < profile.filler:
        text = add_filler(text, rng)
    if rng.random() < profile.wake_word:
        text = add_wake_word(text, rng)
    if rng.random() < profile.typo:
        text = add_typo(text, rng)
    if rng.random() < profile.punctuation:
        text = punctuate(text, rng)
    return change_case(text, profile, rng)


def change_contraction(text: str, rng: random.Random) -> str:
    """Writes the contractions of a text another way: "what's" becomes "what is" or "whats"."""
    for written, *others in CONTRACTIONS:
        text = re.sub(rf"\b{written}\b", rng.choice(others), text)
    return text


def add_courtesy(text: str, rng: random.Random) -> str:
    """Puts a request in front of an imperative, a closing after it, or both."""
    draw = rng.random()
    if draw < 0.6:
        text = f"{rng.choice(REQUESTS)} {text}"
    if draw > 0.5:
        text = f"{text} {rng.choice(CLOSINGS)}"
    return text


def add_closing(text: str, rng: random.Random) -> str:
    """Puts "please" or the like after one in three texts that are no imperatives, and leaves the others."""
    return f"{text} {rng.choice(REMARK_CLOSINGS)}" if rng.random() < 1 / 3 else text


def add_context(text: str, rng: random.Random) -> str:
    """Puts a remark that has nothing to do with the request in front of it: "we have guests, so dim the lamp"."""
    return f"{rng.choice(CONTEXTS)}{rng.choice(LINKS)} {text}"


def add_filler(text: str, rng: random.Random) -> str:
    """Puts a filler word such as "um" in front of a text."""
    return f"{rng.choice(FILLERS)}{rng.choice(('', ','))} {text}"


def add_wake_word(text: str, rng: random.Random) -> str:
    """Puts a wake word such as "hey home" in front of a text."""
    return f"{rng.choice(WAKE_WORDS)}{rng.choice(('', ','))} {text}"


def add_typo(text: str, rng: random.Random) -> str:
    """Mistypes one letter: a neighbouring key, a letter dropped, doubled or swapped with the next.

    Only words of four letters or more are touched, and never their first letter, so that "on" does not become "in"
    nor "lock" "dock". A text without such a word is returned as it is.
    """
    words = [match.span() for match in _LONG_WORD.finditer(text)]
    if not words:
        return text
    start, end = rng.choice(words)
    position = rng.randrange(start + 1, end - 1)
    letter, following = text[position], text[position + 1]
    kept, mistyped = rng.choice(
        (
            (position + 1, _neighbouring_key(letter, rng)),
            (position + 1, ""),
            (position + 1, letter * 2),
            (position + 2, following + letter),
        )
    )
    return text[:position] + mistyped + text[kept:]


def punctuate(text: str, rng: random.Random) -> str:
    """Ends a text with a question mark if it reads as a question, else with a full stop or an exclamation mark."""
    return text + ("?" if _QUESTION.match(text) else rng.choice("..!"))


def change_case(text: str, profile: NoiseProfile, rng: random.Random) -> str:
    """Writes a text in lower case, as a sentence, or in capitals."""
    draw = rng.random()
    if draw < profile.upper_case:
        return text.upper()
    if draw < profile.upper_case + profile.sentence_case:
        return text[0].upper() + _LONE_I.sub("I", text[1:])
    return text


def _neighbouring_key(letter: str, rng: random.Random) -> str:
    row = next(row for row in _KEY_ROWS if letter in row)
    place = row.index(letter)
    return rng.choice(row[max(place - 1, 0) : place] + row[place + 1 : place + 2])

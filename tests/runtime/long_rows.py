"""A WordPiece tokenizer in Python that truncates rows, and random texts for it."""

import random
import re
import unicodedata

LENGTH = 16
WORDS = re.compile(r"[!-/:-@\[-`{-~]|[\u4e00-\u9fff]|[^\s!-/:-@\[-`{-~\u4e00-\u9fff]+")
CHARACTERS = [
    "x" * 150,
    *"ab1 _\t\n.,-'ßéЖ東京\u3000\u0301\u115f\u2003\u00a0😀，",
    "\u0440\u0443\u0441",
    "  ",
    "word ",
    "ﷺ",
    "…",
]


def ids_of(text):
    """One piece per two characters of a folded word, one per long word, none for words of only fillers and marks."""
    found = []
    for word in WORDS.findall(text.split("\0")[0]):
        folded = unicodedata.normalize("NFKC", word).replace("\u115f", "").replace("\u1160", "").lstrip("\u0301")
        starts = range(0, len(folded), 2) if len(folded) <= LENGTH else [0]
        found += [3 + ord(folded[place]) % 90 for place in starts]
    return found


def row(text, text_pair=None):
    first = ids_of(text)
    if text_pair is None:
        return [1, *first[: LENGTH - 2], 2]
    second, room = ids_of(text_pair), LENGTH - 3
    kept = min(len(first), max((room + 1) // 2, room - len(second)))  # round_robin
    return [1, *first[:kept], 2, *second[: room - kept], 2]


def random_texts(seed, count):
    generator = random.Random(seed)
    for _ in range(count):
        alphabet = generator.sample(CHARACTERS, generator.randint(1, 6))
        yield "".join(generator.choices(alphabet, k=generator.choice([0, 3, 14, 15, 16, 30, 200, 1500])))

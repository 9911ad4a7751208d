"""What is read of a text that does not fit into a row of token ids: its beginning, its ends, or all of it in pieces.

    cut        the beginning, as a tokenizer truncates
    head-tail  the first and the last ids, half a row of each (C. Sun et al., How to Fine-Tune BERT for Text
               Classification?, 2019, section 5.3.1, with other shares)
    windows    all ids, in rows that overlap by a quarter; their probabilities are averaged

A text is divided into words where it may be cut (`cuts`), and the ids of each word are found once: most words of a text
have been in another one. A piece is a run of words, so it is a text too: any model and any tokenizer takes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from edgedistil_runtime.cuts import Cuts, before_nul
from edgedistil_runtime.errors import InputError
from edgedistil_runtime.long_texts import Excerpt, Tokenize
from edgedistil_runtime.metadata import TokenizerSettings

__all__ = ["CUT", "HEAD_TAIL", "LONG_TEXTS", "WINDOWS", "Pieces", "check_long_texts"]

CUT, HEAD_TAIL, WINDOWS = "cut", "head-tail", "windows"
LONG_TEXTS = (CUT, HEAD_TAIL, WINDOWS)

_OVERLAP = 4  # a quarter of a row
_COUNTED = 2  # counting takes parts of twice as many characters as a row has ids; a row of English has four times
_MOST_KEPT, _LONGEST_KEPT = 1 << 16, 64  # words whose ids are kept, and their characters: about 20 MB at most
_BLANKS = " \t\n\r"  # they have no ids, and end a word


@dataclass(frozen=True)
class _Block:
    """A part of a text that is not divided; `is_truncated` is None if it fills a row, and may have more ids."""

    text: str
    token_ids: Sequence[int]  # without special tokens
    is_truncated: bool | None = False


class Pieces:
    """Divides texts that do not fit into a row of token ids.

    Args:
        settings: Settings of the tokenizer.
        tokenize: Runs the tokenizer, which truncates rows at the sequence length.

    Example:
        >>> from edgedistil_runtime import read_artifact
        >>> settings = read_artifact("intents.tflite").metadata.tokenizer  # sequence_length 16
        >>> row = lambda text, _: [2, *range(5, 5 + len(text.split())), 3][:16]
        >>> pieces = Pieces(settings, row)
        >>> text = " ".join(map(str, range(100, 125)))
        >>> [piece.text[:3] + " to " + piece.text.strip()[-3:] for piece in pieces.divide(text, "windows")]
        ['100 to 113', '111 to 124']
        >>> [piece] = pieces.divide(text, "head-tail")
        >>> piece.text.split()[:8], piece.is_truncated
        (['100', '101', '102', '103', '104', '105', '106', '118'], True)
        >>> pieces.count_ids(text)
        25
    """

    def __init__(self, settings: TokenizerSettings, tokenize: Tokenize) -> None:
        """Find out where texts may be cut; nothing runs."""
        self._settings, self._tokenize = settings, tokenize
        self._room = settings.sequence_length - 2  # [CLS] and [SEP]
        self._cuts = Cuts(settings)
        self._blocks_of: dict[str, _Block] = {}

    def divide(self, text: str, long_texts: str) -> list[Excerpt]:
        """Return the pieces of a text that does not fit into a row.

        Args:
            text: The text.
            long_texts: `head-tail` or `windows`.

        Returns:
            One piece or, with `windows`, some in the order of the text. An empty list if only its beginning can be
            read, because the text is indivisible or, with `head-tail`, its last part is.

        Raises:
            BackendError: A run failed.
        """
        blocks = [self._block(part) for part in self._parts(text, size=1)]
        if len(blocks) < 2:
            return []
        counts = [len(block.token_ids) for block in blocks]
        if long_texts == HEAD_TAIL:
            return self._head_and_tail(blocks, counts)
        return [self._piece(blocks[start:end]) for start, end in self._windows(counts)]

    def count_ids(self, text: str) -> int:
        """Return the number of a text's ids without special tokens; too low if an indivisible part fills a row.

        Raises:
            BackendError: A run failed.
        """
        return sum(map(self._count, self._parts(text, size=max(1, self._room * _COUNTED))))

    def words(self, text: str) -> list[str]:
        """Return the texts that `divide` tokenizes for a text.

        Example:
            >>> from edgedistil_runtime import read_artifact
            >>> pieces = Pieces(read_artifact("intents.tflite").metadata.tokenizer, lambda text, _: [])
            >>> pieces.words("turn on the light, please")
            ['turn', 'on', 'the', 'light', ',', 'please']
        """
        return [part.strip(_BLANKS) for part in self._parts(text, size=1)]

    def _parts(self, text: str, size: int) -> list[str]:
        """Return parts of at most `size` characters if the text may be cut so often, and of one word otherwise."""
        text = before_nul(text)
        places, last = [0], 0
        for place in (*self._cuts.all(text), len(text)):
            if place - places[-1] > size and last > places[-1]:
                places.append(last)
            last = place
        return [text[start:end] for start, end in zip(places, [*places[1:], len(text)]) if start < end]

    def _block(self, text: str) -> _Block:
        """Return an indivisible part of a text with its ids."""
        word = text.strip(_BLANKS)
        kept = self._blocks_of.get(word)
        if kept is None:
            row = self._tokenize(word, None)
            kept = _Block(word, row[1:-1], is_truncated=None if len(row) >= self._settings.sequence_length else False)
            if len(word) <= _LONGEST_KEPT:
                if len(self._blocks_of) >= _MOST_KEPT:
                    self._blocks_of.clear()
                self._blocks_of[word] = kept
        return kept if word == text else replace(kept, text=text)

    def _count(self, text: str) -> int:
        """Return the number of ids of a part of a text; if it fills a row, that of its halves."""
        row = self._tokenize(text, None)
        cuts = self._cuts.all(text) if len(row) >= self._settings.sequence_length else []
        if not cuts:
            return len(row) - 2
        middle = cuts[len(cuts) // 2]
        return self._count(text[:middle]) + self._count(text[middle:])

    def _head_and_tail(self, blocks: Sequence[_Block], counts: Sequence[int]) -> list[Excerpt]:
        head, used = _longest(counts, self._room // 2)
        tail, _ = _longest(reversed(counts[head:]), self._room - used)
        if not tail:  # an indivisible part at the end fills the row
            return []
        space = [_Block(" ", ())] if head else []  # so that the two ends do not make a word
        return [self._piece([*blocks[:head], *space, *blocks[len(blocks) - tail :]], is_truncated=True)]

    def _windows(self, counts: Sequence[int]) -> list[tuple[int, int]]:
        """Return the first block of each window and the block after its last.

        Args:
            counts: Ids of each block.
        """
        windows = []
        start = 0
        while True:
            end = start + max(1, _longest((counts[number] for number in range(start, len(counts))), self._room)[0])
            if end == len(counts):
                break
            windows.append((start, end))
            back, _ = _longest(reversed(counts[start + 1 : end]), self._room // _OVERLAP)
            start = end - back
        # The last window begins as early as its row has room: it is as full as the others.
        back = max(1, _longest(reversed(counts), self._room)[0])
        return [*windows, (len(counts) - back, len(counts))]

    def _piece(self, blocks: Sequence[_Block], *, is_truncated: bool = False) -> Excerpt:
        ids = [token for block in blocks for token in block.token_ids]
        flags = [block.is_truncated for block in blocks]
        flag = True if is_truncated or True in flags else None if None in flags else False
        return Excerpt(
            "".join(block.text for block in blocks),
            None,
            is_truncated=flag,
            token_ids=[self._settings.start_id, *ids, self._settings.end_id],
        )


def check_long_texts(long_texts: str) -> None:
    """Raise an error if there is no such way to read long texts.

    Raises:
        InputError: It is not one of `LONG_TEXTS`.

    Example:
        >>> check_long_texts("middle")
        Traceback (most recent call last):
        edgedistil_runtime.errors.InputError: `long_texts` must be one of cut, head-tail, windows. Received: 'middle'.
    """
    if long_texts not in LONG_TEXTS:
        raise InputError(f"`long_texts` must be one of {', '.join(LONG_TEXTS)}. Received: {long_texts!r}.")


def _longest(counts: Iterable[int], room: int) -> tuple[int, int]:
    """Return how many of the first blocks fit into a room, and the number of their ids."""
    used = number = 0
    for count in counts:
        if used + count > room:
            break
        used, number = used + count, number + 1
    return number, used

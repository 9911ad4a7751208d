"""Texts longer than a row of token ids, for a Keras classifier: their number, and the pieces that are read of them.

The pieces are those of the runtime (`edgedistil_runtime.pieces`), found with the Keras tokenizer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgedistil.truncation import Truncation
from edgedistil_converters.tokenizer.settings import read_tokenizer
from edgedistil_runtime.cuts import before_nul
from edgedistil_runtime.long_texts import most_token_ids
from edgedistil_runtime.pieces import CUT, WINDOWS, Pieces, check_long_texts

__all__ = ["TextPieces", "divide_texts", "mean_by_text", "measure_truncation"]

_TEXTS_PER_CALL = 1024


@dataclass(frozen=True)
class TextPieces:
    """What is read of texts.

    Attributes:
        texts: Pieces, in the order of their texts; a text that fits is one piece.
        rows: int64 [pieces], number of the text that each piece is from.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> preprocessor = load_classifier("intents").preprocessor  # sequence_length 16
        >>> pieces = divide_texts(preprocessor, ["play music", "turn on the light " * 5], "windows")
        >>> pieces.rows.tolist()
        [0, 1, 1]
        >>> [["music", "lights"][row] for row in pieces.rows]  # labels of the pieces, for training
        ['music', 'lights', 'lights']
    """

    texts: tuple[str, ...]
    rows: NDArray[np.int64]


def divide_texts(preprocessor: Any, texts: Sequence[str], long_texts: str) -> TextPieces:
    """Divides texts that do not fit into a row, as `TextClassifier` does.

    Args:
        preprocessor: Preprocessor of the classifier.
        texts: Texts.
        long_texts: `cut`, which leaves texts as they are (the preprocessor truncates them), `head-tail` or `windows`.

    Raises:
        InputError: there is no such way.
        ConversionError: the tokenizer is not a WordPiece tokenizer that can be converted.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> preprocessor = load_classifier("intents").preprocessor  # sequence_length 16
        >>> text = "turn on the lights please , and then play some music , is it raining ?"
        >>> divide_texts(preprocessor, [text], "head-tail").texts
        ('turn on the lights please , and  music , is it raining ?',)
    """
    check_long_texts(long_texts)
    if long_texts == CUT:
        return TextPieces(tuple(texts), np.arange(len(texts)))
    settings, _ = read_tokenizer(preprocessor)
    rows = _Rows(preprocessor, settings.start_id, settings.end_id)
    pieces = Pieces(settings, rows)
    long = set(np.flatnonzero(_counts(preprocessor, texts) > rows.room).tolist())
    rows.prepare({word for number in long for word in pieces.words(texts[number])})
    divided = [
        (piece, number)
        for number, text in enumerate(texts)
        for piece in ([one.text for one in pieces.divide(text, long_texts)] if number in long else []) or [text]
    ]
    return TextPieces(tuple(piece for piece, _ in divided), np.array([number for _, number in divided], "int64"))


def mean_by_text(probabilities: NDArray[np.float32], pieces: TextPieces) -> NDArray[np.float32]:
    """Means of the probabilities of each text's pieces: float32 [pieces, classes] -> [texts, classes].

    Example:
        >>> pieces = TextPieces(("a", "b", "c"), np.array([0, 1, 1]))
        >>> mean_by_text(np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]], "float32"), pieces).tolist()
        [[1.0, 0.0], [0.25, 0.75]]
    """
    counts = np.bincount(pieces.rows)
    sums = np.zeros((len(counts), probabilities.shape[1]))
    np.add.at(sums, pieces.rows, probabilities)
    return np.asarray(sums / counts[:, None], "float32")


def measure_truncation(preprocessor: Any, texts: Sequence[str], long_texts: str = CUT) -> Truncation:
    """Counts the tokens of all texts, and those that are not read.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> preprocessor = load_classifier("intents").preprocessor  # sequence_length 16
        >>> print(measure_truncation(preprocessor, ["play music", "turn on the light " * 7]))
        1 of 2 texts is longer than the model's 16 tokens, and 50 % of its tokens were not read
    """
    room = int(preprocessor.sequence_length) - 2
    counts = _counts(preprocessor, texts)
    long = counts[counts > room]
    if long_texts == WINDOWS:
        return Truncation(len(texts), 0, int(preprocessor.sequence_length), divided=len(long))
    return Truncation(
        texts=len(texts),
        truncated=len(long),
        sequence_length=int(preprocessor.sequence_length),
        counted=len(long),
        tokens=int(long.sum()),
        lost=int((long - room).sum()),
    )


class _Rows:
    """Rows of token ids of words, which are tokenized many at a time."""

    def __init__(self, preprocessor: Any, start_id: int, end_id: int) -> None:
        self.room = int(preprocessor.sequence_length) - 2
        self._preprocessor, self._start, self._end = preprocessor, start_id, end_id
        self._ids: dict[str, list[int]] = {}

    def prepare(self, texts: set[str]) -> None:
        chosen = sorted(texts)
        for start in range(0, len(chosen), _TEXTS_PER_CALL):
            some = chosen[start : start + _TEXTS_PER_CALL]
            self._ids.update(zip(some, _tokenize(self._preprocessor, some), strict=True))

    def __call__(self, text: str, text_pair: str | None) -> list[int]:
        if text not in self._ids:
            self.prepare({text})
        return [self._start, *self._ids[text][: self.room], self._end]


def _tokenize(preprocessor: Any, texts: Sequence[str]) -> list[list[int]]:
    """Token ids without special tokens."""
    ids = preprocessor.tokenizer(tf.constant([before_nul(text) for text in texts]))
    return list(ids.to_list() if isinstance(ids, tf.RaggedTensor) else ids)


def _counts(preprocessor: Any, texts: Sequence[str]) -> NDArray[np.int64]:
    """Number of token ids of each text, without special tokens: int64 [texts]; 0 for a text that certainly fits."""
    counts = np.zeros(len(texts), "int64")
    room = int(preprocessor.sequence_length) - 2
    unsure = [number for number, text in enumerate(texts) if most_token_ids(text) > room]
    for start in range(0, len(unsure), _TEXTS_PER_CALL):
        some = unsure[start : start + _TEXTS_PER_CALL]
        counts[some] = [len(ids) for ids in _tokenize(preprocessor, [texts[number] for number in some])]
    return counts

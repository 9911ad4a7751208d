"""Words as the common ground of two vocabularies: the pieces of one word count together.

A teacher and a student with fewer pieces divide a text into the same words, and some words into other pieces. A word is
a piece that starts one and all that continue it; `[CLS]` and `[SEP]` are words too.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgedistil.training.batches import TokenizedTexts

__all__ = ["continuation_pieces", "mean_by_word", "word_numbers"]


def continuation_pieces(vocabulary: Sequence[str], suffix_indicator: str = "##") -> NDArray[np.bool_]:
    """Returns True for each piece that continues a word, bool[pieces].

    Example:
        >>> continuation_pieces(["[UNK]", "light", "##s"]).tolist()
        [False, False, True]
    """
    return np.array([piece.startswith(suffix_indicator) and piece != suffix_indicator for piece in vocabulary])


def word_numbers(texts: TokenizedTexts, is_continuation: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Returns the number of each token's word in its text, from 0 up, int32[texts, length]; -1 at padding.

    Args:
        texts: Texts.
        is_continuation: `continuation_pieces` of their vocabulary.

    Example:
        >>> texts = TokenizedTexts(np.array([[2, 7, 8, 3, 0]]), np.array([[1, 1, 1, 1, 0]]), np.array([4]))
        >>> word_numbers(texts, np.arange(9) == 8).tolist()
        [[0, 1, 1, 2, -1]]
    """
    starts = ~is_continuation[texts.token_ids]
    numbers = np.cumsum(starts, axis=1) - 1
    return np.where(texts.padding_mask > 0, numbers, -1).astype("int32")


def mean_by_word(
    hidden: NDArray[np.float32], numbers: NDArray[np.int32]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Averages the vectors of the tokens of each word.

    Args:
        hidden: float32[texts, length, width].
        numbers: `word_numbers`, int32[texts, length].

    Returns:
        The words of all texts one after the other, float32[words, width], and the number of words of each text,
        int64[texts].

    Example:
        >>> hidden = np.array([[[1.0], [2.0], [4.0], [9.0]]], "float32")
        >>> vectors, counts = mean_by_word(hidden, np.array([[0, 1, 1, -1]], "int32"))
        >>> vectors.tolist(), counts.tolist()
        ([[1.0], [3.0]], [2])
    """
    counts = numbers.max(axis=1).astype("int64") + 1
    first = np.cumsum(counts) - counts  # row of each text's first word
    is_token = numbers >= 0
    rows = (first[:, None] + numbers)[is_token]  # ascending: words of a text, text by text
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    sums = np.add.reduceat(hidden[is_token], starts, axis=0)
    return sums / np.bincount(rows)[:, None].astype("float32"), counts

"""What KerasHub's own preprocessor makes of texts: the definition of correct, and where training and calibration start.

Two habits of KerasHub's are met here and nowhere else: its graph path ends a text at a NUL, which its Python path does
not, and a tokenizer with `split=False` takes lists of words.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["keras_features", "row_lengths", "scalar_values", "token_id_rows", "unpadded_rows"]

Ids = NDArray[np.int32]

_BATCH = 256


def scalar_values(text: str) -> str:
    """The text with U+FFFD for every lone surrogate, which UTF-8 cannot hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def keras_features(preprocessor: Any, *columns: Sequence[str]) -> tuple[Ids, NDArray[np.bool_]]:
    """Token ids and padding mask of texts, or of pairs of texts.

    Args:
        preprocessor: a `DistilBertTextClassifierPreprocessor`.
        columns: the texts, and for pairs the second texts; a NUL ends a text, and a lone surrogate is U+FFFD.

    Returns:
        int32[texts, sequence_length] and bool of that shape, True at tokens.
    """
    whole: list[Any] = [[scalar_values(text).split("\0")[0] for text in column] for column in columns]
    if not preprocessor.tokenizer.split:
        whole = [[[text] for text in column] for column in whole]
    features = preprocessor(x=tuple(whole) if len(whole) > 1 else whole[0])
    return np.asarray(features["token_ids"], np.int32), np.asarray(features["padding_mask"], bool)


def token_id_rows(preprocessor: Any, *columns: Sequence[str]) -> Ids:
    """Token ids of any number of texts or pairs, padded: int32[texts, sequence_length]; see `keras_features`."""
    starts = range(0, len(columns[0]), _BATCH)
    batches = ([column[first : first + _BATCH] for column in columns] for first in starts)
    return np.concatenate([keras_features(preprocessor, *batch)[0] for batch in batches])


def row_lengths(token_ids: Ids, end_id: int) -> NDArray[np.int64]:
    """Tokens of each row up to and including its last `[SEP]`: a text may spell one out where it is allowed to."""
    lengths: NDArray[np.int64] = token_ids.shape[1] - np.argmax(token_ids[:, ::-1] == end_id, axis=1)
    return lengths


def unpadded_rows(preprocessor: Any, *columns: Sequence[str]) -> list[tuple[int, ...]]:
    """Token ids of any number of texts or pairs, each row without its padding."""
    ids = token_id_rows(preprocessor, *columns)
    lengths = row_lengths(ids, int(preprocessor.tokenizer.end_token_id))
    return [tuple(row[:length].tolist()) for row, length in zip(ids, lengths, strict=True)]

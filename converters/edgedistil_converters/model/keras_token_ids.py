"""Token ids from KerasHub's own preprocessor: what a file must reproduce, and the input of training and calibration.

Works around two KerasHub behaviours: its graph path ends a text at a NUL and its Python path does not, and a tokenizer
with `split=False` takes lists of words.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["keras_features", "row_lengths", "scalar_values", "token_id_rows", "unpadded_rows"]

Ids = NDArray[np.int32]

_BATCH = 256  # texts per call of the preprocessor


def scalar_values(text: str) -> str:
    """Return the text with U+FFFD for every lone surrogate, which UTF-8 cannot encode.

    Example:
        >>> scalar_values("a" + chr(0xD800)) == "a" + chr(0xFFFD)
        True
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def keras_features(preprocessor: Any, *columns: Sequence[str]) -> tuple[Ids, NDArray[np.bool_]]:
    """Return the token ids and padding mask of texts or of pairs of texts.

    Args:
        preprocessor: A `DistilBertTextClassifierPreprocessor`.
        columns: The texts; for pairs also the second texts. A NUL ends a text, and a lone surrogate counts as U+FFFD.

    Returns:
        int32[texts, sequence_length], and bool of the same shape, True at tokens.

    Example:
        >>> import keras_hub
        >>> preprocessor = keras_hub.models.DistilBertTextClassifierPreprocessor.from_preset("intents")
        >>> token_ids, padding_mask = keras_features(preprocessor, ["turn on the light"])
        >>> token_ids.shape, padding_mask.sum().item()
        ((1, 16), 6)
    """
    whole: list[Any] = [[scalar_values(text).split("\0")[0] for text in column] for column in columns]
    if not preprocessor.tokenizer.split:
        whole = [[[text] for text in column] for column in whole]
    features = preprocessor(x=tuple(whole) if len(whole) > 1 else whole[0])
    return np.asarray(features["token_ids"], np.int32), np.asarray(features["padding_mask"], bool)


def token_id_rows(preprocessor: Any, *columns: Sequence[str]) -> Ids:
    """Return the token ids of any number of texts or pairs, int32[texts, sequence_length]; see `keras_features`.

    Example:
        >>> import keras_hub
        >>> preprocessor = keras_hub.models.DistilBertTextClassifierPreprocessor.from_preset("intents")
        >>> token_id_rows(preprocessor, ["turn on"] * 300, ["the light"] * 300)[299, :9].tolist()
        [2, 5, 10, 3, 6, 7, 3, 0, 0]
    """
    starts = range(0, len(columns[0]), _BATCH)
    batches = ([column[first : first + _BATCH] for column in columns] for first in starts)
    return np.concatenate([keras_features(preprocessor, *batch)[0] for batch in batches])


def row_lengths(token_ids: Ids, end_id: int) -> NDArray[np.int64]:
    """Return the number of tokens in each row up to and including its last `[SEP]`, int64[texts].

    The last, because a text may spell `[SEP]` out if its tokenizer allows special tokens in strings.

    Example:
        >>> row_lengths(np.array([[2, 5, 3, 0], [2, 3, 3, 0]], np.int32), end_id=3).tolist()
        [3, 3]
    """
    lengths: NDArray[np.int64] = token_ids.shape[1] - np.argmax(token_ids[:, ::-1] == end_id, axis=1)
    return lengths


def unpadded_rows(preprocessor: Any, *columns: Sequence[str]) -> list[tuple[int, ...]]:
    """Return the token ids of any number of texts or pairs, each row without its padding.

    Example:
        >>> import keras_hub
        >>> preprocessor = keras_hub.models.DistilBertTextClassifierPreprocessor.from_preset("intents")
        >>> unpadded_rows(preprocessor, ["turn on the light"])
        [(2, 5, 10, 6, 7, 3)]
    """
    ids = token_id_rows(preprocessor, *columns)
    lengths = row_lengths(ids, int(preprocessor.tokenizer.end_token_id))
    return [tuple(row[:length].tolist()) for row, length in zip(ids, lengths, strict=True)]

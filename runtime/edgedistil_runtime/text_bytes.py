"""Encode texts for models: as UTF-8 bytes in a row whose length seldom changes, or as a string."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgedistil_runtime.utf8 import encode_bytes

__all__ = ["encode_string", "encode_text"]

_MIN_ROW = 128  # bytes: most commands and queries fit, and files have tensors of this length for them anyway


def encode_text(text: str) -> npt.NDArray[np.int32]:
    r"""Encode a text for signatures with the input `text` of a `builtin` tokenizer.

    The row is padded to the next power of two, because an interpreter allocates its tensors anew when a shape changes;
    texts of similar length share an allocation. Zeros cost nothing: the model stops at the first one, so that a NUL in
    the text ends it. A lone surrogate, which UTF-8 cannot hold, becomes U+FFFD, and a surrogate pair becomes its
    character, as in the WHATWG's conversion to scalar values (https://infra.spec.whatwg.org, 'convert a string into a
    scalar value string').

    Args:
        text: Any string, also an empty one.

    Returns:
        int32[n]: the bytes, right-padded with zeros; n is a power of two and at least 128.

    Raises:
        InputError: `text` is not a string.

    Example:
        >>> encode_text("hé")[:4].tolist()
        [104, 195, 169, 0]
    """
    data = encode_bytes(text)
    row = np.zeros(max(_MIN_ROW, 1 << (len(data) - 1).bit_length()), np.int32)
    row[: len(data)] = np.frombuffer(data, np.uint8)
    return row


def encode_string(text: str) -> npt.NDArray[np.object_]:
    r"""Encode a text for signatures with the input `text` of a `tftext` tokenizer, a string tensor.

    Args:
        text: Any string; see `encode_text` for lone surrogates.

    Returns:
        object[1]: the UTF-8 bytes as one `bytes`.

    Raises:
        InputError: `text` is not a string.

    Example:
        >>> encode_string("hé").tolist()
        [b'h\xc3\xa9']
    """
    return np.array([encode_bytes(text)], np.object_)

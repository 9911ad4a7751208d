"""UTF-8 to code points, at all positions at once and for arbitrary bytes.

Ill-formed bytes give U+FFFD as in the WHATWG Encoding Standard's decoder and in Python's `errors="replace"`: one for
each maximal subpart of an ill-formed sequence (Unicode Standard, section 3.9, table 3-8). This depends on few bytes: a
sequence begins at any byte that is not a continuation byte, its length depends on that byte and the next three, and a
continuation byte that no sequence reaches is one U+FFFD.
"""

from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgedistil_converters.graph.tensors import shared_constant

__all__ = ["decode_utf8"]

_REPLACEMENT = 0xFFFD

# Classes of bytes as in Unicode Standard, table 3-7. The three classes of continuation bytes come first, so that one
# comparison finds them. The byte 0, which ends a text, has the class of every other ASCII byte.
_CLASSES: Final = (
    (range(0x80, 0x90), 0),
    (range(0x90, 0xA0), 1),
    (range(0xA0, 0xC0), 2),
    (range(0x00, 0x80), 3),  # ASCII
    (range(0xC0, 0xC2), 4),  # never well-formed
    (range(0xF5, 0x100), 4),
    (range(0xC2, 0xE0), 5),  # leads of two bytes
    (range(0xE0, 0xE1), 6),  # leads of three
    (range(0xE1, 0xED), 7),
    (range(0xED, 0xEE), 8),
    (range(0xEE, 0xF0), 7),
    (range(0xF0, 0xF1), 9),  # leads of four
    (range(0xF1, 0xF4), 10),
    (range(0xF4, 0xF5), 11),
)
_CONTINUATIONS: Final = 3  # continuation bytes have the classes below 3
_ASCII: Final = 3
_COUNT: Final = 12  # classes
# Class of a lead byte -> (classes that may follow it, number of continuation bytes in its sequence).
_FOLLOWERS: Final = {
    5: ((0, 1, 2), 1),
    6: ((2,), 2),
    7: ((0, 1, 2), 2),
    8: ((0, 1), 2),
    9: ((1, 2), 3),
    10: ((0, 1, 2), 3),
    11: ((0,), 3),
}


def _class_table() -> NDArray[np.int32]:
    """Return the class of each byte, int32[256]."""
    table = np.zeros(256, np.int32)
    for values, number in _CLASSES:
        table[values.start : values.stop] = number
    return table


def _pair_table() -> NDArray[np.int32]:
    """Return the number of continuation bytes, int32[class of a byte * _COUNT + class of the next]; 0 if none fit."""
    table = np.zeros((_COUNT, _COUNT), np.int32)
    for lead, (followers, continuations) in _FOLLOWERS.items():
        table[lead, list(followers)] = continuations
    return table.ravel()


def _payload_table() -> NDArray[np.int32]:
    """Return the marker bits of each class's leads, int32[_COUNT]: a lead's payload is its byte less these."""
    return np.array([0, 0, 0, 0, 0, 0xC0, 0xE0, 0xE0, 0xE0, 0xF0, 0xF0, 0xF0], np.int32)


_CLASS_OF_BYTE, _SEQUENCES, _LEAD_MARK = _class_table(), _pair_table(), _payload_table()


def decode_utf8(text: Any) -> Any:
    """Decode a text: the code point that begins at each byte.

    Args:
        text: int32[n], values from 0 to 255, the last a zero.

    Returns:
        int32[n]: the code point that begins at each byte, or -1 if none does.

    Example:
        >>> decode_utf8(tf.constant([*"a\u00e9!".encode(), 0])).numpy().tolist()
        [97, 233, -1, 33, 0]
        >>> decode_utf8(tf.constant([0xE2, 0x82, 97, 0])).numpy().tolist()  # the euro sign without its last byte
        [65533, -1, 97, 0]
    """
    total = tf.shape(text)[0]
    padded = tf.concat([text, tf.zeros([3], tf.int32)], 0)  # the last byte, and the three after it
    classes = tf.gather(shared_constant(_CLASS_OF_BYTE), padded)
    # All below: int32[total] or bool[total]. b0 is the byte at a position, b1 to b3 the next three; c0 to c3 likewise.
    b0, b1, b2, b3 = (tf.slice(padded, [k], [total]) for k in range(4))
    c0, c1, c2, c3 = (tf.slice(classes, [k], [total]) for k in range(4))
    # Continuation bytes that the sequence needs, 0 if the first two bytes are not the beginning of one.
    needed = tf.gather(shared_constant(_SEQUENCES), c0 * _COUNT + c1)
    has_second = tf.logical_and(needed > 1, c2 < _CONTINUATIONS)
    has_third = tf.logical_and(tf.logical_and(has_second, needed > 2), c3 < _CONTINUATIONS)
    first, second, third = (tf.cast(flag, tf.int32) for flag in (needed > 0, has_second, has_third))
    found = first + second + third  # continuation bytes that the text has
    code_point = b0 - tf.gather(shared_constant(_LEAD_MARK), c0)
    for byte, is_present in ((b1, first), (b2, second), (b3, third)):
        # p -> 64 p + (byte - 0x80) if the byte is present (1), else p: one shift by the byte's six bits.
        code_point += is_present * (code_point * 63 + byte - 0x80)
    is_whole = tf.logical_and(tf.equal(found, needed), tf.logical_or(needed > 0, tf.equal(c0, _ASCII)))
    code_point = tf.where(is_whole, code_point, _REPLACEMENT)
    return tf.where(_is_reached(found, total), -1, code_point)


def _is_reached(found: Any, total: Any) -> Any:
    """Return bool[total], True at bytes of a sequence that begins one, two or three bytes earlier."""
    # one, two, three: continuation bytes found by the sequence that begins 1, 2, 3 bytes earlier, 0 before the text.
    before = tf.concat([tf.zeros([3], tf.int32), found], 0)
    one, two, three = (tf.slice(before, [3 - k], [total]) for k in (1, 2, 3))
    return tf.logical_or(tf.logical_or(one > 0, two > 1), three > 2)

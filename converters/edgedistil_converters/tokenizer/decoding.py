"""UTF-8 to code points, for all positions at once and for any bytes whatever.

Bytes that are no UTF-8 give U+FFFD as the WHATWG Encoding Standard's decoder does, which Python's `errors="replace"`
follows too: one for each maximal subpart of an ill-formed sequence (Unicode Standard, section 3.9, table 3-8). This is
a local matter. A sequence can only begin at a byte that is no continuation byte, how far it reaches depends on it
and the three bytes behind it, and a continuation byte that no sequence reaches stands alone.
"""

from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgedistil_converters.graph.tensors import shared_constant

__all__ = ["decode_utf8"]

_REPLACEMENT = 0xFFFD

# Classes of bytes after Unicode Standard, table 3-7. The three of continuation bytes come first, so that one comparison
# tells them; the class of the byte 0, which ends a text, is that of any other ASCII byte.
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
_CONTINUATIONS: Final = 3  # classes below are continuation bytes
_ASCII: Final = 3
_COUNT: Final = 12
# Class of a lead -> classes that may follow it, and how many continuation bytes its sequence has.
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
    table = np.zeros(256, np.int32)
    for values, number in _CLASSES:
        table[values.start : values.stop] = number
    return table


def _pair_table() -> NDArray[np.int32]:
    """[class of a byte, class of the next] -> continuation bytes of a sequence that begins so, 0 where none can."""
    table = np.zeros((_COUNT, _COUNT), np.int32)
    for lead, (followers, continuations) in _FOLLOWERS.items():
        table[lead, list(followers)] = continuations
    return table.ravel()


def _payload_table() -> NDArray[np.int32]:
    """What a lead of each class contributes is its byte less this."""
    return np.array([0, 0, 0, 0, 0, 0xC0, 0xE0, 0xE0, 0xE0, 0xF0, 0xF0, 0xF0], np.int32)


_CLASS_OF_BYTE, _SEQUENCES, _LEAD_MARK = _class_table(), _pair_table(), _payload_table()


def decode_utf8(text: Any) -> Any:
    """Code points of a text, one for each byte that begins one.

    Args:
        text: int32[n]; values are taken as bytes, those outside 0 to 255 as the nearest byte; a zero ends the text.

    Returns:
        int32[m], 1 <= m <= n + 1: the code point that begins at each byte, -1 where none does; the last is 0, so that
        no tensor behind is ever empty.
    """
    text = tf.clip_by_value(text, 0, 0xFF)
    size = tf.shape(text)[0]
    positions = tf.range(size)
    # The appended size covers a text without a zero, and an empty one.
    end = tf.reduce_min(tf.concat([tf.where(tf.equal(text, 0), positions, size), [size]], 0))
    padded = tf.concat([text[0:end], tf.zeros([4], tf.int32)], 0)
    total = end + 1
    classes = tf.gather(shared_constant(_CLASS_OF_BYTE), padded)
    b0, b1, b2, b3 = (padded[k : k + total] for k in range(4))
    c0, c1, c2, c3 = (classes[k : k + total] for k in range(4))
    due = tf.gather(shared_constant(_SEQUENCES), c0 * _COUNT + c1)  # continuation bytes, as far as two bytes can tell
    has_second = tf.logical_and(due > 1, c2 < _CONTINUATIONS)
    has_third = tf.logical_and(tf.logical_and(has_second, due > 2), c3 < _CONTINUATIONS)
    first, second, third = (tf.cast(flag, tf.int32) for flag in (due > 0, has_second, has_third))
    found = first + second + third
    code_point = b0 - tf.gather(shared_constant(_LEAD_MARK), c0)
    for byte, is_there in ((b1, first), (b2, second), (b3, third)):
        code_point += is_there * (code_point * 63 + byte - 0x80)  # times 64, plus the byte's six bits
    is_whole = tf.logical_and(tf.equal(found, due), tf.logical_or(due > 0, tf.equal(c0, _ASCII)))
    code_point = tf.where(is_whole, code_point, _REPLACEMENT)
    return tf.where(_is_reached(found, total), -1, code_point)


def _is_reached(found: Any, total: Any) -> Any:
    """bool[total]: whether each byte belongs to a sequence that begins one, two or three bytes before it."""
    before = tf.concat([tf.zeros([3], tf.int32), found], 0)
    one, two, three = (before[3 - k : 3 - k + total] for k in (1, 2, 3))
    return tf.logical_or(tf.logical_or(one > 0, two > 1), three > 2)

"""Shapes that are the same for most texts.

After an op whose output has another shape than in the run before, LiteRT prepares all later ops and plans their memory
anew (tensorflow/lite/core/subgraph.cc, `Subgraph::InvokeImpl`). For a text of a hundred bytes that takes longer than
its tokens do. So lengths that depend on a text are rounded up; only the number of its token ids is exact.
"""

from typing import Any

import tensorflow as tf

from edgedistil_converters.tokenizer.trie import SEPARATOR

__all__ = ["LENGTH_STEP", "cut_at_zero", "first_positions", "pad_symbols", "round_up"]

LENGTH_STEP = 128  # bytes or symbols; LiteRT takes as long for 128 as for 32
_POSITIONS_STEP = 32


def round_up(number: Any, step: int) -> Any:
    """Return the smallest multiple of a step that is not below a number, int32.

    Example:
        >>> round_up(tf.constant([1, 16, 17]), 16).numpy().tolist()
        [16, 16, 32]
    """
    return (number + (step - 1)) // step * step


def cut_at_zero(text: Any) -> Any:
    """Return the bytes of a text, then zeros.

    Args:
        text: int32[n], bytes; values outside 0 to 255 count as the nearest byte; a zero ends the text.

    Returns:
        int32[k], k a multiple of `LENGTH_STEP`: the bytes before the first zero, then zeros, at least one.

    Example:
        >>> cut = cut_at_zero(tf.constant([99, 300, 0, 7])).numpy()
        >>> cut[:5].tolist(), cut.shape
        ([99, 255, 0, 0, 0], (128,))
    """
    text = tf.concat([text, tf.zeros([LENGTH_STEP], tf.int32)], 0)
    zero = tf.zeros_like(text)
    text = tf.minimum(tf.maximum(text, zero), zero + 0xFF)  # LiteRT is slow if one operand is a scalar
    end = tf.argmin(text, output_type=tf.int32)  # the first zero
    size = round_up(end + 1, LENGTH_STEP)
    text = tf.slice(text, [0], tf.reshape(size, [1]))
    return tf.where(tf.range(size) < end, text, 0)


def pad_symbols(symbols: Any) -> Any:
    """Return symbols, then separators up to a multiple of `LENGTH_STEP`, at least one: int32[n] -> int32[k].

    Example:
        >>> pad_symbols(tf.constant([7, 8])).numpy()[:4].tolist(), pad_symbols(tf.range(128)).shape
        ([7, 8, 0, 0], TensorShape([256]))
    """
    size = round_up(tf.shape(symbols)[0] + 1, LENGTH_STEP)
    return tf.slice(tf.concat([symbols, tf.fill([LENGTH_STEP], SEPARATOR)], 0), [0], tf.reshape(size, [1]))


def first_positions(flags: Any) -> Any:
    """Return the positions of True in bool[n], then the last position until the end: int32[k].

    k is a multiple of 32 above the number of True, or n if that is smaller. Callers read the last position as none: its
    flag is False.

    Example:
        >>> first_positions(tf.constant([False, True, True, False])).numpy().tolist()
        [1, 2, 3, 3]
        >>> first_positions(tf.range(40) < 31)[29:].numpy().tolist()
        [29, 30, 39]
    """
    total = tf.shape(flags)[0]
    count = tf.reduce_sum(tf.cast(flags, tf.int32))
    keys = tf.where(flags, total - tf.range(total), 0)
    kept = tf.minimum(round_up(count + 1, _POSITIONS_STEP), total)
    return tf.minimum(total - tf.math.top_k(keys, kept).values, total - 1)

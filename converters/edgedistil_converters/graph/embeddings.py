"""Embedding tables as the graph stores them: float, int8 rows with a scale each, or int4 blocks.

Quantizers leave a GATHER's table in float or give all of it one scale. Here every row has its own: int8 rows are
gathered, widened and multiplied by their gathered scale, with GATHER, CAST and MUL alone, so the file holds one byte
a weight, the error of a row is at most half of 1/127 of its own largest value, and no table is ever dequantized whole.

int4 needs a scale for every few weights. The scale of a block of up to 32 is a multiple of one of its row's, kept in a
byte, as in QLoRA's double quantization (Dettmers et al. 2023, arXiv 2305.14314), so that a weight takes 4.25 bits. A
negative multiple turns the range round, so that the largest weight of a block can stand at -8, whatever its sign, and
no step is wasted, as in llama.cpp's Q4_0. Two weights share a byte and are told apart by FLOOR, MUL and SUB: TFLite's
own int4 tensors cannot be gathered everywhere.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgedistil_converters.graph.tensors import shared_constant
from edgedistil_runtime.errors import ConversionError

__all__ = ["EmbeddingTable", "FloatTable", "Int4Table", "Int8Table", "embedding_table"]

_INT8_MAX = 127  # symmetric: -128 is not used
_INT4_MIN, _INT4_MAX = -8, 7
_BLOCK, _NARROWEST_BLOCK = 32, 8
_OFFSET = 8  # of the second weight of a byte, so that it is never negative
# Of the scale with which a block's largest value would be 7 steps: 7/8 puts it at -8, less cuts it to lower the error
# of the others.
_SHARES = (1.0, 0.95, 0.9, 7 / 8, 0.85, 0.8, 0.75, 0.7)
_ROWS_AT_ONCE = 4096  # or the candidates of a large table take gigabytes


class EmbeddingTable(Protocol):
    """Rows that a graph can look up."""

    def rows(self, ids: Any) -> Any:
        """float32[n, width] for ids int32[n]."""

    def first_rows(self, count: Any) -> Any:
        """float32[count, width]: the first rows of the table."""


@dataclass(frozen=True)
class FloatTable:
    """A table of float32[rows, width]."""

    values: NDArray[np.float32]

    def rows(self, ids: Any) -> Any:
        """float32[n, width] for ids int32[n]."""
        return tf.gather(shared_constant(self.values), ids)

    def first_rows(self, count: Any) -> Any:
        """float32[count, width]: the first rows of the table."""
        return shared_constant(self.values)[0:count]


@dataclass(frozen=True)
class Int8Table:
    """A table of int8[rows, width] with a scale float32[rows, 1] for each row."""

    values: NDArray[np.int8]
    scales: NDArray[np.float32]

    def rows(self, ids: Any) -> Any:
        """float32[n, width] for ids int32[n]."""
        return tf.cast(tf.gather(shared_constant(self.values), ids), tf.float32) * tf.gather(
            shared_constant(self.scales), ids
        )

    def first_rows(self, count: Any) -> Any:
        """float32[count, width]: the first rows of the table."""
        return tf.cast(shared_constant(self.values)[0:count], tf.float32) * shared_constant(self.scales)[0:count]


@dataclass(frozen=True)
class Int4Table:
    """A table of 4-bit weights in blocks.

    Attributes:
        packed: int8[rows, width / 2]; a byte holds the weights i and i + width / 2 of a row.
        multiples: int8[rows, blocks], -127 to 127, never 0: the scale of a block is this many times its row's.
        scales: float32[rows, 1].
        width: weights of a row.
    """

    packed: NDArray[np.int8]
    multiples: NDArray[np.int8]
    scales: NDArray[np.float32]
    width: int

    def rows(self, ids: Any) -> Any:
        """float32[n, width] for ids int32[n]."""
        return self._weights(*(tf.gather(shared_constant(part), ids) for part in self._parts))

    def first_rows(self, count: Any) -> Any:
        """float32[count, width]: the first rows of the table."""
        return self._weights(*(shared_constant(part)[0:count] for part in self._parts))

    @property
    def _parts(self) -> tuple[NDArray[Any], ...]:
        return self.packed, self.multiples, self.scales

    def _weights(self, packed: Any, multiples: Any, scales: Any) -> Any:
        both = tf.cast(packed, tf.float32)
        first = tf.floor(both * (1 / 16))
        steps = tf.concat([first, both - 16 * first - _OFFSET], 1)
        blocks = self.multiples.shape[1]
        scale = tf.reshape(tf.cast(multiples, tf.float32) * scales, [-1, blocks, 1])
        return tf.reshape(tf.reshape(steps, [-1, blocks, self.width // blocks]) * scale, [-1, self.width])


def embedding_table(values: NDArray[np.float32], dtype: str) -> EmbeddingTable:
    """A table for the graph.

    Args:
        values: float32[rows, width].
        dtype: `int8`, `int4`, or a float, which the file's converter takes care of.

    Raises:
        ConversionError: an odd width, which int4 cannot pack.
    """
    if dtype == "int4" and values.shape[1] % 2:
        raise ConversionError(
            f"int4 embeddings need an even width. Received: hidden_dim={values.shape[1]}. Use --quantize int8."
        )
    if dtype == "int8":
        return _int8_table(values)
    return _int4_table(values) if dtype == "int4" else FloatTable(values)


def _int8_table(values: NDArray[np.float32]) -> Int8Table:
    scales = _scales(np.abs(values).max(axis=1, keepdims=True), _INT8_MAX)
    return Int8Table(values=np.rint(values / scales).astype(np.int8), scales=scales)


def _int4_table(values: NDArray[np.float32]) -> Int4Table:
    parts = [_int4_rows(values[first : first + _ROWS_AT_ONCE]) for first in range(0, len(values), _ROWS_AT_ONCE)]
    packed, multiples, scales = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Int4Table(packed, multiples, scales, values.shape[1])


def _int4_rows(values: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.int8], NDArray[np.float32]]:
    """Packed weights, multiples and scales of some rows."""
    rows, width = values.shape
    scales = _scales(np.abs(values).max(axis=1, keepdims=True), _INT4_MAX * _INT8_MAX)
    blocks = (values / scales).reshape(rows, -1, _block_width(width))
    multiples = _multiples(blocks)
    steps = _steps(blocks, multiples).reshape(rows, 2, width // 2)
    return (16 * steps[:, 0] + steps[:, 1] + _OFFSET).astype(np.int8), multiples, scales


def _block_width(width: int) -> int:
    """The largest divisor of a row's width that is no more than a block; the row where that would be tiny."""
    widest = max(divisor for divisor in range(1, _BLOCK + 1) if width % divisor == 0)
    return widest if widest >= _NARROWEST_BLOCK else width


def _multiples(blocks: NDArray[np.float32]) -> NDArray[np.int8]:
    """The multiple with the least squared error for each block of weights in units of their row's scale."""
    whole = np.abs(blocks).max(axis=2) / _INT4_MAX
    best = np.clip(np.ceil(whole), 1, _INT8_MAX)  # cuts nothing
    least = _squared_error(blocks, best)
    for share in _SHARES:
        for sign in (1, -1):
            candidate = sign * np.clip(np.rint(share * whole), 1, _INT8_MAX)
            error = _squared_error(blocks, candidate)
            best, least = np.where(error < least, candidate, best), np.minimum(error, least)
    multiples: NDArray[np.int8] = best.astype(np.int8)
    return multiples


def _squared_error(blocks: NDArray[np.float32], multiples: NDArray[Any]) -> NDArray[np.float32]:
    error: NDArray[np.float32] = np.square(blocks - _steps(blocks, multiples) * multiples[:, :, None]).sum(axis=2)
    return error


def _steps(blocks: NDArray[np.float32], multiples: NDArray[Any]) -> NDArray[np.float32]:
    steps: NDArray[np.float32] = np.clip(np.rint(blocks / multiples[:, :, None]), _INT4_MIN, _INT4_MAX)
    return steps


def _scales(largest: NDArray[np.float32], steps: int) -> NDArray[np.float32]:
    """What a step stands for; 1 in a row of zeros, or of numbers whose scale float32 could not hold."""
    return np.where(largest / steps >= np.finfo(np.float32).tiny, largest / steps, 1).astype(np.float32)

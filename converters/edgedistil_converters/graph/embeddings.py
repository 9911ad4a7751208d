"""Embedding tables as the graph stores them: float, int8 rows with a scale each, or int4 blocks.

Quantizers leave the table of a GATHER in float, or give it one scale. Here every row has its own scale: int8 rows are
gathered, cast to float and multiplied by their scale. This takes GATHER, CAST and MUL only. The file holds one byte a
weight, the error is at most half of 1/127 of the row's largest value, and no table is ever dequantized whole.

int4 needs a scale for every few weights. The scale of a block of up to 32 weights is a multiple, -127 to 127, of the
scale of its row, as in the double quantization of QLoRA (Dettmers et al. 2023, arXiv 2305.14314): 4.25 bits a weight.
A negative multiple flips the range, so that the largest weight of a block maps to -8 whatever its sign, as in
llama.cpp's Q4_0. Two weights share a byte; FLOOR, MUL and SUB take them apart, because TFLite's own int4 tensors cannot
be gathered everywhere.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgedistil_converters.graph.tensors import shared_constant
from edgedistil_converters.quantization.gptq import CLIP_FACTORS
from edgedistil_runtime.errors import ConversionError

__all__ = ["EmbeddingTable", "FloatTable", "Int4Table", "Int8Table", "embedding_table"]

_INT8_MAX = 127  # symmetric: -128 is not used
_INT4_MIN, _INT4_MAX = -8, 7
_BLOCK, _NARROWEST_BLOCK = 32, 8
_OFFSET = 8  # added to the second weight of a byte, -8 to 7, so that it is never negative
_ROWS_AT_ONCE = 4096  # or the candidates of a large table take gigabytes


class EmbeddingTable(Protocol):
    """A table that a graph can look rows up in."""

    def rows(self, ids: Any) -> Any:
        """Returns float32[n, width] for ids int32[n]."""

    def first_rows(self, count: Any) -> Any:
        """Returns the first rows of the table, float32[count, width]."""


@dataclass(frozen=True)
class FloatTable:
    """A table of float32[rows, width]."""

    values: NDArray[np.float32]

    def rows(self, ids: Any) -> Any:
        """Returns float32[n, width] for ids int32[n]."""
        return tf.gather(shared_constant(self.values), ids)

    def first_rows(self, count: Any) -> Any:
        """Returns the first rows of the table, float32[count, width]."""
        return shared_constant(self.values)[0:count]


@dataclass(frozen=True)
class Int8Table:
    """A table of int8[rows, width] with a scale float32[rows, 1] for each row."""

    values: NDArray[np.int8]
    scales: NDArray[np.float32]

    def rows(self, ids: Any) -> Any:
        """Returns float32[n, width] for ids int32[n]."""
        return tf.cast(tf.gather(shared_constant(self.values), ids), tf.float32) * tf.gather(
            shared_constant(self.scales), ids
        )

    def first_rows(self, count: Any) -> Any:
        """Returns the first rows of the table, float32[count, width]."""
        return tf.cast(shared_constant(self.values)[0:count], tf.float32) * shared_constant(self.scales)[0:count]


@dataclass(frozen=True)
class Int4Table:
    """A table of 4-bit weights in blocks.

    Attributes:
        packed: Weights, int8[rows, width / 2]; a byte holds the weights i and i + width / 2 of a row.
        multiples: Scale of each block in units of its row's scale, int8[rows, blocks], -127 to 127, never 0.
        scales: Scale of each row, float32[rows, 1].
        width: Weights of a row.
    """

    packed: NDArray[np.int8]
    multiples: NDArray[np.int8]
    scales: NDArray[np.float32]
    width: int

    def rows(self, ids: Any) -> Any:
        """Returns float32[n, width] for ids int32[n]."""
        return self._weights(*(tf.gather(shared_constant(part), ids) for part in self._parts))

    def first_rows(self, count: Any) -> Any:
        """Returns the first rows of the table, float32[count, width]."""
        return self._weights(*(shared_constant(part)[0:count] for part in self._parts))

    @property
    def _parts(self) -> tuple[NDArray[Any], ...]:
        return self.packed, self.multiples, self.scales

    def _weights(self, packed: Any, multiples: Any, scales: Any) -> Any:
        # A byte is 16 * first + second + 8, with both weights from -8 to 7: the floor of a sixteenth is the first.
        both = tf.cast(packed, tf.float32)
        first = tf.floor(both * (1 / 16))
        steps = tf.concat([first, both - 16 * first - _OFFSET], 1)
        blocks = self.multiples.shape[1]
        scale = tf.reshape(tf.cast(multiples, tf.float32) * scales, [-1, blocks, 1])
        return tf.reshape(tf.reshape(steps, [-1, blocks, self.width // blocks]) * scale, [-1, self.width])


def embedding_table(values: NDArray[np.float32], dtype: str) -> EmbeddingTable:
    """Returns a table of a dtype for the graph.

    Args:
        values: Embeddings, float32[rows, width].
        dtype: `int8`, `int4`, or a float, which TensorFlow's converter writes as the plan says.

    Raises:
        ConversionError: An odd width, which int4 cannot pack.

    Example:
        >>> table = embedding_table(np.array([[0.5, -1.984375]], np.float32), "int8")  # in steps of 1/64
        >>> table.values.tolist(), table.rows(tf.constant([0])).numpy().tolist()
        ([[32, -127]], [[0.5, -1.984375]])
    """
    if dtype == "int4" and values.shape[1] % 2:
        raise ConversionError(
            f"int4 embeddings need an even width. Received: hidden_dim={values.shape[1]}. "
            "Use the scheme int8 (`scheme`)."
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
    # With this scale of a row, 7 steps of a block whose multiple is 127 reach the row's largest value.
    scales = _scales(np.abs(values).max(axis=1, keepdims=True), _INT4_MAX * _INT8_MAX)
    blocks = (values / scales).reshape(rows, -1, _block_width(width))  # [rows, blocks, weights of a block]
    multiples = _multiples(blocks)  # [rows, blocks]
    steps = _steps(blocks, multiples).reshape(rows, 2, width // 2)  # -8 to 7; the halves of each row
    return (16 * steps[:, 0] + steps[:, 1] + _OFFSET).astype(np.int8), multiples, scales


def _block_width(width: int) -> int:
    """The largest divisor of a row's width up to 32; the whole row if that is less than 8."""
    widest = max(divisor for divisor in range(1, _BLOCK + 1) if width % divisor == 0)
    return widest if widest >= _NARROWEST_BLOCK else width


def _multiples(blocks: NDArray[np.float32]) -> NDArray[np.int8]:
    """The multiple with the least squared error for each block; weights are in units of their row's scale."""
    whole = np.abs(blocks).max(axis=2) / _INT4_MAX  # maps the largest weight of a block to 7 steps
    best = np.clip(np.ceil(whole), 1, _INT8_MAX)  # rounded up, it clips no weight
    least = _squared_error(blocks, best)
    for share in CLIP_FACTORS:
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
    """The value of a step; 1 in a row of zeros, or of numbers so small that float32 cannot hold their scale."""
    return np.where(largest / steps >= np.finfo(np.float32).tiny, largest / steps, 1).astype(np.float32)

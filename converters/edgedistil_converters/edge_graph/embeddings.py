"""Embedding tables as the graph stores them: float, or int8 rows with a scale each.

Quantizers leave a GATHER's table in float or give all of it one scale. Here every row has its own: int8 rows are
gathered, widened and multiplied by their gathered scale, with GATHER, CAST and MUL alone, so the file holds one byte
a weight, the error of a row is at most half of 1/127 of its own largest value, and no table is ever dequantized whole.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgedistil_converters.constants import shared_constant

__all__ = ["EmbeddingTable", "FloatTable", "Int8Table", "embedding_table"]

_INT8_MAX = 127  # symmetric: -128 is not used


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


def embedding_table(values: NDArray[np.float32], *, is_int8: bool) -> EmbeddingTable:
    """A table for the graph.

    Args:
        values: float32[rows, width].
        is_int8: whether to store rows as int8 with a scale each, or as they are.
    """
    if not is_int8:
        return FloatTable(values)
    largest = np.abs(values).max(axis=1, keepdims=True)
    # A row of zeros, or of numbers whose scale float32 could not hold, becomes a row of zeros.
    scales = np.where(largest / _INT8_MAX >= np.finfo(np.float32).tiny, largest / _INT8_MAX, 1).astype(np.float32)
    return Int8Table(values=np.rint(values / scales).astype(np.int8), scales=scales)

"""Which rows of token ids go through a model together.

Neighbours by length, padded to the longest of them: full runs waste little, and few rows keep what a run holds in
memory small. Both limits were measured on real texts (benchmarks/batching.py): equal lengths alone leave a large model
with short runs, and more padding costs more than it saves.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["batches"]

_MOST_ROWS = 8
_MOST_PADDING = 0.1  # of the ids of a run


def batches(lengths: Sequence[int]) -> list[list[int]]:
    """Divides rows into runs.

    Args:
        lengths: token ids of each row, in any order.

    Returns:
        The positions of each run's rows, shorter ones first.

    Example:
        >>> batches([9, 3, 10, 3])
        [[1, 3], [0, 2]]
    """
    runs: list[list[int]] = []
    held = 0  # ids in the last run, without padding
    for position in sorted(range(len(lengths)), key=lengths.__getitem__):
        length = lengths[position]
        cells = length * (len(runs[-1]) + 1) if runs else 0
        if not runs or len(runs[-1]) == _MOST_ROWS or cells - held - length > _MOST_PADDING * cells:
            runs.append([])
            held = 0
        runs[-1].append(position)
        held += length
    return runs

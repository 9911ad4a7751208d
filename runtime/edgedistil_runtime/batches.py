"""Group rows of token ids into runs of a model.

A run holds rows of similar length, padded to the longest. Large runs use the model well, and a small number of rows
limits the memory of a run. Both limits were measured on real texts (benchmarks/batching.py): grouping only equal
lengths gives a large model short runs, and more padding costs more than it saves.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["batches"]

_MAX_ROWS = 8
_MAX_PADDING = 0.1  # share of padding ids in a run


def batches(lengths: Sequence[int]) -> list[list[int]]:
    """Divide rows into runs.

    Args:
        lengths: Number of token ids of each row, in any order.

    Returns:
        Positions in `lengths` for each run, shorter rows first.

    Example:
        >>> batches([9, 3, 10, 3])
        [[1, 3], [0, 2]]
    """
    runs: list[list[int]] = []
    used = 0  # ids in the last run, without padding
    for position in sorted(range(len(lengths)), key=lengths.__getitem__):
        length = lengths[position]
        cells = length * (len(runs[-1]) + 1) if runs else 0  # ids with padding, if this row joins the last run
        if not runs or len(runs[-1]) == _MAX_ROWS or cells - used - length > _MAX_PADDING * cells:
            runs.append([])
            used = 0
        runs[-1].append(position)
        used += length
    return runs

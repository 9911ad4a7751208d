"""A trie in the format of darts-clone, which TensorFlow Text's kernels read.

The format is a double array of 32-bit units (S. Yata's darts-clone, include/darts.h; TF-Text reads it in
core/kernels/darts_clone_trie_wrapper.h). The unit of a node contains:

    bits 0-7    the byte that leads to the node
    bit 8       1 if a key ends at the node
    bits 10-30  an offset

The child by byte `c` is the unit at `node ^ offset ^ c`, if that unit contains `c`. The value of a key that ends at the
node is the unit at `node ^ offset`; its top bit is 1, so that it cannot be taken for a child.

Only `node ^ offset`, the *base* of the children, matters, and nodes may share a base. Equal subtrees are therefore
stored once, as in a minimal automaton: 80,000 characters with the same value take a few hundred units.
"""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["LARGEST_VALUE", "build_darts"]

LARGEST_VALUE = 2**31 - 1
_BLOCK = 256  # a base and its 256 possible children lie in one block, as they differ in the lowest 8 bits
_VALUE = 1 << 31
_HAS_VALUE = 1 << 8
_OFFSET_SHIFT = 10
_OFFSETS = 1 << 21  # offsets from here on need bit 9 and another encoding
_ENDS_HERE = 0  # no key contains this byte, so the value of a key takes its slot

_Subtree = tuple[int | None, tuple[tuple[int, int], ...]]  # value; and (byte, number of the child's subtree) pairs


def build_darts(values: Mapping[bytes, int]) -> NDArray[np.uint32]:
    """Build the trie.

    Args:
        values: Key -> value from 0 to `LARGEST_VALUE`. A key has at least one byte and no zero byte.

    Returns:
        uint32[units], in whole blocks of 256, so that no byte leads out of the array.

    Raises:
        ValueError: A key or a value does not fit the format.

    Example:
        >>> units = build_darts({b"a": 7})
        >>> node = int(units[0] >> 10) ^ ord("a")  # from the root, which is unit 0
        >>> int(units[node ^ int(units[node] >> 10)]) == 1 << 31 | 7
        True
    """
    _check(values)
    subtrees: dict[_Subtree, int] = {}
    root = _add_subtree(sorted(values.items()), 0, subtrees)
    bases, size = _place([_taken_bytes(subtree) for subtree in subtrees])
    units = np.zeros(size, np.uint32)
    nodes = [(0, root)]  # (unit of a node, number of the subtree below it)
    for (value, edges), base in zip(subtrees, bases, strict=True):
        if value is not None:
            units[base] = _VALUE | value
        for byte, child in edges:
            units[base ^ byte] = byte
            nodes.append((base ^ byte, child))
    has_value = [value is not None for value, _ in subtrees]
    for node, number in nodes:
        offset = node ^ bases[number]
        assert offset < _OFFSETS, "the trie has more than 2 million units"
        units[node] |= offset << _OFFSET_SHIFT | _HAS_VALUE * has_value[number]
    return units


def _check(values: Mapping[bytes, int]) -> None:
    for key, value in values.items():
        if not key or _ENDS_HERE in key:
            raise ValueError(f"A key must have at least one byte and no zero byte. Received: {key!r}.")
        if not 0 <= value <= LARGEST_VALUE:
            raise ValueError(f"A value must be from 0 to {LARGEST_VALUE}. Received: {value} for {key!r}.")


def _add_subtree(items: Sequence[tuple[bytes, int]], depth: int, subtrees: dict[_Subtree, int]) -> int:
    """Return the number of the subtree for sorted keys that share their first `depth` bytes; add it if it is new."""
    value = None
    if items and len(items[0][0]) == depth:
        value, items = items[0][1], items[1:]  # the key that ends here sorts first
    edges = tuple(
        (byte, _add_subtree(list(group), depth + 1, subtrees))
        for byte, group in itertools.groupby(items, lambda item: item[0][depth])
    )
    return subtrees.setdefault((value, edges), len(subtrees))


def _taken_bytes(subtree: _Subtree) -> tuple[int, ...]:
    """Return the bytes whose slots a subtree's root needs: those of its children, and 0 for a value."""
    value, edges = subtree
    ends = () if value is None else (_ENDS_HERE,)
    return (*ends, *(byte for byte, _ in edges))


def _place(labels: Sequence[tuple[int, ...]]) -> tuple[list[int], int]:
    """Find a distinct base for every subtree, and the size of the array.

    Because bases are distinct, a unit that contains the expected byte cannot belong to another subtree. The widest
    subtrees are placed first, so that narrow ones fill the holes.

    Args:
        labels: For each subtree, the bytes `c` whose slots `base ^ c` it needs.
    """
    taken, is_base = bytearray(_BLOCK), bytearray(_BLOCK)
    taken[0] = 1  # the root
    bases = [0] * len(labels)
    lowest = 1
    for number in sorted(range(len(labels)), key=lambda n: -len(labels[n])):
        wanted = labels[number] or (_ENDS_HERE,)  # a trie without keys has a root without labels
        slot, misses = lowest - 1, -1
        base = -1
        while base < 0 or is_base[base] or any(taken[base ^ label] for label in wanted):
            slot = taken.find(0, slot + 1)
            if slot < 0:
                slot = len(taken)
                taken.extend(bytes(_BLOCK))
                is_base.extend(bytes(_BLOCK))
            base = slot ^ wanted[0]  # puts the first byte into the free slot; the loop tests the others
            misses += 1
        bases[number] = base
        is_base[base] = 1
        for label in wanted:
            taken[base ^ label] = 1
        if misses > _BLOCK or len(wanted) == 1:  # slots more than a block below are nearly all taken: skip them
            lowest = max(lowest, slot - _BLOCK)
    return bases, len(taken)

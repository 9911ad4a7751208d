"""A trie in the format of darts-clone, in which TensorFlow Text's kernels look up characters.

The format is a double array of 32-bit units (S. Yata's darts-clone, include/darts.h; TF-Text reads it in
core/kernels/darts_clone_trie_wrapper.h). The unit of a node holds, from the lowest bit: 8 bits of the byte that leads
to it, 1 bit that tells whether a key ends there, and from bit 10 an offset. The child by byte `c` sits at
`node ^ offset ^ c`, and it is there if its unit names `c`; the value of a key that ends at the node sits at
`node ^ offset`, with the top bit set, so that no byte leads to it.

Only `node ^ offset` matters, the *base* of the children, and nodes may share one. Equal subtrees are therefore stored
once, as in a minimal automaton: 80,000 characters with the same value take a few hundred units.
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
_OFFSETS = 1 << 21  # larger ones need another encoding
_ENDS_HERE = 0  # no key holds this byte: the value of a key takes its slot

_Subtree = tuple[int | None, tuple[tuple[int, int], ...]]  # value, and for each byte the number of a subtree


def build_darts(values: Mapping[bytes, int]) -> NDArray[np.uint32]:
    """Builds the trie.

    Args:
        values: key -> value from 0 to `LARGEST_VALUE`. A key is not empty and holds no zero byte.

    Returns:
        uint32[units], whole blocks of 256, so that no look-up leaves the array, whatever the bytes.

    Raises:
        ValueError: a key or a value that the format cannot hold.
    """
    _check(values)
    subtrees: dict[_Subtree, int] = {}
    root = _number(sorted(values.items()), 0, subtrees)
    bases, size = _place([_labels(subtree) for subtree in subtrees])
    units = np.zeros(size, np.uint32)
    nodes = [(0, root)]
    for (value, edges), base in zip(subtrees, bases, strict=True):
        if value is not None:
            units[base] = _VALUE | value
        for byte, child in edges:
            units[base ^ byte] = byte
            nodes.append((base ^ byte, child))
    has_value = [value is not None for value, _ in subtrees]
    for node, number in nodes:
        offset = node ^ bases[number]
        assert offset < _OFFSETS, "a trie of two million units"
        units[node] |= offset << _OFFSET_SHIFT | _HAS_VALUE * has_value[number]
    return units


def _check(values: Mapping[bytes, int]) -> None:
    for key, value in values.items():
        if not key or _ENDS_HERE in key:
            raise ValueError(f"A key has bytes, and no zero among them. Received: {key!r}.")
        if not 0 <= value <= LARGEST_VALUE:
            raise ValueError(f"A value is a number from 0 to {LARGEST_VALUE}. Received: {value} for {key!r}.")


def _number(items: Sequence[tuple[bytes, int]], depth: int, subtrees: dict[_Subtree, int]) -> int:
    """The number of the subtree of these sorted keys, whose first `depth` bytes are the same."""
    value = None
    if items and len(items[0][0]) == depth:
        value, items = items[0][1], items[1:]
    edges = tuple(
        (byte, _number(list(group), depth + 1, subtrees))
        for byte, group in itertools.groupby(items, lambda item: item[0][depth])
    )
    return subtrees.setdefault((value, edges), len(subtrees))


def _labels(subtree: _Subtree) -> tuple[int, ...]:
    """The bytes whose slots a subtree takes up."""
    value, edges = subtree
    ends = () if value is None else (_ENDS_HERE,)
    return (*ends, *(byte for byte, _ in edges))


def _place(labels: Sequence[tuple[int, ...]]) -> tuple[list[int], int]:
    """A base of its own for every subtree, widest first, so that the narrow ones fill the holes; and the array's size.

    Bases differ, so a unit that names the right byte is no other subtree's.
    """
    taken, is_base = bytearray(_BLOCK), bytearray(_BLOCK)
    taken[0] = 1  # the root
    bases = [0] * len(labels)
    lowest = 1
    for number in sorted(range(len(labels)), key=lambda n: -len(labels[n])):
        wanted = labels[number] or (_ENDS_HERE,)  # of a trie without keys
        slot, misses = lowest - 1, -1
        base = -1
        while base < 0 or is_base[base] or any(taken[base ^ label] for label in wanted):
            slot = taken.find(0, slot + 1)
            if slot < 0:
                slot = len(taken)
                taken.extend(bytes(_BLOCK))
                is_base.extend(bytes(_BLOCK))
            base = slot ^ wanted[0]
            misses += 1
        bases[number] = base
        is_base[base] = 1
        for label in wanted:
            taken[base ^ label] = 1
        if misses > _BLOCK or len(wanted) == 1:  # what lies below is as good as full
            lowest = max(lowest, slot - _BLOCK)
    return bases, len(taken)

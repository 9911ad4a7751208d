"""The vocabulary as a double-array trie: two small integer tables, in which a graph takes a step with two GATHERs.

A double array (Aoe 1989, "An efficient digital search algorithm by using a double-array structure", IEEE TSE 15(9))
stores every trie node in a slot. The child of the node in slot `s` by symbol `c` is in slot `base[s] + c`; it exists if
and only if `check[base[s] + c] == c`. No two nodes share a base, so the symbol is a sufficient check, and it fits 16
bits if the alphabet does. A failed step goes to slot 0, the dead node. Its base points past the last slot in use, so
that every later step fails too, and the graph needs no branch.

Pieces that start a word and pieces that continue one (`##ing`) are below two roots of the same trie. A piece is a tuple
of symbols, small numbers for characters.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["FIRST_SYMBOL", "SEPARATOR", "UNKNOWN", "Trie", "build_trie"]

SEPARATOR = 0  # the symbol between two words; no piece contains it
UNKNOWN = 1  # the symbol of every character that no piece contains
FIRST_SYMBOL = 2
_DEAD = 0
_FREE = -1


@dataclass(frozen=True)
class Trie:
    """A vocabulary in two double arrays.

    Attributes:
        base: int32[slots], the slot from which the symbols of a node's children count.
        check: int32[slots], the symbol that leads to a node, -1 in a free slot.
        token: int32[slots], the token id of the piece that ends at a node, -1 if none does.
        start: Slot of the root of pieces that start a word.
        continuation: Slot of the root of pieces that continue a word.
        longest: Number of symbols of the longest piece, without its suffix indicator.
    """

    base: NDArray[np.int32]
    check: NDArray[np.int32]
    token: NDArray[np.int32]
    start: int
    continuation: int
    longest: int


def build_trie(
    starts: Mapping[tuple[int, ...], int], continuations: Mapping[tuple[int, ...], int], symbols: int
) -> Trie:
    """Build the trie of two sets of pieces.

    Args:
        starts: Piece -> token id, for pieces that may start a word.
        continuations: Piece without its suffix indicator -> token id, for pieces that may continue a word.
        symbols: Size of the alphabet; all symbols are below it.

    Example:
        >>> trie = build_trie({(2, 3): 7}, {(3,): 8}, symbols=4)
        >>> state = trie.start
        >>> for symbol in (2, 3):
        ...     slot = int(trie.base[state]) + symbol
        ...     state = slot if trie.check[slot] == symbol else 0
        >>> int(trie.token[state])
        7
    """
    children, token = _grow(starts, continuations)
    slot, base, slots = _place(children, symbols)
    tables = {name: np.full(slots, _FREE, np.int32) for name in ("check", "token")}
    # Nodes without children, and the dead node, point to the last `symbols` slots, which are all free.
    base_table = np.full(slots, slots - symbols, np.int32)
    for node, edges in enumerate(children):
        tables["token"][slot[node]] = token[node]
        if edges:
            base_table[slot[node]] = base[node]
        for symbol, child in edges.items():
            tables["check"][slot[child]] = symbol
    return Trie(
        base=base_table,
        check=tables["check"],
        token=tables["token"],
        start=slot[0],
        continuation=slot[1],
        longest=max(map(len, (*starts, *continuations)), default=1),
    )


def _grow(*roots: Mapping[tuple[int, ...], int]) -> tuple[list[dict[int, int]], list[int]]:
    """Return each node's children by symbol, and the token id that ends there (-1 if none); roots come first."""
    children: list[dict[int, int]] = [{} for _ in roots]
    token = [_FREE for _ in roots]
    for root, pieces in enumerate(roots):
        for piece, token_id in pieces.items():
            node = root
            for symbol in piece:
                if symbol not in children[node]:
                    children[node][symbol] = len(children)
                    children.append({})
                    token.append(_FREE)
                node = children[node][symbol]
            token[node] = token_id
    return children, token


def _place(children: list[dict[int, int]], symbols: int) -> tuple[list[int], list[int], int]:
    """Find a slot for every node: widest nodes first, so that the many nodes with one child fill the holes.

    Returns:
        The slot of each node, its base, and the number of slots, including `symbols` free ones at the end.
    """
    taken = bytearray(4 * len(children) + 4 * symbols)
    base_used = bytearray(len(taken))
    slot, base = [0] * len(children), [0] * len(children)
    slot[0], slot[1] = 1, 2  # the dead node is slot 0
    taken[0:3] = b"\1\1\1"
    lowest = 3  # the search for free slots starts here
    for node in sorted((n for n in range(len(children)) if children[n]), key=lambda n: -len(children[n])):
        edges = sorted(children[node])
        # `first`: slot of the first child. The base, first - edges[0], must be unused, and all children's slots free.
        first, misses = taken.find(0, max(lowest, edges[0])), 0
        while base_used[first - edges[0]] or any(taken[first - edges[0] + c] for c in edges):
            first = taken.find(0, first + 1)
            misses += 1
            _make_room(first + 2 * symbols, taken, base_used)
        _make_room(first + 2 * symbols, taken, base_used)
        if misses > 64 or len(edges) == 1:  # slots more than 64 below are nearly all taken: skip them from now on
            lowest = max(lowest, first - 64)
        base[node] = first - edges[0]
        base_used[base[node]] = 1
        for symbol in edges:
            slot[children[node][symbol]] = base[node] + symbol
            taken[base[node] + symbol] = 1
    return slot, base, taken.rfind(1) + 1 + symbols


def _make_room(slots: int, *maps: bytearray) -> None:
    """Lengthen maps that are too short: wide nodes over a wide alphabet leave holes that fit no other node."""
    for taken in maps:
        if slots > len(taken):
            taken.extend(bytes(slots))

"""The vocabulary as a trie that a graph walks down with one GATHER a symbol.

A double array (see `trie.py`) in which a node is known by its *number*: slot `v + c` describes the child of node `v` by
symbol `c`. Two properties make the steps cheap:

* No two nodes have the same number, leaves included. So the symbol is a sufficient check, a node without children needs
  no marker, and tables of what ends at a node are read at its number.
* If the vocabulary is not very large, the symbol and the number of a slot fit 31 bits: `symbol << bits | number`. Less
  the symbol that is read, shifted likewise, that is the number of the child if it exists; else it is negative, or at
  least twice as large as any number.

Number 0 is the dead node: no slot below the size of the alphabet is taken, so that every step from it fails.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgedistil_converters.tokenizer.trie import SEPARATOR

__all__ = ["DEAD", "NodeTrie", "build_node_trie"]

DEAD = 0
_FREE = -1  # a slot without a child; less a shifted symbol, it is negative
_PACKED_BITS = 30  # a shifted symbol takes so many bits at most, so that no sum or difference leaves int32
_TRIES = 128  # of a slot


@dataclass(frozen=True)
class NodeTrie:
    """A vocabulary.

    Attributes:
        child: int32[slots], `symbol << bits | number` of the child of a slot, -1 if there is none; only the number, 0
            if there is none, if the two do not fit together.
        check: int32[slots], the symbol of a slot if `child` does not contain it, else None; -1 if there is no child.
        bits: Bits of a number in `child`, one more than it needs; 0 if `child` does not contain the symbol.
        token: int32[nodes], token id of the longest piece on the path to a node.
        length: int32[nodes], symbols of that piece; 0 for the separator; `no_piece` if no piece is on the path.
        no_piece: A length above every other.
        start: Number of the root of pieces that start a word.
        continuation: Number of the root of pieces that continue a word.
        longest: Symbols of the longest piece.
    """

    child: NDArray[np.int32]
    check: NDArray[np.int32] | None
    bits: int
    token: NDArray[np.int32]
    length: NDArray[np.int32]
    no_piece: int
    start: int
    continuation: int
    longest: int


def build_node_trie(
    starts: Mapping[tuple[int, ...], int],
    continuations: Mapping[tuple[int, ...], int],
    symbols: int,
    most_symbols: int = 100,
) -> NodeTrie:
    """Build the trie of two sets of pieces.

    Args:
        starts: Piece -> token id, for pieces that may start a word.
        continuations: Piece without its suffix indicator -> token id, for pieces that may continue a word.
        symbols: Size of the alphabet; all symbols are below it.
        most_symbols: Symbols of the longest word; `no_piece` is above it.

    Example:
        >>> trie = build_node_trie({(2, 3): 7}, {(3,): 8}, symbols=4)
        >>> node = trie.start
        >>> for symbol in (2, 3):
        ...     node = int(trie.child[node + symbol]) - (symbol << trie.bits)
        >>> int(trie.token[node]), int(trie.length[node])
        (7, 2)
    """
    no_piece = most_symbols + 1
    children, token, length = _grow((starts, continuations), no_piece)
    number = _number(children, symbols)
    size = max(number) + symbols + 1
    child, check = np.full(size, DEAD, np.int32), np.full(size, _FREE, np.int32)
    for node, edges in enumerate(children):
        for symbol, following in edges.items():
            child[number[node] + symbol] = number[following]
            check[number[node] + symbol] = symbol
    bits = max(number).bit_length() + 1
    is_packed = symbols << bits <= 1 << _PACKED_BITS
    tokens, lengths = np.zeros(max(number) + 1, np.int32), np.full(max(number) + 1, no_piece, np.int32)
    tokens[number], lengths[number] = token, length
    return NodeTrie(
        child=np.where(check < 0, _FREE, (check << bits) + child).astype(np.int32) if is_packed else child,
        check=None if is_packed else check,
        bits=bits if is_packed else 0,
        token=tokens,
        length=lengths,
        no_piece=no_piece,
        start=number[0],
        continuation=number[1],
        longest=max(map(len, (*starts, *continuations)), default=1),
    )


def _grow(
    roots: tuple[Mapping[tuple[int, ...], int], ...], no_piece: int
) -> tuple[list[dict[int, int]], list[int], list[int]]:
    """Return each node's children by symbol, and the id and length of the longest piece on the path to it.

    Roots come first, and parents before their children. Both roots have a child by the separator, which ends nothing.
    """
    children: list[dict[int, int]] = [{} for _ in roots]
    parent, own = [-1 for _ in roots], [(0, no_piece) for _ in roots]

    def add(node: int, symbol: int) -> int:
        if symbol not in children[node]:
            children[node][symbol] = len(children)
            children.append({})
            parent.append(node)
            own.append((-1, 0))
        return children[node][symbol]

    for root, pieces in enumerate(roots):
        own[add(root, SEPARATOR)] = (0, 0)
        for piece, token_id in pieces.items():
            node = root
            for symbol in piece:
                node = add(node, symbol)
            own[node] = (token_id, len(piece))
    for node in range(len(roots), len(children)):
        if own[node][0] < 0:
            own[node] = own[parent[node]]
    return children, [token for token, _ in own], [length for _, length in own]


def _number(children: list[dict[int, int]], symbols: int) -> list[int]:
    """Return the number of every node: first those with many children, so that those with one fill the holes."""
    size = 4 * len(children) + 4 * symbols
    # closed: slots that are taken, or that were tried often; the search leaves them out.
    taken, closed, used = bytearray(size), bytearray(size), bytearray(size)
    taken[0:symbols] = closed[0:symbols] = b"\1" * symbols  # the slots of the dead node
    tried = [0] * size
    used[DEAD] = 1
    number = [0] * len(children)
    for node in sorted((n for n in range(len(children)) if children[n]), key=lambda n: -len(children[n])):
        edges = sorted(children[node])
        # The number, `place - edges[0]`, must be unused, and all slots of children free.
        place = closed.find(0, symbols + edges[0])
        while used[place - edges[0]] or any(taken[place - edges[0] + symbol] for symbol in edges):
            tried[place] += 1
            closed[place] = tried[place] > _TRIES
            place = closed.find(0, place + 1)
            if place + 2 * symbols > len(taken):
                for table in (taken, closed, used, tried):
                    table.extend(bytes(len(taken)))
        number[node] = place - edges[0]
        used[number[node]] = 1
        for symbol in edges:
            taken[number[node] + symbol] = closed[number[node] + symbol] = 1
    free = DEAD
    for node, edges_of_node in enumerate(children):
        if not edges_of_node:
            free = used.find(0, free + 1)
            number[node] = free
    return number

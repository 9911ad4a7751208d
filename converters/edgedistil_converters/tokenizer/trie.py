"""The vocabulary as a double-array trie: two small integer tables that a graph walks with GATHER alone.

A double array (Aoe 1989, "An efficient digital search algorithm by using a double-array structure", IEEE TSE 15(9))
stores every trie node at a slot. The child of node `s` by character `c` sits at slot `base[s] + c`, and it is there
if and only if `check[base[s] + c] == c`. No two nodes share a base, so the character alone is a sufficient check and
fits 16 bits where the alphabet does. A failed step goes to slot 0, the dead node, whose base points past the last
slot in use, so that it fails again for ever and the graph needs no branch.

Pieces that start a word and pieces that continue one (`##ing`) hang under two roots of the same trie.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["SEPARATOR", "UNKNOWN_CHARACTER", "Trie", "build_trie"]

SEPARATOR = 0  # the character between two words; no piece contains it
UNKNOWN_CHARACTER = 1  # stands for every character that no piece contains
_FIRST_CHARACTER = 2
_DEAD = 0
_FREE = -1


@dataclass(frozen=True)
class Trie:
    """A vocabulary in two double arrays.

    Attributes:
        character_ids: character -> id, from 2 up; 0 and 1 are `SEPARATOR` and `UNKNOWN_CHARACTER`.
        base: int32[slots], where the children of a node begin.
        check: int32[slots], the character that leads to a node, -1 at a free slot.
        token: int32[slots], the token id of the piece that ends at a node, -1 where none does.
        start: slot of the root of the pieces that start a word.
        continuation: slot of the root of the pieces that continue one.
        longest: characters of the longest piece, the suffix indicator not counted.
    """

    character_ids: dict[str, int]
    base: NDArray[np.int32]
    check: NDArray[np.int32]
    token: NDArray[np.int32]
    start: int
    continuation: int
    longest: int


def build_trie(starts: dict[str, int], continuations: dict[str, int]) -> Trie:
    """Packs two sets of pieces.

    Args:
        starts: piece -> token id, for pieces that may start a word.
        continuations: piece without its suffix indicator -> token id, for pieces that may continue a word.
    """
    alphabet = sorted({character for piece in (*starts, *continuations) for character in piece})
    character_ids = {character: _FIRST_CHARACTER + i for i, character in enumerate(alphabet)}
    children, token = _grow(starts, continuations, character_ids)
    slot, base, slots = _place(children, _FIRST_CHARACTER + len(alphabet))
    tables = {name: np.full(slots, _FREE, np.int32) for name in ("check", "token")}
    base_table = np.zeros(slots, np.int32)
    base_table[_DEAD] = slots - (_FIRST_CHARACTER + len(alphabet))  # a stretch in which every slot is free
    for node, edges in enumerate(children):
        base_table[slot[node]] = base[node] if edges else base_table[_DEAD]
        tables["token"][slot[node]] = token[node]
        for character, child in edges.items():
            tables["check"][slot[child]] = character
    return Trie(
        character_ids=character_ids,
        base=base_table,
        check=tables["check"],
        token=tables["token"],
        start=slot[0],
        continuation=slot[1],
        longest=max(map(len, (*starts, *continuations)), default=1),
    )


def _grow(
    starts: dict[str, int], continuations: dict[str, int], character_ids: dict[str, int]
) -> tuple[list[dict[int, int]], list[int]]:
    """The trie as one dict of edges a node, with the token id that ends there; nodes 0 and 1 are the two roots."""
    children: list[dict[int, int]] = [{}, {}]
    token = [_FREE, _FREE]
    for root, pieces in enumerate((starts, continuations)):
        for piece, token_id in pieces.items():
            node = root
            for character in map(character_ids.__getitem__, piece):
                if character not in children[node]:
                    children[node][character] = len(children)
                    children.append({})
                    token.append(_FREE)
                node = children[node][character]
            token[node] = token_id
    return children, token


def _place(children: list[dict[int, int]], characters: int) -> tuple[list[int], list[int], int]:
    """Finds a slot for every node: widest nodes first, so that the many one-child nodes fill the holes.

    Returns:
        The slot of each node, its base, and the number of slots, a free stretch of `characters` at the end included.
    """
    taken = bytearray(4 * len(children) + 4 * characters)
    base_used = bytearray(len(taken))
    slot, base = [0] * len(children), [0] * len(children)
    slot[0], slot[1] = 1, 2  # the dead node is slot 0
    taken[0:3] = b"\1\1\1"
    lowest = 3
    for node in sorted((n for n in range(len(children)) if children[n]), key=lambda n: -len(children[n])):
        edges = sorted(children[node])
        first, misses = taken.find(0, max(lowest, edges[0])), 0
        while base_used[first - edges[0]] or any(taken[first - edges[0] + c] for c in edges):
            first = taken.find(0, first + 1)
            misses += 1
            _make_room(first + 2 * characters, taken, base_used)
        _make_room(first + 2 * characters, taken, base_used)
        if misses > 64 or len(edges) == 1:  # the stretch below is as good as full
            lowest = max(lowest, first - 64)
        base[node] = first - edges[0]
        base_used[base[node]] = 1
        for character in edges:
            slot[children[node][character]] = base[node] + character
            taken[base[node] + character] = 1
    return slot, base, taken.rfind(1) + 1 + characters


def _make_room(slots: int, *maps: bytearray) -> None:
    """Lengthens the maps where they are too short: wide nodes over a wide alphabet leave holes that no node fits."""
    for taken in maps:
        if slots > len(taken):
            taken.extend(bytes(slots))

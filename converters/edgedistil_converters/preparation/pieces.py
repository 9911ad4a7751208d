"""Which pieces of a vocabulary a smaller one keeps.

Pieces are ranked, and the first ones stay; how many is either what the texts and all single characters need, or a
given number. One order serves both: a smaller number takes away what matters least, a larger one adds the pieces that
are the most frequent in the language.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from edgedistil_runtime.errors import ConversionError

__all__ = ["PieceChoice", "choose_pieces", "texts_with_piece"]

Ids = NDArray[np.int32]

# Rows that BERT's authors left free; no text reaches them, since "[" is a word of its own.
_UNUSED_PIECE = re.compile(r"\[unused\d+\]")


class _Rank(IntEnum):
    """What a piece is kept for; lower ranks stay longer."""

    SPECIAL = 0
    CHARACTER_OF_TEXTS = 1
    USED = 2
    CHARACTER = 3
    OTHER = 4
    UNREACHABLE = 5  # free rows, and pieces that a later equal one hides


@dataclass(frozen=True, eq=False)
class PieceChoice:
    """Which pieces of a vocabulary stay.

    Attributes:
        kept: int32[pieces], the old id of each new id, ascending: the order of pieces does not change.
        is_lasting: bool[old vocabulary], whether the piece would also be kept if the texts were one fewer.
    """

    kept: Ids
    is_lasting: NDArray[np.bool_]


def choose_pieces(
    vocabulary: Sequence[str],
    text_counts: NDArray[np.int64],
    *,
    special_tokens: Iterable[str],
    suffix_indicator: str = "##",
    vocabulary_size: int | None = None,
) -> PieceChoice:
    """Ranks the pieces of a vocabulary and keeps the first ones.

    In this order: special tokens; the single characters that the used pieces are made of, as starts and as
    continuations; used pieces, those of most texts first; all other single characters; then everything else by id,
    because BERT's vocabularies are sorted by frequency; last what no text can reach. Without `vocabulary_size`, all
    single characters are the end; with it, exactly so many pieces are kept. No piece is invented: a character without
    a piece of its own stays without.

    Args:
        vocabulary: one piece an id. Of equal pieces the last counts, as in KerasHub's map from token to id.
        text_counts: int64[vocabulary], in how many texts each piece occurs.
        special_tokens: pieces that must stay; those not in the vocabulary are passed over.
        suffix_indicator: what a piece begins with that continues a word.
        vocabulary_size: how many pieces to keep; if larger than the vocabulary, all are kept.

    Raises:
        ConversionError: special tokens and characters of the texts are more than `vocabulary_size`.

    Example:
        >>> choose_pieces(["[UNK]", "a", "##a", "aa", "b"], np.array([0, 0, 0, 5, 0]), special_tokens=["[UNK]"]).kept
        array([0, 1, 2, 3, 4], dtype=int32)
    """
    ranks = _ranks(vocabulary, text_counts, frozenset(special_tokens), suffix_indicator)
    ids = np.arange(len(vocabulary))
    order = np.lexsort((ids, np.where(ranks == _Rank.USED, -text_counts, 0), ranks))
    needed = int((ranks <= _Rank.CHARACTER).sum())
    size = needed if vocabulary_size is None else vocabulary_size
    _check_size(size, int((ranks <= _Rank.CHARACTER_OF_TEXTS).sum()), needed)
    kept = np.sort(order[:size])
    is_lasting = np.isin(ids, kept) & _is_lasting(ranks, text_counts, order[:size], order[size:])
    return PieceChoice(kept=kept.astype(np.int32), is_lasting=is_lasting)


def texts_with_piece(rows: Ids, size: int) -> NDArray[np.int64]:
    """In how many rows each id occurs, int64[size]."""
    in_order = np.sort(rows, axis=1)
    is_first = np.ones(rows.shape, np.bool_)
    is_first[:, 1:] = in_order[:, 1:] != in_order[:, :-1]
    return np.bincount(in_order[is_first], minlength=size).astype(np.int64)


def _check_size(size: int, smallest: int, needed: int) -> None:
    if size < smallest:
        raise ConversionError(
            f"The special tokens and the characters of these texts are {smallest} pieces, and all that the texts and "
            f"single characters need are {needed}. Received: vocabulary_size={size}. Ask for at least {smallest}, or "
            f"for no size, which gives {needed}."
        )


def _ranks(
    vocabulary: Sequence[str], text_counts: NDArray[np.int64], special_tokens: frozenset[str], suffix_indicator: str
) -> NDArray[np.int64]:
    id_of = {piece: token_id for token_id, piece in enumerate(vocabulary)}
    ranks = np.full(len(vocabulary), _Rank.UNREACHABLE, np.int64)
    ranks[[i for piece, i in id_of.items() if not _UNUSED_PIECE.fullmatch(piece)]] = _Rank.OTHER
    characters = _characters(vocabulary, suffix_indicator)
    ranks[list(characters.values())] = _Rank.CHARACTER
    ranks[text_counts > 0] = _Rank.USED
    used = {vocabulary[i] for i in np.flatnonzero(text_counts).tolist()} - special_tokens
    # A suffix indicator counts as text: with one that is a letter, the piece may have stood at the start of a word.
    forms = {form for character in set("".join(used)) for form in (character, suffix_indicator + character)}
    ranks[[characters[form] for form in forms if form in characters]] = _Rank.CHARACTER_OF_TEXTS
    ranks[[id_of[token] for token in special_tokens if token in id_of]] = _Rank.SPECIAL
    return ranks


def _is_lasting(
    ranks: NDArray[np.int64], text_counts: NDArray[np.int64], kept: NDArray[np.int64], dropped: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Pieces that stay if a text that holds them is taken away, as far as that can be told from the counts.

    A used piece then ranks as one of a text fewer. It either still ranks before the first used piece that was
    dropped, or its id is low enough for it to stay among those that no text needs.
    """
    if not dropped.size:
        return np.ones(len(ranks), np.bool_)
    ids = np.arange(len(ranks))
    dropped_used = dropped[ranks[dropped] == _Rank.USED]
    count, first_id = (text_counts[dropped_used[0]], dropped_used[0]) if dropped_used.size else (1, len(ranks))
    is_before = (text_counts - 1 > count) | ((text_counts - 1 == count) & (ids < first_id))
    others = kept[ranks[kept] == _Rank.OTHER]
    is_low = ids < (others.max() if others.size else 0)
    return np.asarray((ranks != _Rank.USED) | is_before | is_low)


def _characters(vocabulary: Sequence[str], suffix_indicator: str) -> dict[str, int]:
    """Pieces of a single code point, or of a suffix indicator and one, with their ids."""
    continuation = len(suffix_indicator) + 1
    return {
        piece: token_id
        for token_id, piece in enumerate(vocabulary)
        if len(piece) == 1 or (len(piece) == continuation and piece.startswith(suffix_indicator))
    }

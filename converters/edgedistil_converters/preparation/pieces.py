"""Chooses the pieces of a vocabulary that a smaller one keeps.

Pieces are ranked, and the first ones are kept: either all that the texts and single characters need, or a given number.
The order is the same in both cases: a smaller number drops the least important pieces, a larger one adds the pieces
that are most frequent in the language.
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

# Rows that BERT's authors left free. No text reaches them, because "[" is a word by itself.
_UNUSED_PIECE = re.compile(r"\[unused\d+\]")


class _Rank(IntEnum):
    """The reason to keep a piece; lower ranks are kept longer."""

    SPECIAL = 0
    CHARACTER_OF_TEXTS = 1
    USED = 2
    CHARACTER = 3
    OTHER = 4
    UNREACHABLE = 5  # free rows, and pieces that equal a later one


@dataclass(frozen=True, eq=False)
class PieceChoice:
    """The pieces of a vocabulary that are kept.

    Attributes:
        kept: int32[pieces], the old id of each new id, ascending, so the order of pieces does not change.
        is_lasting: bool[old vocabulary], True for pieces that would also be kept without any one of the texts.
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
    """Rank the pieces of a vocabulary and keep the first ones.

    The order: special tokens; single characters of used pieces, as starts and as continuations; used pieces, those in
    most texts first; all other single characters; everything else by id, because BERT's vocabularies are sorted by
    frequency; pieces that no text can reach. Without `vocabulary_size`, the pieces up to the single characters are
    kept; with it, exactly that many. No pieces are added: a character that has no piece still has none.

    Args:
        vocabulary: Pieces; a piece's index is its id. The last of equal pieces counts, as in KerasHub's map from token
            to id.
        text_counts: int64[vocabulary], the number of texts in which each piece occurs.
        special_tokens: Pieces that must be kept; those not in the vocabulary are ignored.
        suffix_indicator: The beginning of pieces that continue a word.
        vocabulary_size: Number of pieces to keep; all of them if it is larger than the vocabulary.

    Raises:
        ConversionError: There are more special tokens and characters of the texts than `vocabulary_size`.

    Example:
        >>> choose_pieces(["[UNK]", "a", "##a", "aa", "b"], np.array([0, 0, 0, 5, 0]), special_tokens=["[UNK]"]).kept
        array([0, 1, 2, 3, 4], dtype=int32)
    """
    ranks = _ranks(vocabulary, text_counts, frozenset(special_tokens), suffix_indicator)
    ids = np.arange(len(vocabulary))
    # Sorted by the last key first: rank, then texts (descending, used pieces only), then id.
    order = np.lexsort((ids, np.where(ranks == _Rank.USED, -text_counts, 0), ranks))
    needed = int((ranks <= _Rank.CHARACTER).sum())
    size = needed if vocabulary_size is None else vocabulary_size
    _check_size(size, int((ranks <= _Rank.CHARACTER_OF_TEXTS).sum()), needed)
    kept = np.sort(order[:size])
    is_lasting = np.isin(ids, kept) & _is_lasting(ranks, text_counts, order[:size], order[size:])
    return PieceChoice(kept=kept.astype(np.int32), is_lasting=is_lasting)


def texts_with_piece(rows: Ids, size: int) -> NDArray[np.int64]:
    """Return the number of rows in which each id occurs, int64[size].

    Args:
        rows: Token ids, int32[texts, sequence_length].
        size: Size of the vocabulary.

    Example:
        >>> texts_with_piece(np.array([[1, 2, 2], [1, 0, 0]], np.int32), size=4).tolist()
        [1, 2, 1, 0]
    """
    in_order = np.sort(rows, axis=1)
    # An id that occurs twice in a row counts once: at its first place in the sorted row.
    is_first = np.ones(rows.shape, np.bool_)
    is_first[:, 1:] = in_order[:, 1:] != in_order[:, :-1]
    return np.bincount(in_order[is_first], minlength=size).astype(np.int64)


def _check_size(size: int, smallest: int, needed: int) -> None:
    if size < smallest:
        raise ConversionError(
            f"The special tokens and the characters of these texts are {smallest} pieces, so `vocabulary_size` must be "
            f"at least that. Received: {size}. Without it, the {needed} pieces that the texts and single characters "
            "need are kept."
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
    # A suffix indicator counts as text: if it is a letter, the piece may have been at the start of a word.
    forms = {form for character in set("".join(used)) for form in (character, suffix_indicator + character)}
    ranks[[characters[form] for form in forms if form in characters]] = _Rank.CHARACTER_OF_TEXTS
    ranks[[id_of[token] for token in special_tokens if token in id_of]] = _Rank.SPECIAL
    return ranks


def _is_lasting(
    ranks: NDArray[np.int64], text_counts: NDArray[np.int64], kept: NDArray[np.int64], dropped: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return bool[vocabulary], True for pieces that are kept without one of their texts, judging by the counts.

    A used piece then ranks by one text fewer. It is kept if it still ranks before the first used piece that was
    dropped, or if its id is low enough for a piece that no text needs.
    """
    if not dropped.size:
        return np.ones(len(ranks), np.bool_)
    ids = np.arange(len(ranks))
    dropped_used = dropped[ranks[dropped] == _Rank.USED]
    count, first_id = (text_counts[dropped_used[0]], dropped_used[0]) if dropped_used.size else (1, len(ranks))
    is_before = (text_counts - 1 > count) | ((text_counts - 1 == count) & (ids < first_id))
    others = kept[ranks[kept] == _Rank.OTHER]  # pieces that no text needs are kept up to the largest of these ids
    is_low = ids < (others.max() if others.size else 0)
    return np.asarray((ranks != _Rank.USED) | is_before | is_low)


def _characters(vocabulary: Sequence[str], suffix_indicator: str) -> dict[str, int]:
    """Return piece -> id for pieces of a single code point, with or without a suffix indicator."""
    continuation = len(suffix_indicator) + 1
    return {
        piece: token_id
        for token_id, piece in enumerate(vocabulary)
        if len(piece) == 1 or (len(piece) == continuation and piece.startswith(suffix_indicator))
    }

"""From a KerasHub preprocessor to plain tokenizer settings, and from a vocabulary to the pieces a text can reach."""

import hashlib
from collections.abc import Sequence
from typing import Any

from edgedistil_runtime.artifact import TokenizerSettings
from edgedistil_runtime.errors import ConversionError

__all__ = ["MAX_BYTES_PER_WORD", "read_tokenizer", "start_and_continuation_pieces"]

# KerasHub and TF-Text give [UNK] for a longer word: keras_hub/src/tokenizers/word_piece_tokenizer.py.
MAX_BYTES_PER_WORD = 100


def read_tokenizer(preprocessor: Any) -> tuple[TokenizerSettings, tuple[str, ...]]:
    """Reads what the graph needs from a `DistilBertTextClassifierPreprocessor`.

    Args:
        preprocessor: a KerasHub preprocessor with a WordPiece tokenizer.

    Returns:
        The settings and the vocabulary.

    Raises:
        ConversionError: the tokenizer has an option that the in-graph tokenizer does not carry.
    """
    tokenizer = preprocessor.tokenizer
    vocabulary = tuple(tokenizer.get_vocabulary())
    settings = TokenizerSettings(
        kind="builtin",
        sequence_length=int(preprocessor.sequence_length),
        lowercase=bool(tokenizer.lowercase),
        strip_accents=bool(tokenizer.strip_accents),
        split=bool(tokenizer.split),
        split_on_cjk=bool(tokenizer.split_on_cjk),
        suffix_indicator=str(tokenizer.suffix_indicator),
        oov_token=str(tokenizer.oov_token),
        special_tokens_in_strings=bool(tokenizer.special_tokens_in_strings),
        vocabulary_size=len(vocabulary),
        vocabulary_sha256=hashlib.sha256("".join(f"{piece}\n" for piece in vocabulary).encode()).hexdigest(),
        start_id=int(tokenizer.start_token_id),
        end_id=int(tokenizer.end_token_id),
        pad_id=int(tokenizer.pad_token_id),
        unknown_id=int(tokenizer.token_to_id(tokenizer.oov_token)),
    )
    _refuse_what_the_graph_lacks(settings)
    return settings, vocabulary


def _refuse_what_the_graph_lacks(settings: TokenizerSettings) -> None:
    if not settings.split:
        raise ConversionError(
            "The in-graph tokenizer splits text into words itself and needs a tokenizer with split=True. "
            "Received: split=False. Build the DistilBertTokenizer with split=True."
        )
    if settings.special_tokens_in_strings:
        raise ConversionError(
            "The in-graph tokenizer reads '[SEP]' typed by a user as plain text. Received: "
            "special_tokens_in_strings=True. Build the DistilBertTokenizer with special_tokens_in_strings=False."
        )
    if settings.sequence_length < 2:
        raise ConversionError(
            f"sequence_length must be at least 2, for [CLS] and [SEP]. Received: {settings.sequence_length}."
        )


def start_and_continuation_pieces(
    vocabulary: Sequence[str], suffix_indicator: str
) -> tuple[dict[str, int], dict[str, int]]:
    """Splits a vocabulary into the pieces that may start a word and those that may continue one.

    A later duplicate of a piece wins, as in KerasHub's map from token to id. Pieces of more bytes than a word may
    have are left out: no word can contain them.

    Returns:
        piece -> id for the starts, and piece without suffix indicator -> id for the continuations.
    """
    fits = {p: i for i, p in enumerate(vocabulary) if p and len(p.encode("utf-8", "replace")) <= MAX_BYTES_PER_WORD}
    continuations = {
        piece.removeprefix(suffix_indicator): token_id
        for piece, token_id in ((p, i) for i, p in enumerate(vocabulary))
        if piece.startswith(suffix_indicator)
        and 0 < len(piece.removeprefix(suffix_indicator).encode("utf-8", "replace")) <= MAX_BYTES_PER_WORD
    }
    return fits, continuations

"""From a KerasHub preprocessor to plain tokenizer settings, and from a vocabulary to the pieces a text can reach."""

import hashlib
import itertools
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
        special_tokens=_special_tokens(tokenizer),
        truncate=str(preprocessor.truncate),
        vocabulary_size=len(vocabulary),
        vocabulary_sha256=hashlib.sha256("".join(f"{piece}\n" for piece in vocabulary).encode()).hexdigest(),
        start_id=int(tokenizer.start_token_id),
        end_id=int(tokenizer.end_token_id),
        pad_id=int(tokenizer.pad_token_id),
        unknown_id=int(tokenizer.token_to_id(tokenizer.oov_token)),
    )
    _check(settings, vocabulary)
    return settings, vocabulary


def _special_tokens(tokenizer: Any) -> tuple[str, ...]:
    """The tokens that a text may spell out, in the order in which KerasHub looks for them."""
    if not (tokenizer.split and tokenizer.special_tokens_in_strings):
        return ()
    return tuple(dict.fromkeys(map(str, tokenizer._special_tokens_for_splitting())))


def _check(settings: TokenizerSettings, vocabulary: Sequence[str]) -> None:
    """Refuses what the graph cannot do exactly."""
    if settings.sequence_length < 2:
        raise ConversionError(
            f"sequence_length must be at least 2, for [CLS] and [SEP]. Received: {settings.sequence_length}."
        )
    if settings.unknown_id in (settings.start_id, settings.end_id, settings.pad_id):
        raise ConversionError(
            "The out-of-vocabulary token must not be [CLS], [SEP] or [PAD], which frame and pad every text. "
            f"Received: oov_token={settings.oov_token!r}. Use the vocabulary's [UNK]."
        )
    for token in settings.special_tokens:
        if token not in vocabulary:
            raise ConversionError(
                f"A special token in strings must be a piece of the vocabulary. Received: {token!r}. "
                "Add it to the vocabulary, or leave it out of special_tokens."
            )
        if not token.isascii() or not token:
            raise ConversionError(
                f"A special token in strings must be ASCII, so that no accent is stripped from it. Received: {token!r}."
            )
    for token, other in itertools.product(settings.special_tokens, repeat=2):
        if (token != other and token in other) or any(
            token[-k:] == other[:k] for k in range(1, min(len(token), len(other)))
        ):
            raise ConversionError(
                "Special tokens in strings must not overlap, so that a text can be read in one way only. "
                f"Received: {token!r} and {other!r}."
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

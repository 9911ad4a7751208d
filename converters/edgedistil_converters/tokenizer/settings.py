"""Reads tokenizer settings from a KerasHub preprocessor, and the usable pieces from a vocabulary."""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from edgedistil_runtime.artifact import TokenizerSettings
from edgedistil_runtime.contract import HUGGING_FACE
from edgedistil_runtime.errors import ConversionError

__all__ = ["MAX_BYTES_PER_WORD", "read_tokenizer", "start_and_continuation_pieces"]

# A longer word is [UNK] in KerasHub and TF-Text: keras_hub/src/tokenizers/word_piece_tokenizer.py.
MAX_BYTES_PER_WORD = 100


def read_tokenizer(preprocessor: Any) -> tuple[TokenizerSettings, tuple[str, ...]]:
    """Read the settings and the vocabulary of a `DistilBertTextClassifierPreprocessor`.

    Args:
        preprocessor: A KerasHub preprocessor with a WordPiece tokenizer.

    Returns:
        The settings, and the vocabulary; a piece's index is its token id.

    Raises:
        ConversionError: The in-graph tokenizer does not support an option of the tokenizer.

    Example:
        >>> import keras_hub
        >>> preprocessor = keras_hub.models.DistilBertTextClassifierPreprocessor.from_preset("intents")
        >>> settings, vocabulary = read_tokenizer(preprocessor)
        >>> settings.sequence_length, vocabulary[settings.start_id], vocabulary[settings.end_id]
        (16, '[CLS]', '[SEP]')
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
    rules = getattr(tokenizer, "rules", None)  # of a `HuggingFaceTokenizer`
    if rules is not None:
        settings = replace(
            settings,
            rules=HUGGING_FACE,
            clean_text=rules.clean_text,
            max_input_chars_per_word=rules.max_input_chars_per_word,
            added_tokens=rules.added_tokens,
        )
    _check(settings, vocabulary)
    return settings, vocabulary


def _special_tokens(tokenizer: Any) -> tuple[str, ...]:
    """Return the tokens that a text may spell out.

    Sorted, because KerasHub keeps them in a set, whose order differs between processes, and equal classifiers must give
    equal files. The order does not matter otherwise: tokens cannot overlap.
    """
    if not (tokenizer.split and tokenizer.special_tokens_in_strings):
        return ()
    return tuple(sorted({str(token) for token in tokenizer._special_tokens_for_splitting()}))


def _check(settings: TokenizerSettings, vocabulary: Sequence[str]) -> None:
    """Refuse settings that the graph cannot reproduce exactly."""
    if settings.sequence_length < 2:
        raise ConversionError(
            f"`sequence_length` must be at least 2, the tokens [CLS] and [SEP]. Received: {settings.sequence_length}."
        )
    if settings.unknown_id in (settings.start_id, settings.end_id, settings.pad_id):
        raise ConversionError(
            "The out-of-vocabulary token must not be [CLS], [SEP] or [PAD], which every row of token ids contains. "
            f"Received: oov_token={settings.oov_token!r}. Use the vocabulary's [UNK]."
        )
    for token in settings.special_tokens:
        if token not in vocabulary:
            raise ConversionError(
                f"A special token in strings must be a piece of the vocabulary. Received: {token!r}. "
                "Add it to the vocabulary, or remove it from the tokenizer's special_tokens."
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
                "Special tokens in strings must not overlap, because a text could then be read in two ways. "
                f"Received: {token!r} and {other!r}."
            )


def start_and_continuation_pieces(
    vocabulary: Sequence[str], suffix_indicator: str, most_characters: int | None = None
) -> tuple[dict[str, int], dict[str, int]]:
    """Split a vocabulary into the pieces that may start a word and those that may continue one.

    The last of several equal pieces counts, as in KerasHub's map from token to id. Pieces that are longer than any word
    are left out.

    Args:
        vocabulary: Pieces; a piece's index is its token id.
        suffix_indicator: The beginning of pieces that continue a word, such as `##`.
        most_characters: Largest number of characters of a word; None for `MAX_BYTES_PER_WORD` bytes.

    Returns:
        Piece -> id for starts, and piece without its suffix indicator -> id for continuations.

    Example:
        >>> start_and_continuation_pieces(["turn", "##ing"], "##")
        ({'turn': 0, '##ing': 1}, {'ing': 1})
    """

    def fits(piece: str) -> bool:
        if most_characters is not None:
            return 0 < len(piece) <= most_characters
        return 0 < len(piece.encode("utf-8", "replace")) <= MAX_BYTES_PER_WORD

    continuations = {
        piece.removeprefix(suffix_indicator): token_id
        for token_id, piece in enumerate(vocabulary)
        if piece.startswith(suffix_indicator) and fits(piece.removeprefix(suffix_indicator))
    }
    return {piece: token_id for token_id, piece in enumerate(vocabulary) if fits(piece)}, continuations

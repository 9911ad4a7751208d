"""WordPiece with TensorFlow Text's custom ops: a string tensor in, token ids out.

This form is for hosts that link TF-Text's kernels and prefer a string input. TF-Text's BERT normalization differs from
KerasHub's, so the ops get custom tables:

1. `FastBertNormalize` replaces each code point by its spelling (`spelling.py`): split, case-folded, stripped.
2. `WhitespaceTokenize` splits at U+0020 and at no other character.
3. `FastWordpieceTokenizeWithOffsets`, the op that KerasHub itself uses, gets the same words as in KerasHub.

Three control characters that no piece contains replace what the text between the ops must not contain: a space inside
a word, a character of no piece, and the end of the text. The last is a piece with the first id after the vocabulary.

The token ids are KerasHub's except for composition: a table of code points cannot join `e` and U+0301, as KerasHub does
when it folds case. Such a text gets other ids if the vocabulary contains the mark or the composed character.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text
from tensorflow_text.python.ops.fast_bert_normalizer import gen_fast_bert_normalizer
from tensorflow_text.python.ops.fast_wordpiece_tokenizer import gen_fast_wordpiece_tokenizer
from tensorflow_text.python.ops.whitespace_tokenizer import gen_whitespace_tokenizer_v2

from edgedistil_converters.graph.tensors import shared_constant
from edgedistil_converters.tokenizer.normalizer_table import build_normalizer_table, ill_formed_sequences
from edgedistil_converters.tokenizer.settings import MAX_BYTES_PER_WORD
from edgedistil_converters.tokenizer.spelling import CODE_POINTS, WORD_BREAK, Spellings
from edgedistil_runtime.artifact import TokenizerSettings
from edgedistil_runtime.contract import HUGGING_FACE
from edgedistil_runtime.errors import ConversionError

__all__ = ["CUSTOM_OPS", "TFTextTokenizer"]

CUSTOM_OPS = frozenset(
    {"FastBertNormalize", "FastWordpieceTokenizeWithOffsets", "TFText>WhitespaceTokenizeWithOffsetsV2"}
)
"""Custom ops of a file with this tokenizer, by the names in TF-Text's registrar."""

_SPACE = " "  # between words, once a text is normalized
_REPLACEMENT_CHARACTER = 0xFFFD
_SURROGATES = range(0xD800, 0xE000)
# TF-Text uses U+0011 for dummy nodes of its trie (fast_wordpiece_tokenizer_model_builder.cc).
_CONTROL_CHARACTERS = [chr(c) for c in range(1, 32) if c != 0x11]


class TFTextTokenizer:
    """The tokenizer as TF-Text's ops: tables of one vocabulary, and the three ops that read them.

    Args:
        settings: Tokenizer options.
        vocabulary: Pieces; a piece's index is its token id.

    Raises:
        ConversionError: The rules are Hugging Face's, the settings allow special tokens in strings, or TF-Text refuses
            the vocabulary.

    Example:
        >>> import keras_hub
        >>> from edgedistil_converters.tokenizer.settings import read_tokenizer
        >>> preprocessor = keras_hub.models.DistilBertTextClassifierPreprocessor.from_preset("intents")
        >>> tokenizer = TFTextTokenizer(*read_tokenizer(preprocessor))
        >>> tf.function(tokenizer)(tf.constant(["turn on the light"])).numpy().tolist()
        [[2, 5, 10, 6, 7, 3]]
    """

    def __init__(self, settings: TokenizerSettings, vocabulary: Sequence[str]) -> None:
        if settings.rules == HUGGING_FACE:
            raise ConversionError(
                "The tokenizer tftext has KerasHub's rules only: it cannot find the special tokens that Hugging Face's "
                f"tokenizers find in every text. Received: rules={settings.rules!r}. Pass `tokenizer`='builtin'."
            )
        if settings.special_tokens_in_strings:
            raise ConversionError(
                "The tokenizer tftext cannot find special tokens in a text. Received: special_tokens_in_strings=True. "
                "Pass `tokenizer`='builtin', which can."
            )
        self.settings = settings
        inner_space, unknown, end = _unused_control_characters(vocabulary)
        self._end_id = len(vocabulary)  # the piece after the last of the vocabulary
        pieces = [*(piece.replace(_SPACE, inner_space) for piece in vocabulary), end]
        special = (part.replace(_SPACE, inner_space) for part in (settings.suffix_indicator, settings.oov_token))
        self._pieces = np.frombuffer(_wordpiece_model(pieces, *special), np.uint8)
        respelling = _Respelling(settings, vocabulary, inner_space, unknown, end)
        self._normalizer = np.frombuffer(build_normalizer_table(dict(respelling.replacements())), np.uint8)

    def __call__(self, text: Any) -> Any:
        """Return the token ids of one text, with `[CLS]` and `[SEP]`.

        Args:
            text: string[1], UTF-8; a NUL ends the text, and ill-formed bytes count as U+FFFD.

        Returns:
            int32[1, m] with 2 <= m <= sequence_length.
        """
        pieces = self.pieces(text)
        pieces = pieces[0 : tf.minimum(tf.shape(pieces)[0], self.settings.sequence_length - 2)]
        return tf.concat([[self.settings.start_id], pieces, [self.settings.end_id]], 0)[None]

    def pieces(self, text: Any) -> Any:
        """Return the token ids of one text, without special tokens and not truncated.

        Args:
            text: string[1], UTF-8.

        Returns:
            int32[m].
        """
        spelled, _, _ = gen_fast_bert_normalizer.fast_bert_normalize(
            text, shared_constant(self._normalizer), get_offsets=False
        )
        words, _, _, _ = gen_whitespace_tokenizer_v2.tf_text_whitespace_tokenize_with_offsets_v2(
            spelled, _only_space_splits()
        )
        _, ids, _, _, _ = gen_fast_wordpiece_tokenizer.fast_wordpiece_tokenize_with_offsets(
            words, shared_constant(self._pieces)
        )
        ids = tf.concat([tf.cast(ids, tf.int32), [self._end_id]], 0)  # so that there is an end without a NUL, too
        places = tf.range(tf.shape(ids)[0])
        return ids[0 : tf.reduce_min(tf.where(tf.equal(ids, self._end_id), places, tf.shape(ids)[0]))]


class _Respelling:
    """The string that the normalizer writes for each code point."""

    def __init__(
        self, settings: TokenizerSettings, vocabulary: Sequence[str], inner_space: str, unknown: str, end: str
    ) -> None:
        self._spellings = Spellings(settings)
        self._known = frozenset().union(*vocabulary)
        self._unknown, self._end = unknown, end
        self._reserved = {_SPACE, inner_space, end}
        self._written = {WORD_BREAK: _SPACE, _SPACE: inner_space, **{c: c for c in self._known - {_SPACE}}}

    def replacements(self) -> Iterator[tuple[bytes, bytes]]:
        """Return (UTF-8 bytes, bytes that replace them) for everything that the normalizer changes."""
        yield b"\0", f"{_SPACE}{self._end}{_SPACE}".encode()
        for code_point in range(1, CODE_POINTS):
            if code_point not in _SURROGATES:
                character, replacement = chr(code_point), self._replacement(code_point)
                if replacement != character:
                    yield character.encode(), replacement.encode()
        for sequence in ill_formed_sequences():
            yield sequence, self._replacement(_REPLACEMENT_CHARACTER).encode()

    def _replacement(self, code_point: int) -> str:
        character, spelling = chr(code_point), self._spellings[code_point]
        if spelling == character and character not in self._reserved:
            return character
        written = "".join([self._written.get(part, self._unknown) for part in spelling])
        if self._unknown not in written:
            return written
        if not (_SPACE in written or character in self._known or character in self._reserved):
            return character  # unknown either way; without an entry it takes no room in the table
        # One unknown character makes its word unknown, so the word needs no other.
        words = written.split(_SPACE)
        return _SPACE.join(self._unknown if self._unknown in word else word for word in words)


def _unused_control_characters(vocabulary: Sequence[str]) -> tuple[str, str, str]:
    """Return three characters of one byte, as U+0020 has, so that no word gets longer."""
    unused = [character for character in _CONTROL_CHARACTERS if not any(character in piece for piece in vocabulary)]
    if len(unused) < 3:
        raise ConversionError(
            "The tokenizer tftext needs three control characters, U+0001 to U+001F, that no piece contains. "
            f"Received: a vocabulary that leaves {len(unused)} of them. Pass `tokenizer`='builtin', or remove the "
            "pieces that contain them."
        )
    return unused[0], unused[1], unused[2]


def _only_space_splits() -> bytes:
    """Return the configuration of `WhitespaceTokenize`: one bit per code point, up to a limit.

    The op also reads the bit of the limit itself, one past the end (whitespace_tokenizer.h, `<=`). The limit is a
    surrogate, which no text contains.
    """
    bits = np.zeros(_SURROGATES.start, np.uint8)
    bits[ord(_SPACE)] = 1
    return np.packbits(bits, bitorder="little").tobytes()


def _wordpiece_model(pieces: list[str], suffix_indicator: str, oov_token: str) -> bytes:
    """Build TF-Text's trie with failure links, for words that are split already, as KerasHub does."""
    is_split_already, can_detokenize = True, False
    try:
        model: bytes = tf_text.build_fast_wordpiece_model(
            pieces, MAX_BYTES_PER_WORD, suffix_indicator, oov_token, is_split_already, can_detokenize
        )
    except RuntimeError as error:
        raise ConversionError(f"TF-Text refuses the vocabulary: {error}") from error
    return model

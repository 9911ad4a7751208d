"""Hugging Face's rules of BERT tokenizers as values, and the tokenizer of the library `tokenizers` that follows them.

A checkpoint's rules are `BertNormalizer`, `BertPreTokenizer` and `WordPiece`, and its added tokens. The library itself
defines what is correct: rows of token ids for training and verification come from it, and so do the tables of the
tokenizer in the graph (`hugging_face_spelling.py`).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import models, normalizers, pre_tokenizers, processors

from edgedistil_runtime.contract import LONGEST_FIRST
from edgedistil_runtime.errors import ConversionError
from edgedistil_runtime.metadata import AddedToken, TokenizerSettings

__all__ = ["HuggingFaceRules", "RowEncoder", "build_tokenizer", "rules_of"]


@dataclass(frozen=True)
class HuggingFaceRules:
    """Options of a BERT tokenizer, named as in `tokenizers`.

    Attributes:
        clean_text: Remove control characters and replace white space by spaces.
        handle_chinese_chars: Make a word of every CJK ideograph.
        strip_accents: Remove accents; None does what `lowercase` does.
        lowercase: Lowercase texts.
        max_input_chars_per_word: Longer words are unknown.
        continuing_subword_prefix: Prefix of pieces that continue a word.
        unk_token: Piece for unknown words.
        added_tokens: Tokens that are found in a text before it is divided into words; special tokens are among them.

    Example:
        >>> HuggingFaceRules(lowercase=False).is_stripped, HuggingFaceRules().is_stripped
        (False, True)
    """

    clean_text: bool = True
    handle_chinese_chars: bool = True
    strip_accents: bool | None = None
    lowercase: bool = True
    max_input_chars_per_word: int = 100
    continuing_subword_prefix: str = "##"
    unk_token: str = "[UNK]"
    added_tokens: tuple[AddedToken, ...] = ()

    @property
    def is_stripped(self) -> bool:
        """True if accents are removed."""
        return self.lowercase if self.strip_accents is None else self.strip_accents

    def normalizer(self) -> normalizers.Normalizer:
        """Return the library's normalizer."""
        return normalizers.BertNormalizer(
            clean_text=self.clean_text,
            handle_chinese_chars=self.handle_chinese_chars,
            strip_accents=self.is_stripped,
            lowercase=self.lowercase,
        )


def rules_of(settings: TokenizerSettings) -> HuggingFaceRules:
    """Return the rules of settings whose `rules` are `hugging_face`."""
    return HuggingFaceRules(
        clean_text=settings.clean_text,
        handle_chinese_chars=settings.split_on_cjk,
        strip_accents=settings.strip_accents,
        lowercase=settings.lowercase,
        max_input_chars_per_word=settings.max_input_chars_per_word,
        continuing_subword_prefix=settings.suffix_indicator,
        unk_token=settings.oov_token,
        added_tokens=settings.added_tokens,
    )


def build_tokenizer(rules: HuggingFaceRules, vocabulary: Sequence[str]) -> tokenizers.Tokenizer:
    """Build the library's tokenizer.

    Args:
        rules: Options.
        vocabulary: Pieces and added tokens; the index is the token id, and the last of equal pieces counts.

    Raises:
        ConversionError: The ids of added tokens are not those in the vocabulary, or lie before those of pieces.

    Example:
        >>> added = AddedToken("[SEP]", 3, special=True, is_piece=True)
        >>> rules = HuggingFaceRules(added_tokens=(added,))
        >>> tokenizer = build_tokenizer(rules, ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "cafe", "##s"])
        >>> tokenizer.encode("CAFÉS [SEP] café!").ids
        [4, 5, 3, 4, 1]
    """
    outside = {token.id for token in rules.added_tokens if not token.is_piece}
    pieces = len(vocabulary) - len(outside)
    if outside != set(range(pieces, len(vocabulary))):
        raise ConversionError(
            "Added tokens that are no pieces must have the ids after those of the pieces, without a gap. "
            f"Received: {pieces} pieces, and the ids {sorted(outside)[:8]}."
        )
    wrong = [token for token in rules.added_tokens if vocabulary[token.id] != token.content]
    if wrong:
        raise ConversionError(
            f"An added token must be in the vocabulary at its id. Received: {wrong[0].content!r} with the id "
            f"{wrong[0].id}, where the vocabulary has {vocabulary[wrong[0].id]!r}."
        )
    tokenizer = tokenizers.Tokenizer(
        models.WordPiece(
            {piece: token_id for token_id, piece in enumerate(vocabulary[:pieces])},
            unk_token=rules.unk_token,
            max_input_chars_per_word=rules.max_input_chars_per_word,
            continuing_subword_prefix=rules.continuing_subword_prefix,
        )
    )
    tokenizer.normalizer = rules.normalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    for token in sorted(rules.added_tokens, key=lambda token: token.id):
        _add(tokenizer, token)
        if tokenizer.token_to_id(token.content) != token.id:
            raise ConversionError(
                "An added token has its own id only if it is no piece and is added once. "
                f"Received: {token.content!r} with the id {token.id}, which is a piece or an added token with the id "
                f"{tokenizer.token_to_id(token.content)}."
            )
    return tokenizer


def _add(tokenizer: tokenizers.Tokenizer, token: AddedToken) -> None:
    options = {
        key: value for key, value in asdict(token).items() if key not in ("content", "id", "special", "is_piece")
    }
    added = tokenizers.AddedToken(token.content, special=token.special, **options)
    (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([added])


class RowEncoder:
    """Encodes texts and pairs of texts as rows of one length, as `transformers` does with padding and truncation.

    Args:
        tokenizer: A tokenizer of `build_tokenizer`; it is not changed.
        sequence_length: Length of the rows.
        start, end, pad: The tokens `[CLS]`, `[SEP]` and `[PAD]`, each with its id.

    Example:
        >>> tokenizer = build_tokenizer(HuggingFaceRules(), ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a"])
        >>> encoder = RowEncoder(tokenizer, 6, ("[CLS]", 2), ("[SEP]", 3), ("[PAD]", 0))
        >>> encoder(["a b"])[0].tolist(), encoder(["a a a"], ["b b"])[0].tolist()
        ([[2, 4, 1, 3, 0, 0]], [[2, 4, 4, 3, 1, 3]])
    """

    def __init__(
        self,
        tokenizer: tokenizers.Tokenizer,
        sequence_length: int,
        start: tuple[str, int],
        end: tuple[str, int],
        pad: tuple[str, int],
    ) -> None:
        self._tokenizer = tokenizers.Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{start[0]} $A {end[0]}", pair=f"{start[0]} $A {end[0]} $B {end[0]}", special_tokens=[start, end]
        )
        self._tokenizer.enable_truncation(sequence_length, strategy=LONGEST_FIRST)
        self._tokenizer.enable_padding(length=sequence_length, pad_id=pad[1], pad_token=pad[0])

    def __call__(self, *columns: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Return token ids, int32[texts, sequence_length], and the mask, True at tokens, also at a spelled `[PAD]`."""
        found = [self._tokenizer.encode(*texts) for texts in zip(*columns, strict=True)]
        return (
            np.array([encoding.ids for encoding in found], np.int32),
            np.array([encoding.attention_mask for encoding in found], bool),
        )

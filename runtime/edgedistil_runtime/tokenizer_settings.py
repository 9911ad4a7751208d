"""Settings of the tokenizer of a file, a part of `edgedistil.json`."""

from __future__ import annotations

from dataclasses import dataclass

from edgedistil_runtime.contract import KERAS_HUB

__all__ = ["AddedToken", "TokenizerSettings"]


@dataclass(frozen=True)
class AddedToken:
    """A token that a text contains as a whole, as in Hugging Face's `tokenizers`.

    Attributes:
        content: The token.
        id: Token id.
        special: The token belongs to the format, as `[SEP]` does, and not to the language.
        single_word: The token counts only if no word character is next to it.
        lstrip: White space before the token belongs to it.
        rstrip: White space after the token belongs to it.
        normalized: The token is compared with the text after normalization and not before.
        is_piece: The token is also a piece of the vocabulary. One that was added to the vocabulary is none, so it
            cannot be part of a word.

    Example:
        >>> AddedToken("[SEP]", 3, special=True, is_piece=True).normalized
        False
    """

    content: str
    id: int
    special: bool = False
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = False
    is_piece: bool = False


@dataclass(frozen=True)
class TokenizerSettings:
    """Settings of the tokenizer, named as in KerasHub's `WordPieceTokenizer`.

    Attributes:
        kind: `builtin` (in the graph, builtin ops), `tftext` (in the graph, TF-Text's custom ops) or `none`.
        sequence_length: Largest number of token ids in a row, with special tokens.
        lowercase: Lowercase texts.
        strip_accents: Remove accents.
        split: Split texts at whitespace and punctuation.
        split_on_cjk: Split before and after every CJK ideograph.
        suffix_indicator: Prefix of pieces that continue a word, for instance `##`.
        oov_token: Piece for words outside the vocabulary, for instance `[UNK]`.
        special_tokens_in_strings: Special tokens may be spelled out in a text.
        special_tokens: Those special tokens; empty unless `special_tokens_in_strings`.
        truncate: How two texts share the row: `round_robin`, `waterfall` or, with Hugging Face's rules,
            `longest_first`.
        vocabulary_size: Number of pieces in `vocab.txt`.
        vocabulary_sha256: Hex digest of `vocab.txt`.
        start_id, end_id, pad_id, unknown_id: Ids of `[CLS]`, `[SEP]`, `[PAD]` and the out-of-vocabulary token.
        rules: The library whose token ids these are: `keras_hub` or `hugging_face`. With `hugging_face`,
            `split_on_cjk` is `handle_chinese_chars`, `suffix_indicator` is `continuing_subword_prefix`, and
            `strip_accents` is never open: null has been replaced by `lowercase`.
        clean_text: Remove control characters; false with KerasHub's rules, as are the next two 0 and empty.
        max_input_chars_per_word: Largest number of characters of a word that is divided into pieces.
        added_tokens: Tokens that a text may contain as a whole, by id; the special tokens are among them.

    Example:
        >>> from edgedistil_runtime import read_artifact
        >>> tokenizer = read_artifact("intents.tflite").metadata.tokenizer
        >>> tokenizer.kind, tokenizer.sequence_length, tokenizer.suffix_indicator
        ('builtin', 16, '##')
    """

    kind: str
    sequence_length: int
    lowercase: bool
    strip_accents: bool
    split: bool
    split_on_cjk: bool
    suffix_indicator: str
    oov_token: str
    special_tokens_in_strings: bool
    special_tokens: tuple[str, ...]
    truncate: str
    vocabulary_size: int
    vocabulary_sha256: str
    start_id: int
    end_id: int
    pad_id: int
    unknown_id: int
    rules: str = KERAS_HUB
    clean_text: bool = False
    max_input_chars_per_word: int = 0
    added_tokens: tuple[AddedToken, ...] = ()

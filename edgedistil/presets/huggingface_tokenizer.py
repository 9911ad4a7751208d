"""The tokenizer of a Hugging Face checkpoint: its files -> a Keras preprocessor with the rules of `tokenizers`.

tokenizer.json          transformers 5 writes only this; its vocabulary and added tokens win over the others
vocab.txt               transformers 4 and earlier; with added_tokens.json
tokenizer_config.json   tokenizer_class, do_lower_case, strip_accents, tokenize_chinese_chars, model_max_length

The class decides which file has the options of the normalizer. BERT's own classes take them from tokenizer_config.json,
or their defaults, whatever tokenizer.json says (transformers 4 and 5, models/bert/tokenization_bert*.py); the class for
any tokenizer takes tokenizer.json as it is.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgedistil.builder import SPECIAL_TOKENS
from edgedistil_converters.model.hugging_face_tokenizer import HuggingFacePreprocessor, HuggingFaceTokenizer
from edgedistil_converters.tokenizer.hugging_face import HuggingFaceRules
from edgedistil_runtime.errors import PresetError
from edgedistil_runtime.metadata import AddedToken

__all__ = ["TokenizerFiles", "build_hugging_face_preprocessor", "check_vocabulary", "read_tokenizer_files"]

TOKENIZER_JSON, VOCABULARY, ADDED_TOKENS, CONFIG = (
    "tokenizer.json",
    "vocab.txt",
    "added_tokens.json",
    "tokenizer_config.json",
)
_CLS, _SEP = "[CLS]", "[SEP]"
_LONGEST = 512  # tokens, KerasHub's default; transformers writes 10^30 for a tokenizer without a limit
_MOST_PADDING = 1024  # rows of an embedding table without a piece: tables are padded to multiples of 8 to 128
_GENERIC_CLASSES = ("PreTrainedTokenizerFast", "TokenizersBackend")  # its names in transformers 4 and 5
_TOKEN_OPTIONS = ("special", "single_word", "lstrip", "rstrip", "normalized")


@dataclass(frozen=True)
class TokenizerFiles:
    """The tokenizer of a checkpoint.

    Attributes:
        vocabulary: Word pieces by id, tokens that were added later among them.
        rules: Options of the normalizer and of WordPiece, and the added tokens.
        sequence_length: Tokens that a text is cut to, at most.
    """

    vocabulary: tuple[str, ...]
    rules: HuggingFaceRules
    sequence_length: int


def build_hugging_face_preprocessor(files: TokenizerFiles, *, positions: int) -> Any:
    """Builds the preprocessor of a Hugging Face checkpoint, whose token ids are those of `tokenizers`.

    Args:
        files: What `read_tokenizer_files` found.
        positions: Number of positions of the backbone.

    Returns:
        A `HuggingFacePreprocessor`, which is a `keras_hub.models.DistilBertTextClassifierPreprocessor`.
    """
    rules = files.rules
    tokenizer = HuggingFaceTokenizer(
        files.vocabulary,
        lowercase=rules.lowercase,
        strip_accents=rules.strip_accents,
        clean_text=rules.clean_text,
        handle_chinese_chars=rules.handle_chinese_chars,
        max_input_chars_per_word=rules.max_input_chars_per_word,
        added_tokens=rules.added_tokens,
        suffix_indicator=rules.continuing_subword_prefix,
        oov_token=rules.unk_token,
        name="distil_bert_tokenizer",
    )
    return HuggingFacePreprocessor(
        tokenizer,
        sequence_length=min(files.sequence_length, positions),
        name="distil_bert_text_classifier_preprocessor",
    )


def read_tokenizer_files(directory: Path, preset: str) -> TokenizerFiles:
    """Reads the vocabulary and the rules of a tokenizer.

    Args:
        directory: Directory of the checkpoint.
        preset: Name of the preset, for errors.

    Raises:
        PresetError: no vocabulary, or a tokenizer of another kind than BERT's.

    Example:
        >>> import json
        >>> from pathlib import Path
        >>> pieces = {piece: number for number, piece in enumerate([*SPECIAL_TOKENS, "cafe"])}
        >>> content = {"model": {"type": "WordPiece", "vocab": pieces}, "normalizer": {"type": "BertNormalizer"}}
        >>> _ = Path("tokenizer.json").write_text(json.dumps(content))
        >>> files = read_tokenizer_files(Path(), "example")
        >>> files.vocabulary[5], files.rules.lowercase, files.rules.is_stripped
        ('cafe', True, True)
    """
    config, tokenizer = _read_json(directory / CONFIG), _read_json(directory / TOKENIZER_JSON)
    _check_kind(config, tokenizer, preset)
    _check_template(config, tokenizer, preset)
    pieces = _pieces(directory, tokenizer, preset)
    added = _added_tokens(directory, config, tokenizer, pieces)
    return TokenizerFiles(
        vocabulary=_vocabulary(pieces, added, preset),
        rules=HuggingFaceRules(**_options(config, tokenizer, preset), added_tokens=added),
        sequence_length=min(int(config.get("model_max_length") or _LONGEST), _LONGEST),
    )


def check_vocabulary(pieces: int, rows: int, preset: str) -> None:
    """Refuses a vocabulary that cannot belong to an embedding table.

    Args:
        pieces: Number of pieces of the vocabulary.
        rows: Number of rows of the table; a table may have some rows of padding.
        preset: Name of the preset, for errors.

    Raises:
        PresetError: more pieces than rows, or far fewer.

    Example:
        >>> check_vocabulary(30522, 30528, "example")
        >>> check_vocabulary(5, 30522, "example")
        Traceback (most recent call last):
        edgedistil_runtime.errors.PresetError: ... Received: 5 pieces, 30,522 rows. ...
    """
    if pieces <= rows and rows - pieces <= _MOST_PADDING and 2 * pieces >= rows:
        return
    raise PresetError(
        f"The vocabulary of {preset} does not belong to its embeddings: there must be a piece for every row, or nearly "
        f"(padding). Received: {pieces:,} pieces, {rows:,} rows. Put the tokenizer that the model was trained with "
        "beside it. (transformers 5 ignores the keyword of `DistilBertTokenizer(vocab_file=…)` and saves the special "
        "tokens only: load the tokenizer with from_pretrained, and save it again)"
    )


def _check_kind(config: Mapping[str, Any], tokenizer: Mapping[str, Any], preset: str) -> None:
    kind = (tokenizer.get("model") or {}).get("type") or "WordPiece"
    name = str(config.get("tokenizer_class") or "")
    if kind != "WordPiece" or "XLMRoberta" in name:
        kind = kind if kind != "WordPiece" else name
        raise PresetError(f"{preset}: the tokenizer must be BERT's WordPiece. Received: {kind}")
    words = config.get("word_tokenizer_type", "basic")
    if words not in ("basic", "wordpiece"):
        raise PresetError(f"{preset}: words must be found as BERT does, by spaces and punctuation. Received: {words}")
    words = (tokenizer.get("pre_tokenizer") or {}).get("type", "BertPreTokenizer")
    if words != "BertPreTokenizer":
        raise PresetError(f"{preset}: words must be found by BertPreTokenizer. Received: {words}")


def _is_generic(config: Mapping[str, Any], tokenizer: Mapping[str, Any]) -> bool:
    return bool(tokenizer) and config.get("tokenizer_class") in _GENERIC_CLASSES


def _check_template(config: Mapping[str, Any], tokenizer: Mapping[str, Any], preset: str) -> None:
    """Refuses what would not put a text between `[CLS]` and `[SEP]`."""
    for key, token in (("cls_token", _CLS), ("sep_token", _SEP)):
        own = config.get(key) or token
        own = own.get("content") if isinstance(own, dict) else own
        if own != token:
            raise PresetError(f"{preset}: texts must be put between {_CLS} and {_SEP}. Received: {key} {own!r}")
    if not _is_generic(config, tokenizer):  # BERT's own classes make this template themselves
        return
    template = _template(tokenizer)
    if template != [_CLS, "A", _SEP]:
        raise PresetError(
            f"{preset}: texts must be put between {_CLS} and {_SEP} (`post_processor` in {TOKENIZER_JSON}). "
            f"Received: {' '.join(template)}"
        )


def _template(tokenizer: Mapping[str, Any]) -> list[str]:
    """What a single text, `A`, becomes."""
    processor = tokenizer.get("post_processor") or {}
    if "single" in processor:  # TemplateProcessing
        return [str(piece["id"]) for part in processor["single"] for piece in part.values()]
    if {"cls", "sep"} <= set(processor):  # BertProcessing
        return [str(processor["cls"][0]), "A", str(processor["sep"][0])]
    return ["A"]


def _normalizer(config: Mapping[str, Any], tokenizer: Mapping[str, Any], preset: str) -> Mapping[str, Any]:
    """The options of the normalizer, under the names of tokenizer.json."""
    own = tokenizer.get("normalizer")
    if own is not None and own.get("type") != "BertNormalizer":
        raise PresetError(f"{preset}: texts must be normalized by BertNormalizer. Received: {own.get('type')}")
    if _is_generic(config, tokenizer):
        nothing = dict.fromkeys(("clean_text", "handle_chinese_chars", "strip_accents", "lowercase"), False)
        return nothing if own is None else own
    return {
        "clean_text": (own or {}).get("clean_text", True),
        "lowercase": config.get("do_lower_case", True),
        "strip_accents": config.get("strip_accents"),
        "handle_chinese_chars": config.get("tokenize_chinese_chars", True),
    }


def _options(config: Mapping[str, Any], tokenizer: Mapping[str, Any], preset: str) -> dict[str, Any]:
    """Arguments of `HuggingFaceRules`."""
    normalizer = _normalizer(config, tokenizer, preset)
    model = tokenizer.get("model") or {}
    return {
        "clean_text": bool(normalizer.get("clean_text", True)),
        "handle_chinese_chars": bool(normalizer.get("handle_chinese_chars", True)),
        "strip_accents": normalizer.get("strip_accents"),
        "lowercase": bool(normalizer.get("lowercase", True)),
        "max_input_chars_per_word": int(model.get("max_input_chars_per_word", 100)),
        "continuing_subword_prefix": str(model.get("continuing_subword_prefix", "##")),
        "unk_token": str(model.get("unk_token") or "[UNK]"),
    }


def _pieces(directory: Path, tokenizer: Mapping[str, Any], preset: str) -> dict[str, int]:
    """Piece -> id, without the tokens that were added to the vocabulary."""
    if tokenizer:
        return dict(tokenizer["model"]["vocab"])
    if (directory / VOCABULARY).is_file():
        lines = (directory / VOCABULARY).read_text(encoding="utf-8").rstrip("\n").split("\n")
        return {line: number for number, line in enumerate(lines) if line}
    raise PresetError(
        f"The preset {preset} cannot be read: it has no vocabulary. Missing: {TOKENIZER_JSON} (transformers 5) or "
        f"{VOCABULARY}. Save the tokenizer beside the model with its save_pretrained"
    )


def _added_tokens(
    directory: Path, config: Mapping[str, Any], tokenizer: Mapping[str, Any], pieces: Mapping[str, int]
) -> tuple[AddedToken, ...]:
    """The tokens that are found in a text before it is divided into words; transformers makes special tokens such."""
    special = {token: {"special": True} for token in SPECIAL_TOKENS if token in pieces}
    found = {token: (pieces[token], options) for token, options in special.items()}
    if tokenizer:
        found |= {token["content"]: (int(token["id"]), token) for token in tokenizer.get("added_tokens") or ()}
    else:
        # transformers compares a token that is added without options with the normalized text.
        older = _read_json(directory / ADDED_TOKENS)
        found |= {token: (int(number), {"normalized": True}) for token, number in older.items() if token not in found}
        newer = config.get("added_tokens_decoder") or {}
        found |= {token["content"]: (int(number), token) for number, token in newer.items()}
    tokens = (
        AddedToken(
            content,
            number,
            is_piece=pieces.get(content) == number,
            **{name: bool(options.get(name, False)) for name in _TOKEN_OPTIONS},
        )
        for content, (number, options) in found.items()
    )
    return tuple(sorted(tokens, key=lambda token: token.id))


def _vocabulary(pieces: Mapping[str, int], added: tuple[AddedToken, ...], preset: str) -> tuple[str, ...]:
    by_id = {number: piece for piece, number in pieces.items()} | {token.id: token.content for token in added}
    size = max(by_id, default=-1) + 1
    if 2 * len(by_id) < size or not by_id:
        raise PresetError(
            f"The preset {preset} cannot be read: its vocabulary must have a piece for every id. "
            f"Received: {len(by_id):,} pieces for {size:,} ids"
        )
    missing = [token for token in SPECIAL_TOKENS if token not in by_id.values()]
    if missing:
        raise PresetError(
            f"{preset}: a vocabulary must hold the special tokens {', '.join(SPECIAL_TOKENS)}. "
            f"Missing: {', '.join(missing)}"
        )
    # A blank or repeated line leaves an id without a piece. No text has a word with a bracket in it.
    return tuple(by_id.get(number, f"[no piece {number}]") for number in range(size))


def _read_json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}

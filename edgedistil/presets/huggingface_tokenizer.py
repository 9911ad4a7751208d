"""The tokenizer of a Hugging Face checkpoint: its files -> a Keras preprocessor.

tokenizer.json          transformers 5 writes only this; it wins over the others, as in transformers
vocab.txt               transformers 4 and earlier; with added_tokens.json
tokenizer_config.json   do_lower_case, strip_accents, tokenize_chinese_chars, model_max_length
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgedistil.builder import build_preprocessor
from edgedistil_runtime.errors import PresetError

__all__ = ["TokenizerFiles", "build_hugging_face_preprocessor", "check_vocabulary", "read_tokenizer_files"]

TOKENIZER_JSON, VOCABULARY, ADDED_TOKENS, CONFIG = (
    "tokenizer.json",
    "vocab.txt",
    "added_tokens.json",
    "tokenizer_config.json",
)
_LONGEST = 512  # tokens, KerasHub's default; transformers writes 10^30 for a tokenizer without a limit
_MOST_PADDING = 1024  # rows of an embedding table without a piece: tables are padded to multiples of 8 to 128


@dataclass(frozen=True)
class TokenizerFiles:
    """The rules of a checkpoint's tokenizer.

    Attributes:
        vocabulary: Word pieces by id, tokens that were added later among them.
        is_lowercase: True if case is folded.
        strip_accents: True if accents are removed.
        sequence_length: Tokens that a text is cut to, at most.
        tokenizer: The content of `tokenizer.json`; empty if there is none.
    """

    vocabulary: tuple[str, ...]
    is_lowercase: bool
    strip_accents: bool
    sequence_length: int
    tokenizer: Mapping[str, Any] = field(default_factory=dict)


def build_hugging_face_preprocessor(files: TokenizerFiles, *, positions: int) -> Any:
    """Builds the preprocessor: this function alone chooses the rules of a Hugging Face checkpoint.

    Args:
        files: What `read_tokenizer_files` found.
        positions: Number of positions of the backbone.

    Returns:
        A `keras_hub.models.DistilBertTextClassifierPreprocessor`.
    """
    return build_preprocessor(
        files.vocabulary,
        lowercase=files.is_lowercase,
        strip_accents=files.strip_accents,
        sequence_length=min(files.sequence_length, positions),
    )


def read_tokenizer_files(directory: Path, preset: str) -> TokenizerFiles:
    """Reads the vocabulary and the rules of a tokenizer.

    Args:
        directory: Directory of the checkpoint.
        preset: Name of the preset, for errors.

    Raises:
        PresetError: no vocabulary, or a tokenizer of another kind than WordPiece.

    Example:
        >>> import json
        >>> from pathlib import Path
        >>> model = {"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"[PAD]": 0, "[UNK]": 1, "a": 2}}
        >>> _ = Path("tokenizer.json").write_text(json.dumps({"model": model}))
        >>> files = read_tokenizer_files(Path(), "example")
        >>> files.vocabulary, files.is_lowercase
        (('[PAD]', '[UNK]', 'a'), True)
    """
    config = _read_json(directory / CONFIG)
    tokenizer = _read_json(directory / TOKENIZER_JSON)
    _check_kind(config, tokenizer, preset)
    normalizer = tokenizer.get("normalizer") or {}
    is_bert = normalizer.get("type") == "BertNormalizer"
    # transformers' default for do_lower_case is True; the normalizer of tokenizer.json is what runs.
    is_lowercase = bool(normalizer.get("lowercase", True) if is_bert else config.get("do_lower_case", True))
    accents = normalizer.get("strip_accents") if is_bert else config.get("strip_accents")
    return TokenizerFiles(
        vocabulary=_vocabulary(directory, tokenizer, preset),
        is_lowercase=is_lowercase,
        strip_accents=is_lowercase if accents is None else bool(accents),
        sequence_length=min(int(config.get("model_max_length") or _LONGEST), _LONGEST),
        tokenizer=tokenizer,
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
    kind = (tokenizer.get("model") or {}).get("type", "WordPiece")
    words = config.get("word_tokenizer_type", "basic")
    name = str(config.get("tokenizer_class") or "")
    if kind != "WordPiece" or "XLMRoberta" in name:
        kind = kind if kind != "WordPiece" else name
        raise PresetError(f"{preset}: the tokenizer must be BERT's WordPiece. Received: {kind}")
    if words not in ("basic", "wordpiece"):
        raise PresetError(f"{preset}: words must be found as BERT does, by spaces and punctuation. Received: {words}")


def _vocabulary(directory: Path, tokenizer: Mapping[str, Any], preset: str) -> tuple[str, ...]:
    if tokenizer:
        ids: dict[str, int] = dict(tokenizer["model"]["vocab"])
        ids |= {token["content"]: int(token["id"]) for token in tokenizer.get("added_tokens") or ()}
    elif (directory / VOCABULARY).is_file():
        lines = (directory / VOCABULARY).read_text(encoding="utf-8").rstrip("\n").split("\n")
        ids = {line: number for number, line in enumerate(lines) if line}
        ids |= _read_json(directory / ADDED_TOKENS)
    else:
        raise PresetError(
            f"The preset {preset} cannot be read: it has no vocabulary. Missing: {TOKENIZER_JSON} (transformers 5) or "
            f"{VOCABULARY}. Save the tokenizer beside the model with its save_pretrained"
        )
    by_id = {number: piece for piece, number in ids.items()}
    size = max(by_id, default=-1) + 1
    if 2 * len(by_id) < size or not by_id:
        raise PresetError(
            f"The preset {preset} cannot be read: its vocabulary must have a piece for every id. "
            f"Received: {len(by_id):,} pieces for {size:,} ids"
        )
    # A blank or repeated line leaves an id without a piece. No text has a word with a bracket in it.
    return tuple(by_id.get(number, f"[no piece {number}]") for number in range(size))


def _read_json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}

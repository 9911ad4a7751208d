"""Builds DistilBERT text classifiers from a named size or from numbers.

All classes are KerasHub's own, so everything in its documentation works on them: raw strings or preprocessed
integers, freezing the backbone, compiling again with another optimizer or with `jit_compile`.

Example:
    >>> texts = ["turn the lights off", "play some music"]
    >>> vocabulary = learn_vocabulary(texts, 100)
    >>> backbone = build_backbone("tiny", vocabulary_size=len(vocabulary), max_sequence_length=32)
    >>> preprocessor = build_preprocessor(vocabulary, sequence_length=32)
    >>> classifier = build_classifier(backbone, 7, preprocessor=preprocessor)
    >>> classifier.predict(texts, verbose=0).shape
    (2, 7)
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import keras_hub
import tensorflow as tf
from keras_hub.src.tokenizers.word_piece_tokenizer import pretokenize
from tensorflow_text.tools.wordpiece_vocab import wordpiece_tokenizer_learner_lib as wordpiece

from edgedistil.sizes import SIZES, BackboneSize
from edgedistil_converters.model.folded_bert import EPSILON, FoldedBertBackbone, FoldedBertTextClassifier
from edgedistil_runtime.errors import DataError, PresetError

__all__ = [
    "SIZES",
    "SPECIAL_TOKENS",
    "BackboneSize",
    "build_backbone",
    "build_classifier",
    "build_preprocessor",
    "learn_vocabulary",
    "read_vocabulary",
]

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_TEXTS_PER_BATCH = 1024
# TF-Text's default of 10, which KerasHub's compute_word_piece_vocabulary cannot change, leaves a data set of some
# thousand texts with few hundred whole words: 1,673 of 8,000 pieces on snips.
_SMALLEST_COUNT = 2


def build_classifier(
    backbone: Any,
    num_classes: int,
    *,
    preprocessor: Any = None,
    activation: Any = None,
    hidden_dim: int | None = None,
    dropout: float = 0.2,
    pooled_activation: str = "relu",
) -> Any:
    """Puts a new classification head on a backbone.

    Args:
        backbone: A `keras_hub.models.DistilBertBackbone`.
        num_classes: Number of outputs, at least two.
        preprocessor: Preprocessor that turns strings into integers; `None` gives a classifier that takes integers.
        activation: Activation of the output; `None` gives logits, `"softmax"` probabilities.
        hidden_dim: Width of the pooling layer; `None` is the backbone's width.
        dropout: Dropout rate between the head's two layers.
        pooled_activation: Activation of the pooling layer: `"relu"` as in DistilBERT, `"tanh"` as in BERT.

    Returns:
        A `keras_hub.models.DistilBertTextClassifier`.

    Raises:
        PresetError: fewer than two classes, or a preprocessor that does not fit the backbone.

    Example:
        >>> backbone = build_backbone("tiny", vocabulary_size=100)
        >>> build_classifier(backbone, 1)
        Traceback (most recent call last):
        edgedistil_runtime.errors.PresetError: A classifier needs at least two classes. Received: num_classes=1
    """
    if num_classes < 2:
        raise PresetError(f"A classifier needs at least two classes. Received: num_classes={num_classes}")
    if preprocessor is not None:
        _check_fit(backbone, preprocessor)
    options = {
        "backbone": backbone,
        "num_classes": num_classes,
        "preprocessor": preprocessor,
        "activation": activation,
        "hidden_dim": hidden_dim,
        "dropout": dropout,
        "name": "distil_bert_text_classifier",
    }
    if pooled_activation != "relu" or isinstance(backbone, FoldedBertBackbone):
        return FoldedBertTextClassifier(pooled_activation=pooled_activation, **options)
    return keras_hub.models.DistilBertTextClassifier(**options)


def build_backbone(
    size: str | BackboneSize,
    *,
    vocabulary_size: int,
    max_sequence_length: int = 512,
    dropout: float = 0.1,
    dtype: Any = None,
    layer_norm_epsilon: float = EPSILON,
    gelu: str = "erf",
) -> Any:
    """Builds a backbone with random weights.

    Args:
        size: `"tiny"`, `"mini"`, `"small"`, `"medium"`, `"base"`, or explicit numbers.
        vocabulary_size: Number of word pieces.
        max_sequence_length: Number of positions.
        dropout: Dropout rate after the embeddings and in every layer.
        dtype: As in Keras; `None` is Keras' default.
        layer_norm_epsilon: Epsilon of every layer norm.
        gelu: Form of GELU: `"erf"`, or its approximation with `"tanh"`.

    Returns:
        A `keras_hub.models.DistilBertBackbone`; its subclass `FoldedBertBackbone` if one of the last two arguments is
        not KerasHub's.

    Raises:
        PresetError: an unknown name.

    Example:
        >>> build_backbone("tiny", vocabulary_size=1000).num_layers
        2
    """
    if isinstance(size, str):
        if size not in SIZES:
            raise PresetError(f"A size is one of {', '.join(SIZES)}, or a BackboneSize. Received: {size!r}")
        size = SIZES[size]
    options = {
        "vocabulary_size": vocabulary_size,
        "num_layers": size.num_layers,
        "num_heads": size.num_heads,
        "hidden_dim": size.hidden_dim,
        "intermediate_dim": size.intermediate_dim,
        "dropout": dropout,
        "max_sequence_length": max_sequence_length,
        "dtype": dtype,
        # Keras numbers unnamed models by process; a fixed name keeps the written presets the same.
        "name": "distil_bert_backbone",
    }
    if (layer_norm_epsilon, gelu) != (EPSILON, "erf"):
        return FoldedBertBackbone(layer_norm_epsilon=layer_norm_epsilon, gelu=gelu, **options)
    return keras_hub.models.DistilBertBackbone(**options)


def build_preprocessor(
    vocabulary: Sequence[str],
    *,
    lowercase: bool = True,
    strip_accents: bool = False,
    sequence_length: int = 128,
) -> Any:
    """Builds a preprocessor, which turns strings into `token_ids` and `padding_mask`.

    Args:
        vocabulary: Word pieces by id, with the five special tokens among them.
        lowercase: Fold the case of texts first.
        strip_accents: Remove the accents of texts first.
        sequence_length: Tokens, `[CLS]` and `[SEP]` among them, that a text is cut or padded to.

    Returns:
        A `keras_hub.models.DistilBertTextClassifierPreprocessor`.

    Raises:
        DataError: a special token is missing, or a piece occurs twice.

    Example:
        >>> preprocessor = build_preprocessor([*SPECIAL_TOKENS, "lights", "off"], sequence_length=5)
        >>> preprocessor(["Lights off"])["token_ids"].numpy().tolist()
        [[2, 5, 6, 3, 0]]
    """
    missing = [token for token in SPECIAL_TOKENS if token not in vocabulary]
    if missing:
        raise DataError(
            f"A vocabulary must hold the special tokens {', '.join(SPECIAL_TOKENS)}. Missing: {', '.join(missing)}"
        )
    if len(set(vocabulary)) != len(vocabulary):
        twice = sorted({piece for piece in vocabulary if vocabulary.count(piece) > 1})
        raise DataError(f"A word piece may occur in a vocabulary once. Received more than once: {twice[:8]}")
    tokenizer = keras_hub.models.DistilBertTokenizer(
        list(vocabulary), lowercase=lowercase, strip_accents=strip_accents, name="distil_bert_tokenizer"
    )
    return keras_hub.models.DistilBertTextClassifierPreprocessor(
        tokenizer, sequence_length=sequence_length, name="distil_bert_text_classifier_preprocessor"
    )


def learn_vocabulary(
    texts: Iterable[str], size: int, *, lowercase: bool = True, strip_accents: bool = False
) -> list[str]:
    """Learns a WordPiece vocabulary; the same texts give the same one.

    The special tokens come first, then every character that occurs (as `c` and as the continuation `##c`, so that no
    word made of them is unknown), then word pieces by how often they occur. White space is left out, because KerasHub
    strips it from the ends of the lines of a vocabulary file.

    Args:
        texts: Texts to learn from.
        size: Number of pieces, at most; few texts give fewer.
        lowercase: As in the preprocessor.
        strip_accents: As in the preprocessor.

    Returns:
        The pieces by id.

    Raises:
        DataError: the characters need more than `size` pieces.

    Example:
        >>> learn_vocabulary(["on", "no no"], 11)
        ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', '##n', '##o', 'n', 'o', 'no']
    """
    word_counts = _count_words(texts, lowercase=lowercase, strip_accents=strip_accents)
    pieces = wordpiece.learn(
        word_counts, vocab_size=size, reserved_tokens=list(SPECIAL_TOKENS), lower_thresh=_SMALLEST_COUNT
    )
    characters = {character for word in word_counts for character in word if not character.isspace()}
    required = [*SPECIAL_TOKENS, *sorted({form for character in characters for form in (character, f"##{character}")})]
    if len(required) > size:
        raise DataError(
            f"These texts have {len(characters)} different characters, and a vocabulary of {size} pieces cannot hold "
            f"them all. Ask for at least {len(required)} pieces (`vocabulary_size`). Received: {size}"
        )
    learned = [piece for piece in pieces if piece not in set(required) and piece == piece.rstrip()]
    return [*required, *learned[: size - len(required)]]


def read_vocabulary(path: str | Path) -> list[str]:
    """Reads a vocabulary file: UTF-8, one word piece a line; the line's number, from 0, is the piece's id.

    Raises:
        DataError: no such file, bytes that are not UTF-8, or a blank line.

    Example:
        >>> pieces = ["[PAD]", "[UNK]", "lights", "##s"]
        >>> with open("vocabulary.txt", "w") as file:
        ...     print(*pieces, sep=chr(10), file=file)
        >>> read_vocabulary("vocabulary.txt") == pieces
        True
    """
    source = Path(path)
    if not source.is_file():
        raise DataError(f"There is no vocabulary file {source}. It holds one word piece a line, as BERT's vocab.txt")
    try:
        pieces = [line.rstrip() for line in source.read_text(encoding="utf-8").removesuffix("\n").split("\n")]
    except UnicodeDecodeError as error:
        raise DataError(f"{source}: a vocabulary must be UTF-8: {error}") from error
    if "" in pieces:
        raise DataError(f"{source}, line {pieces.index('') + 1}: a word piece is missing; the line is blank")
    return pieces


def _count_words(texts: Iterable[str], *, lowercase: bool, strip_accents: bool) -> Counter[str]:
    """Words as the tokenizer sees them, after folding, and how often each occurs."""
    counts: Counter[str] = Counter()
    for batch in tf.data.Dataset.from_tensor_slices(list(texts)).batch(_TEXTS_PER_BATCH):
        words = pretokenize(batch, lowercase=lowercase, strip_accents=strip_accents)
        counts.update(word.decode("utf-8") for word in words.flat_values.numpy())
    return counts


def _check_fit(backbone: Any, preprocessor: Any) -> None:
    pieces = preprocessor.tokenizer.vocabulary_size()
    if pieces > backbone.vocabulary_size:
        raise PresetError(
            f"The backbone has {backbone.vocabulary_size} word pieces and the vocabulary has {pieces}. "
            f"Build the backbone with vocabulary_size={pieces}"
        )
    if preprocessor.sequence_length > backbone.max_sequence_length:
        raise PresetError(
            f"The sequence length may be at most {backbone.max_sequence_length}, the number of positions of the "
            f"backbone. Received: {preprocessor.sequence_length}"
        )

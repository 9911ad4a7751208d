"""Reads a Keras classifier as plain values: its weights, the options of its tokenizer, its vocabulary."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgedistil_converters.model.keras_hub import read_weights
from edgedistil_converters.model.weights import ClassifierWeights
from edgedistil_converters.tokenizer.settings import read_tokenizer
from edgedistil_runtime.artifact import TokenizerSettings
from edgedistil_runtime.errors import ConversionError

__all__ = ["ReadClassifier", "read_classifier"]


@dataclass(frozen=True)
class ReadClassifier:
    """A classifier as plain values, from which a file is built.

    Attributes:
        weights: Weights of the forward pass.
        settings: Options of the tokenizer.
        vocabulary: One piece per id.
    """

    weights: ClassifierWeights
    settings: TokenizerSettings
    vocabulary: Sequence[str]


def read_classifier(classifier: Any, tokenizer: str = "builtin") -> ReadClassifier:
    """Reads a `keras_hub.models.DistilBertTextClassifier` with its preprocessor.

    Args:
        classifier: The classifier.
        tokenizer: The kind of tokenizer in the file, see `ModelInterface`.

    Raises:
        ConversionError: A classifier or tokenizer of another kind, or a tokenizer that does not fit the embeddings.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> read_classifier(load_classifier("intents")).vocabulary[:4]
        ('[PAD]', '[UNK]', '[CLS]', '[SEP]')
    """
    weights = read_weights(classifier)
    settings, vocabulary = read_tokenizer(classifier.preprocessor)
    rows, positions = weights.token_embeddings.shape[0], weights.position_embeddings.shape[0]
    if settings.vocabulary_size > rows:
        raise ConversionError(
            f"The vocabulary has {settings.vocabulary_size} pieces and the embedding table {rows} rows. "
            "The tokenizer belongs to another backbone; load both from one preset."
        )
    if settings.sequence_length > positions:
        raise ConversionError(
            f"`sequence_length` must be at most the backbone's max_sequence_length, {positions}. "
            f"Received: {settings.sequence_length}. Build the preprocessor with sequence_length={positions}."
        )
    return ReadClassifier(weights, replace(settings, kind=tokenizer), vocabulary)

"""Models for MediaPipe Tasks' `TextClassifier`, on phones, in browsers and in Python.

MediaPipe has a tokenizer and takes a model with BERT's inputs: one subgraph, three inputs of one length that its
metadata name `ids`, `segment_ids` and `mask`, and a vocabulary and labels in the archive after the model. Sources, in
MediaPipe's repository: calculators/tensor/bert_preprocessor_calculator.cc (preprocessing), tasks/cc/text/tokenizers/
bert_tokenizer.h (its constants), tasks/cc/text/utils/text_model_utils.cc (which models it takes).

Its preprocessing differs from KerasHub's: it lowercases only ASCII letters (`É` stays a capital), folds nothing else,
strips no accents, does not split at control characters, and has no options. Printable ASCII text gets the same ids.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from edgedistil_converters.graph.classifier import EdgeGraph
from edgedistil_converters.tflite.metadata import AssociatedFile, TensorMetadata, metadata_bytes, with_metadata
from edgedistil_runtime.artifact import LABELS_MEMBER, SERVING_DEFAULT, VOCABULARY_MEMBER, TokenizerSettings
from edgedistil_runtime.contract import HUGGING_FACE
from edgedistil_runtime.errors import ConversionError

__all__ = ["check_mediapipe_tokenizer", "mediapipe_features", "with_mediapipe_metadata"]

IDS, SEGMENT_IDS, MASK = "ids", "segment_ids", "mask"
PROBABILITIES = "probabilities"
# Constants of MediaPipe's BertTokenizer and BertPreprocessorCalculator.
_LONGEST_WORD = 100
_SUFFIX_INDICATOR, _UNKNOWN, _START, _END = "##", "[UNK]", "[CLS]", "[SEP]"


def check_mediapipe_tokenizer(settings: TokenizerSettings, vocabulary: Sequence[str]) -> None:
    """Check that MediaPipe gives plain ASCII texts the same token ids.

    Args:
        settings: Tokenizer options of the classifier.
        vocabulary: Pieces; a piece's index is its token id.

    Raises:
        ConversionError: MediaPipe does not have one of the options, or would read the vocabulary differently.

    Example:
        >>> import keras_hub
        >>> from edgedistil_converters.tokenizer.settings import read_tokenizer
        >>> preprocessor = keras_hub.models.DistilBertTextClassifierPreprocessor.from_preset("intents")
        >>> check_mediapipe_tokenizer(*read_tokenizer(preprocessor))
    """
    fixed: dict[str, tuple[object, object]] = {
        "lowercase": (settings.lowercase, True),
        "split": (settings.split, True),
        "special_tokens_in_strings": (settings.special_tokens_in_strings, False),
        "suffix_indicator": (settings.suffix_indicator, _SUFFIX_INDICATOR),
        "oov_token": (settings.oov_token, _UNKNOWN),
        "start token": (vocabulary[settings.start_id], _START),
        "end token": (vocabulary[settings.end_id], _END),
    }
    if settings.rules == HUGGING_FACE:
        added = [token.content for token in settings.added_tokens if not token.special]
        fixed |= {
            "max_input_chars_per_word": (settings.max_input_chars_per_word, _LONGEST_WORD),
            "added_tokens": (added, []),
        }
    for option, (received, legal) in fixed.items():
        if received != legal:
            raise ConversionError(
                f"MediaPipe's tokenizer always has {option}={legal!r}. Received: {received!r}. Convert without "
                "`metadata` and with `tokenizer`='builtin', so that the file contains the tokenizer as it was trained."
            )
    for token_id, piece in enumerate(vocabulary):
        if not piece or piece.endswith("\r"):
            raise ConversionError(
                "MediaPipe skips empty lines of a vocabulary and removes a carriage return at the end of a line, which "
                f"would change token ids. Received: {piece!r} with id {token_id}. Train with a vocabulary without it."
            )


def mediapipe_features(edge_graph: EdgeGraph, settings: TokenizerSettings) -> Any:
    """Return the function of the signature `serving_default`.

    Args:
        edge_graph: The graph of the classifier.
        settings: Tokenizer options; MediaPipe cuts and pads texts to their `sequence_length`.

    Returns:
        A `tf.function` from `ids`, `segment_ids` and `mask`, int32[1, sequence_length], to `probabilities`
        float32[1, num_classes]. `mask` is 1 at tokens and 0 at the padding after them; `segment_ids` are 0, because
        DistilBERT has no segments.
    """
    specs = [tf.TensorSpec([1, settings.sequence_length], tf.int32, name=name) for name in (IDS, SEGMENT_IDS, MASK)]

    @tf.function(input_signature=specs, autograph=False)  # type: ignore[untyped-decorator]
    def classify_features(ids: Any, segment_ids: Any, mask: Any) -> dict[str, Any]:
        # Only tokens go through the graph, so that a short text costs no more than without padding. A mask of zeros, as
        # in a first run to warm up, counts as one token, because the slice must not be empty.
        length = tf.maximum(tf.reduce_sum(mask), 1)
        # Segments are 0 or 1, so this adds 0. MediaPipe requires the input, and converters remove unused ones.
        ids += tf.minimum(segment_ids, 0)
        return {PROBABILITIES: edge_graph.classify(ids[:, :length])}

    return classify_features


def with_mediapipe_metadata(flatbuffer: bytes, *, name: str, settings: TokenizerSettings) -> bytes:
    """Add the metadata by which MediaPipe finds a model's inputs, vocabulary and labels.

    Args:
        flatbuffer: A TFLite model with only the signature of `mediapipe_features`.
        name: Name of the model for people.
        settings: Tokenizer options.

    Returns:
        The model with its metadata. The archive after it must contain `labels.txt` and `vocab.txt`, both stored
        uncompressed.

    Raises:
        ConversionError: The model has other subgraphs, inputs or outputs, or has metadata already.
    """
    vocabulary = AssociatedFile(
        VOCABULARY_MEMBER, "Word pieces, one a line; line numbers are ids.", AssociatedFile.VOCABULARY
    )
    labels = AssociatedFile(LABELS_MEMBER, "Class names, in the order of the output.", AssociatedFile.LABELS)
    inputs = {
        IDS: TensorMetadata(IDS, "Token ids: [CLS], the text, [SEP], then padding."),
        SEGMENT_IDS: TensorMetadata(SEGMENT_IDS, "0 everywhere."),
        MASK: TensorMetadata(MASK, "1 at tokens, 0 at padding."),
    }
    metadata = metadata_bytes(
        name=name,
        description=f"DistilBERT text classifier; texts are cut to {settings.sequence_length} tokens.",
        inputs=tuple(inputs[tensor] for tensor in _input_order(flatbuffer)),
        outputs=(TensorMetadata(PROBABILITIES, "Probability of each class.", (labels,)),),
        vocabulary=vocabulary,
    )
    return with_metadata(flatbuffer, metadata)


def _input_order(flatbuffer: bytes) -> list[str]:
    """Return the names of the signature's inputs in the order of the subgraph's inputs, which the converter chooses."""
    model = schema.Model.GetRootAs(flatbuffer, 0)
    keys = [model.SignatureDefs(i).SignatureKey().decode() for i in range(model.SignatureDefsLength())]
    if model.SubgraphsLength() != 1 or keys != [SERVING_DEFAULT]:
        raise ConversionError(
            f"MediaPipe takes a model with one subgraph and the signature {SERVING_DEFAULT}. "
            f"Received: {model.SubgraphsLength()} subgraphs with signatures {keys}."
        )
    signature, subgraph = model.SignatureDefs(0), model.Subgraphs(0)
    names = {
        entry.TensorIndex(): entry.Name().decode() for entry in map(signature.Inputs, range(signature.InputsLength()))
    }
    order = [names.get(int(tensor), "") for tensor in subgraph.InputsAsNumpy()]
    if sorted(order) != sorted((IDS, SEGMENT_IDS, MASK)) or subgraph.OutputsLength() != 1:
        raise ConversionError(
            f"MediaPipe takes a model with the inputs {IDS}, {SEGMENT_IDS} and {MASK} and one output. "
            f"Received: inputs {order} and {subgraph.OutputsLength()} outputs."
        )
    return order

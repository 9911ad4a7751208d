"""The names that an artifact and its readers share: signatures, tensors, archive members, tokenizer kinds, targets.

Whoever loads an artifact from another language needs this file and the layout in `artifact`. It imports nothing, so
that command lines and converters can use the names at no cost.
"""

from __future__ import annotations

__all__ = [
    "ATTENTION_BIAS",
    "ATTENTION_MASK",
    "BUILTIN",
    "CLASSIFY_TEXT",
    "CLASSIFY_TEXT_PAIR",
    "CLASSIFY_TOKENS",
    "COMPILED_MEMBER",
    "COMPILED_MEMBERS",
    "CORALBOARD",
    "CPU",
    "EDGETPU",
    "EMBED",
    "EMBEDDINGS",
    "ENCODER_MEMBER",
    "FILE_IDENTIFIER",
    "FIXED_LENGTHS",
    "GPU",
    "HUGGING_FACE",
    "IDS",
    "KERAS_HUB",
    "LABELS_MEMBER",
    "LONGEST_FIRST",
    "MASK",
    "MEMBERS",
    "METADATA_MEMBER",
    "MULTI_LABEL_CLASSIFICATION",
    "MULTI_LABEL_SCHEMA_VERSION",
    "NO_TOKENIZER",
    "NPU",
    "PROBABILITIES",
    "ROUND_ROBIN",
    "RULES",
    "SCHEMA_VERSION",
    "SCORE_CALIBRATION",
    "SEGMENT_IDS",
    "SERVING_DEFAULT",
    "SINGLE_LABEL_CLASSIFICATION",
    "TARGETS",
    "TEXT",
    "TEXT_PAIR",
    "TFTEXT",
    "TOKENIZE",
    "TOKENIZER_KINDS",
    "TOKENIZE_PAIR",
    "TOKEN_COUNT",
    "TOKEN_IDS",
    "TRUNCATIONS",
    "UNKNOWN_SCORE",
    "UNKNOWN_TEXTS",
    "VMFB_MEMBER",
    "VOCABULARY_MEMBER",
    "WATERFALL",
    "encoder_signature",
    "fixed_embed",
    "fixed_text",
    "fixed_tokenize",
    "fixed_tokens",
]

SCHEMA_VERSION = 1  # of edgedistil.json
# Of a file with `thresholds`: readers that know only version 1 would give each text one label, and must refuse it.
MULTI_LABEL_SCHEMA_VERSION = 2
# What a model gives a text, in the words of transformers' `problem_type`.
SINGLE_LABEL_CLASSIFICATION, MULTI_LABEL_CLASSIFICATION = "single_label_classification", "multi_label_classification"

# Signatures of the artifact's flatbuffer. A text is int32[n] with its UTF-8 bytes if the tokenizer is `builtin`, and
# string[1] if it is `tftext`.
CLASSIFY_TEXT = "classify_text"  # text -> probabilities float32[1, num_classes]
TOKENIZE = "tokenize"  # text -> token_ids int32[1, m]
CLASSIFY_TEXT_PAIR = "classify_text_pair"  # text, text_pair -> probabilities float32[1, num_classes]
TOKENIZE_PAIR = "tokenize_pair"  # text, text_pair -> token_ids int32[1, m]
CLASSIFY_TOKENS = "classify_tokens"  # token_ids int32[b, m], rows right-padded -> probabilities float32[b, num_classes]
SERVING_DEFAULT = "serving_default"  # MediaPipe: ids, segment_ids, mask, int32[1, sequence_length] -> probabilities
EMBED = "embed"  # token_ids int32[1, length], padded to one of the encoder's lengths -> the encoder's inputs, by name

# In a file with the rule `UNKNOWN_TEXTS`, the signatures that give probabilities have a second output, unknown_score.

# Inputs and outputs of those signatures.
TEXT, TEXT_PAIR, TOKEN_IDS, PROBABILITIES = "text", "text_pair", "token_ids", "probabilities"
TOKEN_COUNT = "token_count"  # int32[1]: token ids of a text before it was cut to a fixed length, special ones included
UNKNOWN_SCORE = "unknown_score"  # float32[b]: the greater, the less a text is like those of any label
IDS, SEGMENT_IDS, MASK = "ids", "segment_ids", "mask"  # BERT's three inputs, as MediaPipe names them

# Inputs of the encoder for an accelerator; its output is `probabilities`, [1, num_classes].
EMBEDDINGS = "embeddings"  # GPU: float32[1, length, width]; Edge TPU, Coralboard: int8[1, 1, length, width]
ATTENTION_BIAS = "attention_bias"  # GPU: float32[1, 1, 1, length], added to attention scores
ATTENTION_MASK = "attention_mask"  # Edge TPU, Coralboard: int8[1, 1, length, 1]: which positions hold tokens

# Members of the archive after the flatbuffer.
METADATA_MEMBER, LABELS_MEMBER, VOCABULARY_MEMBER = "edgedistil.json", "labels.txt", "vocab.txt"
MEMBERS = (METADATA_MEMBER, LABELS_MEMBER, VOCABULARY_MEMBER)  # in every artifact
ENCODER_MEMBER, COMPILED_MEMBER = "encoder.tflite", "encoder_edgetpu.tflite"  # for accelerators
VMFB_MEMBER = "encoder.vmfb"  # encoder.tflite, compiled for a Coralboard
FILE_IDENTIFIER = b"TFL3"  # bytes 4 to 8 of every TFLite flatbuffer: `file_identifier` in its schema

SCORE_CALIBRATION = "score_calibration"  # key of `preparation` in edgedistil.json: scores were calibrated, and how

FIXED_LENGTHS = "fixed_lengths"  # key of `preparation`: signatures with fixed shapes, and their comparison with Keras

UNKNOWN_TEXTS = "unknown_texts"  # key of `preparation`: the label and the threshold of texts with none of the labels

BUILTIN, TFTEXT, NO_TOKENIZER = "builtin", "tftext", "none"
TOKENIZER_KINDS = (BUILTIN, TFTEXT, NO_TOKENIZER)
KERAS_HUB, HUGGING_FACE = "keras_hub", "hugging_face"
RULES = (KERAS_HUB, HUGGING_FACE)  # the library whose token ids are reproduced
ROUND_ROBIN, WATERFALL, LONGEST_FIRST = "round_robin", "waterfall", "longest_first"
TRUNCATIONS = (ROUND_ROBIN, WATERFALL, LONGEST_FIRST)  # how two texts share a row of token ids
CPU, GPU, EDGETPU, CORALBOARD, NPU = "cpu", "gpu", "edgetpu", "coralboard", "npu"
# What an artifact is converted for, and the accelerators that can be asked for.
TARGETS = (CPU, GPU, EDGETPU, CORALBOARD, NPU)
COMPILED_MEMBERS = {EDGETPU: COMPILED_MEMBER, CORALBOARD: VMFB_MEMBER}  # the targets whose encoders are compiled


def encoder_signature(length: int) -> str:
    """Return the name of an encoder's signature for rows of `length` token ids; a GPU's encoder has several.

    Example:
        >>> encoder_signature(32)
        'classify_embeddings_32'
    """
    return f"classify_embeddings_{length}"


# Signatures of fixed shapes, for hosts that cannot resize an input. Each computes what the signature without a length
# in its name computes. There is one of each for every length that `fixed_lengths` names.


def fixed_tokens(length: int) -> str:
    """Return the name of the signature token_ids int32[1, length], right-padded -> probabilities.

    Example:
        >>> fixed_tokens(32)
        'classify_tokens_32'
    """
    return f"{CLASSIFY_TOKENS}_{length}"


def fixed_text(num_bytes: int, length: int) -> str:
    """Return the name of the signature text int32[num_bytes], zeros after the text -> probabilities, token_count.

    It reads the first `length` token ids of the text, the last of which is the end token.

    Example:
        >>> fixed_text(256, 32)
        'classify_text_256_32'
    """
    return f"{CLASSIFY_TEXT}_{num_bytes}_{length}"


def fixed_tokenize(num_bytes: int, length: int) -> str:
    """Return the name of the signature text int32[num_bytes] -> token_ids int32[1, length], token_count.

    Example:
        >>> fixed_tokenize(256, 32)
        'tokenize_256_32'
    """
    return f"{TOKENIZE}_{num_bytes}_{length}"


def fixed_embed(length: int) -> str:
    """Return the name of the signature token_ids int32[1, length] -> inputs of the encoder for an accelerator.

    Example:
        >>> fixed_embed(32)
        'embed_32'
    """
    return f"{EMBED}_{length}"

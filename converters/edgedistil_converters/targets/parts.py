"""The part of a classifier that an accelerator runs: a separate flatbuffer from embeddings to probabilities.

LiteRT gives a whole file to an accelerator. The tokenizer computes with integers, on which GPUs were seen to be wrong
without an error, and Coral's compiler stops at the first op that it does not support. So the accelerator gets its own
flatbuffer, and tensors pass from one to the other by name:

    text  --tokenize-->  token_ids  --pad to a length-->  --embed-->  tensors  --encoder-->  probabilities

The artifact's first flatbuffer has `tokenize` and `embed` in addition to the signatures that every CPU runs.
`edgedistil_runtime.backends.two_parts` runs the two as one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistil_converters.model.weights import ClassifierWeights
from edgedistil_runtime.artifact import CompiledTensor
from edgedistil_runtime.errors import ConversionError

__all__ = ["TargetEncoder", "check_encoder", "padded_row"]


@dataclass(frozen=True)
class TargetEncoder:
    """An encoder for an accelerator.

    Attributes:
        flatbuffer: TFLite model for the accelerator; it also runs on any CPU.
        lengths: Token counts that it takes, ascending; texts are cut to the last one.
        inputs: Function that returns the encoder's inputs by name, which are the outputs of `embed`. Its arguments are
            embeddings float32[length, width], token plus position, and a mask float32[length]: 1 at tokens, 0 at
            padding.
        compiled: The flatbuffer after the accelerator's compiler; None if it was not compiled.
        mapping: Which ops the accelerator runs, as plain data; empty for an accelerator that runs all of them.
        tensors: Inputs and output of the compiled encoder, see `EncoderPart`; empty if it names them itself.
    """

    flatbuffer: bytes
    lengths: tuple[int, ...]
    inputs: Callable[[Any, Any], Mapping[str, Any]]
    compiled: bytes | None = None
    mapping: Mapping[str, Any] = field(default_factory=dict)
    tensors: tuple[CompiledTensor, ...] = ()


def check_encoder(weights: ClassifierWeights) -> None:
    """Checks that a classifier has layers for an accelerator to run.

    Raises:
        ConversionError: It has no transformer layers.

    Example:
        >>> from dataclasses import replace
        >>> from edgedistil.presets.loading import load_classifier
        >>> from edgedistil_converters.model.keras_hub import read_weights
        >>> check_encoder(replace(read_weights(load_classifier("intents")), layers=()))
        Traceback (most recent call last):
        edgedistil_runtime.errors.ConversionError: An accelerator runs the transformer layers of a classifier. ...
    """
    if not weights.layers:
        raise ConversionError(
            "An accelerator runs the transformer layers of a classifier. Received: none. Use the target cpu (`target`)."
        )


def padded_row(token_ids: Sequence[int], length: int, pad_id: int) -> NDArray[np.int32]:
    """Returns the token ids of a text padded on the right, for `embed`.

    Args:
        token_ids: Token ids without padding, at most `length`.
        length: One of the encoder's lengths.
        pad_id: The id that the classifier masks.

    Returns:
        int32[1, length].

    Example:
        >>> padded_row([2, 7, 3], 4, pad_id=0).tolist()
        [[2, 7, 3, 0]]
    """
    row = np.full((1, length), pad_id, np.int32)
    row[0, : len(token_ids)] = token_ids
    return row

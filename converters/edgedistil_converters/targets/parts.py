"""The part of a classifier that an accelerator runs: a flatbuffer of its own, embeddings in, probabilities out.

LiteRT hands a whole file to an accelerator. A tokenizer's integers do not belong on a GPU, which computes in float and
was seen to be wrong without an error, and Coral's compiler stops at the first op that it does not know: so what goes
to the accelerator is a file of its own, and tensors go from one to the other by name.

    text  --tokenize-->  token_ids  --pad to a length-->  --embed-->  tensors  --encoder-->  probabilities

The artefact's own flatbuffer has `tokenize` and `embed`, beside the signatures that it has for every CPU.
`edgedistil_runtime.backends.two_parts` runs the two as one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistil_converters.model.weights import ClassifierWeights
from edgedistil_runtime.errors import ConversionError

__all__ = ["EMBEDDINGS", "PROBABILITIES", "TargetEncoder", "check_encoder", "padded_row"]

EMBEDDINGS, PROBABILITIES = "embeddings", "probabilities"


@dataclass(frozen=True)
class TargetEncoder:
    """An encoder, and how `embed` feeds it.

    Attributes:
        flatbuffer: for the accelerator; it runs on any CPU too.
        lengths: token counts that it takes, ascending; the last one is what texts are cut to.
        inputs: makes the outputs of `embed`, by the names that the encoder has for them, from embeddings
            float32[length, width], token and position added, and from a mask float32[length], 1 at tokens and 0 at
            padding.
        compiled: as the accelerator's own compiler made it; None where there is no such thing.
        mapping: which ops the accelerator runs, as plain data; empty for one that takes a model whole.
    """

    flatbuffer: bytes
    lengths: tuple[int, ...]
    inputs: Callable[[Any, Any], Mapping[str, Any]]
    compiled: bytes | None = None
    mapping: Mapping[str, Any] = field(default_factory=dict)


def check_encoder(weights: ClassifierWeights) -> None:
    """Refuses a classifier that has nothing for an accelerator.

    Raises:
        ConversionError: it has no transformer layers.
    """
    if not weights.layers:
        raise ConversionError(
            "An accelerator runs the transformer layers of a classifier. Received: none. Convert with --target cpu."
        )


def padded_row(token_ids: Sequence[int], length: int, pad_id: int) -> NDArray[np.int32]:
    """A row for `embed`.

    Args:
        token_ids: without padding, no more than `length`.
        length: one of an encoder's.
        pad_id: the id that the classifier masks.

    Returns:
        int32[1, length].

    Example:
        >>> padded_row([2, 7, 3], 4, pad_id=0).tolist()
        [[2, 7, 3, 0]]
    """
    row = np.full((1, length), pad_id, np.int32)
    row[0, : len(token_ids)] = token_ids
    return row

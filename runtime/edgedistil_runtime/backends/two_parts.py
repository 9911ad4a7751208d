"""An interpreter on the CPU and an encoder on an accelerator, as one backend.

    text -> [tokenize] -> token_ids -> [pad to a length] -> [embed] -> tensors -> [encoder] -> probabilities

LiteRT gives a whole file to an accelerator, which is not suited to a tokenizer's integers. Therefore `tokenize` and
`embed` run on the CPU, from the artifact's flatbuffer, and the encoder, a second flatbuffer, runs on the accelerator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgedistil_runtime.backends.encoders import Encoder
from edgedistil_runtime.backends.protocol import Array, Backend, Signature, check_inputs
from edgedistil_runtime.contract import (
    CLASSIFY_TEXT,
    CLASSIFY_TEXT_PAIR,
    CLASSIFY_TOKENS,
    EMBED,
    PROBABILITIES,
    TOKEN_IDS,
    TOKENIZE,
    TOKENIZE_PAIR,
    fixed_embed,
)
from edgedistil_runtime.errors import BackendError

__all__ = ["BOTH", "TwoPartBackend"]

BOTH = " and "  # between the names of the two parts

_TOKENIZERS = {CLASSIFY_TEXT: TOKENIZE, CLASSIFY_TEXT_PAIR: TOKENIZE_PAIR}


class TwoPartBackend:
    """A backend whose classifying signatures end on an accelerator.

    Args:
        host: Backend that runs `tokenize` and `embed`; it is closed with this backend.
        encoder: Encoder that runs the rest; it is closed as well.
        lengths: Row lengths that the encoder takes, ascending.
        pad_id: Id of padding, which the classifier masks.

    Example:
        >>> from edgedistil_runtime import FakeBackend
        >>> host = FakeBackend(lambda signature, inputs: {"ids": inputs["token_ids"]}, signatures={
        ...     "classify_tokens": Signature(("token_ids",), ("probabilities",)),
        ...     "embed": Signature(("token_ids",), ("ids",)),
        ... })
        >>> class Encoder:
        ...     name = "an accelerator"
        ...     def run(self, length, inputs):
        ...         return np.array([[length, inputs["ids"].sum()]], np.float32)
        >>> backend = TwoPartBackend(host, Encoder(), lengths=(4, 8), pad_id=0)
        >>> backend.name, backend.run("classify_tokens", {"token_ids": np.array([[2, 7, 3]])})
        ('fake and an accelerator', {'probabilities': array([[ 4., 12.]], dtype=float32)})
    """

    def __init__(self, host: Backend, encoder: Encoder, *, lengths: Sequence[int], pad_id: int) -> None:
        """Store the parts; nothing runs yet."""
        self._host, self._encoder, self._lengths, self._pad_id = host, encoder, tuple(lengths), pad_id
        self._signatures = {
            name: signature
            for name, signature in host.signatures().items()
            if name in (*_TOKENIZERS, *_TOKENIZERS.values(), CLASSIFY_TOKENS)
        }

    @property
    def name(self) -> str:
        """Names of what executes both parts."""
        return f"{self._host.name}{BOTH}{self._encoder.name}"

    @property
    def version(self) -> str:
        """Version of what executes the part on the CPU."""
        return self._host.version

    def signatures(self) -> Mapping[str, Signature]:
        """Return the host's signatures that classify or tokenize."""
        return dict(self._signatures)

    def run(self, signature: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Run one signature; see `Backend.run`."""
        check_inputs(self._signatures, signature, inputs)
        if signature in _TOKENIZERS.values():
            return self._host.run(signature, inputs)
        if signature in _TOKENIZERS:
            token_ids = self._host.run(_TOKENIZERS[signature], inputs)[TOKEN_IDS]
        else:
            token_ids = inputs[TOKEN_IDS]
        return {PROBABILITIES: np.concatenate([self._classify(row) for row in token_ids])}

    def close(self) -> None:
        """Release both parts; a second call does nothing."""
        self._encoder.close()
        self._host.close()

    def _classify(self, token_ids: Array) -> Array:
        if len(token_ids) > self._lengths[-1]:
            raise BackendError(
                f"A row must have at most {self._lengths[-1]} token ids, the encoder's longest. "
                f"Received: {len(token_ids)}."
            )
        length = next(length for length in self._lengths if length >= len(token_ids))
        row = np.full((1, length), self._pad_id, np.int32)
        row[0, : len(token_ids)] = token_ids
        embed = fixed_embed(length)  # it keeps its memory when another length runs in between
        signature = embed if embed in self._host.signatures() else EMBED
        return self._encoder.run(length, self._host.run(signature, {TOKEN_IDS: row}))

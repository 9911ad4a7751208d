"""What the signatures of an artefact take and give, as Python values: which one to run, with which arrays.

Which signatures a file has depends on how its tokenizer is carried (`TokenizerSettings.kind`) and on whether it takes
pairs of texts; this module is where that is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgedistil_runtime.backends.protocol import Array, Backend
from edgedistil_runtime.contract import (
    BUILTIN,
    CLASSIFY_TEXT,
    CLASSIFY_TEXT_PAIR,
    CLASSIFY_TOKENS,
    IDS,
    MASK,
    PROBABILITIES,
    SEGMENT_IDS,
    SERVING_DEFAULT,
    TEXT,
    TEXT_PAIR,
    TFTEXT,
    TOKEN_IDS,
    TOKENIZE,
    TOKENIZE_PAIR,
)
from edgedistil_runtime.errors import BackendError, InputError
from edgedistil_runtime.metadata import ArtifactMetadata
from edgedistil_runtime.text_bytes import check_text, encode_string, encode_text

__all__ = ["SignatureRunner"]

_ENCODERS: Mapping[str, Callable[[str], Array]] = {BUILTIN: encode_text, TFTEXT: encode_string}


class SignatureRunner:
    """The signatures of one model.

    Args:
        backend: what runs them.
        metadata: of the artefact.

    Raises:
        BackendError: the model lacks the signatures that its tokenizer's kind demands.
    """

    def __init__(self, backend: Backend, metadata: ArtifactMetadata) -> None:
        """Checks the signatures; nothing runs yet."""
        self._backend, self._metadata = backend, metadata
        self._signatures = frozenset(backend.signatures())
        due = (CLASSIFY_TEXT,) if self.takes_text else (CLASSIFY_TOKENS, SERVING_DEFAULT)
        if not self._signatures.intersection(due):
            raise BackendError(
                f"A model whose tokenizer is `{metadata.tokenizer.kind}` has the signature {' or '.join(due)}. "
                f"Received: {sorted(self._signatures)}. Convert again."
            )

    @property
    def takes_text(self) -> bool:
        """Whether the tokenizer is in the model."""
        return self._metadata.tokenizer.kind in _ENCODERS

    @property
    def tells_token_ids(self) -> bool:
        """Whether there is a `tokenize`."""
        return TOKENIZE in self._signatures

    @property
    def takes_token_batches(self) -> bool:
        """Whether `classify_tokens` takes more than one row."""
        return CLASSIFY_TOKENS in self._signatures

    @property
    def runs_texts_together(self) -> bool:
        """Whether `classify_tokens` gives what single texts give.

        Not where activations have fixed ranges: rows may be padded, and the attention of such a plan's rows is float,
        while that of a text alone is int8. Other labels came of it (benchmarks/batching.py).
        """
        is_static = self._metadata.quantization.get("activations") == "int8"
        return self.takes_token_batches and self.tells_token_ids and not is_static

    def check(self, text: str, text_pair: str | None = None) -> None:
        """Refuses what `encode` would refuse.

        Raises:
            InputError: a text is no string, or the model does not take text, or pairs.
        """
        if not self.takes_text:
            raise InputError(
                "The model has no tokenizer and takes token ids. Pass them to classify_tokens, or convert again with "
                f"`tokenizer`={BUILTIN!r}."
            )
        check_text(text)
        if text_pair is None:
            return
        if CLASSIFY_TEXT_PAIR not in self._signatures:
            raise InputError(
                "The model takes one text, not a pair: it has the signatures "
                f"{sorted(self._signatures)}. Convert again with `takes_text_pair`."
            )
        check_text(text_pair)

    def encode(self, text: str, text_pair: str | None = None) -> Mapping[str, Array]:
        """The inputs for one text or one pair.

        Raises:
            InputError: a text is no string, or the model does not take text, or pairs.
        """
        self.check(text, text_pair)
        encode = _ENCODERS[self._metadata.tokenizer.kind]
        if text_pair is None:
            return {TEXT: encode(text)}
        return {TEXT: encode(text), TEXT_PAIR: encode(text_pair)}

    def tokenize(self, inputs: Mapping[str, Array]) -> list[int]:
        """Token ids of what `encode` returned.

        Raises:
            BackendError: the model does not tell its token ids, or the run failed.
        """
        signature = TOKENIZE_PAIR if TEXT_PAIR in inputs else TOKENIZE
        ids: list[int] = self._output(signature, inputs, TOKEN_IDS).reshape(-1).tolist()
        return ids

    def classify(self, inputs: Mapping[str, Array]) -> Array:
        """Probabilities float[num_classes] of what `encode` returned.

        Raises:
            BackendError: the run failed, or gave no probabilities.
        """
        signature = CLASSIFY_TEXT_PAIR if TEXT_PAIR in inputs else CLASSIFY_TEXT
        probabilities: Array = self._probabilities(signature, inputs, rows=1)[0]
        return probabilities

    def classify_tokens(self, token_ids: npt.NDArray[np.int32]) -> Array:
        """Probabilities float[b, num_classes] of rows int32[b, m], right-padded with the pad id.

        Raises:
            BackendError: the run failed, or gave no probabilities.
        """
        if self.takes_token_batches:
            return self._probabilities(CLASSIFY_TOKENS, {TOKEN_IDS: token_ids}, rows=len(token_ids))
        return np.concatenate([self._classify_features(row[None]) for row in token_ids])

    def _classify_features(self, row: npt.NDArray[np.int32]) -> Array:
        """The three inputs of BERT as MediaPipe feeds them: padded to the sequence length."""
        settings = self._metadata.tokenizer
        ids = np.full((1, settings.sequence_length), settings.pad_id, np.int32)
        ids[:, : row.shape[1]] = row
        mask = (np.arange(settings.sequence_length) < row.shape[1]).astype(np.int32)[None]
        inputs = {IDS: ids, SEGMENT_IDS: np.zeros_like(ids), MASK: mask}
        return self._probabilities(SERVING_DEFAULT, inputs, rows=1)

    def _probabilities(self, signature: str, inputs: Mapping[str, Array], *, rows: int) -> Array:
        probabilities = self._output(signature, inputs, PROBABILITIES)
        due = (rows, len(self._metadata.labels))
        if probabilities.shape != due or not np.isfinite(probabilities).all():
            raise BackendError(
                f"{signature} must give finite probabilities of shape {due}. "
                f"Received: shape {probabilities.shape}, {probabilities.reshape(-1)[:8].tolist()}."
            )
        return probabilities

    def _output(self, signature: str, inputs: Mapping[str, Array], name: str) -> Array:
        outputs: Mapping[str, Any] = self._backend.run(signature, inputs)
        if name not in outputs:
            raise BackendError(f"{signature} must have the output {name!r}. Received: {sorted(outputs)}.")
        return np.asarray(outputs[name])

"""Run the signatures of an artifact with Python values: choose the signature and make its arrays.

Only this module knows which signatures a file has: that depends on its tokenizer's kind (`TokenizerSettings.kind`) and
on whether it takes pairs of texts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

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
    TOKEN_COUNT,
    TOKEN_IDS,
    TOKENIZE,
    TOKENIZE_PAIR,
    UNKNOWN_SCORE,
    fixed_text,
    fixed_tokens,
)
from edgedistil_runtime.errors import BackendError, InputError
from edgedistil_runtime.fixed_shapes import FixedSignatures
from edgedistil_runtime.metadata import ArtifactMetadata, GoldenCase
from edgedistil_runtime.text_bytes import encode_string, encode_text
from edgedistil_runtime.utf8 import check_text, encode_bytes

__all__ = ["Answer", "SignatureRunner"]

_TEXT_ARRAYS: Mapping[str, Callable[[str], Array]] = {BUILTIN: encode_text, TFTEXT: encode_string}


class Answer(NamedTuple):
    """Outputs of a model for one text or one row of token ids.

    Attributes:
        probabilities: float[num_classes].
        unknown_score: Output of that name; None if the model has no rule for unknown texts.
        is_cut: True if a signature of fixed length had no room for all token ids of the text; None if another ran.
    """

    probabilities: Array
    unknown_score: float | None = None
    is_cut: bool | None = None


class SignatureRunner:
    """The signatures of one model.

    Args:
        backend: Backend that runs them.
        metadata: Metadata of the artifact.

    Raises:
        BackendError: The model lacks the signatures that its tokenizer's kind requires.

    Example:
        >>> from edgedistil_runtime import read_artifact
        >>> from edgedistil_runtime.backends import default_backend
        >>> runner = SignatureRunner(default_backend("intents.tflite"), read_artifact("intents.tflite").metadata)
        >>> inputs = runner.encode("play music")
        >>> runner.tokenize(inputs)[0] == 2, runner.classify(inputs).probabilities.shape
        (True, (3,))
    """

    def __init__(self, backend: Backend, metadata: ArtifactMetadata) -> None:
        """Check the signatures; nothing runs yet."""
        self._backend, self._metadata = backend, metadata
        self._signatures = frozenset(backend.signatures())
        self._fixed = FixedSignatures.among(self._signatures)
        required = (CLASSIFY_TEXT,) if self.takes_text else (CLASSIFY_TOKENS, SERVING_DEFAULT)
        is_fixed = self._fixed.texts if self.takes_text else self._fixed.lengths
        if not (is_fixed or self._signatures.intersection(required)):
            raise BackendError(
                f"A model whose tokenizer is `{metadata.tokenizer.kind}` has the signature {' or '.join(required)}. "
                f"Received: {sorted(self._signatures)}. Convert again."
            )

    @property
    def takes_text(self) -> bool:
        """True if the tokenizer is in the model."""
        return self._metadata.tokenizer.kind in _TEXT_ARRAYS

    @property
    def most_bytes(self) -> int | None:
        """The longest text that the model takes, in bytes; None if a text may have any length."""
        return None if CLASSIFY_TEXT in self._signatures or not self.takes_text else self._fixed.most_bytes

    @property
    def longest_row(self) -> int:
        """The longest row of token ids that the model takes."""
        longest = self._metadata.tokenizer.sequence_length
        if self._signatures.intersection((CLASSIFY_TOKENS, SERVING_DEFAULT)) or not self._fixed.lengths:
            return longest
        return min(longest, self._fixed.lengths[-1])

    @property
    def has_tokenize(self) -> bool:
        """True if the model has a `tokenize` signature."""
        return TOKENIZE in self._signatures

    @property
    def takes_token_batches(self) -> bool:
        """True if `classify_tokens` takes more than one row."""
        return CLASSIFY_TOKENS in self._signatures

    @property
    def runs_texts_together(self) -> bool:
        """True if `classify_tokens` gives the results of single texts.

        False if activations have fixed ranges: in such a plan attention is int8 for a single text and float for rows,
        which may be padded. Labels changed because of it (benchmarks/batching.py).
        """
        is_static = self._metadata.quantization.get("activations") == "int8"
        return self.takes_token_batches and self.has_tokenize and not is_static

    def can_run(self, case: GoldenCase) -> bool:
        """Return True if a golden case has a shape that the backend takes; always where inputs can be resized."""
        if self.most_bytes is None:
            return len(case.token_ids) <= self.longest_row
        holds_text = len(encode_bytes(case.text)) <= self.most_bytes
        return case.text_pair is None and holds_text and len(case.token_ids) <= self._fixed.texts[-1].length

    def check(self, text: str, text_pair: str | None = None) -> None:
        """Raise the errors of `encode` without encoding.

        Raises:
            InputError: A text is not a string, or the model does not take text or pairs.
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
        """Return the inputs for one text or one pair.

        Raises:
            InputError: A text is not a string, the model does not take text or pairs, or it has fixed lengths and the
                text has more bytes than the largest.
        """
        self.check(text, text_pair)
        if self.most_bytes is not None:
            self._fixed.shapes_for(len(encode_bytes(text)))
        encode = _TEXT_ARRAYS[self._metadata.tokenizer.kind]
        if text_pair is None:
            return {TEXT: encode(text)}
        return {TEXT: encode(text), TEXT_PAIR: encode(text_pair)}

    def tokenize(self, inputs: Mapping[str, Array]) -> list[int]:
        """Return the token ids for the result of `encode`.

        Raises:
            BackendError: The model has no `tokenize` signature, or the run failed.
        """
        signature = TOKENIZE_PAIR if TEXT_PAIR in inputs else TOKENIZE
        outputs = self._backend.run(signature, inputs)
        ids: list[int] = self._output(signature, outputs, TOKEN_IDS, None).reshape(-1).tolist()
        return ids

    def classify(self, inputs: Mapping[str, Array]) -> Answer:
        """Return the answer for the result of `encode`.

        Raises:
            BackendError: The run failed, or its output is not probabilities.
        """
        if self.most_bytes is not None:
            return self._classify_fixed(inputs[TEXT])
        signature = CLASSIFY_TEXT_PAIR if TEXT_PAIR in inputs else CLASSIFY_TEXT
        [answer] = self._answers(signature, inputs, rows=1)
        return answer

    def classify_tokens(self, token_ids: npt.NDArray[np.int32]) -> list[Answer]:
        """Return an answer for each row of int32[b, m], right-padded with the pad id.

        Raises:
            BackendError: The run failed, or its output is not probabilities.
        """
        if self.takes_token_batches:
            return self._answers(CLASSIFY_TOKENS, {TOKEN_IDS: token_ids}, rows=len(token_ids))
        if SERVING_DEFAULT not in self._signatures:
            return [answer for row in token_ids for answer in self._classify_fixed_row(row)]
        return [answer for row in token_ids for answer in self._classify_features(row[None])]

    def _classify_fixed(self, text: Array) -> Answer:
        """Classify bytes and the zeros after them with the smallest fixed length that holds the text."""
        used = int(np.count_nonzero(text))  # a zero ends a text, so that none is before its end
        shapes = self._fixed.shapes_for(used)
        for shape in shapes:
            row = np.zeros(shape.num_bytes, np.int32)
            row[:used] = text[:used]
            signature = fixed_text(*shape)
            outputs = self._backend.run(signature, {TEXT: row})
            count = int(self._output(signature, outputs, TOKEN_COUNT, (1,))[0])
            if count <= shape.length or shape is shapes[-1]:
                break
        [answer] = self._read_answers(signature, outputs, rows=1)
        return answer._replace(is_cut=count > shape.length)

    def _classify_fixed_row(self, row: npt.NDArray[np.int32]) -> list[Answer]:
        """Classify a row of token ids with the smallest fixed length that holds it."""
        length = self._fixed.length_for(len(row))
        padded = np.full((1, length), self._metadata.tokenizer.pad_id, np.int32)
        padded[0, : len(row)] = row
        return self._answers(fixed_tokens(length), {TOKEN_IDS: padded}, rows=1)

    def _classify_features(self, row: npt.NDArray[np.int32]) -> list[Answer]:
        """Classify a row int32[1, m] with BERT's three inputs, padded to the sequence length as MediaPipe does."""
        settings = self._metadata.tokenizer
        ids = np.full((1, settings.sequence_length), settings.pad_id, np.int32)
        ids[:, : row.shape[1]] = row
        mask = (np.arange(settings.sequence_length) < row.shape[1]).astype(np.int32)[None]
        inputs = {IDS: ids, SEGMENT_IDS: np.zeros_like(ids), MASK: mask}
        return self._answers(SERVING_DEFAULT, inputs, rows=1)

    def _answers(self, signature: str, inputs: Mapping[str, Array], *, rows: int) -> list[Answer]:
        return self._read_answers(signature, self._backend.run(signature, inputs), rows=rows)

    def _read_answers(self, signature: str, outputs: Mapping[str, Any], *, rows: int) -> list[Answer]:
        shape = (rows, len(self._metadata.labels))
        probabilities = self._output(signature, outputs, PROBABILITIES, shape)
        if self._metadata.unknown_rule is None:
            return list(map(Answer, probabilities))
        return list(map(Answer, probabilities, self._output(signature, outputs, UNKNOWN_SCORE, (rows,)).tolist()))

    def _output(self, signature: str, outputs: Mapping[str, Any], name: str, shape: tuple[int, ...] | None) -> Array:
        """Return an output of a run; if there is a shape, it must have that and be finite."""
        if name not in outputs:
            raise BackendError(f"{signature} must have the output {name!r}. Received: {sorted(outputs)}.")
        output = np.asarray(outputs[name])
        if shape is not None and (output.shape != shape or not _is_finite(output)):
            raise BackendError(
                f"{signature} must give finite {name} of shape {shape}. "
                f"Received: shape {output.shape}, {output.reshape(-1)[:8].tolist()}."
            )
        return output


def _is_finite(output: Array) -> bool:
    """Return True if every element is finite; the sum of squares is so too, in a third of `np.isfinite`'s time.

    Squares of float32 values above 1e19 are not, and neither probabilities nor scores are as large.
    """
    flat = output.reshape(-1)
    return math.isfinite(flat.dot(flat))

"""Text in, label out: the one class that most users need."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from edgedistil_runtime.artifact import (
    CLASSIFY_TEXT,
    CLASSIFY_TOKENS,
    TOKENIZE,
    ArtifactMetadata,
    read_artifact,
)
from edgedistil_runtime.backends import Array, Backend, default_backend
from edgedistil_runtime.classification import Classification
from edgedistil_runtime.errors import BackendError, InputError
from edgedistil_runtime.golden_cases import replay_golden_cases
from edgedistil_runtime.text_bytes import encode_text

__all__ = ["RuntimeInfo", "TextClassifier"]

ACCELERATORS = ("cpu",)
_LARGEST_BATCH = 32  # rows in one run: bounds the memory of activations, whatever the number of texts


@dataclass(frozen=True)
class RuntimeInfo:
    """What runs the model, and how well it does what the model was verified to do.

    Attributes:
        backend: its name, for instance `ai-edge-litert`.
        version: of the backend.
        accelerator: what was asked for and is in use.
        num_threads: as asked for; None leaves it to the backend.
        golden_cases: how many were replayed; 0 if `verify` was false.
        largest_difference: of a probability in that replay.
    """

    backend: str
    version: str
    accelerator: str
    num_threads: int | None
    golden_cases: int
    largest_difference: float


class TextClassifier:
    """A `.tflite` file of EdgeDistil, loaded, verified on this machine and ready to label texts.

    Use it as a context manager or call `close`. Threads may share it; runs wait for one another.

    Attributes:
        labels: class names, in the model's order.
        metadata: all that the file says about itself.
        runtime_info: what runs it here.

    Example:
        ```python
        with TextClassifier("intent.tflite") as classifier:
            answer = classifier.classify("turn on the kitchen light")
        print(answer.label, answer.score, answer.top(3))
        ```
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        accelerator: str = "cpu",
        num_threads: int | None = None,
        *,
        backend: Backend | None = None,
        verify: bool = True,
    ) -> None:
        """Reads the file, loads the model and replays its golden cases.

        Args:
            path: a `.tflite` file that EdgeDistil wrote.
            accelerator: `cpu`.
            num_threads: threads for one text; None leaves it to the backend.
            backend: what runs the model, for instance a `FakeBackend`; by default the interpreter that is installed.
                `close` closes it.
            verify: whether to replay the golden cases. The file's digest is checked in any case.

        Raises:
            ArtifactError: the file is missing, foreign or damaged.
            BackendError: nothing here can run the model.
            AcceleratorMismatch: what runs it computes something else.
        """
        if accelerator not in ACCELERATORS:
            raise BackendError(f"accelerator must be one of {list(ACCELERATORS)}. Received: {accelerator!r}.")
        self.metadata: ArtifactMetadata = read_artifact(path).metadata
        self.labels: tuple[str, ...] = self.metadata.labels
        self._backend = default_backend(path, num_threads=num_threads) if backend is None else backend
        try:
            self._signatures = frozenset(self._backend.signatures())
            self._check_signatures()
            difference = self._replay() if verify else 0.0
        except BaseException:
            self._backend.close()
            raise
        self.runtime_info = RuntimeInfo(
            backend=self._backend.name,
            version=self._backend.version,
            accelerator=accelerator,
            num_threads=num_threads,
            golden_cases=len(self.metadata.golden_cases) if verify else 0,
            largest_difference=difference,
        )

    def classify(self, text: str) -> Classification:
        """Labels one text.

        Args:
            text: any string, the empty one included. A NUL ends it; lone surrogates count as U+FFFD.

        Raises:
            InputError: `text` is no string.
            BackendError: the run failed.
        """
        return self._classification(text, self._text_probabilities(text))

    def classify_batch(self, texts: Iterable[str]) -> list[Classification]:
        """Labels many texts, in their order; where the model can, several in one run.

        Args:
            texts: any number of strings, none included.

        Raises:
            InputError: `texts` is one string, or an item is no string; nothing is run then.
            BackendError: a run failed.
        """
        if isinstance(texts, (str, bytes)):
            raise InputError(
                f"classify_batch takes a list of texts; classify takes one. Received: {type(texts).__name__}."
            )
        rows = [(text, encode_text(text)) for text in texts]
        if len(rows) > 1 and {TOKENIZE, CLASSIFY_TOKENS} <= self._signatures:
            probabilities = self._batch_probabilities([encoded for _, encoded in rows])
        else:
            probabilities = [self._probabilities(CLASSIFY_TEXT, {"text": encoded})[0] for _, encoded in rows]
        return [self._classification(text, row) for (text, _), row in zip(rows, probabilities)]

    def tokenize(self, text: str) -> list[int]:
        """The token ids that the model makes of a text, special tokens included.

        Raises:
            InputError: `text` is no string.
            BackendError: the model has no `tokenize` signature, or the run failed.
        """
        return self._token_ids(encode_text(text))

    def close(self) -> None:
        """Releases the model; a second call does nothing."""
        self._backend.close()

    def __enter__(self) -> TextClassifier:
        """Returns the classifier itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Closes it."""
        self.close()

    def _check_signatures(self) -> None:
        if CLASSIFY_TEXT not in self._signatures:
            raise BackendError(
                f"The model does not take text: it has the signatures {sorted(self._signatures)}, and "
                f"{CLASSIFY_TEXT} is due. Convert again with `--tokenizer builtin`, or feed token ids to "
                "`edgedistil_runtime.backends` yourself."
            )

    def _replay(self) -> float:
        is_builtin = self.metadata.tokenizer.kind == "builtin"
        return replay_golden_cases(
            self.metadata, tokenize=self.tokenize if is_builtin else None, probabilities=self._text_probabilities
        )

    def _text_probabilities(self, text: str) -> Array:
        probabilities: Array = self._probabilities(CLASSIFY_TEXT, {"text": encode_text(text)})[0]
        return probabilities

    def _token_ids(self, encoded: npt.NDArray[np.int32]) -> list[int]:
        ids: list[int] = self._output(TOKENIZE, {"text": encoded}, "token_ids").reshape(-1).tolist()
        return ids

    def _batch_probabilities(self, encoded: Sequence[npt.NDArray[np.int32]]) -> list[Array]:
        """Rows of equal token count go through the model together: no padding, so the numbers of single runs."""
        token_ids = [self._token_ids(row) for row in encoded]
        groups: dict[int, list[int]] = {}
        for position, ids in enumerate(token_ids):
            groups.setdefault(len(ids), []).append(position)
        found: dict[int, Array] = {}
        for positions in groups.values():
            for start in range(0, len(positions), _LARGEST_BATCH):
                chunk = positions[start : start + _LARGEST_BATCH]
                rows = np.array([token_ids[position] for position in chunk], np.int32)
                found.update(zip(chunk, self._probabilities(CLASSIFY_TOKENS, {"token_ids": rows})))
        return [found[position] for position in range(len(encoded))]

    def _probabilities(self, signature: str, inputs: Mapping[str, Array]) -> Array:
        """Runs a signature; returns float[rows, num_classes], one row for each row of token ids, or one for a text."""
        probabilities = self._output(signature, inputs, "probabilities")
        rows = len(inputs["token_ids"]) if "token_ids" in inputs else 1
        if probabilities.shape != (rows, len(self.labels)) or not np.isfinite(probabilities).all():
            raise BackendError(
                f"{signature} must give finite probabilities of shape {(rows, len(self.labels))}. "
                f"Received: shape {probabilities.shape}, {probabilities.reshape(-1)[:8].tolist()}."
            )
        return probabilities

    def _output(self, signature: str, inputs: Mapping[str, Array], name: str) -> Array:
        outputs: Mapping[str, Any] = self._backend.run(signature, inputs)
        if name not in outputs:
            raise BackendError(f"{signature} must have the output {name!r}. Received: {sorted(outputs)}.")
        return np.asarray(outputs[name])

    def _classification(self, text: str, probabilities: Array) -> Classification:
        scores = dict(zip(self.labels, probabilities.tolist()))
        label = self.labels[int(np.argmax(probabilities))]
        return Classification(text=text, label=label, score=scores[label], probabilities=scores)

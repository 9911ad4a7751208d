"""Text in, label out: the one class that most users need."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from types import TracebackType

import numpy as np

from edgedistil_runtime.artifact import ArtifactMetadata, read_artifact
from edgedistil_runtime.backends.protocol import Array, Backend
from edgedistil_runtime.classification import Classification
from edgedistil_runtime.errors import InputError
from edgedistil_runtime.loading import LoadOptions, RuntimeInfo, load_model

__all__ = ["RuntimeInfo", "TextClassifier"]

_LARGEST_BATCH = 32  # rows in one run: bounds the memory of activations, whatever the number of texts


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
        device: str | None = None,
        fallback: bool = False,
        backend: Backend | None = None,
        verify: bool = True,
        probe: bool = True,
    ) -> None:
        """Reads the file, loads the model and replays its golden cases.

        Args:
            path: a `.tflite` file that EdgeDistil wrote.
            accelerator: `cpu`, or what the file was converted for: `gpu`, `edgetpu`.
            num_threads: threads for one text; None leaves it to the backend.
            device: which Edge TPU: `usb`, `pci`, or one of several, as in `:0` or `usb:1`.
            fallback: whether the CPU stands in for an accelerator that cannot be had here or computes something else;
                `runtime_info` and a warning in the log say so.
            backend: what runs the model, for instance a `FakeBackend`; by default the one that `backends.choice`
                finds. `close` closes it.
            verify: whether to replay the golden cases. The file's digest is checked in any case.
            probe: whether an accelerator is tried out in a child process first, for it can end the process.

        Raises:
            ArtifactError: the file is missing, foreign or damaged.
            AcceleratorUnavailable: the accelerator cannot be had here, or the file was not converted for it.
            AcceleratorMismatch: what runs it computes something else.
            BackendError: nothing here can run the model.
        """
        artifact = read_artifact(path)
        self.metadata: ArtifactMetadata = artifact.metadata
        self.labels: tuple[str, ...] = self.metadata.labels
        options = LoadOptions(accelerator, num_threads, device, fallback, verify, probe)
        loaded = load_model(artifact, options, backend)
        self._backend, self._runner = loaded.backend, loaded.runner
        self.runtime_info: RuntimeInfo = loaded.info

    def classify(self, text: str, text_pair: str | None = None) -> Classification:
        """Labels one text, or one pair of texts.

        Args:
            text: any string, the empty one included. A NUL ends it; lone surrogates count as U+FFFD.
            text_pair: a second text, for a model that was converted with `--text-pair`.

        Raises:
            InputError: a text is no string, or the model does not take text, or pairs.
            BackendError: the run failed.
        """
        return self._classification(self._runner.classify(self._runner.encode(text, text_pair)), text, text_pair)

    def classify_batch(self, texts: Iterable[str], text_pairs: Iterable[str] | None = None) -> list[Classification]:
        """Labels many texts, or pairs of texts, in their order; where the model can, several in one run.

        Args:
            texts: any number of strings, none included.
            text_pairs: a second text for each, for a model that was converted with `--text-pair`.

        Raises:
            InputError: `texts` is one string, an item is no string, the model does not take them, or there are not as
                many second texts; nothing is run then.
            BackendError: a run failed.
        """
        pairs = _pairs(texts, text_pairs)
        inputs = [self._runner.encode(*pair) for pair in pairs]
        if len(inputs) > 1 and self._runner.takes_token_batches:
            probabilities = self._token_probabilities([self._runner.tokenize(one) for one in inputs])
        else:
            probabilities = [self._runner.classify(one) for one in inputs]
        return [self._classification(row, *pair) for row, pair in zip(probabilities, pairs)]

    def classify_tokens(self, token_ids: Iterable[Sequence[int]]) -> list[Classification]:
        """Labels rows of token ids, special tokens included and without padding, from a tokenizer of one's own.

        The model trusts them: an id that the vocabulary has not is an error, and ids of another vocabulary give
        meaningless labels.

        Args:
            token_ids: any number of rows of 1 to `sequence_length` ids.

        Raises:
            InputError: a row is empty or too long, or an id is none of the vocabulary's; nothing is run then.
            BackendError: a run failed.
        """
        rows = [list(row) for row in token_ids]
        for number, row in enumerate(rows):
            self._check_row(number, row)
        return [self._classification(row) for row in self._token_probabilities(rows)]

    def tokenize(self, text: str, text_pair: str | None = None) -> list[int]:
        """The token ids that the model makes of a text or a pair of texts, special tokens included.

        Raises:
            InputError: a text is no string, or the model does not take text, or pairs.
            BackendError: the model has no `tokenize` signature, or the run failed.
        """
        return self._runner.tokenize(self._runner.encode(text, text_pair))

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

    def _token_probabilities(self, token_ids: Sequence[Sequence[int]]) -> list[Array]:
        """Rows of equal token count go through the model together: no padding, so the numbers of single runs."""
        groups: dict[int, list[int]] = {}
        for position, ids in enumerate(token_ids):
            groups.setdefault(len(ids), []).append(position)
        found: dict[int, Array] = {}
        for positions in groups.values():
            for start in range(0, len(positions), _LARGEST_BATCH):
                chunk = positions[start : start + _LARGEST_BATCH]
                rows = np.array([token_ids[position] for position in chunk], np.int32)
                found.update(zip(chunk, self._runner.classify_tokens(rows)))
        return [found[position] for position in range(len(token_ids))]

    def _check_row(self, number: int, row: Sequence[int]) -> None:
        settings = self.metadata.tokenizer
        if not 1 <= len(row) <= settings.sequence_length:
            raise InputError(
                f"A row must have 1 to {settings.sequence_length} token ids. Received: {len(row)} in row {number}."
            )
        foreign = [token for token in row if not 0 <= int(token) < settings.vocabulary_size]
        if foreign:
            raise InputError(
                f"Token ids must be from 0 to {settings.vocabulary_size - 1}, the vocabulary's. "
                f"Received: {foreign[:5]} in row {number}."
            )

    def _classification(
        self, probabilities: Array, text: str | None = None, text_pair: str | None = None
    ) -> Classification:
        scores = dict(zip(self.labels, probabilities.tolist()))
        label = self.labels[int(np.argmax(probabilities))]
        return Classification(text, label, scores[label], scores, text_pair)


def _pairs(texts: Iterable[str], text_pairs: Iterable[str] | None) -> list[tuple[str, str | None]]:
    """Each text with its second text or None."""
    for given in (texts, text_pairs):
        if isinstance(given, (str, bytes)):
            raise InputError(
                f"classify_batch takes a list of texts; classify takes one. Received: {type(given).__name__}."
            )
    firsts = list(texts)
    seconds: list[str | None] = [None] * len(firsts) if text_pairs is None else list(text_pairs)
    if len(firsts) != len(seconds):
        raise InputError(
            f"There must be one second text for each text. Received: {len(firsts)} texts, {len(seconds)} second texts."
        )
    return list(zip(firsts, seconds))

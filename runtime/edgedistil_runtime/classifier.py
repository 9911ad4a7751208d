"""Text in, label out: the one class that most users need."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import NoReturn

import numpy as np

from edgedistil_runtime.artifact import ArtifactMetadata, read_artifact
from edgedistil_runtime.backends.choice import WeightCache
from edgedistil_runtime.backends.protocol import Array, Backend
from edgedistil_runtime.batches import batches
from edgedistil_runtime.classification import Classification
from edgedistil_runtime.contract import CPU
from edgedistil_runtime.errors import InputError
from edgedistil_runtime.loading import LoadOptions, RuntimeInfo, load_model
from edgedistil_runtime.long_texts import Excerpt, LongTexts

__all__ = ["RuntimeInfo", "TextClassifier"]


class TextClassifier:
    """A `.tflite` file of EdgeDistil, loaded, verified on this machine and ready to label texts.

    Use it as a context manager or call `close`. Threads may share it; runs wait for one another, and so does a fork.
    A forked child goes on with its own copy; a classifier cannot be sent to another process: open the file there.

    The file may be renamed or deleted while it is open. One of more than 16 MB is memory-mapped, and must not be
    shortened or overwritten in place: write a new file and rename it over the old one.

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
        accelerator: str = CPU,
        num_threads: int | None = None,
        *,
        device: str | None = None,
        fallback: bool = False,
        backend: Backend | None = None,
        verify: bool = True,
        probe: bool = True,
        weight_cache: WeightCache = None,
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
            weight_cache: a folder where the weights are kept as XNNPACK packs them for this processor, so that a model
                loads faster the next time; True for the user's own, `~/.cache/edgedistil`. One file a model, about as
                large. By default they are kept in memory alone; False has even a large model run in an interpreter,
                which takes more memory. Of no effect on an accelerator.

        Raises:
            ArtifactError: the file is missing, foreign or damaged.
            AcceleratorUnavailable: the accelerator cannot be had here, or the file was not converted for it.
            AcceleratorMismatch: what runs it computes something else.
            BackendError: nothing here can run the model.
        """
        try:
            artifact = read_artifact(path)
        except BaseException:
            if backend is not None:
                backend.close()
            raise
        self.metadata: ArtifactMetadata = artifact.metadata
        self.labels: tuple[str, ...] = self.metadata.labels
        options = LoadOptions(accelerator, num_threads, device, fallback, verify, probe, weight_cache)
        loaded = load_model(artifact, options, backend)
        self._backend, self._runner = loaded.backend, loaded.runner
        self.runtime_info: RuntimeInfo = loaded.info
        # An accelerator runs one row after the other; so does a model whose rows would get other numbers.
        self._runs_texts_together = self.runtime_info.accelerator == CPU and self._runner.runs_texts_together
        tokenize = self._token_ids if self._runner.tells_token_ids else None
        self._long_texts = LongTexts(self.metadata.tokenizer, tokenize)

    def classify(self, text: str, text_pair: str | None = None) -> Classification:
        """Labels one text, or one pair of texts.

        What is beyond the model's row of token ids has no say (`is_truncated`), and costs nothing: of a text of a
        megabyte with spaces in it, the first page is run.

        Args:
            text: any string, the empty one included. A NUL ends it; lone surrogates count as U+FFFD.
            text_pair: a second text, for a model that was converted with `takes_text_pair`.

        Raises:
            InputError: a text is no string, or the model does not take text, or pairs.
            BackendError: the run failed.
        """
        self._runner.check(text, text_pair)
        excerpt = self._long_texts.excerpt(text, text_pair)
        if excerpt.token_ids is not None and self._runs_texts_together:  # not to tokenize it twice
            [probabilities] = self._token_probabilities([excerpt.token_ids])
        else:
            probabilities = self._runner.classify(self._runner.encode(excerpt.text, excerpt.text_pair))
        return self._classification(probabilities, text, text_pair, is_truncated=excerpt.is_truncated)

    def classify_batch(self, texts: Iterable[str], text_pairs: Iterable[str] | None = None) -> list[Classification]:
        """Labels many texts, or pairs of texts, in their order; where the model can, several in one run.

        Texts of similar length are padded to one length. That changes a probability by a rounding error of the model's
        (1.2e-4 at most was seen, with int8). A plan whose activations have fixed ranges runs texts one by one.

        Args:
            texts: any number of strings, none included.
            text_pairs: a second text for each, for a model that was converted with `takes_text_pair`.

        Raises:
            InputError: `texts` is one string, an item is no string, the model does not take them, or there are not as
                many second texts; nothing is run then.
            BackendError: a run failed.
        """
        pairs = _pairs(texts, text_pairs)
        for pair in pairs:
            self._runner.check(*pair)
        if len(pairs) < 2 or not self._runs_texts_together:
            return [self.classify(*pair) for pair in pairs]
        excerpts = [self._long_texts.excerpt(*pair) for pair in pairs]
        probabilities = self._token_probabilities(list(map(self._row, excerpts)))
        return [
            self._classification(row, *pair, is_truncated=excerpt.is_truncated)
            for row, pair, excerpt in zip(probabilities, pairs, excerpts)
        ]

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
        return [self._classification(row, is_truncated=False) for row in self._token_probabilities(rows)]

    def tokenize(self, text: str, text_pair: str | None = None) -> list[int]:
        """The token ids that the model makes of a text or a pair of texts, special tokens included.

        Raises:
            InputError: a text is no string, or the model does not take text, or pairs.
            BackendError: the model has no `tokenize` signature, or the run failed.
        """
        self._runner.check(text, text_pair)
        return list(self._row(self._long_texts.excerpt(text, text_pair)))

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

    def __reduce__(self) -> NoReturn:
        """Says why a classifier cannot be pickled."""
        raise TypeError("A TextClassifier cannot be sent to another process. Open the file in that process.")

    def _token_ids(self, text: str, text_pair: str | None) -> list[int]:
        return self._runner.tokenize(self._runner.encode(text, text_pair))

    def _row(self, excerpt: Excerpt) -> Sequence[int]:
        """The token ids that go through the model."""
        return self._token_ids(excerpt.text, excerpt.text_pair) if excerpt.token_ids is None else excerpt.token_ids

    def _token_probabilities(self, token_ids: Sequence[Sequence[int]]) -> list[Array]:
        """Probabilities of each row, in their order; rows of similar length go through the model together."""
        runs = batches([len(ids) for ids in token_ids])
        if not self._runner.takes_token_batches:  # it would take padding for tokens
            runs = [[position] for run in runs for position in run]
        found: dict[int, Array] = {}
        for run in runs:
            ids = np.full((len(run), len(token_ids[run[-1]])), self.metadata.tokenizer.pad_id, np.int32)
            for row, position in zip(ids, run):
                row[: len(token_ids[position])] = token_ids[position]
            found.update(zip(run, self._runner.classify_tokens(ids)))
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
        self,
        probabilities: Array,
        text: str | None = None,
        text_pair: str | None = None,
        *,
        is_truncated: bool | None,
    ) -> Classification:
        scores = dict(zip(self.labels, probabilities.tolist()))
        label = self.labels[int(np.argmax(probabilities))]
        return Classification(text, label, scores[label], scores, text_pair, is_truncated)


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

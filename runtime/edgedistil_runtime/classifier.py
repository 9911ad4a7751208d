"""Text in, label out: the class that most programs need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from types import TracebackType
from typing import Any, NoReturn, SupportsIndex

import numpy as np

from edgedistil_runtime.arguments import as_integer, is_iterable
from edgedistil_runtime.artifact import ArtifactMetadata, read_artifact
from edgedistil_runtime.backends.choice import WeightCache
from edgedistil_runtime.backends.interpreters import thread_count
from edgedistil_runtime.backends.protocol import Backend
from edgedistil_runtime.batches import batches
from edgedistil_runtime.classification import Classification
from edgedistil_runtime.contract import CPU, NO_TOKENIZER
from edgedistil_runtime.errors import InputError
from edgedistil_runtime.loading import LoadOptions, RuntimeInfo, load_model
from edgedistil_runtime.long_texts import Excerpt, LongTexts
from edgedistil_runtime.model_source import ModelSource
from edgedistil_runtime.pieces import CUT, Pieces, check_long_texts
from edgedistil_runtime.runner import Answer
from edgedistil_runtime.signing import FileSignature, PublicKey

__all__ = ["RuntimeInfo", "TextClassifier"]


class TextClassifier:
    """A classifier in a `.tflite` file of EdgeDistil, verified on this machine and ready to label texts.

    Use it as a context manager or call `close`. Threads may share it: runs and forks wait for one another. A forked
    child has its own copy. A classifier cannot be sent to another process; open the file there.

    The file may be renamed or deleted while it is open. A file of more than 16 MB is memory-mapped and must not be
    shortened or overwritten in place: write a new file and rename it over the old one.

    Attributes:
        labels: Class names, in the model's order.
        metadata: Content of the file's `edgedistil.json`.
        long_texts: What is read of a text that is longer than the model's sequence length.
        signature: Signature in the file, which was checked only if `public_key` was given; None if there is none.
        runtime_info: Interpreter or accelerator that runs the model, and the result of the golden cases.

    Example:
        >>> with TextClassifier("intents.tflite") as classifier:
        ...     answer = classifier.classify("play some music")
        ...     many = classifier.classify_batch(["is it raining ?", "turn the light off"])
        >>> answer.label, [label for label, _ in answer.top(3)][0], [one.label for one in many]
        ('music', 'music', ['weather', 'lights'])
    """

    def __init__(
        self,
        path: ModelSource,
        accelerator: str = CPU,
        num_threads: SupportsIndex | None = None,
        *,
        device: str | None = None,
        fallback: bool = False,
        backend: Backend | None = None,
        verify: bool = True,
        probe: bool = True,
        weight_cache: WeightCache = None,
        long_texts: str = CUT,
        public_key: PublicKey | None = None,
    ) -> None:
        """Read the file, load the model and replay its golden cases.

        Args:
            path: A `.tflite` file that EdgeDistil wrote, or its content: bytes, a file object opened in binary mode (a
                member of a ZIP archive, for instance), or a resource, `importlib.resources.files(package) / name`. A
                content is checked as a file is and kept in memory once.
            accelerator: `cpu`, or the target that the file was converted for: `gpu`, `edgetpu`,
                `coralboard`.
            num_threads: Number of threads for one text; None is 1, which is fastest for short texts and on a busy
                machine.
            device: The Edge TPU to use: `usb`, `pci`, or one of several, as in `:0` or `usb:1`. For a Coralboard: `sim`
                for its vendor's simulator, which needs no board and computes a text in seconds.
            fallback: Use the CPU if the accelerator is unavailable or fails the golden cases. `runtime_info` and a
                warning in the log report it.
            backend: Backend that runs the model, for instance a `FakeBackend`; by default `backends.choice` finds
                one. `close` closes it.
            verify: Replay the golden cases. The file's digest is always checked.
            probe: Try an accelerator in a child process first, because its driver can end the process.
            weight_cache: Folder for the weights as XNNPACK packs them for this processor, so that the model loads
                faster the next time: one file per model, about as large as it. True uses `~/.cache/edgedistil`. None
                keeps packed weights only in memory; False runs even a large model in an interpreter, which takes more
                memory. Accelerators ignore it.
            long_texts: What is read of a text that is longer than the model's sequence length: `cut` reads its
                beginning, `head-tail` its first and last words, `windows` all of it, in overlapping pieces whose
                probabilities are averaged. The last two are for single texts, and cost a text its whole length.
            public_key: Refuse a file that was not signed with the private key of this one (`edgedistil sign`): a PEM
                file, or its content as bytes. A file is then read into memory, so that what was checked is what runs.
                None accepts every file. It needs the extra `sign`.

        Raises:
            InputError: `long_texts` is none of these, or is not `cut` for a model that takes token ids.
            UntrustedArtifact: The file's signature is missing, of another key, or does not fit the file.
            SigningKeyError: `public_key` cannot be read, or is not an Ed25519 key.
            ArtifactError: The file is missing, damaged, or not an artifact.
            AcceleratorUnavailable: The accelerator is unavailable, or the file was not converted for it.
            AcceleratorMismatch: The golden cases came out differently here.
            BackendError: No interpreter on this machine can run the model.
        """
        try:
            check_long_texts(long_texts)
            threads = None if num_threads is None else thread_count(num_threads)
            artifact = read_artifact(path, public_key=public_key)
            if long_texts != CUT and artifact.metadata.tokenizer.kind == NO_TOKENIZER:
                raise InputError(
                    f"The model takes token ids, which are not divided. Received: `long_texts`={long_texts!r}."
                )
        except BaseException:
            if backend is not None:
                backend.close()
            raise
        self.metadata: ArtifactMetadata = artifact.metadata
        self.labels: tuple[str, ...] = self.metadata.labels
        self.signature: FileSignature | None = artifact.signature
        options = LoadOptions(accelerator, threads, device, fallback, verify, probe, weight_cache)
        loaded = load_model(artifact, options, backend)
        self._backend, self._runner = loaded.backend, loaded.runner
        self.runtime_info: RuntimeInfo = loaded.info
        # Accelerators run row by row, and so do models whose rows would get other numbers in a batch.
        self._runs_texts_together = self.runtime_info.accelerator == CPU and self._runner.runs_texts_together
        tokenize = self._token_ids if self._runner.has_tokenize else None
        self._excerpts_of = LongTexts(self.metadata.tokenizer, tokenize, most_bytes=self._runner.most_bytes)
        self._pieces = Pieces(self.metadata.tokenizer, self._token_ids)
        self.long_texts: str = long_texts

    def classify(
        self, text: str, text_pair: str | None = None, *, top_k: SupportsIndex | None = None
    ) -> Classification:
        """Label one text or one pair of texts.

        With `long_texts="cut"`, text beyond the model's sequence length is ignored (`is_truncated`) and costs nothing:
        of a megabyte of words, only the first page is run.

        Args:
            text: Any string, also an empty one. A NUL ends the text; lone surrogates count as U+FFFD.
            text_pair: Second text, for a model that was converted with `takes_text_pair`.
            top_k: Number of labels in `probabilities`, the most probable ones; None keeps all.

        Raises:
            InputError: A text is not a string, the model does not take text or pairs, or `top_k` is less than 1.
            BackendError: The run failed.

        Example:
            >>> with TextClassifier("intents.tflite") as classifier:
            ...     list(classifier.classify("play some music", top_k=1).probabilities)
            ['music']
        """
        count = _label_count(top_k)
        self._check(text, text_pair)
        excerpts = self._excerpts(text, text_pair)
        return self._classification(list(map(self._run, excerpts)), excerpts, count, text, text_pair)

    def classify_batch(
        self,
        texts: Iterable[str],
        text_pairs: Iterable[str] | None = None,
        *,
        top_k: SupportsIndex | None = None,
    ) -> list[Classification]:
        """Label texts or pairs of texts, in their order, several in one run if the model supports it.

        Texts of similar length are padded to one length, which changes a probability by a rounding error (at most
        1.2e-4 was seen, with int8). Models whose activations have fixed ranges run texts one by one.

        Args:
            texts: Any number of strings, also none.
            text_pairs: One second text per text, for a model that was converted with `takes_text_pair`.
            top_k: Number of labels in each `probabilities`, the most probable ones; None keeps all.

        Raises:
            InputError: `texts` is one string, an item is not a string, the model does not take text or pairs, or the
                numbers of texts differ; nothing has run then.
            BackendError: A run failed.
        """
        count, pairs = _label_count(top_k), _pairs(texts, text_pairs)
        for pair in pairs:
            self._check(*pair)
        if len(pairs) < 2 or not self._runs_texts_together:
            return [self.classify(*pair, top_k=count) for pair in pairs]
        excerpts = [self._excerpts(*pair) for pair in pairs]
        rows = iter(self._token_answers([self._row(excerpt) for some in excerpts for excerpt in some]))
        return [
            self._classification(list(islice(rows, len(some))), some, count, *pair)
            for pair, some in zip(pairs, excerpts)
        ]

    def classify_tokens(
        self, token_ids: Iterable[Sequence[int]], *, top_k: SupportsIndex | None = None
    ) -> list[Classification]:
        """Label rows of token ids from another tokenizer, with special tokens and without padding.

        Ids outside the vocabulary are an error; ids of another vocabulary give meaningless labels.

        Args:
            token_ids: Any number of rows of 1 to `sequence_length` ids; arrays are rows too.
            top_k: Number of labels in each `probabilities`, the most probable ones; None keeps all.

        Raises:
            InputError: A row is empty or too long, or an id is not an integer or not in the vocabulary; nothing has run
                then.
            BackendError: A run failed.
        """
        count, rows = _label_count(top_k), _rows(token_ids)
        for number, row in enumerate(rows):
            self._check_row(number, row)
        whole = [Excerpt("", None, is_truncated=False)]
        return [self._classification([row], whole, count) for row in self._token_answers(rows)]

    def tokenize(self, text: str, text_pair: str | None = None) -> list[int]:
        """Return the model's token ids for a text or a pair of texts, with special tokens; of a long one, the first.

        Raises:
            InputError: A text is not a string, or the model does not take text or pairs.
            BackendError: The model has no `tokenize` signature, or the run failed.
        """
        self._runner.check(text, text_pair)
        return list(self._row(self._excerpts_of.excerpt(text, text_pair)))

    def count_tokens(self, text: str) -> int:
        """Return the number of token ids of a whole text, however long it is, without special tokens.

        It costs a text its whole length. A part that cannot be divided counts as one row at most.

        Raises:
            InputError: The text is not a string, or the model does not take text.
            BackendError: The model has no `tokenize` signature, or the run failed.

        Example:
            >>> with TextClassifier("intents.tflite") as classifier:
            ...     classifier.count_tokens("play music " * 100)
            200
        """
        self._runner.check(text)
        return self._pieces.count_ids(text)

    def close(self) -> None:
        """Release the model; a second call does nothing."""
        self._backend.close()

    def __enter__(self) -> TextClassifier:
        """Return the classifier."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the classifier."""
        self.close()

    def __reduce__(self) -> NoReturn:
        """Raise TypeError: a classifier cannot be pickled."""
        raise TypeError("A TextClassifier cannot be sent to another process. Open the file in that process.")

    def _token_ids(self, text: str, text_pair: str | None) -> list[int]:
        return self._runner.tokenize(self._runner.encode(text, text_pair))

    def _check(self, text: str, text_pair: str | None) -> None:
        self._runner.check(text, text_pair)
        if text_pair is not None and self.long_texts != CUT:
            raise InputError(f"Pairs of texts are not divided. Received: `long_texts`={self.long_texts!r} and a pair.")

    def _excerpts(self, text: str, text_pair: str | None) -> list[Excerpt]:
        """Return what is read of a text or a pair: one excerpt or, of a long text, pieces."""
        excerpt = self._excerpts_of.excerpt(text, text_pair)
        if self.long_texts == CUT or not excerpt.is_truncated:
            return [excerpt]
        return self._pieces.divide(text, self.long_texts) or [excerpt]

    def _run(self, excerpt: Excerpt) -> Answer:
        """Return the model's answer to an excerpt."""
        if excerpt.token_ids is not None and self._runs_texts_together:  # or the text would be tokenized twice
            [answer] = self._token_answers([excerpt.token_ids])
            return answer
        return self._runner.classify(self._runner.encode(excerpt.text, excerpt.text_pair))

    def _row(self, excerpt: Excerpt) -> Sequence[int]:
        """Return the token ids to run."""
        return self._token_ids(excerpt.text, excerpt.text_pair) if excerpt.token_ids is None else excerpt.token_ids

    def _token_answers(self, token_ids: Sequence[Sequence[int]]) -> list[Answer]:
        """Return the answer to each row, in their order; rows of similar length share a run."""
        runs = batches([len(ids) for ids in token_ids])
        if not self._runner.takes_token_batches:  # padding would count as tokens
            runs = [[position] for run in runs for position in run]
        found: dict[int, Answer] = {}
        for run in runs:
            ids = np.full((len(run), len(token_ids[run[-1]])), self.metadata.tokenizer.pad_id, np.int32)
            for row, position in zip(ids, run):
                row[: len(token_ids[position])] = token_ids[position]
            found.update(zip(run, self._runner.classify_tokens(ids)))
        return [found[position] for position in range(len(token_ids))]

    def _check_row(self, number: int, row: Sequence[int]) -> None:
        settings, longest = self.metadata.tokenizer, self._runner.longest_row
        if not 1 <= len(row) <= longest:
            raise InputError(f"A row must have 1 to {longest} token ids. Received: {len(row)} in row {number}.")
        foreign = [token for token in row if not 0 <= token < settings.vocabulary_size]
        if foreign:
            raise InputError(
                f"Token ids must be from 0 to {settings.vocabulary_size - 1}, as in the vocabulary. "
                f"Received: {foreign[:5]} in row {number}."
            )

    def _classification(
        self,
        rows: Sequence[Answer],
        excerpts: Sequence[Excerpt],
        top_k: int | None,
        text: str | None = None,
        text_pair: str | None = None,
    ) -> Classification:
        """Return the result of a text from the answers to its excerpts."""
        probabilities = (
            rows[0].probabilities if len(rows) == 1 else np.mean([row.probabilities for row in rows], axis=0)
        )
        scores = dict(zip(self.labels, probabilities.tolist()))
        label = self.labels[int(probabilities.argmax())]
        flags = [
            excerpt.is_truncated or (excerpt.is_truncated if row.is_cut is None else row.is_cut)
            for row, excerpt in zip(rows, excerpts)
        ]
        is_truncated = True if True in flags else None if None in flags else False
        decision = self.metadata.decision
        labels = None
        if decision.is_multi_label:
            labels = tuple(self.labels[number] for number in decision.chosen(probabilities))
        found = Classification(
            text, label, scores[label], scores, text_pair, is_truncated, len(rows), labels, *self._unknown(rows)
        )
        return found if top_k is None else replace(found, probabilities=dict(found.top(top_k)))

    def _unknown(self, rows: Sequence[Answer]) -> tuple[float | None, bool | None]:
        """Return the mean `unknown_score` of the excerpts of a text, and whether the text is unknown."""
        rule = self.metadata.unknown_rule
        if rule is None:
            return None, None
        scores = [row.unknown_score for row in rows if row.unknown_score is not None]
        if not scores:
            return None, None
        score = sum(scores) / len(scores)
        return score, rule.is_unknown(score)


def _pairs(texts: Iterable[str], text_pairs: Iterable[str] | None) -> list[tuple[str, str | None]]:
    """Return each text with its second text or None."""
    for given in (texts, *(() if text_pairs is None else (text_pairs,))):
        if not is_iterable(given):
            raise InputError(
                f"classify_batch takes a list of texts; classify takes one text. Received: {type(given).__name__}."
            )
    firsts = list(texts)
    seconds: list[str | None] = [None] * len(firsts) if text_pairs is None else list(text_pairs)
    if len(firsts) != len(seconds):
        raise InputError(
            f"There must be one second text for each text. Received: {len(firsts)} texts, {len(seconds)} second texts."
        )
    return list(zip(firsts, seconds))


def _label_count(top_k: SupportsIndex | None) -> int | None:
    if top_k is None:
        return None
    count = as_integer(top_k)
    if count is None or count < 1:
        raise InputError(f"`top_k` must be None or an integer of at least 1. Received: {top_k!r}.")
    return count


def _rows(token_ids: Any) -> list[list[int]]:
    """Return rows of token ids as lists of Python's integers."""
    if not is_iterable(token_ids):
        raise InputError(f"classify_tokens takes rows of token ids. Received: {type(token_ids).__name__}.")
    rows = []
    for number, row in enumerate(token_ids):
        if not is_iterable(row):
            raise InputError(
                f"A row must be a list of token ids. Received: {row!r}, {type(row).__name__}, in row {number}."
            )
        ids = [as_integer(token) for token in row]
        if None in ids:
            raise InputError(f"Token ids must be integers. Received: {list(row)[ids.index(None)]!r} in row {number}.")
        rows.append([token for token in ids if token is not None])
    return rows

"""Micro-batching: texts that arrive while the model runs are run together next.

Nothing waits for a batch to fill. One thread takes all waiting texts, up to the batch's limit, as soon as the previous
run is over: a single text has no delay, and under load batches grow. The event loop only puts texts into the queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Union

from edgedistil_runtime.classification import Classification
from edgedistil_runtime.errors import EdgeDistilError

__all__ = ["MicroBatcher", "QueueFull"]

Classify = Callable[[Sequence[str], Union[Sequence[str], None]], Sequence[Classification]]
Outcome = Union[Classification, Exception]


class QueueFull(EdgeDistilError):
    """The queue has no room for these texts now."""


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A text in the queue, and the future of its result."""

    text: str
    text_pair: str | None
    answer: asyncio.Future[Classification]


class MicroBatcher:
    """A bounded queue of texts and one thread that runs the model.

    It must be made in a running event loop, and used only from that loop.

    Args:
        classify: Labels texts or pairs of texts in their order, such as `TextClassifier.classify_batch`; called in the
            thread.
        max_batch_texts: Most texts in one call of `classify`.
        max_queued_texts: Most texts that wait.
        on_batch: Called in the thread after each run with the number of texts and the seconds.

    Example:
        >>> def classify(texts, text_pairs):
        ...     return [Classification(text, "long" if len(text) > 3 else "short", 1.0, {}) for text in texts]
        >>> async def label(*texts):
        ...     batcher = MicroBatcher(classify, max_batch_texts=8, max_queued_texts=100)
        ...     answers = await batcher.classify(texts)
        ...     await batcher.close(1.0)
        ...     return [answer.label for answer in answers]
        >>> asyncio.run(label("hi", "hello"))
        ['short', 'long']
    """

    def __init__(
        self,
        classify: Classify,
        *,
        max_batch_texts: int,
        max_queued_texts: int,
        on_batch: Callable[[int, float], None] = lambda texts, seconds: None,
    ) -> None:
        """Start the thread."""
        self._classify, self._on_batch = classify, on_batch
        self._max_batch_texts, self._max_queued_texts = max_batch_texts, max_queued_texts
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._is_closing = False
        # A daemon, so that Python does not join it at exit: a run may still hang after `close`.
        self._thread = threading.Thread(target=self._run_batches, name="edgedistil-model", daemon=True)
        self._thread.start()

    @property
    def num_queued(self) -> int:
        """Number of texts that wait for a run."""
        return len(self._waiting)

    @property
    def is_alive(self) -> bool:
        """True if the thread has not ended; after `close`, a run then takes longer than `close` waited."""
        return self._thread.is_alive()

    async def classify(self, texts: Sequence[str], text_pairs: Sequence[str] | None = None) -> list[Classification]:
        """Label the texts of one request, in their order; if it is cancelled, texts that still wait are dropped.

        Raises:
            QueueFull: The texts do not fit into the queue; none of them was added.
            EdgeDistilError: The model refused one of them, or failed.
        """
        pairs: Sequence[str | None] = [None] * len(texts) if text_pairs is None else text_pairs
        waiting = [_Waiting(text, pair, self._loop.create_future()) for text, pair in zip(texts, pairs)]
        with self._changed:
            if self._is_closing or len(self._waiting) + len(waiting) > self._max_queued_texts:
                raise QueueFull(
                    f"{len(self._waiting)} texts wait for the model; at most {self._max_queued_texts} may. "
                    f"Received: {len(waiting)} more. Try again."
                )
            self._waiting.extend(waiting)
            self._changed.notify()
        try:
            return list(await asyncio.gather(*(one.answer for one in waiting)))
        finally:
            for one in waiting:
                one.answer.cancel()  # no effect on finished ones

    async def close(self, seconds: float) -> None:
        """Refuse further texts, and wait up to `seconds` until the thread has emptied the queue and ended."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        await self._loop.run_in_executor(None, self._thread.join, seconds)

    def _run_batches(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._is_closing:
                    self._changed.wait()
                if not self._waiting:
                    return
                batch = self._next_batch()
            if batch:
                started = time.perf_counter()
                outcomes = self._run_batch(batch)
                self._on_batch(len(batch), time.perf_counter() - started)
                with contextlib.suppress(RuntimeError):  # the loop was closed during a run that took too long
                    self._loop.call_soon_threadsafe(_deliver, batch, outcomes)

    def _next_batch(self) -> list[_Waiting]:
        """Return the next texts, all single or all pairs; drop those that were cancelled."""
        batch: list[_Waiting] = []
        while self._waiting and len(batch) < self._max_batch_texts:
            if batch and (self._waiting[0].text_pair is None) != (batch[0].text_pair is None):
                break
            one = self._waiting.popleft()
            if not one.answer.done():
                batch.append(one)
        return batch

    def _run_batch(self, batch: Sequence[_Waiting]) -> list[Outcome]:
        """Run a batch; if it fails, run each text separately, so that no request fails because of another's text."""
        pairs = [one.text_pair for one in batch if one.text_pair is not None]
        try:
            return list(self._classify([one.text for one in batch], pairs or None))
        except Exception as error:  # any kind: it goes to the requests, and the thread must go on
            if len(batch) == 1:
                return [error]
        return [outcome for one in batch for outcome in self._run_batch([one])]


def _deliver(batch: Sequence[_Waiting], outcomes: Sequence[Outcome]) -> None:
    for one, outcome in zip(batch, outcomes):
        if one.answer.done():  # cancelled meanwhile
            continue
        if isinstance(outcome, Exception):
            one.answer.set_exception(outcome)
        else:
            one.answer.set_result(outcome)

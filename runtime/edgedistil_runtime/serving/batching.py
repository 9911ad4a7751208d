"""Micro-batching: texts that come in while the model runs go through it together in the next run.

Nothing waits for company. One thread takes whatever waits, up to the batch's limit, as soon as the run before is over:
a lone text pays no delay, and under load batches grow by themselves. The event loop only puts texts into the queue.
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
    """No more texts can wait for the model now."""


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A text in the queue, and where its answer is awaited."""

    text: str
    text_pair: str | None
    answer: asyncio.Future[Classification]


class MicroBatcher:
    """A bounded queue of texts before one thread that runs the model.

    Made inside a running event loop, and used from that loop alone.

    Args:
        classify: labels texts, or pairs of texts, in their order; called in the thread. `TextClassifier.classify_batch`
            is one.
        max_batch_texts: given to one call of it.
        max_queued_texts: that may wait.
        on_batch: called in the thread after each run, with the number of texts and the seconds.
    """

    def __init__(
        self,
        classify: Classify,
        *,
        max_batch_texts: int,
        max_queued_texts: int,
        on_batch: Callable[[int, float], None] = lambda texts, seconds: None,
    ) -> None:
        """Starts the thread."""
        self._classify, self._on_batch = classify, on_batch
        self._max_batch_texts, self._max_queued_texts = max_batch_texts, max_queued_texts
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._is_closing = False
        # A daemon, so that the interpreter does not join it at its end: a run may hang after `close` has given up.
        self._thread = threading.Thread(target=self._work, name="edgedistil-model", daemon=True)
        self._thread.start()

    @property
    def num_queued(self) -> int:
        """Texts that wait for a run."""
        return len(self._waiting)

    @property
    def is_alive(self) -> bool:
        """Whether the thread has not ended: after `close`, that a run takes longer than was waited for."""
        return self._thread.is_alive()

    async def classify(self, texts: Sequence[str], text_pairs: Sequence[str] | None = None) -> list[Classification]:
        """Labels the texts of one request, in their order; if it is cancelled, those that still wait are dropped.

        Raises:
            QueueFull: they do not fit into the queue; none of them was put there.
            EdgeDistilError: the model refused one of them, or failed.
        """
        pairs: Sequence[str | None] = [None] * len(texts) if text_pairs is None else text_pairs
        waiting = [_Waiting(text, pair, self._loop.create_future()) for text, pair in zip(texts, pairs)]
        with self._changed:
            if self._is_closing or len(self._waiting) + len(waiting) > self._max_queued_texts:
                raise QueueFull(
                    f"{len(self._waiting)} texts wait for the model, and {self._max_queued_texts} may. "
                    f"Received: {len(waiting)} more. Try again."
                )
            self._waiting.extend(waiting)
            self._changed.notify()
        try:
            return list(await asyncio.gather(*(one.answer for one in waiting)))
        finally:
            for one in waiting:
                one.answer.cancel()  # does nothing to those that have been answered

    async def close(self, seconds: float) -> None:
        """Ends the thread once the queue is empty, or gives up after `seconds`; later texts are refused."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        await self._loop.run_in_executor(None, self._thread.join, seconds)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._is_closing:
                    self._changed.wait()
                if not self._waiting:
                    return
                batch = self._take()
            if batch:
                started = time.perf_counter()
                outcomes = self._run(batch)
                self._on_batch(len(batch), time.perf_counter() - started)
                with contextlib.suppress(RuntimeError):  # the loop was closed over a run that took too long
                    self._loop.call_soon_threadsafe(_deliver, batch, outcomes)

    def _take(self) -> list[_Waiting]:
        """The next texts, all of them single or all of them pairs; those that nobody awaits any more are dropped."""
        batch: list[_Waiting] = []
        while self._waiting and len(batch) < self._max_batch_texts:
            if batch and (self._waiting[0].text_pair is None) != (batch[0].text_pair is None):
                break
            one = self._waiting.popleft()
            if not one.answer.done():
                batch.append(one)
        return batch

    def _run(self, batch: Sequence[_Waiting]) -> list[Outcome]:
        """One run; if it fails, a run for each text alone, so that no request fails for another's text."""
        pairs = [one.text_pair for one in batch if one.text_pair is not None]
        try:
            return list(self._classify([one.text for one in batch], pairs or None))
        except Exception as error:  # of whatever kind, it belongs to those who wait, and the thread must go on
            if len(batch) == 1:
                return [error]
        return [outcome for one in batch for outcome in self._run([one])]


def _deliver(batch: Sequence[_Waiting], outcomes: Sequence[Outcome]) -> None:
    for one, outcome in zip(batch, outcomes):
        if one.answer.done():  # given up meanwhile
            continue
        if isinstance(outcome, Exception):
            one.answer.set_exception(outcome)
        else:
            one.answer.set_result(outcome)

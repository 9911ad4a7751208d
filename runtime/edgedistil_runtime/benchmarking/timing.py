"""Runs: every text classified by itself, then all of them in one call; and what the times of several runs say."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgedistil_runtime.errors import BackendError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgedistil_runtime.classifier import TextClassifier

__all__ = ["CallSpeed", "Run", "alternate", "call_speed", "text_times", "time_calls"]

_WARM_UP_TEXTS = 20


@dataclass(frozen=True)
class CallSpeed:
    """Speed of calls in this process.

    Attributes:
        p50_ms, p90_ms, p99_ms: Percentiles of the latency over the texts, one in a call, in milliseconds.
        texts_per_second: Throughput, one text after the other.
        batch_texts_per_second: Throughput, all texts in one call.
    """

    p50_ms: float
    p90_ms: float
    p99_ms: float
    texts_per_second: float
    batch_texts_per_second: float


@dataclass(frozen=True)
class Run:
    """Milliseconds of each text classified by itself, and of all of them in one call."""

    each_ms: tuple[float, ...]
    batch_ms: float


def alternate(
    classifiers: Sequence[TextClassifier], texts: Sequence[str], runs: int, on_progress: Callable[[str], None]
) -> list[list[Run]]:
    """The runs of each classifier; the one that begins changes from turn to turn."""
    for classifier in classifiers:
        _warm_up(classifier.classify, classifier.classify_batch, texts)
    found: list[list[Run]] = [[] for _ in classifiers]
    for turn in range(runs):
        on_progress(f"timing, run {turn + 1} of {runs}")
        for k in range(len(classifiers)):
            number = (k + turn) % len(classifiers)
            found[number].append(_run(classifiers[number].classify, classifiers[number].classify_batch, texts))
    return found


def _warm_up(
    classify: Callable[[str], object], classify_batch: Callable[[Sequence[str]], object], texts: Sequence[str]
) -> None:
    classify_batch(texts[:_WARM_UP_TEXTS])
    for text in texts[:_WARM_UP_TEXTS]:
        classify(text)


def _run(
    classify: Callable[[str], object], classify_batch: Callable[[Sequence[str]], object], texts: Sequence[str]
) -> Run:
    each = tuple(_milliseconds(lambda text=text: classify(text)) for text in texts)  # type: ignore[misc]
    return Run(each, _milliseconds(lambda: classify_batch(texts)))


def _milliseconds(call: Callable[[], object]) -> float:
    started = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - started) / 1e6


def time_calls(
    classify: Callable[[str], object],
    classify_batch: Callable[[Sequence[str]], object],
    texts: Sequence[str],
    *,
    runs: int,
) -> CallSpeed:
    """Measures a classifier that is no file.

    Args:
        classify: Classifies one text.
        classify_batch: Classifies many texts.
        texts: Texts to time, at least one.
        runs: Number of runs; the time of a text is its median over them.

    Raises:
        BackendError: the clock of this machine is too coarse.

    Example:
        >>> speed = time_calls(len, sorted, ["lights off", "play music"], runs=3)
        >>> 0 < speed.p50_ms <= speed.p99_ms
        True
    """
    _warm_up(classify, classify_batch, texts)
    return call_speed([_run(classify, classify_batch, texts) for _ in range(runs)])


def text_times(runs: Sequence[Run]) -> NDArray[np.float64]:
    """Median milliseconds of each text over the runs: [texts]."""
    return np.asarray(np.median(np.array([run.each_ms for run in runs]), axis=0))


def call_speed(runs: Sequence[Run]) -> CallSpeed:
    """The speed that several runs of one classifier show.

    Raises:
        BackendError: the clock of this machine is too coarse.
    """
    each = np.array([run.each_ms for run in runs])  # [runs, texts], milliseconds
    if not each.all():
        raise BackendError("The clock of this machine is too coarse to time single texts. Time longer texts.")
    p50, p90, p99 = map(float, np.percentile(text_times(runs), (50, 90, 99)))
    count = each.shape[1]
    return CallSpeed(
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        texts_per_second=float(np.median(1e3 * count / each.sum(axis=1))),
        batch_texts_per_second=statistics.median(1e3 * count / run.batch_ms for run in runs),
    )

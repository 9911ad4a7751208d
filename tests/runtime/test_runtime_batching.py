"""The parts of the server that need no server: the queue, the rule for Host headers, the limits."""

import asyncio
import doctest
import threading

import pytest

from edgedistil_runtime import Classification, EdgeDistilError
from edgedistil_runtime.serving import hosts
from edgedistil_runtime.serving.batching import MicroBatcher, QueueFull
from edgedistil_runtime.serving.hosts import HostRule
from edgedistil_runtime.serving.limits import ServingLimits

from ..conftest import HANG


def answer(texts, text_pairs):
    pairs = text_pairs or [None] * len(texts)
    return [Classification(text, "x", 1.0, {"x": 1.0}, pair) for text, pair in zip(texts, pairs)]  # noqa: B905  # Python 3.9 has no strict


def run(*requests, **limits):
    """Queue requests while the thread must wait; return their results and the calls of the model."""
    calls = []

    def classify(texts, text_pairs):
        calls.append((list(texts), text_pairs and list(text_pairs)))
        return answer(texts, text_pairs)

    async def main():
        batcher = MicroBatcher(classify, **{"max_batch_texts": 4, "max_queued_texts": 100, **limits})
        with batcher._changed:
            tasks = [asyncio.ensure_future(batcher.classify(*request)) for request in requests]
            await asyncio.sleep(0)
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        await batcher.close(HANG)
        return answers

    return asyncio.run(main()), calls


def test_batches_are_bounded_and_in_order():
    texts = [str(number) for number in range(10)]
    (answers,), calls = run([texts])
    assert [one.text for one in answers] == texts
    assert [len(batch) for batch, _ in calls] == [4, 4, 2]


def test_pairs_and_single_texts_do_not_mix():
    answers, calls = run([["a"]], [["b"], ["c"]], [["d"]])
    assert calls == [(["a"], None), (["b"], ["c"]), (["d"], None)]
    assert [(one.text, one.text_pair) for (one,) in answers] == [("a", None), ("b", "c"), ("d", None)]


def test_what_does_not_fit_is_refused_whole():
    answers, calls = run([["a", "b"]], [["c", "d"]], [["e"]], max_queued_texts=3)
    assert isinstance(answers[1], QueueFull)
    assert calls == [(["a", "b", "e"], None)]


def test_closed_queue():
    async def main():
        batcher = MicroBatcher(answer, max_batch_texts=1, max_queued_texts=1)
        await batcher.close(HANG)
        with pytest.raises(QueueFull):
            await batcher.classify(["late"])

    asyncio.run(main())


def test_run_that_outlasts_the_end():
    is_released = threading.Event()

    def classify(texts, text_pairs):
        assert is_released.wait(HANG)
        return answer(texts, text_pairs)

    async def main():
        batcher = MicroBatcher(classify, max_batch_texts=1, max_queued_texts=1)
        task = asyncio.ensure_future(batcher.classify(["slow"]))
        await asyncio.sleep(0)
        await batcher.close(0.01)
        assert batcher.is_alive
        is_released.set()
        await task
        await batcher.close(HANG)
        assert not batcher.is_alive

    asyncio.run(main())


@pytest.mark.parametrize("limits", [{"max_texts": 0}, {"answer_seconds": float("nan")}, {"max_queued_texts": 255}])
def test_limits_that_make_no_sense(limits):
    with pytest.raises(EdgeDistilError, match="must be"):
        ServingLimits(**limits)


def test_host_rules():
    everywhere = HostRule.for_address("0.0.0.0")
    assert everywhere.allows("anything.example")
    assert everywhere.allows(None)
    named = HostRule.for_address("0.0.0.0", ["Kitchen.local"])
    assert named.allows("kitchen.local:80")
    assert not named.allows("evil.example")
    assert not HostRule.for_address("127.0.0.1").allows(None)


def test_examples_in_docstrings_are_true():
    assert doctest.testmod(hosts) == (0, 3)

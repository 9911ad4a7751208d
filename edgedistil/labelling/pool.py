"""Several interpreters of one model that label at the same time, in threads: LiteRT runs without Python's lock."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

from edgedistil.labelling.blanks import classify_rows
from edgedistil.labelling.chunks import Chunk

if TYPE_CHECKING:
    from edgedistil_runtime import Classification, TextClassifier

__all__ = ["ClassifierPool", "open_pool"]


class ClassifierPool:
    """Classifiers of one model that share the chunks of an input.

    Args:
        classifiers: Classifiers, at least one; each is used by one thread at a time.

    Example:
        >>> from edgedistil.labelling.sources import ChunkLimits, TextColumns, read_chunks
        >>> from edgedistil_runtime import TextClassifier
        >>> with open_pool(TextClassifier, Path("intents.tflite"), 2) as pool:
        ...     chunks = read_chunks(Path("texts.csv"), TextColumns(), (), ChunkLimits(rows=4))
        ...     [len(answers) for _, answers in pool.answers(chunks)]
        [4, 4, 4, 3]
    """

    def __init__(self, classifiers: "Sequence[TextClassifier]") -> None:
        self.first, self._count = classifiers[0], len(classifiers)
        self._free: SimpleQueue[TextClassifier] = SimpleQueue()
        for classifier in classifiers:
            self._free.put(classifier)

    def answers(self, chunks: Iterator[Chunk]) -> "Iterator[tuple[Chunk, list[Classification | None]]]":
        """Yields each chunk with its answers, in the order of the chunks.

        As many chunks as there are classifiers are in work at a time, and one waits.

        Raises:
            BackendError: A run failed. The chunks after it have no answers.
        """
        if self._count == 1:
            yield from ((chunk, self._answer(chunk)) for chunk in chunks)
            return
        executor = ThreadPoolExecutor(self._count)
        try:
            pending: deque[tuple[Chunk, Future[list[Classification | None]]]] = deque()
            for chunk in chunks:
                pending.append((chunk, executor.submit(self._answer, chunk)))
                if len(pending) > self._count:
                    done, future = pending.popleft()
                    yield done, future.result()
            yield from ((done, future.result()) for done, future in pending)
        finally:
            executor.shutdown(cancel_futures=True)

    def _answer(self, chunk: Chunk) -> "list[Classification | None]":
        classifier = self._free.get()  # waits for one that is free; there are no more threads than classifiers
        try:
            return classify_rows(classifier, chunk.texts, chunk.text_pairs)
        finally:
            self._free.put(classifier)


@contextmanager
def open_pool(
    open_classifier: "Callable[[Path], TextClassifier]", model: Path, workers: int
) -> Iterator[ClassifierPool]:
    """Opens as many classifiers of a model as there are workers, and closes them at the end of the block.

    Raises:
        EdgeDistilError: as `open_classifier`.
    """
    with ExitStack() as stack:
        yield ClassifierPool([stack.enter_context(open_classifier(model)) for _ in range(workers)])

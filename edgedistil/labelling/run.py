"""From an input to an output: what is read, what is skipped because it is done, what is labelled and written."""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistil.data.tables import Row
from edgedistil.labelling.chunks import Chunk
from edgedistil.labelling.partial import PartialOutput, open_partial, partial_path
from edgedistil.labelling.sources import ChunkLimits, TextColumns, file_mark, read_chunks
from edgedistil.labelling.writers import Writer, open_writer
from edgedistil_converters.files import check_not_an_input, check_output
from edgedistil_runtime.artifact import read_artifact
from edgedistil_runtime.errors import OutputError

if TYPE_CHECKING:
    from edgedistil_runtime import Classification, RuntimeInfo, TextClassifier

__all__ = ["LabellingRequest", "LabellingResult", "Progress", "label_file"]


@dataclass(frozen=True)
class LabellingRequest:
    """What is to be labelled, by what, and where the result goes.

    Attributes:
        model: a `.tflite` file that EdgeDistil wrote.
        source: a data file, or the rows of a stream (`sources.line_rows`).
        output: the file to write; its extension is one of `OUTPUT_EXTENSIONS`.
        columns: which columns are texts.
        top: how many labels a row gets; all of them if there are fewer.
        column_prefix: stands before the names of the new columns.
        is_resumed: whether to go on behind what an interrupted run left; without any, a run starts at the beginning.
        force: whether an output that is there is replaced, and what an interrupted run left is discarded.
        limits: of the chunks.
    """

    model: Path
    source: Path | Iterable[Row]
    output: Path
    columns: TextColumns = field(default_factory=TextColumns)
    top: int = 1
    column_prefix: str = ""
    is_resumed: bool = False
    force: bool = False
    limits: ChunkLimits = field(default_factory=ChunkLimits)


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        rows: that are done, those of an earlier run included.
        fraction: of the input that is done, or `None` where its size is not known.
    """

    rows: int
    fraction: float | None


@dataclass(frozen=True)
class LabellingResult:
    """What a run has done.

    Attributes:
        output: the file.
        rows: in it.
        resumed_rows: of these, those that an earlier run had done.
        seconds: from the first row that this run labelled until the output was in its place.
        runtime_info: what ran the model.
    """

    output: Path
    rows: int
    resumed_rows: int
    seconds: float
    runtime_info: "RuntimeInfo"

    @property
    def rows_per_second(self) -> float:
        """Of this run alone."""
        return (self.rows - self.resumed_rows) / max(self.seconds, 1e-9)


def label_file(
    request: LabellingRequest,
    open_classifier: Callable[[Path], "TextClassifier"],
    *,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> LabellingResult:
    """Label every row of an input and write it with its labels, in the same order and in bounded memory.

    The output stands in its place when it is whole. Until then the rows are in a folder beside it
    (`partial.partial_path`), where they stay if the run is interrupted.

    Args:
        request: what to do.
        open_classifier: loads the model; called when the input's first rows are found to be sound.
        on_progress: called after each chunk, and once before the first that is labelled.

    Returns:
        What was done.

    Raises:
        OutputError: the output cannot be written or is there already, or an interrupted run cannot be gone on with.
        DataError: the input cannot be used; what was labelled before the row at fault stays for a resumed run.
        ArtifactError: the model file is missing or damaged.
        BackendError: nothing here can run it.
        InputError: the model does not take texts, or pairs.

    Example:
        ```python
        request = LabellingRequest(Path("intent.tflite"), Path("big.csv"), Path("labels.parquet"))
        print(label_file(request, TextClassifier).rows)
        ```
    """
    writer = open_writer(request.output)
    _check_places(request)
    labels = read_artifact(request.model).metadata.labels
    names = _column_names(request.column_prefix, min(request.top, len(labels)))
    chunks = read_chunks(request.source, request.columns, names, request.limits)
    first = next(chunks)  # what is wrong with the input is told before the model is loaded
    with (
        open_classifier(request.model) as classifier,
        open_partial(
            request.output,
            _settings(request, names, classifier.runtime_info),
            resumes=request.is_resumed,
            replaces=request.force,
        ) as partial,
    ):
        run = _Run(request, names, classifier, writer, partial, on_progress)
        return run.finish(_chained(first, chunks))


@dataclass
class _Run:
    request: LabellingRequest
    names: tuple[str, ...]
    classifier: "TextClassifier"
    writer: Writer
    partial: PartialOutput
    on_progress: Callable[[Progress], None]

    def finish(self, chunks: Iterator[Chunk]) -> LabellingResult:
        resumed_rows = self.partial.record.rows
        digest = hashlib.sha256(file_mark(self.request.source) if isinstance(self.request.source, Path) else b"")
        fraction = self._skip(chunks, digest) if resumed_rows else 0.0
        self.on_progress(Progress(resumed_rows, fraction))
        started = time.monotonic()
        for chunk in chunks:
            digest.update(chunk.content())
            content = self.writer.encode(chunk, self._columns(chunk))
            self.partial.append(content, len(chunk.texts), digest.hexdigest())
            self.on_progress(Progress(self.partial.record.rows, chunk.fraction))
        self._publish()
        return LabellingResult(
            output=self.request.output,
            rows=self.partial.record.rows,
            resumed_rows=resumed_rows,
            seconds=time.monotonic() - started,
            runtime_info=self.classifier.runtime_info,
        )

    def _skip(self, chunks: Iterator[Chunk], digest: Any) -> float | None:
        """Reads what is done, and makes sure that it is what it was."""
        record = self.partial.record
        rows = 0
        for chunk in chunks:
            digest.update(chunk.content())
            rows += len(chunk.texts)
            if rows >= record.rows:
                break
        if rows != record.rows or digest.hexdigest() != record.input_sha256:
            raise OutputError(
                f"The input has changed in the {record.rows:,} rows that {self.partial.folder} holds the labels of. "
                "Give the same input with `is_resumed`, or start over with `force`."
            )
        self.writer.restore(self.partial.grown)
        return chunk.fraction

    def _columns(self, chunk: Chunk) -> dict[str, list[Any]]:
        answers = self.classifier.classify_batch(chunk.texts, chunk.text_pairs)
        columns: list[list[Any]] = [[answer.label for answer in answers], [answer.score for answer in answers]]
        if len(self.names) > 2:
            columns.extend(_further_columns(answers, len(self.names) // 2))
        return dict(zip(self.names, columns, strict=True))

    def _publish(self) -> None:
        finished = self.writer.finish(self.partial.grown)
        check_output(self.request.output, force=self.request.force)  # it may have come meanwhile
        self.partial.publish(finished, self.request.output, force=self.request.force)


def _further_columns(answers: list["Classification"], top: int) -> Iterator[list[Any]]:
    ranked = [answer.top(top) for answer in answers]
    for rank in range(1, top):
        yield [one[rank][0] for one in ranked]
        yield [one[rank][1] for one in ranked]


def _column_names(prefix: str, top: int) -> tuple[str, ...]:
    """`label`, `score`, `label_2`, `score_2`, ..."""
    ends = ["" if rank == 1 else f"_{rank}" for rank in range(1, top + 1)]
    return tuple(f"{prefix}{name}{end}" for end in ends for name in ("label", "score"))


def _settings(request: LabellingRequest, names: tuple[str, ...], info: "RuntimeInfo") -> dict[str, Any]:
    """All that the rows of an output depend on beside the input; as JSON holds it."""
    with request.model.open("rb") as file:
        model = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "model_sha256": model,
        "text_columns": list(request.columns.names),
        "new_columns": list(names),
        "rows_per_chunk": request.limits.rows,
        "bytes_per_chunk": request.limits.size,
        "accelerator": info.accelerator,
        "backend": f"{info.backend} {info.version}".rstrip(),
    }


def _check_places(request: LabellingRequest) -> None:
    given = [request.model, *([request.source] if isinstance(request.source, Path) else [])]
    check_not_an_input(request.output, given)
    check_output(request.output, force=request.force)
    folder = partial_path(request.output)
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is where the output grows, and must be free. Received: a file. Move it away.")


def _chained(first: Chunk, rest: Iterator[Chunk]) -> Iterator[Chunk]:
    yield first
    yield from rest

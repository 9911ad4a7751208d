"""Labels an input: reads it, skips the rows that are done, labels the others and writes them."""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistil.data.rows import Row
from edgedistil.labelling.answers import AnswerColumns, answer_columns
from edgedistil.labelling.blanks import count_blank_rows
from edgedistil.labelling.chunks import Chunk
from edgedistil.labelling.partial import PartialOutput, open_partial, partial_path
from edgedistil.labelling.pool import ClassifierPool, open_pool
from edgedistil.labelling.sources import ChunkLimits, TextColumns, file_mark, read_chunks
from edgedistil.labelling.writers import Writer, open_writer
from edgedistil.truncation import Truncation, TruncationCounter
from edgedistil_converters.files import check_not_an_input, check_output
from edgedistil_runtime.artifact import read_artifact
from edgedistil_runtime.errors import DataError, OutputError

if TYPE_CHECKING:
    from edgedistil_runtime import RuntimeInfo, TextClassifier

__all__ = ["LabellingRequest", "LabellingResult", "Progress", "check_places", "label_file", "run_settings"]


@dataclass(frozen=True)
class LabellingRequest:
    """Input, model and output of a labelling run.

    Attributes:
        model: A `.tflite` file that EdgeDistil wrote.
        source: A data file or a directory of texts, or the rows of a stream (`sources.line_rows`). Ray takes a string
            instead (`input_files.find_input_files`).
        output: File to write; its extension is one of `OUTPUT_EXTENSIONS`.
        columns: Columns that are texts.
        delimiter: Separator of a CSV or TSV file; None finds it in the header.
        top: Labels for each row; all of them if there are fewer.
        column_prefix: Prefix of the names of the new columns.
        is_resumed: Continue an interrupted run; if there is none, start at the beginning.
        force: Replace the output, and discard an interrupted run.
        limits: Limits of the chunks.
        label_separator: What separates the labels that a multi-label model gives in the cells of the column `labels`;
            None for lists.
    """

    model: Path
    source: Path | str | Iterable[Row]
    output: Path
    columns: TextColumns = field(default_factory=TextColumns)
    delimiter: str | None = None
    top: int = 1
    column_prefix: str = ""
    is_resumed: bool = False
    force: bool = False
    limits: ChunkLimits = field(default_factory=ChunkLimits)
    label_separator: str | None = None


@dataclass(frozen=True)
class Progress:
    """Progress of a run.

    Attributes:
        rows: Rows that are done, those of an earlier run included.
        fraction: Share of the input that is done; `None` if its size is unknown.
    """

    rows: int
    fraction: float | None


@dataclass(frozen=True)
class LabellingResult:
    """Summary of a run.

    Attributes:
        output: File that was written.
        rows: Rows of the file.
        resumed_rows: Rows that an earlier run had done.
        blank_rows: Rows of the file without a text, which have no label.
        seconds: Time from the first row that this run labelled until the output was complete.
        runtime_info: Backend and device that ran the model.
        truncation: Long texts among the rows of this run.
    """

    output: Path
    rows: int
    resumed_rows: int
    blank_rows: int
    seconds: float
    runtime_info: "RuntimeInfo"
    truncation: Truncation

    @property
    def rows_per_second(self) -> float:
        """Rows of this run a second."""
        return (self.rows - self.resumed_rows) / max(self.seconds, 1e-9)


def label_file(
    request: LabellingRequest,
    open_classifier: Callable[[Path], "TextClassifier"],
    *,
    workers: int = 1,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> LabellingResult:
    """Labels every row of an input and writes it with its labels, in the same order and in bounded memory.

    A row with a blank text stays, and its new columns are empty. A `.json` list is read into memory as a whole.

    The output appears when it is complete. Until then the rows are in a folder beside it (`partial.partial_path`),
    where they stay if the run is interrupted.

    Args:
        request: Input, model and output.
        open_classifier: Loads the model; called after the input's first rows are found to be valid.
        workers: Interpreters that label at the same time, each with its own memory; the output does not depend on it.
        on_progress: Called after each chunk, and once before the first that is labelled.

    Returns:
        A summary of the run.

    Raises:
        OutputError: the output cannot be written or exists already, or an interrupted run cannot be continued.
        DataError: `workers` is below 1, or the input cannot be used; rows that were labelled before the invalid one
            are kept for a resumed run.
        ArtifactError: the model file is missing or damaged.
        BackendError: no backend here can run it.
        InputError: the model does not take texts, or pairs.

    Example:
        >>> from edgedistil_runtime import TextClassifier
        >>> request = LabellingRequest(Path("intents.tflite"), Path("texts.csv"), Path("labels.csv"))
        >>> label_file(request, TextClassifier).rows
        15
        >>> print(Path("labels.csv").read_text().splitlines()[0])
        text,label,score,is_truncated
    """
    if workers < 1:
        raise DataError(f"`workers` must be a whole number from 1 up. Received: {workers}")
    writer = open_writer(request.output)
    source = Path(request.source) if isinstance(request.source, str) else request.source
    check_places(request, [source] if isinstance(source, Path) else [])
    metadata = read_artifact(request.model).metadata
    columns = answer_columns(
        metadata, top=request.top, prefix=request.column_prefix, label_separator=request.label_separator
    )
    chunks = read_chunks(source, request.columns, columns.names, request.limits, delimiter=request.delimiter)
    first = next(chunks)  # an invalid input is reported before the model is loaded
    with (
        open_pool(open_classifier, request.model, workers) as pool,
        open_partial(
            request.output,
            run_settings(request, columns.names, pool.first),
            resumes=request.is_resumed,
            replaces=request.force,
        ) as partial,
    ):
        run = _Run(request, source, columns, pool, writer, partial, on_progress, TruncationCounter(pool.first))
        return run.finish(_chained(first, chunks))


@dataclass
class _Run:
    request: LabellingRequest
    source: Path | Iterable[Row]
    columns: AnswerColumns
    pool: ClassifierPool
    writer: Writer
    partial: PartialOutput
    on_progress: Callable[[Progress], None]
    truncation: TruncationCounter
    blank_rows: int = 0

    def finish(self, chunks: Iterator[Chunk]) -> LabellingResult:
        resumed_rows = self.partial.record.rows
        digest = hashlib.sha256(file_mark(self.source) if isinstance(self.source, Path) else b"")
        fraction = self._skip(chunks, digest) if resumed_rows else 0.0
        self.on_progress(Progress(resumed_rows, fraction))
        started = time.monotonic()
        for chunk, answers in self.pool.answers(chunks):
            digest.update(chunk.content())
            self.blank_rows += count_blank_rows(chunk.texts, chunk.text_pairs)
            self.truncation.add(answer for answer in answers if answer)
            content = self.writer.encode(chunk, self.columns.values(answers))
            self.partial.append(content, len(chunk.texts), digest.hexdigest())
            self.on_progress(Progress(self.partial.record.rows, chunk.fraction))
        self._publish()
        return LabellingResult(
            output=self.request.output,
            rows=self.partial.record.rows,
            resumed_rows=resumed_rows,
            blank_rows=self.blank_rows,
            seconds=time.monotonic() - started,
            runtime_info=self.pool.first.runtime_info,
            truncation=self.truncation.result(),
        )

    def _skip(self, chunks: Iterator[Chunk], digest: Any) -> float | None:
        """Reads the rows that are done, and checks that they are the same as before."""
        record = self.partial.record
        rows = 0
        for chunk in chunks:
            digest.update(chunk.content())
            rows += len(chunk.texts)
            self.blank_rows += count_blank_rows(chunk.texts, chunk.text_pairs)
            if rows >= record.rows:
                break
        if rows != record.rows or digest.hexdigest() != record.input_sha256:
            raise OutputError(
                f"The input has changed in the {record.rows:,} rows that {self.partial.folder} holds the labels of. "
                "Give the same input with `is_resumed`, or start over with `force`."
            )
        self.writer.restore(self.partial.grown)
        return chunk.fraction

    def _publish(self) -> None:
        finished = self.writer.finish(self.partial.grown)
        check_output(self.request.output, force=self.request.force)  # another process may have written it meanwhile
        self.partial.publish(finished, self.request.output, force=self.request.force)


def run_settings(request: LabellingRequest, names: tuple[str, ...], classifier: "TextClassifier") -> dict[str, Any]:
    """Everything beside the input that the rows of an output depend on, as JSON stores it."""
    info = classifier.runtime_info
    with request.model.open("rb") as file:
        model = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "model_sha256": model,
        "text_columns": list(request.columns.names),
        "delimiter": request.delimiter,
        "new_columns": list(names),
        "rows_per_chunk": request.limits.rows,
        "bytes_per_chunk": request.limits.size,
        "accelerator": info.accelerator,
        "backend": f"{info.backend} {info.version}".rstrip(),
        "long_texts": classifier.long_texts,
        **({} if request.label_separator is None else {"label_separator": request.label_separator}),
    }


def check_places(request: LabellingRequest, sources: Sequence[Path]) -> None:
    """Checks the paths of a run before any work is done.

    Args:
        request: Model and output.
        sources: Files and folders that are read.

    Raises:
        OutputError: The output would replace or lie within what is read, it exists, or it cannot grow there.
    """
    given = [request.model, *sources]
    check_not_an_input(request.output, given)
    check_output(request.output, force=request.force)
    for path in given:
        if path.is_dir() and request.output.parent.resolve().is_relative_to(path.resolve()):
            raise OutputError(f"The output must not lie in the directory that is read. Received: {request.output}")
    folder = partial_path(request.output)
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"The output grows in the folder {folder}. Received: a file of that name. Move it away.")


def _chained(first: Chunk, rest: Iterator[Chunk]) -> Iterator[Chunk]:
    yield first
    yield from rest

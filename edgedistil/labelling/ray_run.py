"""Labels files with Ray Data: what `label_file` writes, by several processes on one machine or many.

    files ─> read_blocks ─> blocks ─> pool of actors, a classifier each ─> blocks with bytes ─> OUTPUT.partial ─> OUTPUT
             a task a file                                                  this process, in order

Ray schedules, moves blocks, puts those that do not fit into its memory on the disk, and does again what a dead worker
was doing. A row of Ray's data is a block (`blocks`), so Ray cannot divide one. This process only appends bytes.
"""

import hashlib
import logging
import pickle
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow

from edgedistil.labelling.answers import AnswerColumns, answer_columns
from edgedistil.labelling.blocks import Block, BlockLabeller, BlockPlace, Reading, read_blocks
from edgedistil.labelling.chunks import Chunk
from edgedistil.labelling.input_files import InputFile, find_input_files, is_address, on_this_machine
from edgedistil.labelling.partial import PartialOutput, ProgressRecord, open_partial
from edgedistil.labelling.ray_cluster import Cluster, connected, import_ray, portable_options
from edgedistil.labelling.run import LabellingRequest, LabellingResult, Progress, check_places, run_settings
from edgedistil.labelling.sources import read_chunks
from edgedistil.labelling.writers import Writer, open_writer
from edgedistil.truncation import Truncation
from edgedistil_converters.files import check_output
from edgedistil_runtime.artifact import read_artifact
from edgedistil_runtime.errors import BackendError, OutputError

if TYPE_CHECKING:
    from edgedistil_runtime import RuntimeInfo

__all__ = ["label_files"]

_READERS = 2  # files that are read at once: a reader feeds more actors than a cluster has


def label_files(
    request: LabellingRequest,
    options: Mapping[str, Any],
    *,
    workers: int | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> LabellingResult:
    """Labels every row of one or several files with Ray, and writes one file: that of `label_file`, byte for byte.

    The rows are those of the files in the order of their names. Ray is used as the process uses it already; if it does
    not, this connects to the cluster of the variable `RAY_ADDRESS`, or starts one on this machine for the run.

    Args:
        request: Input (`source` as `input_files.find_input_files` takes it), model and output.
        options: Further arguments of `TextClassifier`, with which each worker opens the model.
        workers: Actors that each hold the model; None is one for each processor of this machine, or for each slot of
            the cluster but one.
        on_progress: Called after each block, and once before the first.

    Returns:
        A summary of the run.

    Raises:
        EdgeDistilError: As `label_file`; or Ray is not installed.
        BackendError: The cluster cannot be reached, has other versions, or is lost; finished rows are kept.
        InputError: The workers do not fit into the cluster.
    """
    import_ray()
    writer = open_writer(request.output)
    source = str(request.source)
    files = find_input_files(source)
    check_places(request, [Path(file.name) for file in files if not is_address(file.name)] + _folder(source))
    metadata = read_artifact(request.model).metadata
    columns = answer_columns(
        metadata,
        top=request.top,
        prefix=request.column_prefix,
        label_separator=request.label_separator,
    )
    reading = Reading(request.columns, columns.names, request.limits, delimiter=request.delimiter)
    header = writer.start(_first_chunk(files, reading), columns.names)
    options = portable_options(options)
    info, settings = _try_model(request, options, columns)
    settings |= {"engine": "ray", "chunks_per_block": reading.chunks}
    with (
        open_partial(request.output, settings, resumes=request.is_resumed, replaces=request.force) as growing,
        connected(workers) as cluster,
    ):
        file, number = growing.record.next_block
        reading = replace(reading, done=BlockPlace(file, number))
        header = b"" if growing.record.rows else header
        none_yet = Truncation(0, 0, metadata.tokenizer.sequence_length)
        run = _Run(request, files, growing, writer, header, none_yet, on_progress)
        # The object store holds the model's bytes, from which each machine takes them once.
        arguments = (import_ray().put(request.model.read_bytes()), options, columns, writer, reading.done)
        return run.finish(_labelled(files, reading, cluster, arguments), info)


def _folder(source: str) -> list[Path]:
    return [Path(source)] if not is_address(source) and Path(source).is_dir() else []


def _first_chunk(files: Iterable[InputFile], reading: Reading) -> Chunk:
    """The first rows of the input, after those of every file were found to be valid.

    Of the files with an address, only the first is fetched: an error in another one is found when it is read.
    """
    first: Chunk | None = None
    for file in files:
        if first is not None and is_address(file.name):
            break
        with on_this_machine(replace(file, path="")) as path:
            chunk = next(read_chunks(path, reading.columns, reading.added, reading.limits, delimiter=reading.delimiter))
        first = first or chunk
    assert first is not None  # because no input is without files
    return first


def _try_model(
    request: LabellingRequest, options: Mapping[str, Any], columns: AnswerColumns
) -> "tuple[RuntimeInfo, dict[str, Any]]":
    """Opens the model here, so that an error of it is reported before a cluster starts."""
    from edgedistil_runtime import TextClassifier
    from edgedistil_runtime.native_log import native_log_hidden

    with native_log_hidden():  # of the other classifiers it goes to the logs of Ray's workers
        classifier = TextClassifier(request.model, **options)
    with classifier:
        return classifier.runtime_info, run_settings(request, columns.names, classifier)


# In Ray


def _labelled(
    files: tuple[InputFile, ...], reading: Reading, cluster: Cluster, arguments: tuple[Any, ...]
) -> Iterator[Block]:
    """Labels all blocks on the cluster; they come in the order of the files and of their rows."""
    ray = import_ray()
    with _settled_context():
        rows = ray.data.from_arrow([_as_table([file]) for file in files])
        dataset = rows.map_batches(
            partial(_read, reading=reading),
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.TaskPoolStrategy(size=min(_READERS, len(files))),
            num_cpus=0,  # so that it never waits for the actors' slots
            label_selector=_where_to_read(ray, files),
        ).map_batches(
            _Actor,
            fn_constructor_args=arguments,
            batch_size=None,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=cluster.workers),
            num_cpus=1,
        )
    logger, level = logging.getLogger("ray.data"), logging.getLogger("ray.data").level
    logger.setLevel(logging.ERROR)  # it reports the beginning and the end of a run
    try:
        for batch in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1):
            yield from _values(batch)
    except ray.exceptions.RayError as error:
        raise BackendError(
            "Ray could not finish the job. The nodes of a cluster must have the same versions of edgedistil and its "
            f"packages as this process. Received: {_last_line(error)}"
        ) from error
    finally:
        logger.setLevel(level)


@contextmanager
def _settled_context() -> Iterator[None]:
    """Sets what a dataset takes from the process when it is made, for the block, and then as it was."""
    import ray.data

    context = ray.data.DataContext.get_current()
    wanted = {
        "target_max_block_size": 1,  # bytes: each row, which is a block of ours, becomes a block of Ray's
        "enable_progress_bars": False,
        "print_on_execution_start": False,
    }
    before = {name: getattr(context, name) for name in wanted}
    ordered = context.execution_options.preserve_order
    try:
        for name, value in wanted.items():
            setattr(context, name, value)
        context.execution_options.preserve_order = True
        yield
    finally:
        for name, value in before.items():
            setattr(context, name, value)
        context.execution_options.preserve_order = ordered


def _where_to_read(ray: Any, files: tuple[InputFile, ...]) -> dict[str, str] | None:
    """Files of this machine are read on it; those of an object store anywhere."""
    is_anywhere = is_address(files[0].name)
    return None if is_anywhere else {"ray.io/node-id": ray.get_runtime_context().get_node_id()}


def _read(batch: Any, reading: Reading) -> Iterator[Any]:
    for file in _values(batch):
        for block in read_blocks(file, reading):
            yield _as_table([block])


class _Actor:
    """Labels blocks; Ray makes one for each worker, in a separate process."""

    def __init__(self, model: Any, *arguments: Any) -> None:
        self._labeller = BlockLabeller(import_ray().get(model), *arguments)

    def __call__(self, batch: Any) -> Any:
        return _as_table([self._labeller.label(block) for block in _values(batch)])


def _as_table(values: list[Any]) -> Any:
    """One column of pickled values, whose insides Ray does not look at."""
    pickled = [pickle.dumps(value, pickle.HIGHEST_PROTOCOL) for value in values]
    return pyarrow.table({"pickled": pyarrow.array(pickled, pyarrow.large_binary())})


def _values(table: Any) -> list[Any]:
    return [pickle.loads(value) for value in table.column("pickled").to_pylist()]


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


# In this process


@dataclass
class _Run:
    """Appends labelled blocks to the growing output."""

    request: LabellingRequest
    files: tuple[InputFile, ...]
    growing: PartialOutput
    writer: Writer
    header: bytes
    truncation: Truncation
    on_progress: Callable[[Progress], None]
    blank_rows: int = 0
    sha256: Any = field(default_factory=hashlib.sha256)

    def finish(self, blocks: Iterable[Block], info: "RuntimeInfo") -> LabellingResult:
        started, resumed_rows = time.monotonic(), self.growing.record.rows
        if resumed_rows:
            self.writer.restore(self.growing.grown)
        else:
            self.on_progress(Progress(0, 0.0))
        for block in self._unrecorded(self._in_order(blocks)):
            self._append(block)
        self._publish()
        return LabellingResult(
            output=self.request.output,
            rows=self.growing.record.rows,
            resumed_rows=resumed_rows,
            blank_rows=self.blank_rows,
            seconds=time.monotonic() - started,
            runtime_info=info,
            truncation=self.truncation,
        )

    def _in_order(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """Checks that every block comes once, in its place, and raises the error of one that has an error."""
        expected = BlockPlace(0, 0)
        for block in blocks:
            if block.place != expected:
                raise BackendError(f"Ray lost or repeated rows. Expected: {expected}. Received: {block.place}")
            block.check()
            yield block
            expected = block.next_place
        if expected != BlockPlace(len(self.files), 0):
            raise BackendError(f"Ray ended before the last rows. Expected: {expected}")

    def _unrecorded(self, blocks: Iterator[Block]) -> Iterator[Block]:
        """Skips the blocks that an earlier run has recorded, and checks that they are the same as then."""
        record, rows = self.growing.record, 0
        done = BlockPlace(*record.next_block)
        is_checked = not record.rows
        for block in blocks:
            if not is_checked and block.place >= done:
                self._check_same(rows, record)
                is_checked = True
            self.sha256.update(block.sha256.encode())
            self.blank_rows += block.blank_rows
            rows += block.rows
            if block.place >= done:
                yield block
        if not is_checked:
            self._check_same(rows, record)

    def _check_same(self, rows: int, record: ProgressRecord) -> None:
        if (rows, self.sha256.hexdigest()) != (record.rows, record.input_sha256):
            raise OutputError(
                f"The input has changed in the {record.rows:,} rows that {self.growing.folder} holds the labels of. "
                "Give the same input with `is_resumed`, or start over with `force`."
            )
        self.on_progress(Progress(rows, self._fraction(BlockPlace(*record.next_block), 0.0)))

    def _append(self, block: Block) -> None:
        assert block.truncation is not None
        self.writer.adopt(block.content, block.first_number)
        content, self.header = self.header + block.content, b""
        following = (block.next_place.file, block.next_place.number)
        self.growing.append(content, block.rows, self.sha256.hexdigest(), following)
        self.truncation += block.truncation
        self.on_progress(Progress(self.growing.record.rows, self._fraction(block.place, block.fraction)))

    def _fraction(self, place: BlockPlace, share: float | None) -> float:
        """Share of the input's bytes that is done."""
        total = sum(file.size for file in self.files)
        done = sum(file.size for file in self.files[: place.file])
        current = self.files[place.file].size if place.file < len(self.files) else 0
        return min(1.0, (done + current * (share or 0.0)) / max(1, total))

    def _publish(self) -> None:
        finished = self.writer.finish(self.growing.grown)
        check_output(self.request.output, force=self.request.force)  # another process may have written it meanwhile
        self.growing.publish(finished, self.request.output, force=self.request.force)

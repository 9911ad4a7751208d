"""Blocks: several chunks of one file, the unit that a worker labels and that a run records.

    read_blocks   a file -> blocks, in order, each with its number
    BlockLabeller a block -> the same block with the bytes to append to the output

A block is a whole: the same file gives the same blocks, and the same block gives the same bytes on every worker. So a
block may be labelled again after a worker has died, and a run may skip the blocks that an earlier one has recorded.
Errors travel within a block, so that they are raised in their place, after the rows before them.
"""

import copy
import hashlib
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistil.labelling.answers import AnswerColumns
from edgedistil.labelling.blanks import classify_rows, count_blank_rows
from edgedistil.labelling.chunks import Chunk
from edgedistil.labelling.input_files import InputFile, on_this_machine
from edgedistil.labelling.sources import ChunkLimits, TextColumns, file_mark, read_chunks
from edgedistil.labelling.writers import Writer
from edgedistil.truncation import Truncation, TruncationCounter
from edgedistil_runtime import errors
from edgedistil_runtime.errors import DataError, EdgeDistilError

if TYPE_CHECKING:
    pass

__all__ = ["Block", "BlockLabeller", "BlockPlace", "Reading", "read_blocks"]

_CHARACTERS = 1 << 20  # of a block's texts, after which it ends: a chunk of long texts is a block


@dataclass(frozen=True, order=True)
class BlockPlace:
    """The place of a block in an input.

    Attributes:
        file: Number of its file, from 0.
        number: Number of the block in the file, from 0.

    Example:
        >>> BlockPlace(0, 7) < BlockPlace(1, 0)
        True
    """

    file: int
    number: int


@dataclass(frozen=True)
class Reading:
    """How files are read.

    Attributes:
        columns: Columns that are texts.
        added: Names of the columns that the output adds.
        limits: Limits of a chunk.
        chunks: Chunks of a block, at most.
        delimiter: Separator of CSV and TSV files; None finds it in the header.
        done: Place of the first block that is not recorded yet: of those before, only the digest is needed.
    """

    columns: TextColumns
    added: tuple[str, ...]
    limits: ChunkLimits = field(default_factory=ChunkLimits)
    chunks: int = 8
    delimiter: str | None = None
    done: BlockPlace = BlockPlace(0, 0)


@dataclass(frozen=True)
class Block:
    """Successive rows of a file.

    Attributes:
        place: Place in the input.
        first_number: Number of the first row, as an editor shows it.
        rows: Number of rows.
        blank_rows: Rows without a text.
        sha256: Digest of the rows; empty if there are none.
        fraction: Share of the file that has been read at the block's end; None if unknown.
        is_last: True if it is the last one of its file.
        chunks: Pickled chunks; empty after they were labelled, and if they need not be.
        content: Bytes to append to the output; empty before.
        truncation: Long texts among the rows; None before.
        error: Name of the error's class, and its message, if the rows cannot be used or labelled.
        names: The file's path where it was read and its name, which replaces the path in messages.
    """

    place: BlockPlace
    first_number: int = 0
    rows: int = 0
    blank_rows: int = 0
    sha256: str = ""
    fraction: float | None = None
    is_last: bool = False
    chunks: bytes = b""
    content: bytes = b""
    truncation: Truncation | None = None
    error: tuple[str, str] | None = None
    names: tuple[str, str] = ("", "")

    @property
    def next_place(self) -> BlockPlace:
        """Place of the block after it."""
        here = self.place
        return BlockPlace(here.file + 1, 0) if self.is_last else BlockPlace(here.file, here.number + 1)

    def failed(self, error: EdgeDistilError) -> "Block":
        """The block with an error in the place of its rows."""
        # An error with further arguments (`BadRow`) cannot be unpickled; its base class has the same meaning.
        kinds = (kind.__name__ for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
        return replace(self, chunks=b"", error=(next(kinds), str(error).replace(*self.names)))

    def check(self) -> None:
        """Raises the block's error, if it has one.

        Example:
            >>> Block(BlockPlace(0, 0)).failed(DataError("row 3 is bad")).check()
            Traceback (most recent call last):
            edgedistil_runtime.errors.DataError: row 3 is bad
        """
        if self.error is not None:
            kind, message = self.error
            raise getattr(errors, kind)(message)


def read_blocks(file: InputFile, reading: Reading) -> Iterator[Block]:
    """Reads a file as blocks.

    Args:
        file: The file.
        reading: Columns, limits, and what an earlier run has done.

    Yields:
        The blocks in their order. If rows cannot be used, the last one is an error.

    Example:
        >>> reading = Reading(TextColumns(), ("label",), ChunkLimits(rows=4), chunks=2)
        >>> [(block.rows, block.is_last) for block in read_blocks(InputFile("texts.csv", 0), reading)]
        [(8, False), (7, True)]
    """
    next_place, names = BlockPlace(file.number, 0), ("", "")
    try:
        with on_this_machine(file) as path:
            names = (str(path), file.name)
            for block in _blocks(path, file, reading):
                next_place = BlockPlace(file.number, block.place.number + 1)
                yield block
    except EdgeDistilError as error:
        yield Block(next_place, names=names, is_last=True).failed(error)
    except OSError as error:
        yield Block(next_place, is_last=True).failed(DataError(f"{file.name} cannot be read: {error}"))


def _blocks(path: Path, file: InputFile, reading: Reading) -> Iterator[Block]:
    names, mark, number = (str(path), file.name), file_mark(path), 0
    held: list[Chunk] = []
    chunks = read_chunks(path, reading.columns, reading.added, reading.limits, delimiter=reading.delimiter)
    try:
        for chunk in chunks:
            # A block is given away when the next chunk is known to exist, so that the last one knows that it is last.
            if _is_full(held, reading):
                yield _block(held, BlockPlace(file.number, number), mark, reading, names)
                held, mark, number = [], b"", number + 1
            held.append(chunk)
    except EdgeDistilError:
        if _is_full(held, reading):  # another one would be another block after the error is corrected
            yield _block(held, BlockPlace(file.number, number), mark, reading, names)
        raise
    yield replace(_block(held, BlockPlace(file.number, number), mark, reading, names), is_last=True)


def _is_full(held: list[Chunk], reading: Reading) -> bool:
    texts = (text for chunk in held for text in (*chunk.texts, *(chunk.text_pairs or ())) if text)
    return len(held) == reading.chunks or sum(map(len, texts)) >= _CHARACTERS


def _block(held: list[Chunk], place: BlockPlace, mark: bytes, reading: Reading, names: tuple[str, str]) -> Block:
    digest = hashlib.sha256(mark)
    for chunk in held:
        digest.update(hashlib.sha256(chunk.content()).digest())
    return Block(
        place=place,
        first_number=held[0].first_number,
        rows=sum(len(chunk.texts) for chunk in held),
        blank_rows=sum(count_blank_rows(chunk.texts, chunk.text_pairs) for chunk in held),
        sha256=digest.hexdigest(),
        fraction=held[-1].fraction,
        chunks=pickle.dumps(held, pickle.HIGHEST_PROTOCOL) if place >= reading.done else b"",
        names=names,
    )


class BlockLabeller:
    """Labels blocks with a classifier that it opens once.

    Args:
        model: Content of a `.tflite` file.
        options: Further arguments of `TextClassifier`.
        columns: The new columns.
        writer: A writer that has taken the columns of the first chunk (`start`).
        counted: Place of the block whose truncated texts are counted in tokens, which costs their whole length.

    Example:
        >>> from edgedistil.labelling.answers import answer_columns
        >>> from edgedistil.labelling.writers import open_writer
        >>> from edgedistil_runtime import read_artifact
        >>> columns = answer_columns(read_artifact("intents.tflite").metadata)
        >>> labeller = BlockLabeller(Path("intents.tflite").read_bytes(), {}, columns, open_writer(Path("out.jsonl")))
        >>> [block] = read_blocks(InputFile("texts.csv", 0), Reading(TextColumns(), columns.names))
        >>> labeller.label(block).content.count(b"is_truncated")
        15
    """

    def __init__(
        self,
        model: bytes,
        options: Mapping[str, Any],
        columns: AnswerColumns,
        writer: Writer,
        counted: BlockPlace = BlockPlace(0, 0),
    ) -> None:
        from edgedistil_runtime import TextClassifier

        self._columns, self._writer, self._counted = columns, writer, counted
        self._classifier: TextClassifier | None = None
        self._error: EdgeDistilError | None = None
        try:
            self._classifier = TextClassifier(model, **options)
        except EdgeDistilError as error:  # given with each block, because an actor that does not start is not explained
            self._error = error

    def label(self, block: Block) -> Block:
        """The block with `content` and `truncation`, or with an error; a block without chunks as it is."""
        if self._classifier is None:
            return block if self._error is None else block.failed(self._error)
        if not block.chunks:
            return block
        counter = TruncationCounter(self._classifier, **({} if block.place == self._counted else {"characters": 0}))
        # Blocks come to a worker in any order, and what one adds to a writer's columns must not meet another.
        writer = copy.deepcopy(self._writer)
        try:
            content = b"".join(self._encoded(chunk, counter, writer) for chunk in pickle.loads(block.chunks))
        except EdgeDistilError as error:
            return block.failed(error)
        return replace(block, chunks=b"", content=content, truncation=counter.result())

    def _encoded(self, chunk: Chunk, counter: TruncationCounter, writer: Writer) -> bytes:
        assert self._classifier is not None
        answers = classify_rows(self._classifier, chunk.texts, chunk.text_pairs)
        counter.add(answer for answer in answers if answer)
        return writer.encode(chunk, self._columns.values(answers))

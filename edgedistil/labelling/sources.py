"""Sources of rows: a data file of any kind, or lines of a stream, read a chunk at a time and never further ahead."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow

from edgedistil.data.cells import check_text
from edgedistil.data.parquet_rows import column_of, open_parquet, parquet_batches
from edgedistil.data.reading import check_data_file, no_examples, read_rows
from edgedistil.data.rows import BadRow, Row, is_blank, not_utf8, usable_rows, value_at
from edgedistil.labelling.chunks import Chunk, RecordChunk, TableChunk
from edgedistil_runtime.errors import DataError

__all__ = ["STDIN", "ChunkLimits", "TextColumns", "file_mark", "line_rows", "read_chunks"]

STDIN = Path("stdin")  # the name of the stream in messages


@dataclass(frozen=True)
class ChunkLimits:
    """Limits of a chunk, which bound the memory of a run.

    Attributes:
        rows: Rows of a chunk, at most.
        size: Bytes of the input after which a chunk ends, however few its rows.
    """

    rows: int = 512
    size: int = 16 << 20


@dataclass(frozen=True)
class TextColumns:
    """Columns that are classified.

    Attributes:
        text: Column of the text.
        text_pair: Column of the second text, for a model of pairs.

    Example:
        >>> TextColumns("premise", "hypothesis").names
        ('premise', 'hypothesis')
    """

    text: str = "text"
    text_pair: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """One name or two."""
        return (self.text,) if self.text_pair is None else (self.text, self.text_pair)


def read_chunks(
    source: Path | Iterable[Row],
    columns: TextColumns,
    added: tuple[str, ...],
    limits: ChunkLimits,
    *,
    delimiter: str | None = None,
) -> Iterator[Chunk]:
    """Reads an input from its beginning.

    Args:
        source: A data file or a directory of texts, or the rows of a stream.
        columns: Columns that are texts.
        added: Names of the columns that the output adds, which the input must not have.
        limits: Limits of a chunk.
        delimiter: Separator of a CSV or TSV file; None finds it in the header.

    Yields:
        Chunks; together they are every row of the input, in its order. The same input gives the same chunks.

    Raises:
        DataError: the input, a column or rows cannot be used (after the chunks before the first such row); there is no
            row; or a column exists already.

    Example:
        >>> chunks = read_chunks(Path("texts.csv"), TextColumns(), ("label",), ChunkLimits(rows=10))
        >>> [len(chunk.texts) for chunk in chunks]
        [10, 5]
    """
    chunks: Iterator[Chunk]
    if isinstance(source, Path):
        check_data_file(source)
        if source.suffix.lower() == ".parquet" and not source.is_dir():
            chunks = usable_rows(_tables(source, columns, limits), lambda chunk: chunk)
        else:
            chunks = _records(read_rows(source, columns.names, delimiter=delimiter), source, columns, limits)
        name = source
    else:
        chunks, name = _records(source, STDIN, columns, limits), STDIN
    is_empty = True
    for chunk in chunks:
        is_empty = False
        _check_free(chunk, name, added)
        yield chunk
    if is_empty:
        raise no_examples(name)


def line_rows(lines: Iterable[bytes], column: str) -> Iterator[Row]:
    r"""Rows of one column, a line each; a blank line is a blank text.

    Raises:
        DataError: a line is not UTF-8.

    Example:
        >>> [row.values for row in line_rows([b"lights on\n", b"lights off"], "text")]
        [{'text': 'lights on'}, {'text': 'lights off'}]
    """
    position = 0
    for number, line in enumerate(lines, start=1):
        position += len(line)
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise DataError(
                f"stdin, line {number}: texts must be UTF-8. Received: {line[:40]!r}. Convert them first, for instance "
                "with: iconv -f latin1 -t utf-8"
            ) from error
        yield Row(number, {column: text}, position)


def _records(rows: Iterable[Row], path: Path, columns: TextColumns, limits: ChunkLimits) -> Iterator[RecordChunk]:
    held: list[Row] = []
    start = 0
    for row in rows:
        held.append(row)
        if len(held) >= limits.rows or row.position - start >= limits.size:
            yield _record_chunk(held, path, columns)
            held, start = [], row.position
    if held:
        yield _record_chunk(held, path, columns)


def _record_chunk(rows: list[Row], path: Path, columns: TextColumns) -> RecordChunk:
    def texts(column: str) -> tuple[str | None, ...]:
        values = (value_at(row.values, column) for row in rows)
        return tuple(None if is_blank(value) else value for value in values)

    return RecordChunk(
        texts=texts(columns.text),
        text_pairs=None if columns.text_pair is None else texts(columns.text_pair),
        first_number=rows[0].number,
        fraction=rows[-1].fraction,
        rows=tuple(row.values for row in rows),
        path=path,
    )


def _tables(path: Path, columns: TextColumns, limits: ChunkLimits) -> Iterator[TableChunk | BadRow]:
    with open_parquet(path, columns.names) as file:
        metadata, names = file.metadata, file.schema_arrow.names
        if len(set(names)) < len(names):
            raise DataError(f"{path} has two columns of one name. Received: {', '.join(names)}")
        size = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
        rows_at_once = max(1, min(limits.rows, limits.size * metadata.num_rows // max(1, size)))
        number = 1
        for batch in parquet_batches(path, file, rows_at_once):
            if not batch.num_rows:
                continue
            table = pyarrow.Table.from_batches([batch])
            bad: list[BadRow] = []
            texts = {column: _texts(table, column, path, number, bad) for column in columns.names}
            yield from bad
            yield TableChunk(
                texts=texts[columns.text],
                text_pairs=None if columns.text_pair is None else texts[columns.text_pair],
                first_number=number,
                fraction=(number - 1 + batch.num_rows) / metadata.num_rows,
                rows=table,
                path=path,
            )
            number += batch.num_rows


def _texts(table: Any, column: str, path: Path, first_number: int, bad: list[BadRow]) -> tuple[str | None, ...]:
    """The texts of a column; rows that cannot be used are added to `bad`."""
    texts: list[str | None] = []
    for number, cell in enumerate(column_of(table, column), start=first_number):
        where = f"row {number}"
        try:
            value = cell.as_py()
            texts.append(None if is_blank(value) else check_text(value, column, path, where))
        except UnicodeDecodeError:
            bad.append(not_utf8(path, where))
        except BadRow as error:
            bad.append(error)
    return tuple(texts)


def _check_free(chunk: Chunk, path: Path, added: tuple[str, ...]) -> None:
    if isinstance(chunk, RecordChunk):
        taken = [name for name in added if any(name in row for row in chunk.rows)]
    else:
        taken = [name for name in added if name in chunk.table().column_names]
    if taken:
        raise DataError(
            f"{path} has a column {' and a column '.join(map(repr, taken))} already, which the new one would "
            "overwrite. Give the new columns other names with a `column_prefix` such as 'predicted_'. "
            f"Received: new columns {', '.join(map(repr, added))}"
        )


def file_mark(path: Path) -> bytes:
    """Digest of a Parquet file's footer, which has the sizes and extremes of all columns; empty for other files.

    A chunk's `content` holds only the texts of a Parquet file; this recognizes a change of its other columns.

    Example:
        >>> import pyarrow.parquet
        >>> for name, number in (("a", 1), ("b", 2)):
        ...     pyarrow.parquet.write_table(pyarrow.table({"text": ["hi"], "n": [number]}), f"{name}.parquet")
        >>> file_mark(Path("a.parquet")) == file_mark(Path("b.parquet")), file_mark(Path("texts.csv"))
        (False, b'')
    """
    if path.suffix.lower() != ".parquet" or path.is_dir():
        return b""
    with path.open("rb") as file:
        file.seek(-8, 2)  # the footer's length and the magic number: parquet.apache.org/docs/file-format
        length = int.from_bytes(file.read(4), "little")
        file.seek(-8 - length, 2)
        return hashlib.sha256(file.read(length)).digest()

"""Writers: a chunk -> bytes that are appended to a growing file, and that file -> the output.

CSV and JSON Lines grow by lines, and the grown file is the output. Parquet ends with a footer that lists every part of
the file, so it cannot be cut off and continued: its chunks are kept as Arrow streams (one after another, each with
its own schema) and rewritten as row groups at the end, a few at a time.
"""

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow
import pyarrow.parquet

from edgedistil.labelling.chunks import Chunk
from edgedistil_runtime.errors import DataError, OutputError

__all__ = ["OUTPUT_EXTENSIONS", "Writer", "open_writer"]

_ROW_GROUP_ROWS, _ROW_GROUP_SIZE = 1 << 16, 32 << 20  # whichever is reached first; bytes in memory

Columns = Mapping[str, Sequence[Any]]


class Writer(Protocol):
    """Writes an output of one kind, chunk after chunk."""

    def restore(self, grown: Path) -> None:
        """Reads the columns from what an interrupted run left, before the first `encode`; an empty file has none."""

    def start(self, chunk: Chunk, added: Iterable[str]) -> bytes:
        """Takes the columns from the first chunk; returns the bytes that come before all rows.

        Only for a writer whose copies encode the chunks, in other processes; `encode` does it otherwise.
        """

    def encode(self, chunk: Chunk, added: Columns) -> bytes:
        """Bytes to append for a chunk: its rows, with the new columns after their own.

        Raises:
            DataError: this kind of file cannot hold the rows.
        """

    def adopt(self, content: bytes, first_number: int) -> None:
        """Takes over what a copy of this writer has encoded: chunks, the first of which begins at this row.

        Raises:
            DataError: this kind of file cannot hold these rows after those before.
        """

    def finish(self, grown: Path) -> Path:
        """Path of the output, in the folder of the grown file."""


def open_writer(output: Path) -> Writer:
    r"""The writer for an output's extension.

    Raises:
        OutputError: the extension is none of `OUTPUT_EXTENSIONS`.

    Example:
        >>> from edgedistil.labelling.chunks import RecordChunk
        >>> chunk = RecordChunk(("hi",), None, 2, None, ({"text": "hi"},), Path("in.csv"))
        >>> open_writer(Path("out.csv")).encode(chunk, {"label": ["greeting"]})
        b'text,label\nhi,greeting\n'
    """
    make = _WRITERS.get(output.suffix.lower())
    if make is None:
        raise OutputError(
            f"The extension of the output must be one of {', '.join(OUTPUT_EXTENSIONS)}. Received: {output}"
        )
    return make()


class SeparatedWriter:
    """CSV or TSV (RFC 4180, lines ended by a line feed), with the columns of the first chunk."""

    def __init__(self, delimiter: str) -> None:
        self._delimiter = delimiter
        self._columns: list[str] = []

    def restore(self, grown: Path) -> None:
        """Reads the columns from the header."""
        with grown.open(encoding="utf-8", newline="") as stream:
            self._columns = next(csv.reader(stream, delimiter=self._delimiter, strict=True), [])

    def start(self, chunk: Chunk, added: Iterable[str]) -> bytes:
        """The header."""
        new = list(added)
        own = dict.fromkeys(column for row in chunk.records() for column in row)
        self._columns = [column for column in own if column not in new] + new
        return self._text([self._columns]).encode()

    def encode(self, chunk: Chunk, added: Columns) -> bytes:
        """Lines; the first time, after the header."""
        header = b"" if self._columns else self.start(chunk, added)
        known = set(self._columns)
        lines: list[list[str]] = []
        for row in _with_added(chunk.records(), added):
            if not row.keys() <= known:
                raise self._new_column(chunk, sorted(row.keys() - known))
            lines.append([_cell(row.get(column)) for column in self._columns])
        return header + self._text(lines).encode()

    def adopt(self, content: bytes, first_number: int) -> None:
        """Does nothing: each line fits the header."""

    def finish(self, grown: Path) -> Path:
        """The grown file."""
        return grown

    def _text(self, lines: list[list[str]]) -> str:
        stream = io.StringIO(newline="")
        plain, quoting = (
            csv.writer(stream, delimiter=self._delimiter, lineterminator="\n", quoting=style)
            for style in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)
        )
        for line in lines:
            # A bare carriage return ends a row for a reader; Python's writer quotes it only from 3.13 on.
            writer = quoting if any("\r" in cell for cell in line) else plain
            writer.writerow(line)
        return stream.getvalue()

    def _new_column(self, chunk: Chunk, names: list[str]) -> DataError:
        return DataError(
            f"From row {chunk.first_number} on there are columns that the first rows have not, and a table's header is "
            f"written once. Write .jsonl or .parquet instead. Received: new {', '.join(map(repr, names))}"
        )


class JSONLinesWriter:
    """One JSON object a line, each with the keys of its row."""

    def restore(self, grown: Path) -> None:
        """Does nothing: lines have their own keys."""

    def start(self, chunk: Chunk, added: Iterable[str]) -> bytes:
        """No bytes."""
        return b""

    def encode(self, chunk: Chunk, added: Columns) -> bytes:
        """Lines."""
        return "".join(f"{_json(row)}\n" for row in _with_added(chunk.records(), added)).encode()

    def adopt(self, content: bytes, first_number: int) -> None:
        """Does nothing: each line has its own keys."""

    def finish(self, grown: Path) -> Path:
        """The grown file."""
        return grown


class ParquetWriter:
    """Arrow streams, rewritten as one Parquet file; columns that some chunks lack are null there."""

    def __init__(self) -> None:
        self._schema = pyarrow.schema([])

    def restore(self, grown: Path) -> None:
        """Reads the columns from the chunks."""
        for table in _stored_tables(grown):
            self._schema = _common(self._schema, table.schema)

    def start(self, chunk: Chunk, added: Iterable[str]) -> bytes:
        """No bytes."""
        return b""

    def encode(self, chunk: Chunk, added: Columns) -> bytes:
        """One Arrow stream."""
        table = chunk.table()
        for name, values in added.items():
            # A chunk without any text has a column of type null, which fits those of the other chunks.
            table = table.append_column(name, pyarrow.array(values))
        self._add_schema(table.schema, chunk.first_number)
        stream = io.BytesIO()
        options = pyarrow.ipc.IpcWriteOptions(compression="lz4")
        with pyarrow.ipc.new_stream(stream, table.schema, options=options) as writer:
            writer.write_table(table)
        return stream.getvalue()

    def adopt(self, content: bytes, first_number: int) -> None:
        """Takes the columns from the streams."""
        for table in _tables_in(pyarrow.BufferReader(content)):
            self._add_schema(table.schema, first_number)

    def finish(self, grown: Path) -> Path:
        """A Parquet file of row groups."""
        output = grown.with_name("joined")
        with pyarrow.parquet.ParquetWriter(output, self._schema) as writer:
            for table in _row_groups(_stored_tables(grown), self._schema):
                writer.write_table(table, row_group_size=table.num_rows)
        return output

    def _add_schema(self, schema: Any, first_number: int) -> None:
        try:
            self._schema = _common(self._schema, schema)
        except pyarrow.ArrowException as error:
            raise DataError(
                f"From row {first_number} on a column has another type than before, and a column of a Parquet "
                f"file has one. Write .jsonl instead. Received: {error}"
            ) from error


_WRITERS: Mapping[str, Callable[[], Writer]] = {
    ".csv": lambda: SeparatedWriter(","),
    ".tsv": lambda: SeparatedWriter("\t"),
    ".jsonl": JSONLinesWriter,
    ".ndjson": JSONLinesWriter,
    ".parquet": ParquetWriter,
}
OUTPUT_EXTENSIONS = tuple(_WRITERS)


def _with_added(records: Iterable[dict[str, Any]], added: Columns) -> Iterator[dict[str, Any]]:
    for index, record in enumerate(records):
        yield record | {name: values[index] for name, values in added.items()}


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return str(value) if isinstance(value, float) else _json(value)


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_json_value)
    except ValueError:  # infinity or NaN, which Python's JSON reader accepts and JSON lacks
        return json.dumps(_finite(value), ensure_ascii=False, default=_json_value)


def _json_value(value: Any) -> str:
    """Replaces a value within a list or an object of a Parquet file that JSON lacks: a time, a date, a decimal."""
    if isinstance(value, bytes):
        raise DataError(
            "A text file cannot hold bytes, and a list or an object of a column does. Write .parquet, which keeps them "
            f"as they are. Received: {value!r:.60}"
        )
    return str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list) else value


def _common(first: Any, second: Any) -> Any:
    """A schema for the rows of both: null fits every type, a whole number fits a fractional one."""
    return second if not first.names else pyarrow.unify_schemas([first, second], promote_options="permissive")


def _stored_tables(path: Path) -> Iterator[Any]:
    if not path.stat().st_size:
        return
    with pyarrow.OSFile(str(path)) as file:
        yield from _tables_in(file)


def _tables_in(file: Any) -> Iterator[Any]:
    """The Arrow streams of an open file, one after another."""
    while file.tell() < file.size():
        with pyarrow.ipc.open_stream(file) as stream:
            yield stream.read_all()


def _row_groups(tables: Iterable[Any], schema: Any) -> Iterator[Any]:
    """Successive tables joined until they make a row group, so that memory for one is enough."""
    held: list[Any] = []
    for table in tables:
        held.append(_cast(table, schema))
        if sum(one.num_rows for one in held) >= _ROW_GROUP_ROWS or sum(one.nbytes for one in held) >= _ROW_GROUP_SIZE:
            yield pyarrow.concat_tables(held)
            held = []
    if held:
        yield pyarrow.concat_tables(held)


def _cast(table: Any, schema: Any) -> Any:
    if table.schema.equals(schema):
        return table
    return pyarrow.concat_tables([schema.empty_table(), table], promote_options="permissive")

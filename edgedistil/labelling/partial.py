"""OUTPUT.partial: the finished part of an output, and a record from which another run continues.

    big.parquet.partial/
    ├── progress.json   settings, number of finished rows, their digest, and the bytes of `rows` that hold them
    ├── rows            the growing file; bytes after those are an incomplete chunk and are ignored
    └── lock            held while a run uses the folder

The rows reach the disk before the record that counts them, and a record is replaced in one step. So after a crash or
a power failure the record is true.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from edgedistil_converters.files import LOCK_FILE, put_in_place, sole_use
from edgedistil_runtime.errors import OutputError

__all__ = ["PartialOutput", "ProgressRecord", "open_partial", "partial_path"]

_RECORD, _NEW_RECORD, _ROWS, _JOINED = "progress.json", "progress.new", "rows", "joined"
_FILES = (_RECORD, _NEW_RECORD, _ROWS, _JOINED)
_VERSION = 1  # of the folder's layout


@dataclass(frozen=True)
class ProgressRecord:
    """Record of the finished rows.

    Attributes:
        settings: Name -> value, of everything that decides what is written.
        rows: Rows of the input that are finished.
        size: Bytes of the file `rows` that hold them.
        input_sha256: Digest of the finished rows of the input.
        version: Version of the folder's layout.
        next_block: File and number of the first block that is not finished (`blocks.BlockPlace`), for a run that
            labels blocks.
    """

    settings: Mapping[str, Any]
    rows: int = 0
    size: int = 0
    input_sha256: str = ""
    version: int = _VERSION
    next_block: Sequence[int] = (0, 0)


def partial_path(output: Path) -> Path:
    """The folder in which an output grows.

    Example:
        >>> partial_path(Path("labels.csv")).name
        'labels.csv.partial'
    """
    return output.with_name(output.name + ".partial")


class PartialOutput:
    """The folder, open for one run; `open_partial` makes it.

    Attributes:
        folder: Path of the folder.
        record: Record of the finished rows.
        grown: Path of the growing file.
    """

    def __init__(self, folder: Path, record: ProgressRecord) -> None:
        self.folder, self.record, self.grown = folder, record, folder / _ROWS
        self._stream: BinaryIO | None = None

    def append(self, content: bytes, rows: int, input_sha256: str, next_block: Sequence[int] = (0, 0)) -> None:
        """Appends a chunk or a block and records it.

        Args:
            content: Bytes of the chunk.
            rows: Rows of the chunk.
            input_sha256: Digest of all rows up to its end.
            next_block: File and number of the block after it.
        """
        if self._stream is None:
            self._stream = self.grown.open("ab")
        self._stream.write(content)
        _reach_disk(self._stream)
        self.record = replace(
            self.record,
            rows=self.record.rows + rows,
            size=self.record.size + len(content),
            input_sha256=input_sha256,
            next_block=next_block,
        )
        self.save()

    def trim(self) -> None:
        """Removes bytes that the record does not count: a chunk that was being written when the run was interrupted."""
        os.truncate(self.grown, self.record.size)

    def save(self) -> None:
        """Writes the record."""
        new = self.folder / _NEW_RECORD
        with new.open("wb") as file:
            file.write(json.dumps(asdict(self.record), indent=2).encode())
            _reach_disk(file)
        new.replace(self.folder / _RECORD)

    def publish(self, finished: Path, output: Path, *, force: bool) -> None:
        """Moves a finished file to the output's path and removes what it was made of.

        Raises:
            OutputError: there is a file at that path and `force` is false.
        """
        self.close()
        with finished.open("rb+") as file:
            os.fsync(file.fileno())
        put_in_place(finished, output, force=force)
        _entries_reach_disk(output.parent)  # before the rows that it was made of are removed
        self.remove()

    def close(self) -> None:
        """Closes the growing file; a second call does nothing."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def remove(self) -> None:
        """Removes the rows and their record."""
        self.close()
        _empty(self.folder)


@contextlib.contextmanager
def open_partial(
    output: Path, settings: Mapping[str, Any], *, resumes: bool, replaces: bool
) -> Iterator[PartialOutput]:
    r"""Opens the folder of an output; no other run can use it meanwhile.

    Args:
        output: File to write.
        settings: Settings of this run.
        resumes: Continue the interrupted run, if there is one.
        replaces: Discard the interrupted run, unless `resumes`.

    Yields:
        The folder. If the block is left by an error before any row was recorded, the folder is removed.

    Raises:
        OutputError: another run uses the folder; it holds rows and is neither to be resumed nor replaced; or its rows
            were made with other settings.

    Example:
        >>> with open_partial(Path("out.csv"), {"model": "a"}, resumes=False, replaces=False) as partial:
        ...     partial.append(b"text,label\n", rows=0, input_sha256="")
        ...     partial.publish(partial.grown, Path("out.csv"), force=False)
        >>> Path("out.csv").read_bytes()
        b'text,label\n'
    """
    folder = partial_path(output)
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
    try:
        with sole_use(folder) as is_ours:
            if not is_ours:
                raise OutputError(f"Another run is writing to {folder}. Wait for it, or choose another output.")
            partial = PartialOutput(folder, _begin(folder, settings, resumes=resumes, replaces=replaces))
            partial.grown.touch()
            partial.trim()
            partial.save()
            try:
                yield partial
            finally:
                partial.close()
                if not partial.record.rows:
                    partial.remove()
    finally:
        with contextlib.suppress(OSError):  # it still holds rows
            folder.rmdir()


def _begin(folder: Path, settings: Mapping[str, Any], *, resumes: bool, replaces: bool) -> ProgressRecord:
    """The record to start from, with a folder that holds nothing else."""
    record = _found(folder)
    if record is not None and resumes:
        _check_same(folder, record, settings)
        return record
    if record is not None and not replaces:
        raise OutputError(
            f"{folder} holds {record.rows:,} rows of an interrupted run. Continue it with `is_resumed`, or discard it "
            "with `force`."
        )
    _empty(folder)
    return ProgressRecord(settings)


def _found(folder: Path) -> ProgressRecord | None:
    """The record in the folder, or `None` if the folder holds at most what a run writes before its record."""
    foreign = [path.name for path in folder.iterdir() if path.name not in (*_FILES, LOCK_FILE)]
    if foreign:
        raise OutputError(
            f"{folder} must be a folder that `edgedistil predict` made. Move it away, or choose another output. "
            f"Received: a folder with {foreign[0]!r} in it."
        )
    try:
        fields = json.loads((folder / _RECORD).read_bytes())
        record = ProgressRecord(**fields)
        has_rows = (folder / _ROWS).stat().st_size >= record.size
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise _not_usable(folder, str(error)) from error
    if record.version != _VERSION or not has_rows:
        raise _not_usable(folder, f"version {record.version}" if has_rows else "fewer rows than its record counts")
    return record


def _not_usable(folder: Path, reason: str) -> OutputError:
    return OutputError(f"{folder} cannot be resumed. Remove it: rm -r '{folder}'. Received: {reason}.")


def _check_same(folder: Path, record: ProgressRecord, settings: Mapping[str, Any]) -> None:
    different = [
        f"{name} {record.settings.get(name)!r}, now {settings.get(name)!r}"
        for name in {**settings, **record.settings}
        if record.settings.get(name) != settings.get(name)
    ]
    if different:
        raise OutputError(
            f"{folder} was made with other settings, and half of each is no result. Give the same model and options "
            f"with `is_resumed`, or start over with `force`. Received: then {'; then '.join(different)}."
        )


def _empty(folder: Path) -> None:
    # The record goes first: rows without a record count as none.
    for name in _FILES:
        (folder / name).unlink(missing_ok=True)


def _reach_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _entries_reach_disk(folder: Path) -> None:
    if os.name == "nt":  # Windows opens no folder for this
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

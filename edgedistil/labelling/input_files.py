"""The files of an input: a file, those of a folder, those that a glob matches, or the same in an object store."""

import fnmatch
import glob
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import pyarrow.fs

from edgedistil.data.reading import LEGAL_EXTENSIONS, check_data_file
from edgedistil_runtime.errors import DataError

__all__ = ["InputFile", "find_input_files", "is_address", "on_this_machine"]

_WILD = "*?["


@dataclass(frozen=True)
class InputFile:
    """One data file.

    Attributes:
        name: Path as it was given, or address with a scheme.
        size: Size in bytes.
        number: Its place among the files of the input, from 0.
        path: Absolute path, for a process with another working directory; empty for an address.
    """

    name: str
    size: int
    number: int = 0
    path: str = ""


def find_input_files(source: str) -> tuple[InputFile, ...]:
    """Lists the data files of an input, in the order of their names.

    In a folder, data files are those with one of `LEGAL_EXTENSIONS`, also in folders within it; what begins with a dot
    or an underscore is ignored, as Spark and Ray do.

    Args:
        source: A file; a folder; a glob, in which `**` is any number of folders; or one of these as an address, such as
            `s3://bucket/folder`, for which pyarrow finds the credentials.

    Raises:
        DataError: There is no such file or none in the folder, or a file cannot be one of data.

    Example:
        >>> [file.name for file in find_input_files("t*.csv")]
        ['test.csv', 'texts.csv', 'train.csv']
    """
    found = _remote_files(source) if is_address(source) else _local_files(source)
    files = sorted(found, key=lambda file: file[0])
    if not files:
        raise DataError(
            f"There is no data file in {source}. It must hold files whose names end in {', '.join(LEGAL_EXTENSIONS)}"
        )
    return tuple(
        InputFile(name, size, number, "" if is_address(name) else str(Path(name).absolute()))
        for number, (name, size) in enumerate(files)
    )


def is_address(source: str) -> bool:
    """True for an address with a scheme.

    Example:
        >>> is_address("s3://bucket/a.csv"), is_address("data/a.csv")
        (True, False)
    """
    return "://" in source


@contextmanager
def on_this_machine(file: InputFile) -> Iterator[Path]:
    """Yields a path of a file: its own, or that of a copy which is removed at the end, if the file has an address.

    Raises:
        DataError: The file cannot be read.

    Example:
        >>> with on_this_machine(InputFile(Path("texts.csv").absolute().as_uri(), 0)) as path:
        ...     path.read_text() == Path("texts.csv").read_text()
        True
    """
    if not is_address(file.name):
        yield Path(file.path or file.name)
        return
    with tempfile.TemporaryDirectory(prefix="edgedistil-") as folder:
        path = Path(folder) / PurePosixPath(urlsplit(file.name).path).name
        try:
            system, inner = pyarrow.fs.FileSystem.from_uri(file.name)
            # Without `compression`, Arrow would unpack a file whose name ends in .gz.
            with system.open_input_stream(inner, compression=None) as source, path.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        except (pyarrow.ArrowException, OSError) as error:
            raise _unreachable(file.name, error) from error
        yield path


def _local_files(source: str) -> Iterator[tuple[str, int]]:
    path = Path(source)
    if path.is_dir():
        paths: Iterable[Path] = path.rglob("*")
        paths = (one for one in paths if one.is_file() and _is_data(one.relative_to(path)))
    elif not path.exists() and any(character in source for character in _WILD):
        paths = (Path(one) for one in glob.glob(source, recursive=True))  # noqa: PTH207  (it takes absolute patterns)
        paths = (one for one in paths if one.is_file())
    else:
        paths = [path]
    for one in paths:
        check_data_file(one)
        yield str(one), one.stat().st_size


def _remote_files(source: str) -> Iterator[tuple[str, int]]:
    parts = source.split("/")
    first_wild = next((number for number, part in enumerate(parts) if any(map(part.__contains__, _WILD))), len(parts))
    try:
        system, root = pyarrow.fs.FileSystem.from_uri("/".join(parts[:first_wild]))
        found = system.get_file_info(root)
        is_folder = found.type == pyarrow.fs.FileType.Directory
        infos = system.get_file_info(pyarrow.fs.FileSelector(root, recursive=True)) if is_folder else [found]
    except (pyarrow.ArrowException, OSError) as error:
        raise _unreachable(source, error) from error
    for info in infos:
        inner = info.path[len(root) :].lstrip("/")
        is_chosen = not is_folder or (
            _matches(inner.split("/"), parts[first_wild:]) if parts[first_wild:] else _is_data(Path(inner))
        )
        if info.type == pyarrow.fs.FileType.File and is_chosen:
            yield _address(source, info), info.size
        elif info.type == pyarrow.fs.FileType.NotFound:
            raise DataError(f"There is no data file {source}. Check the address and the credentials")


def _matches(names: list[str], patterns: list[str]) -> bool:
    """True if the parts of a path match those of a glob as in `glob.glob`."""
    if not patterns or not names:
        return not patterns and not names
    if patterns[0] == "**":
        return any(_matches(names[start:], patterns[1:]) for start in range(len(names)))
    is_shown = not names[0].startswith(".") or patterns[0].startswith(".")
    return is_shown and fnmatch.fnmatchcase(names[0], patterns[0]) and _matches(names[1:], patterns[1:])


def _address(source: str, info: Any) -> str:
    scheme, _, rest = source.partition("://")
    _, mark, query = rest.partition("?") if not any(map(rest.__contains__, "*[")) else (rest, "", "")
    return f"{scheme}://{info.path}{mark}{query}"


def _is_data(path: Path) -> bool:
    is_hidden = any(part.startswith((".", "_")) for part in path.parts)
    return not is_hidden and path.name.lower().endswith(LEGAL_EXTENSIONS)


def _unreachable(name: str, error: Exception) -> DataError:
    return DataError(f"{name} cannot be read: {error}. Check the address and the credentials")

"""Writing files so that a reader sees the old content or the new, and never a part."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from edgedistil_runtime.errors import OutputError

try:
    import fcntl
except ImportError:  # Windows has no such locks: nothing is locked there
    fcntl = None  # type: ignore[assignment]

__all__ = ["atomic_path", "check_not_an_input", "check_output", "sole_use"]

_LOCK = "lock"


def check_output(path: Path, *, force: bool) -> None:
    """Refuses a target that could not be written, before any work is done.

    Raises:
        OutputError: the folder does not exist or is no folder, the target is no regular file, or it exists and `force`
            is false.
    """
    folder = path.parent
    if not folder.is_dir():
        raise OutputError(f"The output folder does not exist. Received: {path}. Create it with: mkdir -p '{folder}'")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"The output folder cannot be written to. Received: {folder}. Choose another folder.")
    if path.is_dir():
        raise OutputError(f"The output is a file. Received the folder {path}. Name a file in it.")
    if path.exists() and not path.is_file():
        raise OutputError(f"The output must be a regular file, not a device or a pipe. Received: {path}.")
    if path.exists() and not force:
        raise _exists(path)


def check_not_an_input(output: Path, inputs: Iterable[str | Path]) -> None:
    """Refuses an output that would replace something that it is made of, which no `force` may.

    Args:
        output: the file or folder to write.
        inputs: what is read; a preset's name or handle, which is no path, is passed over.

    Raises:
        OutputError: the output is there and is an input, lies in a folder that is one, or is a folder around one.
    """
    for path in map(Path, inputs):
        if output.exists() and path.exists() and _would_replace(output, path):
            raise OutputError(f"The output would replace what it is made of: {path}. Received: {output}. Name another.")


def _would_replace(output: Path, given: Path) -> bool:
    # The name is replaced, not what a link of that name points to: its folder is what counts.
    place = output.parent.resolve() / output.name
    return (
        output.samefile(given)
        or (given.is_dir() and place.is_relative_to(given.resolve()))
        or (output.is_dir() and given.resolve().is_relative_to(place))
    )


def _exists(path: Path) -> OutputError:
    return OutputError(f"{path} exists. Choose another output, or pass --force (force=True) to replace it.")


@contextlib.contextmanager
def atomic_path(path: Path, *, force: bool = False) -> Iterator[Path]:
    """A temporary path beside the target, renamed to it at the end, or removed if anything goes wrong.

    Raises:
        OutputError: the target cannot be written: see `check_output`, also where another process has written it
            meanwhile; or its folder is read-only, or the disk is full.
    """
    check_output(path, force=force)
    try:  # the name does not contain the target's, which may be as long as a name can be
        handle, name = tempfile.mkstemp(prefix=".edgedistil-", suffix=".part", dir=path.parent)
    except OSError as error:
        raise OutputError(f"No file can be made in {path.parent}: {error.strerror}. Choose another folder.") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes files that only their owner may read
        _take_place(temporary, path, force=force)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OutputError(f"No room left to write {path}. Free some space and try again.") from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _take_place(temporary: Path, path: Path, *, force: bool) -> None:
    if force:
        temporary.replace(path)
        return
    try:
        os.link(temporary, path)  # which fails where a rename would replace what another process wrote meanwhile
    except FileExistsError:
        raise _exists(path) from None
    except OSError:  # FAT, Android and some network file systems have no hard links, each with another errno
        check_output(path, force=False)
        temporary.replace(path)


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


@contextlib.contextmanager
def sole_use(folder: Path) -> Iterator[bool]:
    """Whether a folder is this block's alone, which it then is until the block ends.

    False where another block of this or another process has it. Always True where the system has no file locks.

    Raises:
        OutputError: no file can be made in the folder.
    """
    if fcntl is None:
        yield True
        return
    path = folder / _LOCK
    descriptor = _locked(path)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            path.unlink(missing_ok=True)  # while it is locked: see _is_at
            os.close(descriptor)


def _locked(path: Path) -> int | None:
    """A descriptor that holds the lock; None where another one does."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise OutputError(
                f"No file can be made in {path.parent}: {error.strerror}. Choose another folder."
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:  # a file system without locks
            return descriptor
        if _is_at(path, descriptor):
            return descriptor
        os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    """False where the last holder removed the file between its opening here and its locking."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False

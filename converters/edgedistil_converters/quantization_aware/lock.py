"""One process at a time in the folder of a job.

The operating system holds the lock and lets go of it when the process ends, however it ends: a file that a killed
process left behind locks nobody out.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from edgedistil_runtime.errors import OutputError

try:
    import fcntl
except ImportError:  # Windows: training goes unlocked there
    fcntl = None  # type: ignore[assignment]

__all__ = ["sole_use"]

_LOCK = "lock"


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

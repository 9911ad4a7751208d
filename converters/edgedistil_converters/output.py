"""Writing files so that a reader sees the old content or the new, and never a part."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgedistil_runtime.errors import OutputError

__all__ = ["atomic_path", "check_output"]


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
        raise OutputError(f"{path} exists. Choose another output, or pass --force (force=True) to replace it.")


@contextlib.contextmanager
def atomic_path(path: Path, *, force: bool = False) -> Iterator[Path]:
    """A temporary path beside the target, renamed to it at the end, or removed if anything goes wrong.

    Raises:
        OutputError: the target cannot be written: see `check_output`; or its folder is read-only, or the disk is full.
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
        temporary.replace(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OutputError(f"No room left to write {path}. Free some space and try again.") from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask

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
        OutputError: the folder does not exist or is no folder, the target is a folder, or it exists and `force` is
            false.
    """
    folder = path.parent
    if not folder.is_dir():
        raise OutputError(f"The output folder does not exist. Received: {path}. Create it with: mkdir -p '{folder}'")
    if path.is_dir():
        raise OutputError(f"The output is a file. Received the folder {path}. Name a file in it.")
    if path.exists() and not force:
        raise OutputError(f"{path} exists. Choose another output, or pass --force (force=True) to replace it.")


@contextlib.contextmanager
def atomic_path(path: Path, *, force: bool = False) -> Iterator[Path]:
    """A temporary path beside the target, renamed to it at the end, or removed if anything goes wrong.

    Raises:
        OutputError: the target cannot be written: see `check_output`; or the disk is full.
    """
    check_output(path, force=force)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
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

"""Write a directory so that it is there as a whole, or not at all."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgedistil_runtime.errors import OutputError

__all__ = ["check_target", "written_whole"]

_MARKS = ("config.json", "training.json")


def check_target(directory: str | Path, *, is_replaceable: bool = False) -> Path:
    """Refuse a target that cannot be written, before any work is done.

    Args:
        directory: what is to be written.
        is_replaceable: whether a preset that stands there may be replaced.

    Returns:
        The target.

    Raises:
        OutputError: the folder it is to stand in does not exist or cannot be written, or something stands there.
    """
    target = Path(directory)
    parent = target.resolve().parent
    if not parent.is_dir():
        raise OutputError(
            f"The folder {target.parent} does not exist, so {target.name} cannot be written into it. "
            f"Create it first: mkdir -p {target.parent}"
        )
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(f"The folder {target.parent} cannot be written to. Choose another output with -o")
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise OutputError(f"The output must be a directory. Received: {target}, which is something else")
    if target.exists() and any(target.iterdir()):
        _check_replaceable(target, is_replaceable=is_replaceable)
    return target


def _check_replaceable(target: Path, *, is_replaceable: bool) -> None:
    if not is_replaceable:
        raise OutputError(f"{target} exists already. Pass --force to replace it, or choose another output with -o")
    # --force must never empty a home directory because of a slip in the path.
    if not all((target / mark).is_file() for mark in _MARKS):
        raise OutputError(
            f"--force replaces only a directory that `edgedistil train` wrote ({' and '.join(_MARKS)} in it). "
            f"Received: {target}. Remove it yourself, or choose another output with -o"
        )


@contextmanager
def written_whole(directory: str | Path, *, is_replaceable: bool = False) -> Iterator[Path]:
    """Give a temporary sibling to write into, and put it in the target's place when all went well.

    Args:
        directory: the target.
        is_replaceable: whether a preset that stands there may be replaced.

    Yields:
        The directory to write into. Whatever is raised meanwhile, Ctrl-C included, removes it and leaves the target
        as it was.

    Raises:
        OutputError: as `check_target`, or the disk is full.
    """
    target = check_target(directory, is_replaceable=is_replaceable)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.resolve().parent))
    try:
        with _full_disk_named(target):
            work = scratch / "new"
            work.mkdir()
            yield work
            _take_place(work, target, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _take_place(work: Path, target: Path, scratch: Path) -> None:
    aside = scratch / "old"
    if target.exists():
        target.rename(aside)
    try:
        work.rename(target)
    except BaseException:
        if aside.exists():
            aside.rename(target)
        raise


@contextmanager
def _full_disk_named(target: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:
        # HDF5 reports a full disk in words and not always in errno.
        is_full = getattr(error, "errno", None) == errno.ENOSPC or "No space left on device" in str(error)
        if not is_full:
            raise
        raise OutputError(
            f"The disk is full: {target} could not be written, and nothing is left of the attempt. "
            "Free some space, or choose another disk with -o"
        ) from error

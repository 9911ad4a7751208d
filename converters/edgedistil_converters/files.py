"""Writes files and directories in one step: a reader sees the old content or the new, never a part of it."""

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from edgedistil_runtime.errors import OutputError

try:
    import fcntl
except ImportError:  # Windows lacks these locks: nothing is locked there
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "LOCK_FILE",
    "atomic_directory",
    "atomic_path",
    "check_directory",
    "check_not_an_input",
    "check_output",
    "put_in_place",
    "sole_use",
]

LOCK_FILE = "lock"
"""Name of the file in a folder that `sole_use` locks."""

_PRESET_FILES = ("config.json", "training.json")  # in every directory that `edgedistil train` writes


def check_output(path: Path, *, force: bool) -> None:
    """Refuses a file that could not be written, before any work is done.

    Args:
        path: File to write.
        force: Replace a file at `path`.

    Raises:
        OutputError: the folder does not exist or cannot be written, the path is no regular file, or it exists and
            `force` is false.

    Example:
        >>> check_output(Path("new.tflite"), force=False)
        >>> check_output(Path("intents.tflite"), force=False)
        Traceback (most recent call last):
        edgedistil_runtime.errors.OutputError: intents.tflite exists. Choose another output, or pass `force` ...
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
    """Refuses an output that would replace one of its inputs, even with `force`.

    Args:
        output: File or folder to write.
        inputs: Paths that are read; a preset's name or handle, which is no path, is ignored.

    Raises:
        OutputError: the output exists and is an input, lies in a folder that is one, or contains one.

    Example:
        >>> check_not_an_input(Path("train.csv"), ["intents", "train.csv"])
        Traceback (most recent call last):
        edgedistil_runtime.errors.OutputError: The output would replace what it is made of: train.csv. ...
    """
    for path in map(Path, inputs):
        if output.exists() and path.exists() and _would_replace(output, path):
            raise OutputError(f"The output would replace what it is made of: {path}. Received: {output}. Name another.")


def _would_replace(output: Path, given: Path) -> bool:
    # A link at the output is replaced, not its target, so only the output's folder is resolved.
    place = output.parent.resolve() / output.name
    return (
        output.samefile(given)
        or (given.is_dir() and place.is_relative_to(given.resolve()))
        or (output.is_dir() and given.resolve().is_relative_to(place))
    )


def _exists(path: Path) -> OutputError:
    return OutputError(f"{path} exists. Choose another output, or pass `force` to replace it.")


@contextlib.contextmanager
def atomic_path(path: Path, *, force: bool = False, mode: int | None = None) -> Iterator[Path]:
    """Yields a temporary path beside the target, which is renamed to it at the end, or removed if anything goes wrong.

    Args:
        path: File to write.
        force: Replace a file at `path`.
        mode: Permissions of the file; `None` for those of any new file.

    Raises:
        OutputError: as `check_output`, also if another process has written the target meanwhile; or the folder is
            read-only, or the disk is full.

    Example:
        >>> with atomic_path(Path("labels.txt")) as temporary:
        ...     _ = temporary.write_text("on")
        ...     Path("labels.txt").exists()
        False
        >>> Path("labels.txt").read_text()
        'on'
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
        # mkstemp makes files that only their owner may read
        temporary.chmod(0o666 & ~_umask() if mode is None else mode)
        put_in_place(temporary, path, force=force)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OutputError(f"No room left to write {path}. Free some space and try again.") from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def put_in_place(finished: Path, path: Path, *, force: bool) -> None:
    """Moves a finished file to its path, which is on the same file system.

    Args:
        finished: File to move; it may stay as a second link to the same content.
        path: Path to give it.
        force: Replace a file at that path.

    Raises:
        OutputError: there is a file at the path and `force` is false.
    """
    if force:
        finished.replace(path)
        return
    try:
        os.link(finished, path)  # which fails where a rename would replace what another process wrote meanwhile
    except FileExistsError:
        raise _exists(path) from None
    except OSError:  # FAT, Android and some network file systems have no hard links, each with another errno
        check_output(path, force=False)
        finished.replace(path)


def check_directory(directory: str | Path, *, force: bool = False) -> Path:
    """Refuses a directory that could not be written, before any work is done.

    Args:
        directory: Directory to write.
        force: Replace a directory that `edgedistil train` wrote.

    Returns:
        The directory.

    Raises:
        OutputError: the parent folder does not exist or cannot be written, or the path exists and may not be replaced.

    Example:
        >>> check_directory("new_classifier").name
        'new_classifier'
    """
    target = Path(directory)
    parent = target.resolve().parent
    if not parent.is_dir():
        raise OutputError(
            f"The folder {target.parent} does not exist, so {target.name} cannot be written into it. "
            f"Create it first: mkdir -p {target.parent}"
        )
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(f"The folder {target.parent} cannot be written to. Choose another `output`.")
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise OutputError(f"The output must be a directory. Received: {target}, which is something else")
    if target.exists() and any(target.iterdir()):
        _check_replaceable(target, force=force)
    return target


def _check_replaceable(target: Path, *, force: bool) -> None:
    if not force:
        raise OutputError(f"{target} exists already. Pass `force` to replace it, or choose another `output`.")
    # force must never empty a home directory because of a slip in the path.
    if not all((target / name).is_file() for name in _PRESET_FILES):
        raise OutputError(
            f"`force` replaces only a directory that `edgedistil train` wrote ({' and '.join(_PRESET_FILES)} in it). "
            f"Received: {target}. Remove it yourself, or choose another `output`."
        )


@contextlib.contextmanager
def atomic_directory(directory: str | Path, *, force: bool = False) -> Iterator[Path]:
    """Yields a temporary directory, which replaces the target at the end, or is removed if anything goes wrong.

    Args:
        directory: Directory to write.
        force: Replace a directory that `edgedistil train` wrote.

    Yields:
        The directory to write into. After an error, Ctrl-C included, the target is as it was.

    Raises:
        OutputError: as `check_directory`, or the disk is full.

    Example:
        >>> with atomic_directory("my_classifier") as folder:
        ...     _ = (folder / "labels.txt").write_text("on")
        >>> [path.name for path in Path("my_classifier").iterdir()]
        ['labels.txt']
    """
    target = check_directory(directory, force=force)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.resolve().parent))
    try:
        with _full_disk_named(target):
            work = scratch / "new"
            work.mkdir()
            yield work
            _replace_directory(work, target, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _replace_directory(work: Path, target: Path, scratch: Path) -> None:
    aside = scratch / "old"
    if target.exists():
        target.rename(aside)
    try:
        work.rename(target)
    except BaseException:
        if aside.exists():
            aside.rename(target)
        raise


@contextlib.contextmanager
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
            "Free some space, or choose an `output` on another disk."
        ) from error


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


@contextlib.contextmanager
def sole_use(folder: Path) -> Iterator[bool]:
    """Locks a folder until the end of the block; no other block of this or another process can have the lock meanwhile.

    Yields:
        True if this block has the lock, False if another one has it. Always True if the system has no file locks.

    Raises:
        OutputError: no file can be made in the folder.

    Example:
        >>> with sole_use(Path(".")) as is_ours, sole_use(Path(".")) as is_ours_too:
        ...     is_ours, is_ours_too
        (True, False)
    """
    if fcntl is None:
        yield True
        return
    path = folder / LOCK_FILE
    descriptor = _locked(path)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            path.unlink(missing_ok=True)  # while it is locked: see _is_at
            os.close(descriptor)


def _locked(path: Path) -> int | None:
    """A descriptor that holds the lock; `None` if another one does."""
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
    """False if the last holder removed the file after it was opened here and before it was locked."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False

"""A folder of products, each made once: a product is made again only if it would be made of something else.

    stages/stages.json          marks the folder as one of these
    stages/NAME                 product, a file or a directory, written in one step
    stages/NAME.json            digest of what it is made of, and facts about it
    stages/NAME.training.npz    state of a training that was interrupted
    stages/NAME.qat             the same of a training with quantization, whose module removes it

The mark of a product is written twice: before it is made, so that the state of an interrupted training is known to be
of the same inputs, and after.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgedistil.conversion import checkpoints_folder
from edgedistil_converters.files import LOCK_FILE, atomic_path, sole_use
from edgedistil_runtime.errors import OutputError

__all__ = ["Stages", "open_stages", "opened_stages"]

_FOLDER, _MARK = "stages", "stages.json"
_CONTENT = {"kind": "stages of edgedistil distil", "schema_version": 1}

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Stages:
    """Products in a folder.

    Attributes:
        folder: The folder.

    Example:
        >>> stages = open_stages(Path("found"))
        >>> make = lambda path: {"letters": path.write_text("on")}
        >>> stages.make("word.txt", "00ff", make), stages.is_made("word.txt", "00ff")
        ({'letters': 2}, True)
        >>> stages.make("word.txt", "00ff", lambda path: {"letters": path.write_text("off")})
        {'letters': 2}
    """

    folder: Path

    def path(self, name: str) -> Path:
        """Path of a product."""
        return self.folder / name

    def checkpoint(self, name: str) -> Path:
        """Path of the state of a product's training."""
        return self.folder / f"{name}.training.npz"

    def is_made(self, name: str, digest: str) -> bool:
        """True if a product is there and was made of the same inputs."""
        mark = self._read(name)
        is_there = self.path(name).exists() or mark.get("has_product") is False
        return mark.get("digest") == digest and "facts" in mark and is_there

    def make(self, name: str, digest: str, make: Callable[[Path], Facts]) -> dict[str, Any]:
        """Makes a product, unless it is there and was made of the same inputs.

        Args:
            name: Name of the product.
            digest: Digest of everything that it is made of.
            make: Writes the product to a path, in one step, and returns facts about it, as plain data. It may write
                none, if the facts are all there is.

        Returns:
            The facts.
        """
        if not self.is_made(name, digest):
            if self._read(name).get("digest") != digest:
                _remove(self.checkpoint(name))
                _remove(checkpoints_folder(self.path(name)))
            _remove(self.path(name))
            self._write(name, {"digest": digest})
            facts = dict(make(self.path(name)))
            self._write(name, {"digest": digest, "has_product": self.path(name).exists(), "facts": facts})
            _remove(self.checkpoint(name))
        return dict(self._read(name)["facts"])

    def is_empty(self) -> bool:
        """True if nothing was made: no product, no facts and no state of a training."""
        others = (path for path in self.folder.iterdir() if path.name not in (_MARK, LOCK_FILE))
        return not any(path.suffix != ".json" or "facts" in self._read(path.stem) for path in others)

    def _read(self, name: str) -> dict[str, Any]:
        try:
            mark = json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}  # none, or damaged: the product is made again
        return mark if isinstance(mark, dict) else {}

    def _write(self, name: str, mark: Facts) -> None:
        _write_json(self.folder / f"{name}.json", mark)


def open_stages(directory: Path) -> Stages:
    """Opens the stages in a directory, and makes the directory if there is none.

    Args:
        directory: Directory of a search.

    Raises:
        OutputError: the directory holds something else, or cannot be made.

    Example:
        >>> open_stages(Path("found")).folder.as_posix()
        'found/stages'
        >>> open_stages(Path("intents"))
        Traceback (most recent call last):
        edgedistil_runtime.errors.OutputError: The output must be a new or empty directory, or one that ...
    """
    folder = directory / _FOLDER
    if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
        raise OutputError(f"The output must be a directory. Received: {directory}, which is something else")
    if not (folder / _MARK).is_file() and any(path.is_file() for path in directory.rglob("*")):
        raise OutputError(
            "The output must be a new or empty directory, or one that an earlier search wrote. "
            f"Received: {directory}, which holds something else. Choose another `output`"
        )
    if not directory.resolve().parent.is_dir():
        raise OutputError(f"The folder {directory.parent} does not exist. Create it first: mkdir -p {directory.parent}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made: {error.strerror}. Choose another `output`") from error
    if not (folder / _MARK).is_file():
        _write_json(folder / _MARK, _CONTENT)
    return Stages(folder)


@contextmanager
def opened_stages(directory: Path) -> Iterator[Stages]:
    """Opens the stages in a directory; if the block ends with an error and made nothing, what is new is removed again.

    Args:
        directory: Directory of a search.

    Raises:
        OutputError: the directory holds something else, or cannot be made.

    Example:
        >>> with opened_stages(Path("refused")):
        ...     raise ValueError("another teacher")
        Traceback (most recent call last):
        ValueError: another teacher
        >>> Path("refused").exists()
        False
    """
    new = [path for path in (directory / _FOLDER, directory) if not path.exists()]
    stages = open_stages(directory)
    try:
        yield stages
    except BaseException:
        if new and stages.folder.is_dir():
            with sole_use(stages.folder) as is_ours:  # another search may have begun in it
                if is_ours and stages.is_empty():
                    _remove(stages.folder)
            for path in new:
                if path.is_dir() and not any(path.iterdir()):
                    path.rmdir()
        raise


def _write_json(path: Path, content: Facts) -> None:
    with atomic_path(path, force=True) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)

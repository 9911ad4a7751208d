"""A folder of a teacher's answers, one file for a teacher and its texts, so that nothing is asked twice.

A file holds the answers to the first texts, or to all of them. It is replaced as a whole, and contains arrays only:
reading it cannot run code. A damaged file counts as none.
"""

import hashlib
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistil_converters.files import atomic_path

__all__ = ["AnswerCache", "texts_digest"]

_NAME_DIGITS = 16  # of the digest's 64, in a file's name; the file holds all of them


def texts_digest(teacher: str, texts: Sequence[str]) -> str:
    """Digest of a teacher and texts, which decides if answers are those that are asked for.

    Args:
        teacher: Digest of the teacher.
        texts: Texts in their order.

    Example:
        >>> texts_digest("a", ["on", "off"]) == texts_digest("a", ["on", "off"])
        True
        >>> texts_digest("a", ["onoff"]) == texts_digest("a", ["on", "off"])
        False
    """
    digest = hashlib.sha256(teacher.encode())
    for text in texts:
        digest.update(json.dumps(text).encode())  # quoted, so that no two lists of texts have the same bytes
    return digest.hexdigest()


@dataclass(frozen=True)
class AnswerCache:
    """Answers in a folder, which is made when the first ones are kept.

    Attributes:
        folder: The folder.

    Example:
        >>> cache = AnswerCache(Path("answers"))
        >>> cache.read("00ff", (3, 2)).shape
        (0, 2)
        >>> cache.write("00ff", np.ones((1, 2), "float32"))
        >>> cache.read("00ff", (3, 2)).tolist()
        [[1.0, 1.0]]
        >>> cache.read("00ff", (3, 4)).shape  # other classes: not these answers
        (0, 4)
    """

    folder: Path

    def read(self, digest: str, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Returns the answers to the first texts, float32[texts so far, classes].

        Args:
            digest: Digest of teacher and texts.
            shape: Number of texts and of classes.
        """
        none = np.zeros((0, shape[1]), "float32")
        try:
            with self._path(digest).open("rb") as file, np.load(file) as arrays:
                is_same, logits = str(arrays["digest"]) == digest, arrays["logits"]
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
            return none
        is_right = logits.dtype == np.float32 and logits.ndim == 2 and logits.shape[1] == shape[1]
        is_usable = is_same and is_right and len(logits) <= shape[0] and np.isfinite(logits).all()
        return np.asarray(logits) if is_usable else none

    def write(self, digest: str, logits: NDArray[np.float32]) -> None:
        """Replaces the answers of a digest by more of them.

        Raises:
            OutputError: the folder cannot be written, or the disk is full.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(self._path(digest), force=True) as temporary, temporary.open("wb") as file:
            np.savez(file, digest=np.array(digest), logits=logits)

    def _path(self, digest: str) -> Path:
        return self.folder / f"{digest[:_NAME_DIGITS]}.npz"

"""Digests of what a product is made of: equal digests give equal products, so nothing is made twice."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgedistil import __version__
from edgedistil.data import LabelledTexts
from edgedistil.presets.registry import list_presets

__all__ = ["digest_of", "file_digest", "preset_digest", "texts_digest"]


def digest_of(*parts: Any) -> str:
    """Digest of plain data and of this version of EdgeDistil.

    Example:
        >>> digest_of("student", {"epochs": 6}) == digest_of("student", {"epochs": 6})
        True
        >>> digest_of("ab", "c") == digest_of("a", "bc")
        False
    """
    content = json.dumps([__version__, *parts], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()


def texts_digest(data: LabelledTexts | Sequence[str] | None) -> str:
    """Digest of texts in their order, with their labels if they have some; empty for `None`.

    Example:
        >>> texts_digest(["on"]) == texts_digest(LabelledTexts(("on",), ("lights",)))
        False
    """
    if data is None:
        return ""
    if isinstance(data, LabelledTexts):
        return digest_of("labelled", list(data.texts), list(data.labels))
    return digest_of("texts", list(data))


def preset_digest(preset: str) -> str:
    """Digest of a preset: of the files of a local one, else of its name or handle.

    Example:
        >>> before = preset_digest("intents")
        >>> _ = Path("intents", "labels.txt").write_text("a")
        >>> preset_digest("intents") == before
        False
    """
    path = Path(preset)
    is_name = "://" in preset or preset in {info.name for info in list_presets()}
    if is_name or not path.exists():
        return digest_of("name", preset)
    files = [path] if path.is_file() else sorted(found for found in path.rglob("*") if found.is_file())
    return digest_of("files", [[found.relative_to(path).as_posix(), file_digest(found)] for found in files])


def file_digest(path: Path) -> str:
    """SHA-256 of a file.

    Example:
        >>> len(file_digest(Path("intents.tflite")))
        64
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""What a model may be read from: a path, bytes, a binary file object, or a resource of a package.

A path stays a path, so that a large file is memory-mapped. Everything else becomes one `bytes` object that the
interpreter reads in place: neither `Interpreter` nor `CompiledModel` copies it (benchmarks/model_sources.py).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Union

from edgedistil_runtime.errors import ArtifactError

__all__ = ["ModelSource", "Resource", "describe_model", "read_source"]


class Resource(Protocol):
    """A file that need not be one on a disk: `importlib.resources.files(package) / name`, or a `zipfile.Path`."""

    def read_bytes(self) -> bytes:
        """Return its content."""


ModelSource = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, BinaryIO, Resource]

_LONGEST_PATH = 4096  # PATH_MAX of Linux


def read_source(source: ModelSource) -> Path | bytes:
    """Return the path of a model file, or the content of one that has no path.

    Args:
        source: A path; bytes or another buffer of bytes; a file object opened in binary mode, which is read from its
            position to its end and not closed; or an object with `read_bytes`. `bytes` are returned as they are; a
            buffer that may be written to is copied.

    Raises:
        ArtifactError: The source is none of these, or cannot be read.

    Example:
        >>> import io
        >>> read_source("intents.tflite"), read_source(io.BytesIO(b"content")), read_source(bytearray(b"content"))
        (PosixPath('intents.tflite'), b'content', b'content')
    """
    if isinstance(source, bytes):
        return _checked_content(source)
    if isinstance(source, (str, os.PathLike)):
        return _path(source)
    for method in ("read_bytes", "read"):
        if callable(getattr(source, method, None)):
            return _read_all(source, method)
    try:
        view = memoryview(source)  # type: ignore[arg-type]  # anything else is a TypeError
    except TypeError:
        raise ArtifactError(
            "The model (`path`) must be a path, bytes, a file object opened in binary mode, or a resource with "
            f"read_bytes. Received: {type(source).__name__}."
        ) from None
    if isinstance(view.obj, bytes) and view.contiguous and view.nbytes == len(view.obj):
        return _checked_content(view.obj)
    return _checked_content(view.tobytes())


def describe_model(model: str | os.PathLike[str] | bytes) -> str:
    """Return a path for a message, or the size of a model in memory.

    Example:
        >>> describe_model(Path("intents.tflite")), describe_model(b"content")
        ("'intents.tflite'", 'a model of 7 bytes in memory')
    """
    return f"a model of {len(model):,} bytes in memory" if isinstance(model, bytes) else repr(os.fspath(model))


def _path(source: str | os.PathLike[str]) -> Path:
    try:
        return Path(source)
    except TypeError as error:  # a path of bytes
        raise ArtifactError(f"The path of the model must be text: {error}. Received: {source!r}.") from error


def _read_all(source: Any, method: str) -> bytes:
    name = _name(source)
    try:
        content = getattr(source, method)()
    except Exception as error:  # whatever a foreign file object raises: closed, encrypted, damaged, no such member
        raise ArtifactError(
            f"The model cannot be read from {name}: {type(error).__name__}: {error}. Pass an open binary file, or the "
            "path of a .tflite file that `edgedistil convert` wrote."
        ) from error
    if isinstance(content, (bytearray, memoryview)):
        content = bytes(content)
    if not isinstance(content, bytes):
        raise ArtifactError(
            f"{name} must give bytes. Received: {type(content).__name__}. Open the file in binary mode, 'rb'."
        )
    if not content and method == "read":
        raise ArtifactError(f"{name} has no bytes left to read. Seek to the start of the model.")
    return content


def _name(source: Any) -> str:
    name = getattr(source, "name", None)
    return f"{type(source).__name__} {name!r}" if isinstance(name, (str, os.PathLike)) else type(source).__name__


def _checked_content(content: bytes) -> bytes:
    if 0 < len(content) < _LONGEST_PATH and content.endswith(b".tflite"):
        raise ArtifactError(
            f"Bytes are the content of a model, not its path. Received: {content!r}. Pass the path as text."
        )
    return content

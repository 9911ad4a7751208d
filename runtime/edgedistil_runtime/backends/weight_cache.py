"""Keep the weights that XNNPACK packed in a file from one start to the next.

    CACHE/<key>-<digest>.xnnpack

LiteRT maps such a file, and its authors warn that it does not reliably detect a stale one
(tflite/delegates/xnnpack/README.md). Therefore the key covers everything that the content depends on: the model's
SHA-256, the version of ai-edge-litert and the processor. The digest is that of the content; a file with another digest
never reaches LiteRT and is written anew. New content is packed in memory, written to a temporary file in the folder and
renamed, so that a full disk or a read-only folder costs only the cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgedistil_runtime.artifact import Artifact
from edgedistil_runtime.backends.compiled_model import IN_MEMORY, CompiledModelBackend
from edgedistil_runtime.errors import BackendError

__all__ = ["default_cache_folder", "open_compiled_model", "open_with_weight_cache"]

_SUFFIX = ".xnnpack"
_BLOCK = 1 << 20
_log = logging.getLogger(__name__)


def default_cache_folder() -> Path:
    """Return the user's folder, in `XDG_CACHE_HOME` or else in `~/.cache`.

    Raises:
        BackendError: Neither exists.

    Example:
        >>> default_cache_folder().name
        'edgedistil'
    """
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgedistil"
    except RuntimeError as error:  # no HOME, and no entry for this user
        raise BackendError(
            f"This user has no folder for caches: {error} Pass one: `weight_cache`='/var/cache/edgedistil', or set "
            "XDG_CACHE_HOME."
        ) from error


def open_with_weight_cache(
    artifact: Artifact, folder: str | os.PathLike[str], *, num_threads: int | None = None
) -> CompiledModelBackend:
    """Open a model with the packed weights in a folder, and write them there if they are missing.

    Args:
        artifact: An intact artifact.
        folder: Folder of the caches; it is made if it is missing. If reading or writing fails, this is logged and the
            weights are packed anew.
        num_threads: Number of threads for one run; None is 1.

    Raises:
        BackendError: ai-edge-litert is not installed, or it refuses the model.

    Example:
        >>> from edgedistil_runtime import read_artifact
        >>> open_with_weight_cache(read_artifact("intents.tflite"), "cache").close()
        >>> [path.suffix for path in Path("cache").iterdir()]  # on Linux
        ['.xnnpack']
    """
    try:
        location = Path(folder)
    except TypeError as error:
        raise BackendError(f"`weight_cache` must be a folder, True, False or None. Received: {folder!r}.") from error
    key = _key(artifact)
    kept = _intact_file(location, key)
    if kept is not None:
        return open_compiled_model(artifact, num_threads=num_threads, weight_cache=str(kept))
    with _memory_file() as memory:
        backend = open_compiled_model(artifact, num_threads=num_threads, weight_cache=memory or IN_MEMORY)
        if memory is not None:
            _copy_to_folder(Path(memory), location, key)
    return backend


def open_compiled_model(
    artifact: Artifact, *, num_threads: int | None = None, weight_cache: str = IN_MEMORY
) -> CompiledModelBackend:
    """Open a model with the row length and the number of classes in its metadata.

    Raises:
        BackendError: ai-edge-litert is not installed, or it refuses the model.

    Example:
        >>> from edgedistil_runtime import read_artifact
        >>> with contextlib.closing(open_compiled_model(read_artifact("intents.tflite"))) as backend:
        ...     "classify_tokens" in backend.signatures()
        True
    """
    metadata = artifact.metadata
    return CompiledModelBackend(
        artifact.model,
        longest_row=metadata.tokenizer.sequence_length,
        num_classes=len(metadata.labels),
        num_threads=num_threads,
        weight_cache=weight_cache,
    )


def _key(artifact: Artifact) -> str:
    parts = (
        artifact.metadata.flatbuffer_sha256,
        CompiledModelBackend.installed_version(),
        platform.machine(),
        _processor(),
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _processor() -> str:
    """Return the properties of the processor by which XNNPACK chooses kernels and their packing of weights."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines()
        return "\n".join(
            sorted({line for line in lines if line.startswith(("flags", "Features", "model name", "CPU"))})
        )
    return platform.processor()


def _intact_file(folder: Path, key: str) -> Path | None:
    """Return the file whose content has the digest in its name; remove others with that key if possible."""
    try:
        found = sorted(folder.glob(f"{key}-*{_SUFFIX}"))
    except OSError:
        return None
    for path in found:
        with contextlib.suppress(OSError):
            if path.name == _name(key, _digest(path)):
                return path
        _log.warning("A damaged weight cache is not used: %s", path)
        with contextlib.suppress(OSError):
            path.unlink()
    return None


def _name(key: str, digest: str) -> str:
    return f"{key}-{digest[:32]}{_SUFFIX}"


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def _memory_file() -> Iterator[str | None]:
    """Yield the path of a file in memory in which LiteRT can build its cache; None if the system has no such files.

    A full disk can then only affect the copy.
    """
    if not hasattr(os, "memfd_create"):
        yield None
        return
    descriptor = os.memfd_create("edgedistil-weights")
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _copy_to_folder(memory: Path, folder: Path, key: str) -> None:
    """Copy a cache to its place, or log why that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=key, delete=False) as target:
            try:
                digest = hashlib.sha256()
                with memory.open("rb") as source:
                    while block := source.read(_BLOCK):
                        digest.update(block)
                        target.write(block)
                target.close()
                Path(target.name).replace(folder / _name(key, digest.hexdigest()))
            except BaseException:
                with contextlib.suppress(OSError):
                    Path(target.name).unlink()
                raise
    except OSError as error:
        _log.warning("The weight cache cannot be kept: %s. Received: %s.", error, folder)

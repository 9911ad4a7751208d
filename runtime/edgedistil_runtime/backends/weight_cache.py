"""Weights as XNNPACK packed them, kept in a file from one start to the next.

    CACHE/<key>-<digest>.xnnpack

LiteRT maps such a file, trusts it and ends the process over some that are damaged, and its authors say that it does not
find out reliably whether one is stale (tflite/delegates/xnnpack/README.md). So the key names all that the content
depends on: the model's SHA-256, the version of ai-edge-litert and the processor. The digest is the content's own; a
file that does not have it is not used, and is written anew. A new one is packed in memory and then written beside its
place and renamed, so that a full disk or a folder that cannot be written costs the cache and nothing else.
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
    """The user's own: below `XDG_CACHE_HOME`, or `~/.cache`.

    Raises:
        BackendError: there is neither.
    """
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgedistil"
    except RuntimeError as error:  # no HOME, and no entry for this user
        raise BackendError(
            f"This user has no folder for caches: {error} Name one: `weight_cache`='/var/cache/edgedistil', or set "
            "XDG_CACHE_HOME."
        ) from error


def open_with_weight_cache(
    artifact: Artifact, folder: str | os.PathLike[str], *, num_threads: int | None = None
) -> CompiledModelBackend:
    """Opens a model with the packed weights in a folder; they are put there if they are not.

    Args:
        artifact: read and found intact.
        folder: made if it is not there. What cannot be read or written is logged, and the weights are packed anew.
        num_threads: threads for one run; None leaves it to LiteRT.

    Raises:
        BackendError: ai-edge-litert is not installed, or it refuses the model.
    """
    location = Path(folder)
    key = _key(artifact)
    kept = _sound_file(location, key)
    if kept is not None:
        return open_compiled_model(artifact, num_threads=num_threads, weight_cache=str(kept))
    with _memory_file() as memory:
        backend = open_compiled_model(artifact, num_threads=num_threads, weight_cache=memory or IN_MEMORY)
        if memory is not None:
            _keep(Path(memory), location, key)
    return backend


def open_compiled_model(
    artifact: Artifact, *, num_threads: int | None = None, weight_cache: str = IN_MEMORY
) -> CompiledModelBackend:
    """Opens a model as its metadata says.

    Raises:
        BackendError: ai-edge-litert is not installed, or it refuses the model.
    """
    metadata = artifact.metadata
    return CompiledModelBackend(
        artifact.path,
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
    """What XNNPACK's choice of kernels depends on, and with it how weights are packed."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines()
        return "\n".join(
            sorted({line for line in lines if line.startswith(("flags", "Features", "model name", "CPU"))})
        )
    return platform.processor()


def _sound_file(folder: Path, key: str) -> Path | None:
    """The file whose content has the digest in its name; any other with that key is removed if it can be."""
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
    """The path of a file in memory that LiteRT can build its cache in; None where there is no such thing.

    On a disk that is full LiteRT would end the process.
    """
    if not hasattr(os, "memfd_create"):
        yield None
        return
    descriptor = os.memfd_create("edgedistil-weights")
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _keep(memory: Path, folder: Path, key: str) -> None:
    """Copies a cache to its place."""
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

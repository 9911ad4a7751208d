"""The folder that the parent and its child share: a job goes in, checkpoints and a result come out.

    job.npz         weights, data and settings
    checkpoint.npz  state after an epoch
    result.npz      trained weights, ranges and history
    stderr.txt      standard error of the child
    lock            exists while a parent uses the folder

Every .npz file is replaced atomically and contains the digest of its job, so files of other jobs are never used. A
damaged file is treated as missing. The files contain only arrays and JSON: reading them cannot run code.
"""

import contextlib
import dataclasses
import errno
import hashlib
import json
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgedistil_converters.files import atomic_path, sole_use
from edgedistil_converters.graph.transformer import EMBEDDINGS_NORM, LOGITS, POOLED, layer_name
from edgedistil_converters.model.named_arrays import named_arrays, with_arrays
from edgedistil_converters.model.weights import ClassifierWeights, Dense, LayerNorm, Part, TransformerLayer
from edgedistil_converters.preparation.quantization_aware.settings import QATData, QATEpoch, QATResult, QATSettings
from edgedistil_runtime.errors import OutputError

__all__ = [
    "CHECKPOINT",
    "RESULT",
    "STDERR",
    "Job",
    "read_arrays",
    "read_job",
    "read_result",
    "remove_job",
    "write_arrays",
    "write_job",
]

CHECKPOINT, RESULT = "checkpoint.npz", "result.npz"
STDERR = "stderr.txt"
_JOB = "job.npz"
_FORMAT = 3  # raised when the computation or the file format changes, so that older checkpoints are not used
_TRAINERS = ("tensorflow", "tensorflow-model-optimization", "tf-keras")
# Errors of the readers of zip archives and arrays on damaged bytes. RuntimeError: the flag for encryption is set, or an
# unsupported compression.
_DAMAGE = (
    EOFError,
    KeyError,
    RuntimeError,
    TypeError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)

_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Job:
    """Everything that the result of training depends on.

    Attributes:
        weights: Weights of the float classifier.
        data: The training texts.
        settings: How to train.
        pad_id: The id that attention masks.
        weight_dtypes: Site -> dtype of its weights in the file; see `QuantizationPlan.weight_dtypes`.

    Example:
        >>> from dataclasses import replace
        >>> from edgedistil.presets.loading import load_classifier
        >>> from edgedistil_converters.model.keras_hub import read_weights
        >>> data = QATData(((2, 5, 6, 3),), np.array([0]), np.full((1, 3), 1 / 3))
        >>> job = Job(read_weights(load_classifier("intents")), data, QATSettings(), pad_id=0, weight_dtypes={})
        >>> replace(job, settings=QATSettings(seed=1)).digest == job.digest
        False
    """

    weights: ClassifierWeights
    data: QATData
    settings: QATSettings
    pad_id: int
    weight_dtypes: Mapping[str, str]

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all fields and the versions of the training packages."""
        hashed = hashlib.sha256(_header(self).encode())
        for name, array in _arrays(self).items():
            hashed.update(f"{name} {array.dtype} {array.shape}".encode())
            hashed.update(np.ascontiguousarray(array).data)
        return hashed.hexdigest()


def write_job(folder: Path, job: Job) -> None:
    """Writes a job for the child, and removes damaged files and files of other jobs from the folder.

    Raises:
        OutputError: A file can be neither read nor written.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> from edgedistil_converters.model.keras_hub import read_weights
        >>> data = QATData(((2, 5, 6, 3),), np.array([0]), np.full((1, 3), 1 / 3))
        >>> job = Job(read_weights(load_classifier("intents")), data, QATSettings(), pad_id=0, weight_dtypes={})
        >>> Path("qat").mkdir()
        >>> write_job(Path("qat"), job)
        >>> read_job(Path("qat")).digest == job.digest
        True
    """
    for name in (_JOB, CHECKPOINT, RESULT):
        if not _is_intact(folder / name, job.digest):
            (folder / name).unlink(missing_ok=True)
    if not (folder / _JOB).exists():
        write_arrays(folder / _JOB, job.digest, {**_arrays(job), "header": np.array(_header(job))})


def remove_job(folder: Path) -> None:
    """Removes the files of a job, and the folder unless it contains other files.

    Does nothing if the folder does not exist or another process is training in it.

    Example:
        >>> Path("training").mkdir()
        >>> _ = Path("training/stderr.txt").write_text("started")
        >>> remove_job(Path("training"))
        >>> Path("training").exists()
        False
    """
    if not folder.is_dir():
        return
    with sole_use(folder) as is_ours:
        if not is_ours:
            return
        for name in (_JOB, CHECKPOINT, RESULT, STDERR):
            (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # not empty
        folder.rmdir()


def read_job(folder: Path) -> Job:
    """Reads the job that `write_job` wrote.

    Raises:
        OSError: There is no job.
        ValueError, KeyError, zipfile.BadZipFile: It was damaged after `write_job`, which replaces a damaged one.
    """
    with (folder / _JOB).open("rb") as file, np.load(file) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    header = json.loads(str(found["header"]))
    rows = tuple(tuple(found["ids"][a:b].tolist()) for a, b in pairwise(found["starts"].tolist()))
    data = QATData(token_ids=rows, targets=found["targets"], teacher=found["teacher"])
    weights = _weights_of(found, header)
    return Job(weights, data, QATSettings(**header["settings"]), header["pad_id"], header["weight_dtypes"])


def write_arrays(path: Path, digest: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Writes or replaces an .npz file atomically; `digest` is the digest of the job that it belongs to.

    Example:
        >>> write_arrays(Path("state.npz"), "0123", {"step": np.array(7)})
        >>> read_arrays(Path("."), "state.npz", "0123")
        {'step': array(7)}
    """
    contents: dict[str, Any] = {**arrays, "digest": np.array(digest)}
    with atomic_path(path, force=True) as temporary, temporary.open("wb") as file:
        np.savez(file, **contents)


def read_arrays(folder: Path, name: str, digest: str) -> dict[str, NDArray[Any]] | None:
    """Returns the arrays of a file; None if it is missing, damaged or of another job.

    Raises:
        OutputError: The system does not let the file be read.

    Example:
        >>> write_arrays(Path("state.npz"), "0123", {"step": np.array(7)})
        >>> read_arrays(Path("."), "state.npz", "another digest") is None
        True
    """
    return _read(folder / name, digest)


def read_result(folder: Path, job: Job) -> QATResult | None:
    """Returns the result of a job; None if training has not finished."""
    arrays = _read(folder / RESULT, job.digest)
    if arrays is None:
        return None
    ranges = {
        name.removeprefix("ranges/"): (float(pair[0]), float(pair[1]))
        for name, pair in arrays.items()
        if name.startswith("ranges/")
    }
    history = tuple(QATEpoch(**epoch) for epoch in json.loads(str(arrays["history"])))
    return QATResult(weights=with_arrays(job.weights, arrays), ranges=ranges, history=history)


def _read(path: Path, digest: str) -> dict[str, NDArray[Any]] | None:
    return _read_with(path, digest, lambda arrays: {name: arrays[name] for name in arrays.files if name != "digest"})


def _is_intact(path: Path, digest: str) -> bool:
    """True if a file is of this job and its checksums are right; reads it in chunks."""
    return _read_with(path, digest, lambda arrays: arrays.zip.testzip() is None) or False


def _read_with(path: Path, digest: str, read: Callable[[Any], _Found]) -> _Found | None:
    """Calls `read` with the open .npz file; None if it is missing, damaged or of another job."""
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            return read(arrays) if str(arrays["digest"]) == digest else None
    except FileNotFoundError:
        return None
    except _DAMAGE:
        return None
    except OSError as error:
        if error.errno in (None, errno.EINVAL):  # damage: from a decompressor, or a seek to before the file's start
            return None
        raise OutputError(
            f"A file of quantization-aware training cannot be read: {error.strerror}. Received: {path}. "
            "Make it readable, remove its folder, or choose another `output`."
        ) from error


def _header(job: Job) -> str:
    epsilons = {name: part.epsilon for name, part in job.weights.parts.items() if isinstance(part, LayerNorm)}
    header = {
        "format": _FORMAT,
        "versions": {package: _version(package) for package in _TRAINERS},
        "settings": asdict(job.settings),
        "pad_id": job.pad_id,
        "weight_dtypes": dict(job.weight_dtypes),
        "num_layers": len(job.weights.layers),
        "num_heads": job.weights.num_heads,
        "output_activation": job.weights.output_activation,
        "pooled_activation": job.weights.pooled_activation,
        "is_gelu_approximate": job.weights.is_gelu_approximate,
        "epsilons": epsilons,
    }
    return json.dumps(header, sort_keys=True)


def _version(package: str) -> str | None:
    """Version of a training package: another one may compute, or order its variables, differently."""
    try:
        return version(package)
    except PackageNotFoundError:  # TensorFlow is also distributed under other names
        return None


def _arrays(job: Job) -> dict[str, NDArray[Any]]:
    starts = np.cumsum([0, *(len(row) for row in job.data.token_ids)])  # row i is ids[starts[i] : starts[i + 1]]
    return {
        **named_arrays(job.weights),
        "token_embeddings": job.weights.token_embeddings,
        "position_embeddings": job.weights.position_embeddings,
        "ids": np.concatenate(job.data.token_ids).astype(np.int32),
        "starts": starts.astype(np.int64),
        "targets": np.asarray(job.data.targets, np.int32),
        "teacher": np.asarray(job.data.teacher, np.float32),
    }


def _weights_of(arrays: Mapping[str, NDArray[Any]], header: dict[str, Any]) -> ClassifierWeights:
    """Returns the weights of a job: arrays by their names, epsilons of layer norms from the header."""

    def part(site: str) -> Part:
        if site in header["epsilons"]:
            return LayerNorm(arrays[f"{site}/gamma"], arrays[f"{site}/beta"], header["epsilons"][site])
        return Dense(arrays[f"{site}/kernel"], arrays[f"{site}/bias"])

    def layer(index: int) -> TransformerLayer:
        parts: dict[str, Any] = {
            field.name: part(f"{layer_name(index)}/{field.name}") for field in dataclasses.fields(TransformerLayer)
        }
        return TransformerLayer(**parts)

    own: dict[str, Any] = {site: part(site) for site in (EMBEDDINGS_NORM, POOLED, LOGITS)}
    return ClassifierWeights(
        token_embeddings=arrays["token_embeddings"],
        position_embeddings=arrays["position_embeddings"],
        layers=tuple(layer(index) for index in range(header["num_layers"])),
        num_heads=header["num_heads"],
        output_activation=header["output_activation"],
        pooled_activation=header["pooled_activation"],
        is_gelu_approximate=header["is_gelu_approximate"],
        **own,
    )

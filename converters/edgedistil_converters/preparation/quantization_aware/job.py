"""The folder that the parent and its child share: a job goes in, checkpoints and a result come out.

    job.npz         weights, data and settings
    checkpoint.npz  the state after an epoch
    result.npz      trained weights, ranges and history
    stderr.txt      what the child had to say
    lock            there while a parent uses the folder

Every file is replaced in one step and carries the digest of its job, so a file of another job is never taken for one
of this. A damaged file counts as none. Arrays and JSON only: nothing in the folder can run code.
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
_FORMAT = 3  # counts changes of what training computes or of how files are written; an older checkpoint starts over
_TRAINERS = ("tensorflow", "tensorflow-model-optimization", "tf-keras")
# What a file with wrong bytes makes the readers of zip archives and arrays raise; RuntimeError: seemingly encrypted, or
# packed in a way that is not supported.
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
    """Everything that the outcome of training depends on.

    Attributes:
        weights: the float classifier.
        data: the training texts.
        settings: how to train.
        pad_id: the id that attention masks.
        weight_dtypes: how the file will hold the weights of each site; see `QuantizationPlan.weight_dtypes`.
    """

    weights: ClassifierWeights
    data: QATData
    settings: QATSettings
    pad_id: int
    weight_dtypes: Mapping[str, str]

    @cached_property
    def digest(self) -> str:
        """Equal for equal jobs alone."""
        hashed = hashlib.sha256(_header(self).encode())
        for name, array in _arrays(self).items():
            hashed.update(f"{name} {array.dtype} {array.shape}".encode())
            hashed.update(np.ascontiguousarray(array).data)
        return hashed.hexdigest()


def write_job(folder: Path, job: Job) -> None:
    """Writes a job for the child; what another job left in the folder goes, and so does what is damaged.

    Raises:
        OutputError: a file can be neither read nor written.
    """
    for name in (_JOB, CHECKPOINT, RESULT):
        if not _is_intact(folder / name, job.digest):
            (folder / name).unlink(missing_ok=True)
    if not (folder / _JOB).exists():
        write_arrays(folder / _JOB, job.digest, {**_arrays(job), "header": np.array(_header(job))})


def remove_job(folder: Path) -> None:
    """Removes the files of a job, and the folder unless it holds others.

    Nothing happens where there is no folder, or where another process trains in it: the files are its own then.
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
    """The job that `write_job` wrote.

    Raises:
        OSError: there is none.
        ValueError, KeyError, zipfile.BadZipFile: it was damaged after `write_job`, which replaces a damaged one.
    """
    with (folder / _JOB).open("rb") as file, np.load(file) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    header = json.loads(str(found["header"]))
    rows = tuple(tuple(found["ids"][a:b].tolist()) for a, b in pairwise(found["starts"].tolist()))
    data = QATData(token_ids=rows, targets=found["targets"], teacher=found["teacher"])
    weights = _weights_of(found, header)
    return Job(weights, data, QATSettings(**header["settings"]), header["pad_id"], header["weight_dtypes"])


def write_arrays(path: Path, digest: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Replaces an .npz file in one step; `digest` is that of the job it belongs to."""
    contents: dict[str, Any] = {**arrays, "digest": np.array(digest)}
    with atomic_path(path, force=True) as temporary, temporary.open("wb") as file:
        np.savez(file, **contents)


def read_arrays(folder: Path, name: str, digest: str) -> dict[str, NDArray[Any]] | None:
    """The arrays of a file of this job; None where there is no such file, or one of another job, or it is damaged.

    Raises:
        OutputError: there is one, and the system does not let it be read.
    """
    return _read(folder / name, digest)


def read_result(folder: Path, job: Job) -> QATResult | None:
    """What training left for this job; None while it is not done."""
    arrays = _read(folder / RESULT, job.digest)
    if arrays is None:
        return None
    ranges = {
        name.removeprefix("ranges/"): (float(ends[0]), float(ends[1]))
        for name, ends in arrays.items()
        if name.startswith("ranges/")
    }
    history = tuple(QATEpoch(**epoch) for epoch in json.loads(str(arrays["history"])))
    return QATResult(weights=with_arrays(job.weights, arrays), ranges=ranges, history=history)


def _read(path: Path, digest: str) -> dict[str, NDArray[Any]] | None:
    return _look(path, digest, lambda arrays: {name: arrays[name] for name in arrays.files if name != "digest"})


def _is_intact(path: Path, digest: str) -> bool:
    """Whether a file is of this job and all its bytes are as they were written; it never is in memory whole."""
    return _look(path, digest, lambda arrays: arrays.zip.testzip() is None) or False


def _look(path: Path, digest: str, look: Callable[[Any], _Found]) -> _Found | None:
    """What `look` makes of the arrays of a file; None where it is absent, damaged or of another job."""
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            return look(arrays) if str(arrays["digest"]) == digest else None
    except FileNotFoundError:
        return None
    except _DAMAGE:
        return None
    except OSError as error:
        if error.errno in (None, errno.EINVAL):  # from a decompressor, or from a jump to before the file's start
            return None
        raise OutputError(
            f"A file of training with quantization cannot be read: {error.strerror}. Received: {path}. "
            "Make it readable, remove its folder, or choose another output."
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
    """Of what trains: another version may lay out its state, or compute, in another way."""
    try:
        return version(package)
    except PackageNotFoundError:  # TensorFlow goes by other names too
        return None


def _arrays(job: Job) -> dict[str, NDArray[Any]]:
    starts = np.cumsum([0, *(len(row) for row in job.data.token_ids)])
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

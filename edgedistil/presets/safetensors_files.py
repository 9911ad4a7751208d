"""Reads the tensors of a checkpoint in the safetensors format: one file, or shards with an index.

The format (https://github.com/huggingface/safetensors): the header's length as 8 bytes, little endian; a JSON header
with the dtype, shape and place of every tensor; the tensors. It is read here rather than with the package, because what
is wrong with a file can then be reported: half-downloaded, a pointer of Git LFS, quantized, a shard missing.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistil_runtime.errors import PresetError

__all__ = ["INDEX", "SCALE", "WEIGHTS", "Tensors", "open_tensors"]

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
SCALE = ".scale"  # the end of the name of the scales of an int8 tensor

_LENGTH_BYTES = 8
_LONGEST_HEADER = 100_000_000  # bytes, the limit of the format's own reader
_DTYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16}
_LFS_POINTER = b"version https://git-lfs"
# Weights in formats that are not read: a pickle runs code, and the others hold the same weights once more.
_OTHER_FORMATS = (
    *("pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "flax_model.msgpack"),
    *("adapter_model.safetensors", "adapter_model.bin", "model.onnx", "onnx/model.onnx"),
)


@dataclass(frozen=True)
class _Tensor:
    path: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int  # of its first byte in the file


class Tensors:
    """The tensors of a checkpoint by name.

    Args:
        found: Name -> where the tensor is.
        preset: Name of the preset, for errors.
    """

    def __init__(self, found: Mapping[str, _Tensor], preset: str) -> None:
        self._found, self._preset = found, preset

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def shape(self, name: str) -> tuple[int, ...]:
        """Returns the shape of a tensor, without reading its values."""
        return self._tensor(name).shape

    def read(self, name: str) -> NDArray[np.float32]:
        """Returns the values of a tensor as float32, whatever float the file holds.

        An int8 tensor with a scale for each row, as `edgedistil.presets.int8_encoder` writes it, counts as floats.

        Raises:
            PresetError: there is no such tensor, or its numbers are no floats.
        """
        tensor = self._tensor(name)
        if tensor.dtype == "I8" and name + SCALE in self:
            rows = np.fromfile(tensor.path, np.int8, math.prod(tensor.shape), offset=tensor.offset)
            return rows.reshape(tensor.shape) * self.read(name + SCALE)
        if tensor.dtype not in _DTYPES:
            raise PresetError(
                f"The preset {self._preset} cannot be read: its weights are quantized; floats are needed "
                f"({', '.join(_DTYPES)}). Received: {name} of {tensor.dtype}. Use the checkpoint that was quantized"
            )
        count = math.prod(tensor.shape)
        values = np.fromfile(
            tensor.path, np.dtype(_DTYPES[tensor.dtype]).newbyteorder("<"), count, offset=tensor.offset
        )
        if tensor.dtype == "BF16":  # the upper half of a float32
            values = (values.astype(np.uint32) << 16).view(np.float32)
        return values.astype(np.float32, copy=False).reshape(tensor.shape)

    def _tensor(self, name: str) -> _Tensor:
        if name not in self._found:
            raise PresetError(
                f"The preset {self._preset} cannot be read: its weights lack the tensor {name}, which its config.json "
                f"asks for. Received: {', '.join(list(self._found)[:4])}, …; fetch or write the preset again"
            )
        return self._found[name]


def open_tensors(directory: Path, preset: str) -> Tensors:
    """Finds the tensors of a directory in `model.safetensors`, or in the shards that its index names.

    Args:
        directory: Directory of the checkpoint.
        preset: Name of the preset, for errors.

    Raises:
        PresetError: no such weights, weights in another format only, or files that are incomplete.

    Example:
        >>> from pathlib import Path
        >>> from safetensors.numpy import save_file
        >>> save_file({"classifier.bias": np.zeros(3, np.float16)}, WEIGHTS)
        >>> tensors = open_tensors(Path(), "example")
        >>> tensors.shape("classifier.bias"), tensors.read("classifier.bias").dtype
        ((3,), dtype('float32'))
    """
    if (directory / WEIGHTS).is_file():
        names = [WEIGHTS]
    elif (directory / INDEX).is_file():
        names = sorted(set(json.loads((directory / INDEX).read_text(encoding="utf-8"))["weight_map"].values()))
        missing = [name for name in names if not (directory / name).is_file()]
        if missing:
            raise PresetError(
                f"The preset {preset} cannot be read: it is half-downloaded. {len(missing)} of its {len(names)} files "
                f"of weights are missing: {', '.join(missing[:4])}. Fetch them too"
            )
    else:
        raise _no_weights(directory, preset)
    found: dict[str, _Tensor] = {}
    for name in names:
        found |= _tensors_of(directory / name, preset)
    return Tensors(found, preset)


def _tensors_of(path: Path, preset: str) -> dict[str, _Tensor]:
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(len(_LFS_POINTER))
        if start == _LFS_POINTER:
            raise PresetError(
                f"The preset {preset} cannot be read: {path.name} is a pointer of Git LFS, not the weights. Fetch them "
                "with `git lfs pull`"
            )
        length = int.from_bytes(start[:_LENGTH_BYTES], "little")
        if size < _LENGTH_BYTES or length > min(size - _LENGTH_BYTES, _LONGEST_HEADER):
            raise _incomplete(path, preset, f"{size:,} bytes, which do not hold its header")
        file.seek(_LENGTH_BYTES)
        header: dict[str, Any] = json.loads(file.read(length))
    header.pop("__metadata__", None)
    first = _LENGTH_BYTES + length
    end = first + max((entry["data_offsets"][1] for entry in header.values()), default=0)
    if size < end:
        raise _incomplete(path, preset, f"{size:,} of {end:,} bytes")
    return {
        name: _Tensor(path, entry["dtype"], tuple(entry["shape"]), first + entry["data_offsets"][0])
        for name, entry in header.items()
    }


def _incomplete(path: Path, preset: str, received: str) -> PresetError:
    return PresetError(
        f"The preset {preset} cannot be read: {path.name} is incomplete, as after an interrupted download. "
        f"Received: {received}. Fetch it again"
    )


def _no_weights(directory: Path, preset: str) -> PresetError:
    others = [name for name in _OTHER_FORMATS if (directory / name).is_file()]
    if others and others[0].startswith("adapter"):
        return PresetError(
            f"The preset {preset} cannot be read: it holds an adapter (LoRA) only. Merge it into its model with peft "
            "(`merge_and_unload`), and save that with save_pretrained"
        )
    if others:
        return PresetError(
            f"The preset {preset} cannot be read: its weights are in {others[0]}, and {WEIGHTS} is the only format "
            "that is read here. Load and save it once with transformers: "
            "`AutoModelForSequenceClassification.from_pretrained(DIRECTORY).save_pretrained(DIRECTORY)`"
        )
    return PresetError(
        f"The preset {preset} cannot be read: it has no weights. Missing: {WEIGHTS} (or {INDEX} and its files). If it "
        "was downloaded, fetch the rest; if its weights are only in another format, load it and save it again with "
        "transformers"
    )

"""Tensors of a compiled encoder whose form has neither names nor scales: a VMFB for the Coralboard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from edgedistil_runtime.json_fields import JsonFields

__all__ = ["CompiledTensor", "read_compiled_tensors"]


@dataclass(frozen=True)
class CompiledTensor:
    """An int8 tensor of a compiled encoder.

    Attributes:
        name: Name of the same tensor in the encoder that was compiled.
        shape: Its shape.
        scale: A value is `(step - zero_point) * scale`.
        zero_point: The step that is 0.

    Example:
        >>> CompiledTensor("probabilities", (1, 3), 1 / 256, -128).zero_point
        -128
    """

    name: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int


def read_compiled_tensors(values: Sequence[Any], where: str) -> tuple[CompiledTensor, ...]:
    """Read the tensors in a JSON array.

    Args:
        values: The array: the inputs in the order of the compiled function's arguments, then its output.
        where: Name of the array in errors.

    Raises:
        ArtifactError: A value is not a tensor.

    Example:
        >>> read_compiled_tensors([{"name": "mask", "shape": [1, 4], "scale": 0.5, "zero_point": 0}], "tensors")
        (CompiledTensor(name='mask', shape=(1, 4), scale=0.5, zero_point=0),)
    """
    keys = [field.name for field in fields(CompiledTensor)]
    return tuple(_tensor(JsonFields(value, f"{where}[{number}]", keys=keys)) for number, value in enumerate(values))


def _tensor(found: JsonFields) -> CompiledTensor:
    zero_point = found.integer("zero_point", minimum=-128)
    if zero_point > 127:
        raise found.invalid("zero_point", "an integer from -128 to 127")
    return CompiledTensor(
        name=found.string("name"),
        shape=found.integers("shape", below=2**31),
        scale=found.positive_number("scale"),
        zero_point=zero_point,
    )

"""Frozen dataclasses from the plain data that `dataclasses.asdict` and JSON made of them, checked on the way."""

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from edgedistil_runtime.errors import DataError

__all__ = ["from_plain"]

_T = TypeVar("_T")


def from_plain(kind: type[_T], value: Any, where: str = "the measurements") -> _T:
    """Builds a dataclass from plain data.

    Args:
        kind: a dataclass of numbers, strings, dataclasses, tuples and mappings of such, and None where it may be.
        value: what `asdict` gave, or JSON made of that.
        where: what is read, for messages.

    Raises:
        DataError: a key is missing or unknown, or a value is of another type.

    Example:
        >>> from edgedistil.machine import Machine
        >>> from_plain(Machine, {"cpu": "Z80", "architecture": "z80", "cores": 1, "system": "CP/M"}).cores
        1
    """
    result: _T = _read(kind, value, where)
    return result


def _read(kind: Any, value: Any, where: str) -> Any:
    origin, parameters = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if origin is types.UnionType:  # `X | None`, the only union here
        return None if value is None else _read(parameters[0], value, where)
    if origin is tuple:
        return _read_tuple(parameters, value, where)
    if origin is not None and issubclass(origin, Mapping):
        _check(value, Mapping, where)
        return {key: _read(parameters[1], item, f"{where}, {key}") for key, item in value.items()}
    if dataclasses.is_dataclass(kind):
        return _read_dataclass(typing.cast(type, kind), value, where)
    if kind is float and type(value) is int:
        return float(value)
    _check(value, kind, where)
    return value


def _read_tuple(parameters: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    _check(value, Sequence, where)
    if parameters[-1] is Ellipsis:
        return tuple(_read(parameters[0], item, f"{where} [{i}]") for i, item in enumerate(value))
    if len(value) != len(parameters):
        raise DataError(f"{where} must have {len(parameters)} values. Received: {len(value)}.")
    return tuple(
        _read(kind, item, f"{where} [{i}]") for i, (kind, item) in enumerate(zip(parameters, value, strict=True))
    )


def _read_dataclass(kind: type, value: Any, where: str) -> Any:
    _check(value, Mapping, where)
    hints = typing.get_type_hints(kind)
    if set(value) != set(hints):
        raise DataError(f"{where} must have the keys {sorted(hints)}. Received: {sorted(map(str, value))}.")
    return kind(**{name: _read(hint, value[name], f"{where}, {name}") for name, hint in hints.items()})


def _check(value: Any, kind: type, where: str) -> None:
    is_text_for_list = kind is Sequence and isinstance(value, str)
    is_bool_for_number = isinstance(value, bool) and kind is not bool
    if not isinstance(value, kind) or is_text_for_list or is_bool_for_number:
        raise DataError(f"{where} must be {kind.__name__}. Received: {str(value)[:80]!r}.")

"""Read untrusted JSON strictly: every key is known, every value has the type and range of the schema.

Python's reader accepts `NaN`, uses the last of two equal keys and builds strings that UTF-8 cannot hold. `parse_json`
accepts none of these, and `JsonFields` reads one object of the result, key by key.
"""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from edgedistil_runtime.errors import ArtifactError

__all__ = ["JsonFields", "parse_json"]


def parse_json(document: str | bytes, where: str) -> Any:
    """Read a JSON document of finite numbers, distinct keys and strings that UTF-8 can hold.

    Args:
        document: Text, or its UTF-8 bytes.
        where: Name of the document in errors.

    Raises:
        ArtifactError: The document is not of this form.

    Example:
        >>> parse_json('{"labels": ["ham", "spam"]}', "edgedistil.json")
        {'labels': ['ham', 'spam']}
    """
    try:
        text = document.decode("utf-8") if isinstance(document, bytes) else document
        value = json.loads(text, object_pairs_hook=_distinct, parse_float=_finite_number, parse_constant=_finite_number)
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # finds lone surrogates anywhere
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{where} is not valid JSON: {error}. The file is damaged; fetch it again.") from error
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object holds the same key twice")
    return found


def _finite_number(literal: str) -> float:
    number = float(literal)
    if not math.isfinite(number):
        raise ValueError(f"{literal} is not a finite number")
    return number


class JsonFields:
    """A JSON object with exactly the given keys; each method returns one value after checking it.

    Args:
        value: Result of the JSON reader.
        where: Name of the object in errors, for instance `edgedistil.json: tokenizer`.
        keys: The keys that the object must have; no other is allowed.

    Raises:
        ArtifactError: From the constructor if `value` is not an object or has other keys; from a method if the value
            is not of the kind that the method returns.

    Example:
        >>> JsonFields({"size": 3}, "box", keys=["size"]).integer("size")
        3
    """

    def __init__(self, value: Any, where: str, *, keys: Collection[str]) -> None:
        """Check that `value` is an object with these keys and no others."""
        self._where = where
        if not isinstance(value, dict):
            raise ArtifactError(f"{where} must be a JSON object. Received: {reprlib.repr(value)}.")
        missing, unknown = sorted(set(keys) - set(value)), sorted(set(value) - set(keys))
        if missing or unknown:
            raise ArtifactError(
                f"{where} must have the keys {sorted(keys)}. Missing: {missing}; unknown: {unknown}. "
                "Convert again with the edgedistil that matches this runtime."
            )
        self._value: dict[str, Any] = value

    def invalid(self, key: str, legal: str) -> ArtifactError:
        """Return the error for a value that is not `legal`, for the caller to raise."""
        received = reprlib.repr(self._value[key])
        return ArtifactError(f"{self._where}: {key} must be {legal}. Received: {received}.")

    def string(self, key: str, *, may_be_empty: bool = False) -> str:
        """Return a string, by default not an empty one."""
        value = self._value[key]
        if not isinstance(value, str) or not (value or may_be_empty):
            raise self.invalid(key, "a string" if may_be_empty else "a non-empty string")
        return value

    def optional_string(self, key: str) -> str | None:
        """Return a string, possibly empty, or None for `null`."""
        return None if self._value[key] is None else self.string(key, may_be_empty=True)

    def one_of(self, key: str, legal: Collection[str]) -> str:
        """Return one of the strings in `legal`."""
        value = self._value[key]
        if not isinstance(value, str) or value not in legal:
            raise self.invalid(key, f"one of {sorted(legal)}")
        return value

    def sha256(self, key: str) -> str:
        """Return a SHA-256 digest: 64 lowercase hexadecimal digits."""
        value = self._value[key]
        if not isinstance(value, str) or len(value) != 64 or not set(value) <= set("0123456789abcdef"):
            raise self.invalid(key, "64 lowercase hexadecimal digits")
        return value

    def boolean(self, key: str) -> bool:
        """Return a bool."""
        value = self._value[key]
        if not isinstance(value, bool):
            raise self.invalid(key, "true or false")
        return value

    def integer(self, key: str, *, minimum: int = 0) -> int:
        """Return an integer of at least `minimum`; `true` is refused, although Python's `bool` is an `int`."""
        value = self._value[key]
        if not _is_integer(value) or value < minimum:
            raise self.invalid(key, f"an integer of at least {minimum}")
        return int(value)

    def fraction(self, key: str) -> float:
        """Return a number greater than 0 and less than 1."""
        value = self._value[key]
        if not _is_number(value) or not 0 < value < 1:
            raise self.invalid(key, "a number greater than 0 and less than 1")
        return float(value)

    def positive_number(self, key: str) -> float:
        """Return a number greater than 0."""
        value = self._value[key]
        if not _is_number(value) or not value > 0:
            raise self.invalid(key, "a number greater than 0")
        return float(value)

    def mapping(self, key: str) -> Mapping[str, Any]:
        """Return an object with any content."""
        value = self._value[key]
        if not isinstance(value, dict):
            raise self.invalid(key, "an object")
        return value

    def array(self, key: str, *, may_be_empty: bool = False) -> Sequence[Any]:
        """Return an array with any content, by default not an empty one."""
        value = self._value[key]
        if not isinstance(value, list) or not (value or may_be_empty):
            raise self.invalid(key, "an array" if may_be_empty else "a non-empty array")
        return value

    def strings(self, key: str, *, may_be_empty: bool = False) -> tuple[str, ...]:
        """Return an array of distinct non-empty strings, by default not an empty one."""
        value = self.array(key, may_be_empty=may_be_empty)
        if not all(isinstance(item, str) and item for item in value) or len(set(value)) != len(value):
            raise self.invalid(key, "an array of distinct non-empty strings")
        return tuple(value)

    def integers(self, key: str, *, below: int) -> tuple[int, ...]:
        """Return a non-empty array of integers from 0 to `below - 1`."""
        value = self.array(key)
        if not all(_is_integer(item) and 0 <= item < below for item in value):
            raise self.invalid(key, f"an array of integers from 0 to {below - 1}")
        return tuple(value)

    def probabilities(self, key: str, *, count: int) -> tuple[float, ...]:
        """Return an array of `count` numbers from 0 to 1."""
        value = self.array(key)
        if len(value) != count or not all(_is_number(item) and 0 <= item <= 1 for item in value):
            raise self.invalid(key, f"an array of {count} numbers from 0 to 1, one per label")
        return tuple(float(item) for item in value)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or _is_integer(value)

"""Arguments that callers take from other libraries."""

from __future__ import annotations

import operator
from typing import Any

__all__ = ["as_integer", "is_iterable"]


def as_integer(value: Any) -> int | None:
    """Return an integer of any type, for instance one of NumPy's, as Python's int; None for other values and for bools.

    Example:
        >>> import numpy as np
        >>> as_integer(np.int32(3)), as_integer(3.0), as_integer(True), as_integer("3")
        (3, None, None, None)
    """
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def is_iterable(value: Any) -> bool:
    """Return True if a value gives items one by one and is not one text.

    Example:
        >>> [is_iterable(value) for value in (["a"], iter("a"), range(2), "a", b"a", None)]
        [True, True, True, False, False, False]
    """
    if isinstance(value, (str, bytes)):
        return False
    try:
        iter(value)
    except TypeError:
        return False
    return True

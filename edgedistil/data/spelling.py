"""One spelling of a label for all formats, and blanks around labels.

A format with types has `true` and 3.0 where CSV has `TRUE` and `3.0`, or `3` if another program wrote it. All of them
are spelled alike: booleans as `true` and `false`, whole numbers without a fraction. Everything else stays as it is.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

__all__ = ["label_name", "spelled_as", "surrounded_by_blanks"]

_BOOLEAN = re.compile(r"true|false", re.IGNORECASE)
_WHOLE = re.compile(r"([+-]?\d+)\.0*", re.ASCII)


def label_name(value: Any) -> str | None:
    """Returns the class name of a label, or None if it is neither a string nor a number.

    Example:
        >>> [label_name(value) for value in ("TRUE", True, "3.0", 3.0, 3, "0.50", "on")]
        ['true', 'true', '3', '3', '3', '0.50', 'on']
        >>> label_name(["on"]) is None
        True
    """
    if isinstance(value, str):
        return _spelled(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() else str(value)
    if isinstance(value, Decimal) and value.is_finite():
        return _spelled(f"{value:f}")
    return None


@lru_cache(maxsize=4096)
def _spelled(text: str) -> str:
    if _BOOLEAN.fullmatch(text):
        return text.lower()
    whole = _WHOLE.fullmatch(text)
    return str(int(whole[1])) if whole else text


def spelled_as(labels: Iterable[str | None], known: Sequence[str]) -> tuple[str | None, ...]:
    """Returns labels in the spelling of a classifier, which may have been trained on `True` or `3.0`.

    Example:
        >>> spelled_as(["true", "false", "on"], ["False", "True"])
        ('True', 'False', 'on')
    """
    exact = set(known)
    spelling = {label_name(label): label for label in reversed(known)}
    return tuple(label if label is None or label in exact else spelling.get(label, label) for label in labels)


def surrounded_by_blanks(labels: Iterable[str]) -> tuple[dict[str, int], dict[str, str]]:
    """Returns labels that begin or end with a blank.

    Returns:
        The labels with the number of their rows; and the same labels, as far as they differ from another one only by
        blanks, with that other one.

    Example:
        >>> surrounded_by_blanks(["on", " on", " on", "off "])
        ({' on': 2, 'off ': 1}, {' on': 'on'})
    """
    counts = Counter(labels)
    alike: dict[str, list[str]] = {}
    for label, _ in counts.most_common():
        alike.setdefault(label.strip(), []).append(label)
    blanks = {label: count for label, count in sorted(counts.items()) if label != label.strip()}
    merged = {
        label: next(other for other in alike[label.strip()] if other != label)
        for label in blanks
        if len(alike[label.strip()]) > 1
    }
    return blanks, merged

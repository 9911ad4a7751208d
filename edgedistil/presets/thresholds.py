"""`thresholds.json` in a preset directory: the smallest probability with which each of several labels is given."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edgedistil_runtime.errors import PresetError

__all__ = ["THRESHOLDS_FILE", "read_thresholds", "write_thresholds"]

THRESHOLDS_FILE: Final = "thresholds.json"


def write_thresholds(directory: Path, labels: Sequence[str], thresholds: Sequence[float]) -> None:
    """Writes the thresholds, an object from label to number; nothing if there are none.

    Example:
        >>> write_thresholds(Path(), ["late", "broken"], [0.5, 0.4])
        >>> read_thresholds(Path(), ["late", "broken"])
        (0.5, 0.4)
    """
    if thresholds:
        content = json.dumps(dict(zip(labels, thresholds, strict=True)), indent=2, ensure_ascii=False)
        (directory / THRESHOLDS_FILE).write_text(content + "\n", encoding="utf-8", newline="\n")


def read_thresholds(directory: Path, labels: Sequence[str]) -> tuple[float, ...]:
    """Reads the thresholds in the order of labels; empty if there is no such file.

    Raises:
        PresetError: The file is not JSON, or a label has no number greater than 0 and less than 1.
    """
    path = directory / THRESHOLDS_FILE
    if not path.is_file():
        return ()
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise PresetError(f"{path} is not JSON: {error}. {_LEGAL}") from error
    if not isinstance(found, dict) or set(found) != set(labels):
        keys = ", ".join(list(found)[:8]) if isinstance(found, dict) else f"{found!r:.80}"
        raise PresetError(
            f"{path} must have a number for each label: {', '.join(labels[:8])}. Received: {keys}. {_LEGAL}"
        )
    wrong = [f"{label}: {value!r:.20}" for label, value in found.items() if not _is_threshold(value)]
    if wrong:
        raise PresetError(f"{path}: a threshold must be greater than 0 and less than 1. Received: {wrong[0]}. {_LEGAL}")
    return tuple(float(found[label]) for label in labels)


_LEGAL = 'Legal: {"late": 0.5, "broken": 0.4}; without the file, every text gets its best label'


def _is_threshold(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1

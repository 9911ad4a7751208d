"""Texts with none of a model's labels: the rule in a file by which a text counts as unknown.

Each signature of such a file that classifies has a second output, `unknown_score`, beside `probabilities`. The rule is
in `preparation` of the metadata, and the schema stays the same: a reader that does not know the rule gives every text
its label, as with any other file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgedistil_runtime.contract import METADATA_MEMBER, UNKNOWN_TEXTS
from edgedistil_runtime.errors import ArtifactError

__all__ = ["UnknownRule", "read_unknown_rule"]


@dataclass(frozen=True)
class UnknownRule:
    """The rule by which a text counts as unknown.

    Attributes:
        label: Name for texts that have none of the model's labels; it is not one of them.
        threshold: A text with a greater `unknown_score` is unknown.

    Example:
        >>> rule = UnknownRule("other", -4.5)
        >>> rule.is_unknown(-1.2), rule.is_unknown(-4.5)
        (True, False)
    """

    label: str
    threshold: float

    def is_unknown(self, score: float) -> bool:
        """Return True if a text with this `unknown_score` has none of the labels."""
        return score > self.threshold


def read_unknown_rule(preparation: Mapping[str, Any], labels: Sequence[str]) -> UnknownRule | None:
    """Return the rule in a file's metadata, or None if there is none.

    Args:
        preparation: `ArtifactMetadata.preparation`.
        labels: Labels of the model.

    Raises:
        ArtifactError: The rule is damaged.

    Example:
        >>> read_unknown_rule({"unknown_texts": {"label": "other", "threshold": -4.5}}, ["lights", "music"])
        UnknownRule(label='other', threshold=-4.5)
        >>> read_unknown_rule({}, ["lights", "music"]) is None
        True
    """
    if UNKNOWN_TEXTS not in preparation:
        return None
    record = preparation[UNKNOWN_TEXTS]
    label, threshold = (record.get(key) if isinstance(record, Mapping) else None for key in ("label", "threshold"))
    is_number = isinstance(threshold, (int, float)) and not isinstance(threshold, bool) and math.isfinite(threshold)
    if not isinstance(label, str) or not label or label in labels or not is_number:
        raise ArtifactError(
            f"{METADATA_MEMBER}: `{UNKNOWN_TEXTS}` must have a `label` that is none of the model's labels, and a "
            f"number `threshold`. Received: {label!r}, {threshold!r}. Convert again."
        )
    return UnknownRule(label, float(threshold))  # type: ignore[arg-type]  # is_number

"""The replay of an artefact's golden cases: does this machine compute what the Keras classifier computed?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgedistil_runtime.errors import AcceleratorMismatch
from edgedistil_runtime.metadata import ArtifactMetadata, GoldenCase

__all__ = ["replay_golden_cases", "with_both_classes"]


def replay_golden_cases(
    metadata: ArtifactMetadata,
    *,
    tokenize: Callable[[GoldenCase], Sequence[int]] | None,
    probabilities: Callable[[GoldenCase], npt.NDArray[Any]],
) -> float:
    """Compares every golden case with what the model answers here.

    Token ids must be equal. Probabilities may differ by `metadata.tolerance`, and the label must be the same unless
    the two best golden probabilities are closer to each other than the tolerance.

    Args:
        metadata: with the golden cases and the tolerance.
        tokenize: the token ids of a case's text or texts, or None where the model takes token ids.
        probabilities: what the model answers to a case: float32[num_classes].

    Returns:
        The largest absolute difference of a probability.

    Raises:
        AcceleratorMismatch: the first case that differs: its text, what is due and what came.
    """
    differences = []
    for case in metadata.golden_cases:
        if tokenize is not None:
            _check_token_ids(case, tuple(tokenize(case)))
        differences.append(_check_probabilities(case, probabilities(case), metadata.tolerance))
    return max(differences, default=0.0)


def with_both_classes(probabilities: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The probabilities of a text's classes: one output p is that of a class and, as 1 - p, of its absence.

    Example:
        >>> with_both_classes(np.array([0.75])).tolist()
        [0.25, 0.75]
    """
    return np.append(1 - probabilities, probabilities) if len(probabilities) == 1 else probabilities


def _check_token_ids(case: GoldenCase, received: tuple[int, ...]) -> None:
    if received != case.token_ids:
        raise _mismatch(case, "token ids", list(case.token_ids), list(received))


def _check_probabilities(case: GoldenCase, received: npt.NDArray[Any], tolerance: float) -> float:
    expected = np.asarray(case.probabilities)
    difference = float(np.max(np.abs(received - expected)))
    ordered = np.sort(with_both_classes(expected))
    is_close_call = ordered[-1] - ordered[-2] < tolerance
    is_same_label = bool(np.argmax(with_both_classes(received)) == np.argmax(with_both_classes(expected)))
    if not difference <= tolerance or not (is_same_label or is_close_call):
        what = f"probabilities (tolerance {tolerance:g}, difference {difference:.3g})"
        raise _mismatch(case, what, [round(p, 6) for p in case.probabilities], received.round(6).tolist())
    return difference


def _mismatch(case: GoldenCase, what: str, expected: object, received: object) -> AcceleratorMismatch:
    return AcceleratorMismatch(
        f"This machine computes other {what} than the model was verified with, for the text {case.text!r}"
        f"{'' if case.text_pair is None else f' with {case.text_pair!r}'}. "
        f"Expected: {expected}. Received: {received}. Do not trust its labels: update the interpreter or try "
        "another machine; `verify`=False loads the model all the same, to look into it."
    )

"""Replay golden cases: check that this machine computes what the Keras classifier computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgedistil_runtime.decision import Decision
from edgedistil_runtime.errors import AcceleratorMismatch
from edgedistil_runtime.metadata import ArtifactMetadata, GoldenCase

__all__ = ["replay_golden_cases", "with_both_classes"]


def replay_golden_cases(
    metadata: ArtifactMetadata,
    *,
    tokenize: Callable[[GoldenCase], Sequence[int]] | None,
    probabilities: Callable[[GoldenCase], npt.NDArray[Any]],
) -> float:
    """Compare every golden case with the model's results on this machine.

    Token ids must be equal. Probabilities may differ by `metadata.tolerance`, and the label must be the same unless
    the two best golden probabilities, or those of a multi-label model and their thresholds, are closer to each other
    than the tolerance.

    Args:
        metadata: Metadata with the golden cases and the tolerance.
        tokenize: Returns the token ids for a case's text or texts; None if the model takes token ids.
        probabilities: Returns the probabilities float32[num_classes] for a case.

    Returns:
        The largest absolute difference of a probability.

    Raises:
        AcceleratorMismatch: A case differs; the message has its text, the expected and the received values.

    Example:
        >>> from edgedistil_runtime import read_artifact
        >>> metadata = read_artifact("intents.tflite").metadata
        >>> exact = lambda case: np.array(case.probabilities)
        >>> replay_golden_cases(metadata, tokenize=None, probabilities=exact)
        0.0
        >>> replay_golden_cases(metadata, tokenize=lambda case: [], probabilities=exact)
        Traceback (most recent call last):
        ...
        edgedistil_runtime.errors.AcceleratorMismatch: This machine computes other token ids than ...
    """
    differences = []
    for case in metadata.golden_cases:
        if tokenize is not None:
            _check_token_ids(case, tuple(tokenize(case)))
        differences.append(_check_probabilities(case, probabilities(case), metadata.tolerance, metadata.decision))
    return max(differences, default=0.0)


def with_both_classes(probabilities: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the probabilities of both classes if there is one output p: 1 - p and p.

    Example:
        >>> with_both_classes(np.array([0.75])).tolist()
        [0.25, 0.75]
    """
    return np.append(1 - probabilities, probabilities) if len(probabilities) == 1 else probabilities


def _check_token_ids(case: GoldenCase, received: tuple[int, ...]) -> None:
    if received != case.token_ids:
        raise _mismatch(case, "token ids", list(case.token_ids), list(received))


def _check_probabilities(case: GoldenCase, received: npt.NDArray[Any], tolerance: float, decision: Decision) -> float:
    expected = np.asarray(case.probabilities)
    difference = float(np.max(np.abs(received - expected)))
    is_same_label = decision.is_same(expected, received) or decision.is_close_call(expected, received, tolerance)
    if not difference <= tolerance or not is_same_label:
        what = f"probabilities (tolerance {tolerance:g}, difference {difference:.3g})"
        raise _mismatch(case, what, [round(p, 6) for p in case.probabilities], received.round(6).tolist())
    return difference


def _mismatch(case: GoldenCase, what: str, expected: object, received: object) -> AcceleratorMismatch:
    return AcceleratorMismatch(
        f"This machine computes other {what} than the model was verified with, for the text {case.text!r}"
        f"{'' if case.text_pair is None else f' with {case.text_pair!r}'}. "
        f"Expected: {expected}. Received: {received}. Do not trust its labels: update the interpreter or try "
        "another machine. `verify`=False loads the model nevertheless, for an investigation."
    )

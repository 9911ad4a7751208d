"""Runs the signatures of fixed shapes on texts, and compares them with those of open shapes."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgedistil_runtime import Classification, TextClassifier
from edgedistil_runtime.artifact import GoldenCase, read_artifact
from edgedistil_runtime.backends.choice import default_backend
from edgedistil_runtime.backends.fixed_only import FixedOnlyBackend
from edgedistil_runtime.contract import FIXED_LENGTHS
from edgedistil_runtime.errors import ParityError
from edgedistil_runtime.metadata import ArtifactMetadata
from edgedistil_runtime.native_log import native_log_hidden

__all__ = ["FixedRun", "check_fixed", "fixed_lengths", "run_fixed"]


class FixedRun(NamedTuple):
    """Results of the signatures of one length.

    Attributes:
        length: The length.
        received: Number of an answer -> the probabilities, float64[outputs], of every text that the length holds.
    """

    length: int
    received: Mapping[int, NDArray[np.float64]]


def fixed_lengths(metadata: ArtifactMetadata) -> tuple[int, ...]:
    """Returns the fixed lengths of a file; none if all of its shapes are open.

    Example:
        >>> fixed_lengths(read_artifact("intents.tflite").metadata)
        ()
    """
    record = metadata.preparation.get(FIXED_LENGTHS)
    return tuple(record["lengths"]) if isinstance(record, Mapping) else ()


def run_fixed(path: Path, answers: Sequence[GoldenCase], numbers: Sequence[int]) -> Iterator[FixedRun]:
    """Runs the texts that each length holds, as rows of token ids and, if the file takes text, as texts.

    Args:
        path: An artifact.
        answers: Outputs of the Keras classifier.
        numbers: Which of them to run, those with equal token ids.

    Raises:
        ParityError: A signature counts other token ids than KerasHub.
    """
    metadata = read_artifact(path).metadata
    for length in fixed_lengths(metadata):
        held = [number for number in numbers if len(answers[number].token_ids) <= length]
        with native_log_hidden():
            backend = FixedOnlyBackend(default_backend(path, tokenizer=metadata.tokenizer.kind), length)
            candidate = TextClassifier(path, verify=False, backend=backend)
        with candidate:
            rows = candidate.classify_tokens([answers[number].token_ids for number in held])
            yield FixedRun(length, dict(zip(held, map(_probabilities, rows), strict=True)))
            texts = [number for number in held if answers[number].text_pair is None]
            found = {
                number: _classify(candidate, answers[number]) for number in texts if _takes(candidate, answers[number])
            }
            if found:
                yield FixedRun(length, found)


def check_fixed(
    run: FixedRun, expected: Mapping[int, NDArray[np.float64]], answers: Sequence[GoldenCase], tolerance: float
) -> float:
    """Checks that a length gives every text the probabilities that the signatures of open shapes give it.

    Args:
        run: Results of the length.
        expected: Number of an answer -> the file's own probabilities.
        answers: Outputs of the Keras classifier.
        tolerance: Largest difference of a probability.

    Returns:
        The largest difference.

    Raises:
        ParityError: A probability differs more.

    Example:
        >>> answers = [GoldenCase("on", (2, 5, 3), (0.7, 0.3))]
        >>> run = FixedRun(16, {0: np.array([0.625, 0.375])})
        >>> check_fixed(run, {0: np.array([0.75, 0.25])}, answers, tolerance=0.25)
        0.125
    """
    largest = 0.0
    for number, found in run.received.items():
        difference = float(np.abs(found - expected[number]).max())
        largest = max(largest, difference)
        if not difference <= tolerance:  # in this form, NaN fails too
            raise ParityError(
                f"The signatures of the fixed length {run.length} must compute what those of open shapes compute. "
                f"Received: a probability of {answers[number].text!r} differs by {difference:.3g}, and "
                f"{tolerance:g} is allowed. Use a more exact scheme (`scheme`), or leave out the length "
                "(`fixed_lengths`)."
            )
    return largest


def _takes(candidate: TextClassifier, answer: GoldenCase) -> bool:
    runner = candidate._runner
    return runner.takes_text and runner.most_bytes is not None and runner.can_run(answer)


def _classify(candidate: TextClassifier, answer: GoldenCase) -> NDArray[np.float64]:
    found = candidate.classify(answer.text)
    # A row that is full may belong to a longer text, which Keras has cut as well.
    if found.is_truncated and len(answer.token_ids) < candidate.metadata.tokenizer.sequence_length:
        raise ParityError(
            f"The signature of a fixed length counts more token ids than KerasHub for the text {answer.text!r}. "
            f"Received: more than the {len(answer.token_ids)} of KerasHub. "
            "This is a defect of EdgeDistil; please report it."
        )
    return _probabilities(found)


def _probabilities(found: Classification) -> NDArray[np.float64]:
    return np.array(list(found.probabilities.values()))

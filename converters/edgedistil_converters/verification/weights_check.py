"""Checks the weights that were read against the Keras classifier, before any of them is rounded.

Rounding hides small defects. In float there is none, so a wrong scale, head or epsilon differs by far more than the
order of sums.
"""

from collections.abc import Sequence

import numpy as np

from edgedistil_converters.model.float_outputs import float_probabilities
from edgedistil_converters.model.weights import ClassifierWeights
from edgedistil_runtime.artifact import GoldenCase
from edgedistil_runtime.errors import ParityError

__all__ = ["check_weights"]

_LARGEST_DIFFERENCE = 1e-4  # as for a file of fp32


def check_weights(weights: ClassifierWeights, pad_id: int, answers: Sequence[GoldenCase]) -> float:
    """Compare the outputs of weights, in float, with Keras' on the same token ids.

    Args:
        weights: The weights that go into the file.
        pad_id: Id of `[PAD]`.
        answers: Outputs of the Keras classifier.

    Returns:
        The largest difference of a probability.

    Raises:
        ParityError: A probability differs by more than 1e-4.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> from edgedistil_converters.model.keras_hub import read_weights
        >>> from edgedistil_converters.verification.keras_answers import answer_with_keras
        >>> classifier = load_classifier("intents")
        >>> answers = answer_with_keras(classifier, ["turn the lights on"])
        >>> check_weights(read_weights(classifier), 0, answers) < 1e-5
        True
    """
    found = float_probabilities(weights, [answer.token_ids for answer in answers], pad_id)
    differences = np.abs(found - np.array([answer.probabilities for answer in answers])).max(axis=1)
    worst = int(np.argmax(differences))  # the first NaN, if there is one
    if not differences[worst] <= _LARGEST_DIFFERENCE:
        raise ParityError(
            f"The weights that go into the file give {answers[worst].text[:80]!r} probabilities that differ from those "
            f"of the Keras classifier by {differences[worst]:.3g}, before any rounding; {_LARGEST_DIFFERENCE:g} is "
            "allowed. This is a defect of EdgeDistil; please report it with this message."
        )
    return float(differences[worst])

"""Compares the output `unknown_score` of a finished file with the energy of the Keras classifier's logits."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.contract import NO_TOKENIZER
from edgedistil_runtime.errors import ParityError
from edgedistil_runtime.native_log import native_log_hidden

__all__ = ["FLOAT_SCORE_ERROR", "check_unknown_scores"]

FLOAT_SCORE_ERROR = 1e-3
"""Bound on the error of `unknown_score` in a plan without rules (fp32), as a share of the standard deviation."""


def check_unknown_scores(
    path: Path,
    texts: Sequence[str],
    token_ids: Sequence[Sequence[int]],
    expected: NDArray[np.float64],
    plan: QuantizationPlan,
) -> float:
    """Checks the scores that a file gives texts.

    Args:
        path: A file with the rule.
        texts: The texts.
        token_ids: Token ids of each text, for a file without a tokenizer.
        expected: Score of each text in Keras.
        plan: How the file is quantized. The bound is the `max_logit_error` of its rules, or `FLOAT_SCORE_ERROR`.

    Returns:
        The root mean square error of the scores, as a share of the standard deviation of those of Keras.

    Raises:
        ParityError: The error is larger than the bound.
    """
    with native_log_hidden():
        classifier = TextClassifier(path, verify=False)
    with classifier:
        if classifier.metadata.tokenizer.kind == NO_TOKENIZER:
            answers = classifier.classify_tokens(token_ids)
        else:
            answers = [classifier.classify(text) for text in texts]
    received = np.array([answer.unknown_score for answer in answers], np.float64)
    error = float(np.sqrt(((received - expected) ** 2).mean()) / max(float(expected.std()), 1e-6))
    bound = plan.rules.max_logit_error if plan.rules else FLOAT_SCORE_ERROR
    if not error <= bound:  # in this form, NaN fails too
        raise ParityError(
            f"The file's `unknown_score` is off by {error:.1%} of the spread that it has in Keras on {len(texts)} "
            f"texts, and {bound:.1%} is allowed. Use a more exact scheme (`scheme`)."
        )
    return error

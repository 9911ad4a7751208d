"""Chooses the golden cases of a file, and the tolerance for replaying them on other machines."""

import math
from collections.abc import Sequence

import numpy as np

from edgedistil_converters.quantization.schemes import Tolerance
from edgedistil_converters.verification.verify import ParityReport
from edgedistil_runtime.artifact import GoldenCase
from edgedistil_runtime.golden_cases import with_both_classes

__all__ = ["choose_golden_cases", "replay_tolerance", "trusted_answers"]

_GOLDEN_CASES = 8
_TRUSTED_SHARE = 0.9
# Bytes of a text. Hosts that cannot resize an input, such as LiteRT's Kotlin API, have rows of 256 (`DEFAULT_SHAPES` in
# signatures.py), in which two more token ids must fit.
_LONGEST_TEXT = 254
_LEAST_LOSSY_TOLERANCE = 0.1  # int8 kernels of other processors round slightly differently


def trusted_answers(answers: Sequence[GoldenCase], report: ParityReport, tolerance: Tolerance) -> list[GoldenCase]:
    """Returns the answers that can be golden cases: same label in the file, and among the nearest to Keras.

    These are the 90 % that differ least. If there are enough, only those that keep half the tolerance, because other
    processors round differently.

    Args:
        answers: Outputs of the Keras classifier.
        report: Comparison of a file with these answers.
        tolerance: Tolerance of the plan.

    Example:
        >>> answers = [GoldenCase(text, (2, 5, 3), (0.7, 0.3)) for text in ("on", "off")]
        >>> report = ParityReport(2, 0.3, 0.1, 0.5, differences=(0.01, math.inf))  # "off" has another label
        >>> [answer.text for answer in trusted_answers(answers, report, Tolerance(0.1, 0.01))]
        ['on']
    """
    if not _finite(report):  # every label differs, but Keras is sure of none
        return [answer for answer in answers if answer.text not in report.differing_texts]
    bound = _trusted_difference(report, tolerance)
    return [answer for answer, difference in zip(answers, report.differences, strict=True) if difference <= bound]


def replay_tolerance(tolerance: Tolerance, report: ParityReport, cases: Sequence[GoldenCase] = ()) -> float:
    """Returns the tolerance for replays of trusted answers on other machines.

    It is twice the largest difference of these answers here, but at least 0.1 and at most the plan's tolerance. It
    is no more than half the largest probability of the cases, so that a device that returns zeros fails, unless
    the differences here are larger.

    Args:
        tolerance: Tolerance of the plan.
        report: Comparison of the file with all answers.
        cases: Chosen golden cases.

    Example:
        >>> report = ParityReport(2, 0.004, 0.004, 1.0, differences=(0.004, 0.004))
        >>> replay_tolerance(Tolerance(0.25, 0.02, 0.95), report), replay_tolerance(Tolerance(0.01, 0.01, 1.0), report)
        (0.1, 0.01)
        >>> replay_tolerance(Tolerance(0.25, 0.02), report, [GoldenCase("on", (2, 3), (0.06,) * 10 + (0.04,) * 10)])
        0.03
    """
    seen = _trusted_difference(report, tolerance) if _finite(report) else tolerance.largest / 2
    largest = max((max(case.probabilities) for case in cases if len(case.probabilities) > 1), default=1.0)
    allowed = min(tolerance.largest, max(_LEAST_LOSSY_TOLERANCE, 2 * seen), largest / 2)
    return min(0.99, max(allowed, 2 * seen))


def _finite(report: ParityReport) -> list[float]:
    return [difference for difference in report.differences if difference < math.inf]


def _trusted_difference(report: ParityReport, tolerance: Tolerance) -> float:
    """The largest difference of a trusted answer."""
    differences = np.sort(_finite(report))
    bound = float(np.quantile(differences, _TRUSTED_SHARE))
    enough = float(differences[min(len(differences), _GOLDEN_CASES) - 1])
    return min(bound, max(enough, tolerance.largest / 2))


def choose_golden_cases(answers: Sequence[GoldenCase]) -> tuple[GoldenCase, ...]:
    """Returns up to 8 varied answers: the shortest and the longest row of token ids, then the surest for each label.

    If there are pairs of texts, the longest row is one of them. Texts of more than 254 bytes are left out if there are
    others, because some hosts cannot replay them.

    Example:
        >>> texts = ("on", "turn it on", "turn the lights on")
        >>> answers = [GoldenCase(text, tuple(range(2 + len(text.split()))), (0.7, 0.3)) for text in texts]
        >>> [case.text for case in choose_golden_cases(answers)]
        ['on', 'turn the lights on', 'turn it on']
    """
    answers = [answer for answer in answers if _fits_every_host(answer)] or answers
    # Pairs sort after single texts of the same length.
    by_length = sorted(answers, key=lambda answer: (len(answer.token_ids), answer.text_pair is not None))
    chosen = {(answer.text, answer.text_pair): answer for answer in (by_length[:1] + by_length[-1:])}
    by_label: dict[int, GoldenCase] = {}
    for answer in sorted(answers, key=lambda answer: -_sureness(answer)):
        by_label.setdefault(_label(answer.probabilities), answer)
    for answer in [*by_label.values(), *answers]:
        if len(chosen) >= _GOLDEN_CASES:
            break
        chosen.setdefault((answer.text, answer.text_pair), answer)
    return tuple(chosen.values())


def _fits_every_host(answer: GoldenCase) -> bool:
    texts = (answer.text, answer.text_pair or "")
    return all(len(text.encode("utf-8", "surrogatepass")) <= _LONGEST_TEXT for text in texts)


def _label(probabilities: Sequence[float]) -> int:
    return int(np.argmax(with_both_classes(np.array(probabilities))))


def _sureness(answer: GoldenCase) -> float:
    return float(with_both_classes(np.array(answer.probabilities)).max())

"""Measures of the difference between a file's probabilities and the Keras classifier's on the same texts.

An interval is the 95 % confidence interval of what would be measured on endlessly many texts of the same kind.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistil_runtime.decision import Decision
from edgedistil_runtime.golden_cases import with_both_classes

__all__ = ["Comparison", "Flip", "compare", "logit_error", "paired_loss", "wilson_interval"]

Interval = tuple[float, float]
Rows = Sequence[NDArray[np.float64]]  # one row of probabilities per text, float64[outputs]

_Z = 1.959964  # 95 % of a normal distribution lie within so many standard deviations
_SMALLEST_PROBABILITY = 1e-6  # the logarithm of less is mostly float32's rounding
_LOST_MARGIN = 0.5  # Keras is sure of a label with this margin ...
_LOST_TEXTS = 2  # ... and if none of at least this many such texts keeps it, the file has lost the label


@dataclass(frozen=True)
class Flip:
    """A text whose label, or set of labels, in the file is not Keras'.

    Attributes:
        row: Row of the text.
        before: Class numbers that Keras gives, the most probable first.
        after: Class numbers that the file gives.
        sure: Keras' probability of the label that changes: the best one, or of several the one that is furthest from
            its threshold.
        margin: How sure Keras is of what changes, 0 to 1, see `Decision.margin`: the weight of the flip.
    """

    row: int
    before: tuple[int, ...]
    after: tuple[int, ...]
    sure: float
    margin: float


@dataclass(frozen=True)
class Comparison:
    """A file's answers compared with the Keras classifier's.

    Attributes:
        texts: Number of texts.
        agreement: Share of texts with the same label, or the same set of labels, 0 to 1.
        agreement_interval: Wilson's interval of `agreement`.
        weighted_agreement: The same, if each flip counts by its margin; see `Flip`.
        weighted_interval: Wilson's interval of `weighted_agreement`.
        mean_difference: Mean over texts of the largest difference of a probability.
        p99_difference: The largest difference of a probability that 99 % of the texts do not exceed.
        largest_difference: The largest difference of a probability.
        logit_error: Error of the logits in units of their spread; see `logit_error`.
        labelled_texts: Number of texts whose right class is known.
        keras_accuracy: Keras' accuracy on these texts, 0 to 1; None if there are none, as for the next three.
        accuracy: The file's accuracy.
        accuracy_loss: Keras' accuracy minus the file's, in percentage points.
        accuracy_loss_interval: Interval of `accuracy_loss`.
        lost_labels: Class numbers that Keras gives two texts or more with a margin of 0.5, and the file none of these.
        flips: Texts with another label, the surest first.
    """

    texts: int
    agreement: float
    agreement_interval: Interval
    weighted_agreement: float
    weighted_interval: Interval
    mean_difference: float
    p99_difference: float
    largest_difference: float
    logit_error: float
    labelled_texts: int = 0
    keras_accuracy: float | None = None
    accuracy: float | None = None
    accuracy_loss: float | None = None
    accuracy_loss_interval: Interval | None = None
    lost_labels: tuple[int, ...] = ()
    flips: tuple[Flip, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the measures as plain data, without the single texts."""
        measures = asdict(self)
        del measures["flips"]
        intervals = {name: list(value) for name, value in measures.items() if name.endswith("_interval") and value}
        return {**measures, **intervals, "lost_labels": list(self.lost_labels)}


def compare(
    expected: Rows, received: Rows, class_numbers: Sequence[int | None] = (), decision: Decision | None = None
) -> Comparison:
    """Compare probabilities.

    Args:
        expected: Keras' probabilities, float64[outputs] per text; one output p means the classes 1 - p and p.
        received: The file's probabilities, finite, in the same order.
        class_numbers: Number of each text's right class, or None if it is unknown; empty if none is known.
        decision: How labels follow from probabilities; None for the best label.

    Example:
        >>> keras = np.array([[0.9, 0.1], [0.45, 0.55], [0.2, 0.8]])
        >>> file = np.array([[0.88, 0.12], [0.55, 0.45], [0.2, 0.8]])
        >>> comparison = compare(keras, file, [0, 0, 1])
        >>> round(comparison.agreement, 3), round(comparison.weighted_agreement, 3), comparison.flips[0].row
        (0.667, 0.967, 1)
        >>> round(comparison.accuracy_loss, 1)
        -33.3
        >>> compare(keras, file, decision=Decision((0.5, 0.5))).flips[0].before
        (1,)
    """
    decision = decision or Decision()
    keras = np.array([with_both_classes(np.asarray(row, np.float64)) for row in expected])
    file = np.array([with_both_classes(np.asarray(row, np.float64)) for row in received])
    differences = np.abs(file - keras).max(axis=1)
    flips = _flips(keras, file, decision)
    count, lost_weight = len(keras), sum(flip.margin for flip in flips)
    return Comparison(
        texts=count,
        agreement=1 - len(flips) / count,
        agreement_interval=wilson_interval(count - len(flips), count),
        weighted_agreement=1 - lost_weight / count,
        weighted_interval=wilson_interval(count - lost_weight, count),
        mean_difference=float(differences.mean()),
        p99_difference=float(np.quantile(differences, 0.99)),
        largest_difference=float(differences.max()),
        logit_error=logit_error(keras, file, are_independent=decision.is_multi_label),
        lost_labels=_lost_labels(keras, file, decision),
        flips=flips,
        **_accuracies(keras.argmax(axis=1), file.argmax(axis=1), class_numbers),
    )


def wilson_interval(successes: float, total: int) -> Interval:
    """Return the confidence interval of a share.

    Wilson (1927), "Probable inference, the law of succession, and statistical inference". A sum of weights from 0 to 1
    may take the place of a count; its variance is smaller, so the interval is then rather too wide.

    Example:
        >>> low, high = wilson_interval(294, 300)
        >>> round(low, 3), round(high, 3)
        (0.957, 0.991)
        >>> wilson_interval(30, 30)[1]
        1.0
    """
    share = successes / total
    scale = 1 + _Z**2 / total
    centre = (share + _Z**2 / (2 * total)) / scale
    half = _Z / scale * math.sqrt(share * (1 - share) / total + _Z**2 / (4 * total**2))
    return (0.0 if share == 0 else centre - half), (1.0 if share == 1 else centre + half)


def paired_loss(before_right: NDArray[np.bool_], after_right: NDArray[np.bool_]) -> tuple[float, Interval]:
    """Return the loss of accuracy on the same texts and its interval, in percentage points.

    Only texts on which one of the two is right and the other wrong count, as in McNemar's test; the interval is that
    of Agresti and Min (2005), "Simple improved confidence intervals for comparing matched proportions".

    Args:
        before_right: True for each text that Keras classifies rightly, bool[texts].
        after_right: The same for the file.

    Example:
        >>> right = np.arange(300) < 270
        >>> loss, (low, high) = paired_loss(right, right & (np.arange(300) >= 3))
        >>> round(loss, 2), round(low, 2), round(high, 2)
        (1.0, -0.3, 2.29)
    """
    total = len(before_right)
    worse = int(np.count_nonzero(before_right & ~after_right))
    better = int(np.count_nonzero(~before_right & after_right))
    # Half a text more in each of the four cells keeps the interval from shrinking to a point if there is no flip.
    adjusted, gap, moved = total + 2, worse - better, worse + better + 1
    half = _Z * math.sqrt(max(0.0, moved - gap**2 / adjusted)) / adjusted
    return 100 * gap / total, (100 * (gap / adjusted - half), 100 * (gap / adjusted + half))


def logit_error(
    expected: NDArray[np.float64], received: NDArray[np.float64], *, are_independent: bool = False
) -> float:
    """Return the error of the logits as a share of their spread over texts and classes.

    Rounding moves a flat probability as easily as a steep one, but never the logits by much of their spread, so this
    measure also judges texts that are not like those that the classifier was trained on.

    Args:
        expected: Keras' probabilities, float64[texts, classes].
        received: The file's.
        are_independent: True if the outputs are independent sigmoids, False for one softmax.

    Returns:
        The root mean square of the errors, divided by the standard deviation of Keras' logits.

    Example:
        >>> keras = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
        >>> logit_error(keras, keras), round(logit_error(keras, keras[:, ::-1]), 1)
        (0.0, 2.0)
    """
    logits = _independent_logits if are_independent else _logits
    due, found = logits(expected), logits(received)
    spread = float(due.std())
    error = float(np.sqrt(np.mean((found - due) ** 2)))
    return error / max(spread, _SMALLEST_PROBABILITY)


def _logits(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logits up to a constant per text, which a softmax hides: centred at 0."""
    logits = np.log(np.maximum(probabilities, _SMALLEST_PROBABILITY))
    centred: NDArray[np.float64] = logits - logits.mean(axis=1, keepdims=True)
    return centred


def _independent_logits(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    clipped = np.clip(probabilities, _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
    logits: NDArray[np.float64] = np.log(clipped) - np.log1p(-clipped)
    return logits


def _flips(keras: NDArray[np.float64], file: NDArray[np.float64], decision: Decision) -> tuple[Flip, ...]:
    flips = []
    for row, (expected, received) in enumerate(zip(keras, file, strict=True)):
        before, after = decision.chosen(expected), decision.chosen(received)
        if set(before) != set(after):
            changed = before[0] if not decision.is_multi_label else decision.surest(set(before) ^ set(after), expected)
            margin = decision.margin(expected, received)
            flips.append(Flip(row, before, after, float(expected[changed]), margin))
    return tuple(sorted(flips, key=lambda flip: -flip.margin))


def _lost_labels(keras: NDArray[np.float64], file: NDArray[np.float64], decision: Decision) -> tuple[int, ...]:
    """Labels that Keras is sure of on several texts, and that the file gives none of these."""
    kept: dict[int, list[bool]] = {}
    for expected, received in zip(keras, file, strict=True):
        given = decision.chosen(received)
        for label in decision.sure_labels(expected, _LOST_MARGIN):
            kept.setdefault(label, []).append(label in given)
    return tuple(sorted(label for label, found in kept.items() if len(found) >= _LOST_TEXTS and not any(found)))


def _accuracies(
    before: NDArray[np.int64], after: NDArray[np.int64], class_numbers: Sequence[int | None]
) -> dict[str, Any]:
    known = [(row, number) for row, number in enumerate(class_numbers) if number is not None]
    if not known:
        return {}
    rows, right = np.array(known).T
    before_right, after_right = before[rows] == right, after[rows] == right
    loss, interval = paired_loss(before_right, after_right)
    return {
        "labelled_texts": len(rows),
        "keras_accuracy": float(before_right.mean()),
        "accuracy": float(after_right.mean()),
        "accuracy_loss": loss,
        "accuracy_loss_interval": interval,
    }

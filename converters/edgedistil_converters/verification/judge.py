"""Judges a comparison by the rules of a plan, and words the refusal."""

from collections.abc import Sequence

from edgedistil_converters.quantization.schemes import Rules
from edgedistil_converters.verification.measures import Comparison

__all__ = ["describe_flips", "violations"]

_MOST_SHOWN = 5
_MANY_TEXTS = 200  # with so many, 1 % is more than a single text
_TEXT_LENGTH = 80


def violations(comparison: Comparison, rules: Rules, labels: Sequence[str], *, are_samples: bool = True) -> list[str]:
    """Return a sentence for each rule that a file breaks; none for a file that passes.

    Args:
        comparison: Comparison of the file with Keras.
        rules: Rules of the plan.
        labels: Class names, in the order of the outputs.
        are_samples: True if the texts are like those that the model will classify. On others, Keras' probabilities are
            often flat: their differences and the accuracy mean little, and are not judged.

    Example:
        >>> import numpy as np
        >>> from edgedistil_converters.verification.measures import compare
        >>> keras, file = np.array([[0.9, 0.1]] * 40), np.array([[0.9, 0.1]] * 30 + [[0.2, 0.8]] * 10)
        >>> violations(compare(keras, file), Rules(), ["on", "off"])
        ['labels agree on 75.0% of the texts, or 80.0% if ... (95% interval 65.2 to 89.5); `min_agreement` is 0.98']
    """
    found = _of_labels(comparison, rules, labels)
    if are_samples:
        found += _of_samples(comparison, rules)
    if not comparison.logit_error <= rules.max_logit_error:  # in this form, NaN fails too
        found.append(
            f"the logits are off by {comparison.logit_error:.1%} of their spread, and {rules.max_logit_error:.1%} is "
            "allowed"
        )
    return found


def _of_labels(comparison: Comparison, rules: Rules, labels: Sequence[str]) -> list[str]:
    found = []
    low, high = comparison.weighted_interval
    if high < rules.min_agreement:
        found.append(
            f"labels agree on {comparison.agreement:.1%} of the texts, or {comparison.weighted_agreement:.1%} if a "
            f"flip counts by how sure Keras was (95% interval {100 * low:.1f} to {100 * high:.1f}); "
            f"`min_agreement` is {rules.min_agreement:.4g}"
        )
    if comparison.lost_labels:
        names = [_name(number, labels) for number in comparison.lost_labels[:_MOST_SHOWN]]
        found.append(f"the file gives none of the texts that Keras is sure of the label {' or '.join(names)}")
    return found


def _of_samples(comparison: Comparison, rules: Rules) -> list[str]:
    found = []
    interval = comparison.accuracy_loss_interval
    if interval is not None and interval[0] > rules.max_accuracy_loss:
        found.append(
            f"accuracy falls from {comparison.keras_accuracy:.1%} to {comparison.accuracy:.1%}, by "
            f"{comparison.accuracy_loss:.1f} points (95% interval {interval[0]:.1f} to {interval[1]:.1f}); "
            f"`max_accuracy_loss` is {rules.max_accuracy_loss:g}"
        )
    if comparison.mean_difference > rules.max_mean_difference:
        found.append(
            f"probabilities differ by {comparison.mean_difference:.3g} on average over the texts; "
            f"{rules.max_mean_difference:g} is allowed"
        )
    if comparison.texts >= _MANY_TEXTS and comparison.p99_difference > rules.max_p99_difference:
        found.append(
            f"probabilities differ by {comparison.p99_difference:.3g} or more on 1% of the texts; "
            f"{rules.max_p99_difference:g} is allowed"
        )
    return found


def describe_flips(comparison: Comparison, texts: Sequence[str], labels: Sequence[str]) -> str:
    """Return the texts with another label, the surest first, as a sentence; empty if there are none.

    Args:
        comparison: Comparison of the file with Keras.
        texts: The compared texts, in order.
        labels: Class names, in the order of the outputs.

    Example:
        >>> import numpy as np
        >>> from edgedistil_converters.verification.measures import compare
        >>> comparison = compare(np.array([[0.9, 0.1]]), np.array([[0.4, 0.6]]))
        >>> describe_flips(comparison, ["lights on"], ["lights", "music"])
        "Another label than Keras': 'lights on' (lights 0.90, in the file music)."
    """
    if not comparison.flips:
        return ""
    shown = [
        f"{texts[flip.row][:_TEXT_LENGTH]!r} ({_names(flip.before, labels)} {flip.sure:.2f}, in the file "
        f"{_names(flip.after, labels)})"
        for flip in comparison.flips[:_MOST_SHOWN]
    ]
    more = len(comparison.flips) - len(shown)
    return f"Another label than Keras': {'; '.join(shown)}{f'; and {more} more' if more else ''}."


def _names(numbers: Sequence[int], labels: Sequence[str]) -> str:
    return " and ".join(_name(number, labels) for number in numbers) or "no label"


def _name(number: int, labels: Sequence[str]) -> str:
    """Name of a class; a classifier of one output has a second class without a name."""
    if len(labels) == 1:
        return labels[0] if number == 1 else f"not {labels[0]}"
    return labels[number]

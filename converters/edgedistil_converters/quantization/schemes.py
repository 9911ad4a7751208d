"""Quantization schemes: the dtypes that each gives a file, and the rules that the file must keep.

Imports nothing outside the standard library, so that a command line can show schemes without delay.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from edgedistil_runtime.errors import ConversionError

__all__ = ["SCHEMES", "Bounds", "Rules", "Scheme", "Tolerance"]


@dataclass(frozen=True)
class Tolerance:
    """Bounds on the difference between single probabilities of a file and of the float Keras classifier.

    A plan with `Rules` is judged by these instead; the tolerance is then only for golden cases, which are replayed on
    devices.

    Attributes:
        largest: Bound on the largest absolute difference over all texts and classes.
        mean: Bound on the mean absolute difference.
        agreement: Smallest share of texts with the same label, 0 to 1, counting texts with nearly equal probabilities.
    """

    largest: float
    mean: float
    agreement: float = 0.0


@dataclass(frozen=True)
class Rules:
    """Rules that a quantized file must keep on texts like those that the model will classify.

    A share or a loss is refused if its whole 95 % interval is beyond the bound, so that few texts prove little. On the
    built-in texts, only `min_agreement` and `max_logit_error` count.

    Attributes:
        min_agreement: Smallest share of texts with Keras' label, 0 to 1, if a flip counts by Keras' margin between the
            two labels: 0.92 for a flip from 0.95 to 0.03, 0.02 for one from 0.51 to 0.49.
        max_accuracy_loss: Largest loss of accuracy on labelled texts, in percentage points.
        max_mean_difference: Bound on the mean over texts of the largest difference of a probability.
        max_p99_difference: Bound on the largest difference of a probability, for 99 % of the texts.
        max_logit_error: Bound on the root mean square error of the logits, as a share of their standard deviation.

    Raises:
        ConversionError: A bound is out of its range.

    Example:
        >>> SCHEMES["int8"].rules.min_agreement
        0.98
        >>> Rules(min_agreement=98)
        Traceback (most recent call last):
        edgedistil_runtime.errors.ConversionError: `min_agreement` must be a share from 0 to 1. Received: 98. ...
    """

    min_agreement: float = 0.98
    max_accuracy_loss: float = 0.5
    max_mean_difference: float = 1.0
    max_p99_difference: float = 1.0
    max_logit_error: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.min_agreement <= 1:
            raise ConversionError(
                f"`min_agreement` must be a share from 0 to 1. Received: {self.min_agreement}. For 98 %: 0.98."
            )
        if not 0 <= self.max_accuracy_loss <= 100:
            raise ConversionError(
                "`max_accuracy_loss` must be from 0 to 100 percentage points. "
                f"Received: {self.max_accuracy_loss}. For half a point: 0.5."
            )


@dataclass(frozen=True)
class Bounds:
    """A user's bounds instead of those of a plan's rules.

    Attributes:
        min_agreement: See `Rules`; None for the plan's.
        max_accuracy_loss: See `Rules`; None for the plan's.

    Raises:
        ConversionError: A bound is out of its range.

    Example:
        >>> Bounds(min_agreement=0.9).of(SCHEMES["int8"].rules).min_agreement
        0.9
    """

    min_agreement: float | None = None
    max_accuracy_loss: float | None = None

    def __post_init__(self) -> None:
        self.of(Rules())

    def of(self, rules: Rules | None) -> Rules | None:
        """Return rules with these bounds; None stays None, because a file without rounding needs no rules."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        return rules and replace(rules, **given)


@dataclass(frozen=True)
class Scheme:
    """The dtypes, bounds and required data of a quantization scheme.

    Attributes:
        summary: One line for people.
        weights: Dtype of matmul weights in the file.
        embeddings: Dtype of the embedding tables in the file.
        tolerance: Bounds for probabilities. float32 only reorders sums; float16 rounds to 11 bits; int8 rounds a weight
            to 1/127 of the largest in its output channel, and a row of activations likewise at run time; static int8
            rounds activations to 1/255 of the range seen in calibration; int4 rounds weights to 1/7 of the largest of
            32. With int8-qat single texts may differ a lot, because its weights were trained for int8.
        activations: `float32`, or `int8` if the file fixes the range of every activation.
        needs: Data that the conversion needs besides the classifier: `calibration data`, `training data` or empty.
        rules: Rules that the file must keep; None if every text must keep the tolerance.

    Example:
        >>> [name for name, scheme in SCHEMES.items() if scheme.needs]
        ['int8-static', 'int8-qat']
    """

    summary: str
    weights: str
    embeddings: str
    tolerance: Tolerance
    activations: str = "float32"
    needs: str = ""
    rules: Rules | None = None


# The rules are in docs/verification.md, with the files and damages that they were chosen on.
SCHEMES: Mapping[str, Scheme] = {
    "fp32": Scheme("float32 weights and arithmetic", "float32", "float32", Tolerance(1e-4, 1e-5)),
    "fp16": Scheme(
        "float16 weights, float32 arithmetic",
        "float16",
        "float16",
        Tolerance(1e-2, 1e-3),
        rules=Rules(0.99, 0.5, 0.005, 0.02, 0.01),
    ),
    "int8": Scheme(
        "int8 weights, activations quantized as they run (dynamic range)",
        "int8",
        "int8",
        Tolerance(0.1, 0.01),
        rules=Rules(0.98, 0.5, 0.03, 0.3, 0.15),
    ),
    "int4": Scheme(
        "int4 weights in blocks of 32, activations as in int8",
        "int4",
        "int4",
        Tolerance(0.5, 0.05, 0.75),
        rules=Rules(0.97, 0.5, 0.06, 0.5, 0.5),
    ),
    "int8-static": Scheme(
        "int8 weights and activations, ranges measured on calibration data",
        "int8",
        "int8",
        Tolerance(0.3, 0.03, 0.75),
        activations="int8",
        needs="calibration data",
        rules=Rules(0.96, 1.0, 0.1, 0.8, 0.5),
    ),
    "int8-qat": Scheme(
        "int8 weights and activations, ranges learned in training",
        "int8",
        "int8",
        Tolerance(0.9, 0.05, 0.75),
        activations="int8",
        needs="training data",
        rules=Rules(0.95, 0.5, 0.12, 1.0, 1.0),
    ),
}

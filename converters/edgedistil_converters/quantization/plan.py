"""What a conversion does to the numbers of a model, as one frozen value."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from edgedistil_runtime.errors import ConversionError

__all__ = ["SCHEMES", "QuantizationPlan", "Scheme", "Tolerance"]


@dataclass(frozen=True)
class Tolerance:
    """How far probabilities may be from those of the float Keras classifier.

    Attributes:
        largest: bound on the largest absolute difference over all texts and classes.
        mean: bound on the mean absolute difference.
    """

    largest: float
    mean: float


@dataclass(frozen=True)
class Scheme:
    """What a plan's name stands for.

    Attributes:
        summary: one line for people.
        weights: dtype of matmul weights in the file.
        embeddings: dtype of the embedding tables in the file.
        tolerance: for probabilities. float32 reorders sums; float16 rounds to 11 bits; int8 rounds a weight to 1/127
            of the largest of its output channel, and each row of activations likewise, as it runs.
    """

    summary: str
    weights: str
    embeddings: str
    tolerance: Tolerance


SCHEMES: Mapping[str, Scheme] = {
    "fp32": Scheme("float32 weights and arithmetic", "float32", "float32", Tolerance(1e-4, 1e-5)),
    "fp16": Scheme("float16 weights, float32 arithmetic", "float16", "float16", Tolerance(1e-2, 1e-3)),
    "int8": Scheme(
        "int8 weights, activations quantized as they run (dynamic range)", "int8", "int8", Tolerance(0.1, 0.01)
    ),
}


@dataclass(frozen=True)
class QuantizationPlan:
    """One way to quantize a classifier; an impossible one cannot be built.

    Attributes:
        scheme: a key of `SCHEMES`.

    Example:
        >>> QuantizationPlan("int8").tolerance.largest
        0.1
    """

    scheme: str = "int8"

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise ConversionError(f"A quantization scheme is one of {', '.join(SCHEMES)}. Received: {self.scheme!r}.")

    @property
    def weights(self) -> str:
        """The dtype of matmul weights in the file."""
        return SCHEMES[self.scheme].weights

    @property
    def embeddings(self) -> str:
        """The dtype of the embedding tables in the file."""
        return SCHEMES[self.scheme].embeddings

    @property
    def tolerance(self) -> Tolerance:
        """How far probabilities may be from those of the Keras classifier."""
        return SCHEMES[self.scheme].tolerance

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain data, for the artefact's metadata."""
        return {**asdict(self), "weights": self.weights, "embeddings": self.embeddings}

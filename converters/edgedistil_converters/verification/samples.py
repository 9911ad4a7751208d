"""Texts like those that the model will classify, on which a file is judged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from edgedistil_converters.model.keras_token_ids import scalar_values
from edgedistil_runtime.errors import ConversionError

__all__ = ["BUILTIN_TEXTS", "ENOUGH_SAMPLES", "Samples", "class_number"]

BUILTIN_TEXTS = "built-in texts"
ENOUGH_SAMPLES = 30
"""A file is judged on at least so many samples; fewer are judged together with the built-in texts."""


@dataclass(frozen=True)
class Samples:
    """Texts like those that the model will classify, with their right classes as far as these are known.

    Attributes:
        texts: The texts.
        class_numbers: Number of each text's right class, or None if it is unknown; empty if none is known.
        source: Origin of the texts, for the report: `samples of the preset`.

    Raises:
        ConversionError: The number of classes is not the number of texts.

    Example:
        >>> samples = Samples(("lights on", "play it"), (0, None), "verification data")
        >>> samples.number_of["lights on"], samples.number_of["play it"]
        (0, None)
    """

    texts: Sequence[str] = ()
    class_numbers: Sequence[int | None] = ()
    source: str = field(default=BUILTIN_TEXTS)

    def __post_init__(self) -> None:
        if self.class_numbers and len(self.class_numbers) != len(self.texts):
            raise ConversionError(
                "Each of the verification texts (`verification_texts`) needs a label, or none has one. Received: "
                f"{len(self.texts)} texts and {len(self.class_numbers)} labels."
            )

    @cached_property
    def number_of(self) -> Mapping[str, int | None]:
        """Text, as the reference has it -> number of its right class, or None. The first of equal texts counts."""
        numbers = self.class_numbers or [None] * len(self.texts)
        pairs = zip(map(scalar_values, self.texts), numbers, strict=True)
        return dict(reversed(list(pairs)))


def class_number(label: str | None, labels: Sequence[str]) -> int | None:
    """Return the number of the class with a label; None for a label that the classifier does not know.

    A classifier of one output has two classes, of which 1 is the one with a label.

    Example:
        >>> class_number("b", ["a", "b"]), class_number("c", ["a", "b"]), class_number("ham", ["spam"])
        (1, None, 0)
    """
    if label is None:
        return None
    if len(labels) == 1:
        return int(label == labels[0])
    return labels.index(label) if label in labels else None

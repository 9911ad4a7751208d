"""Single texts of a report on multi-label models, as values."""

from dataclasses import dataclass

__all__ = ["ChangedSet", "LabelChange", "SetMistake"]


@dataclass(frozen=True)
class LabelChange:
    """A label that only one of two multi-label models gives a text.

    Attributes:
        label: The label.
        reference_score: Its probability from the reference.
        reference_threshold: Smallest probability with which the reference gives it.
        score: Its probability from the model.
        threshold: Smallest probability with which the model gives it.
    """

    label: str
    reference_score: float
    reference_threshold: float
    score: float
    threshold: float


@dataclass(frozen=True)
class ChangedSet:
    """A text with other labels from a multi-label model than from the reference.

    Attributes:
        text: The text; a long one is shortened.
        right: Right labels.
        reference: Labels from the reference.
        given: Labels from the model.
        changed: Labels that only one of both gives.
    """

    text: str
    right: tuple[str, ...]
    reference: tuple[str, ...]
    given: tuple[str, ...]
    changed: tuple[LabelChange, ...]


@dataclass(frozen=True)
class SetMistake:
    """A label that a multi-label model gives a text without being right, or does not give although it is.

    Attributes:
        text: The text; a long one is shortened.
        right: Right labels of the text.
        label: The label.
        is_given: True if the model gives it.
        score: Its probability from the model.
        threshold: Smallest probability with which the model gives it.
    """

    text: str
    right: tuple[str, ...]
    label: str
    is_given: bool
    score: float
    threshold: float

"""Scores of a model's answers for a report: one label for each text, or any number of labels."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from edgedistil.data import LabelledTexts, MultiLabelTexts
from edgedistil.measuring.answers import require_label_sets, require_one_label
from edgedistil.measuring.mistakes import Answers, confident_mistakes, count_changes
from edgedistil.measuring.reliability import measure_scores, measure_set_scores
from edgedistil.measuring.set_mistakes import SetAnswers, confident_set_mistakes, count_set_changes
from edgedistil.scores import evaluate_labels
from edgedistil.set_scores import evaluate_label_sets

__all__ = ["AnyTexts", "OneLabelScoring", "Outputs", "Scoring", "SetScoring", "kind_of"]

AnyTexts = LabelledTexts | MultiLabelTexts


@dataclass(frozen=True, eq=False)
class Outputs:
    """Answers of a model.

    Attributes:
        labels: Labels of the model, in its order.
        given: Best label of each text.
        probabilities: float32 [texts, labels].
        temperature: What the logits of a calibrated file are divided by.
        thresholds: Smallest probability of each label that a multi-label model gives; empty for other models.
    """

    labels: tuple[str, ...]
    given: tuple[str, ...]
    probabilities: NDArray[np.float32]
    temperature: float = 1.0
    thresholds: tuple[float, ...] = ()

    @property
    def best_scores(self) -> list[float]:
        """Probability of the best label of each text."""
        return [float(score) for score in self.probabilities.max(axis=1)]


class Scoring(ABC):
    """Scores of answers on labelled texts.

    Attributes:
        labels: Labels of the reference.
        num_examples: Texts to keep for each model.
    """

    labels: tuple[str, ...]
    num_examples: int

    @classmethod
    @abstractmethod
    def of(cls, examples: Any, labels: tuple[str, ...], num_examples: int) -> Self:
        """The scoring for texts, whose labels get the spelling of the reference."""

    @staticmethod
    @abstractmethod
    def require_kind(path: Path, thresholds: Sequence[float]) -> None:
        """Refuses a model that gives a text one label if the texts have several, or the other way round."""

    @abstractmethod
    def check_labels(self) -> None:
        """Refuses labels of the texts that the reference does not have."""

    @abstractmethod
    def score(self, outputs: Outputs, reference: Outputs) -> dict[str, Any]:
        """Attributes of `MeasuredModel`: `evaluation`, `changes`, `mistakes` and others."""


def kind_of(examples: AnyTexts) -> type[Scoring]:
    """The scoring for texts with one label or with several.

    Example:
        >>> kind_of(MultiLabelTexts(("lights",), (("on",),))).__name__
        'SetScoring'
    """
    return SetScoring if isinstance(examples, MultiLabelTexts) else OneLabelScoring


@dataclass(frozen=True)
class OneLabelScoring(Scoring):
    """Scores of one label for each text.

    Attributes:
        examples: Texts and right labels.
    """

    labels: tuple[str, ...]
    num_examples: int
    examples: LabelledTexts

    @classmethod
    def of(cls, examples: LabelledTexts, labels: tuple[str, ...], num_examples: int) -> Self:
        """As `Scoring.of`."""
        return cls(labels, num_examples, examples.spelled_as(labels))

    @staticmethod
    def require_kind(path: Path, thresholds: Sequence[float]) -> None:
        """As `require_one_label`."""
        require_one_label(path, thresholds)

    def check_labels(self) -> None:
        """As `evaluate_labels`."""
        evaluate_labels(self.examples.labels, self.examples.labels, self.labels)

    def score(self, outputs: Outputs, reference: Outputs) -> dict[str, Any]:
        """Scores, changes of labels, measures of the probabilities, and mistakes."""
        right, most = self.examples.labels, self.num_examples
        scores = measure_scores(outputs.probabilities, right, outputs.labels, temperature=outputs.temperature)
        return {
            **self.score_labels(outputs.given, reference, outputs),
            "scores": scores,
            "mistakes": confident_mistakes(self.examples, outputs.probabilities, outputs.labels, most),
        }

    def score_labels(self, given: Sequence[str], reference: Outputs, outputs: Outputs | None = None) -> dict[str, Any]:
        """Scores and changes of labels, from a model with or without probabilities."""
        changes = None
        if outputs is not reference:
            answers = Answers(given, outputs.best_scores if outputs else None)
            changes = count_changes(
                self.examples, Answers(reference.given, reference.best_scores), answers, self.num_examples
            )
        return {"evaluation": evaluate_labels(self.examples.labels, given, self.labels), "changes": changes}


@dataclass(frozen=True)
class SetScoring(Scoring):
    """Scores of any number of labels for each text.

    Attributes:
        examples: Texts and right labels.
    """

    labels: tuple[str, ...]
    num_examples: int
    examples: MultiLabelTexts

    @classmethod
    def of(cls, examples: MultiLabelTexts, labels: tuple[str, ...], num_examples: int) -> Self:
        """As `Scoring.of`."""
        return cls(labels, num_examples, examples.spelled_as(labels))

    @staticmethod
    def require_kind(path: Path, thresholds: Sequence[float]) -> None:
        """As `require_label_sets`."""
        require_label_sets(path, thresholds)

    def check_labels(self) -> None:
        """As `evaluate_label_sets`."""
        evaluate_label_sets(self.examples.label_sets, self.examples.label_sets, self.labels)

    def score(self, outputs: Outputs, reference: Outputs) -> dict[str, Any]:
        """Scores, changes of sets, measures of the probabilities, mistakes, and thresholds in the reference's order."""
        examples, most, temperature = self.examples, self.num_examples, outputs.temperature
        answers, of_reference = self._answers(outputs), self._answers(reference)
        return {
            "evaluation": evaluate_label_sets(examples.label_sets, answers.label_sets, self.labels),
            "changes": None if outputs is reference else count_set_changes(examples, of_reference, answers, most),
            "scores": measure_set_scores(
                answers.probabilities, examples.label_sets, self.labels, temperature=temperature
            ),
            "mistakes": confident_set_mistakes(examples, answers, most),
            "thresholds": answers.thresholds,
        }

    def _answers(self, outputs: Outputs) -> SetAnswers:
        return SetAnswers(outputs.labels, outputs.probabilities, outputs.thresholds).in_order(self.labels)

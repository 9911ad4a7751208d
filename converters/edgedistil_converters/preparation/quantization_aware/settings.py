"""What quantization-aware training is given and what it gives, as frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistil_converters.model.weights import ClassifierWeights
from edgedistil_runtime.errors import ConversionError

__all__ = ["QATData", "QATEpoch", "QATResult", "QATSettings", "check_data"]


@dataclass(frozen=True)
class QATSettings:
    """How the classifier is trained; impossible settings cannot be built.

    Attributes:
        epochs: how often training shows the data.
        batch_size: texts a step.
        learning_rate: the peak of Adam's, reached after a tenth of the steps; it falls to 0 by the last.
        seed: of the order of the texts, which is all that is random.
        temperature: both models' logits are divided by it before they are compared (distillation,
            https://arxiv.org/abs/1503.02531).
        distillation_weight: share of the loss that compares with the float model; the rest compares with the labels.
    """

    epochs: int = 3
    batch_size: int = 32
    learning_rate: float = 5e-5
    seed: int = 0
    temperature: float = 2.0
    distillation_weight: float = 0.9

    def __post_init__(self) -> None:
        for name, lowest in (("epochs", 1), ("batch_size", 1), ("seed", 0)):
            value = getattr(self, name)
            is_whole = isinstance(value, int) and not isinstance(value, bool)
            self._require(name, is_whole and value >= lowest, f"a whole number from {lowest} up")
        for name in ("learning_rate", "temperature"):
            self._require(name, 0 < getattr(self, name) < float("inf"), "a number above 0")
        self._require("distillation_weight", 0 <= self.distillation_weight <= 1, "a number from 0 to 1")

    def _require(self, name: str, is_legal: bool, legal: str) -> None:
        if not is_legal:
            raise ConversionError(
                f"{name} of quantization-aware training must be {legal}. Received: {getattr(self, name)!r}."
            )


@dataclass(frozen=True)
class QATData:
    """The training texts as numbers.

    Attributes:
        token_ids: a row of ids for each text, `[CLS]` to `[SEP]`, without padding.
        targets: int32[n], indices of the labels. For a classifier of one output they are 0 or 1: the output that is
            due.
        teacher: float32[n, num_classes], the float classifier's probabilities.
    """

    token_ids: tuple[tuple[int, ...], ...]
    targets: NDArray[np.int32]
    teacher: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.token_ids)


@dataclass(frozen=True)
class QATEpoch:
    """How well the int8 simulation did on a sample of the training texts, all measured alike.

    Attributes:
        epoch: counted from 1; 0 is before training, with ranges that were only calibrated.
        loss: the mean loss of a text.
        accuracy: share of texts whose label is the target.
        agreement: share of texts whose label is the float classifier's.
    """

    epoch: int
    loss: float
    accuracy: float
    agreement: float


@dataclass(frozen=True)
class QATResult:
    """What training leaves.

    Attributes:
        weights: float, and ready to be rounded to int8; embedding tables are those that came in.
        ranges: site of `activation_sites` -> (lowest, highest) float32 value that int8 holds. Both ends lie on the
            grid: (highest - lowest) / 255 is its scale, and 0 is one of its points.
        history: one entry for the state before training and one for each epoch.
    """

    weights: ClassifierWeights
    ranges: Mapping[str, tuple[float, float]]
    history: tuple[QATEpoch, ...]


def check_data(data: QATData, weights: ClassifierWeights) -> None:
    """Refuses data that do not fit the classifier.

    Raises:
        ConversionError: no texts, arrays of other shapes, ids or targets out of range, no probabilities.
    """
    count, classes = len(data), weights.num_classes
    targets, teacher = np.asarray(data.targets), np.asarray(data.teacher)
    _require(count >= 1, "at least one text", "none")
    _require(targets.shape == (count,), f"targets of shape ({count},)", targets.shape)
    _require(targets.dtype.kind in "iu", "whole numbers as targets", targets.dtype)
    _require(teacher.shape == (count, classes), f"teacher probabilities of shape ({count}, {classes})", teacher.shape)
    _require_within("targets", targets, 0, max(classes, 2) - 1)  # one output: 0 or 1
    _require_within("teacher probabilities", teacher, 0.0, 1.0)
    positions = len(weights.position_embeddings)
    lengths = np.asarray([len(row) for row in data.token_ids])
    _require_within("tokens of a text", lengths, 1, positions)
    _require_within("token ids", np.concatenate(data.token_ids), 0, len(weights.token_embeddings) - 1)


def _require_within(what: str, values: NDArray[Any], lowest: float, highest: float) -> None:
    is_legal = bool(np.all((values >= lowest) & (values <= highest)))  # False for NaN
    _require(is_legal, f"{what} from {lowest} to {highest}", f"{values.min()} to {values.max()}")


def _require(is_legal: bool, legal: str, received: object) -> None:
    if not is_legal:
        raise ConversionError(f"Quantization-aware training needs {legal}. Received: {received}.")

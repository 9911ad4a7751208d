"""Settings, data and result of quantization-aware training, as frozen dataclasses."""

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
    """Hyperparameters of training.

    Attributes:
        epochs: Number of passes over the data.
        batch_size: Texts per step.
        learning_rate: Peak learning rate of Adam, reached after a tenth of the steps; it falls to 0 at the last.
        seed: Seed of the order of the texts; nothing else is random.
        temperature: Divisor of both models' logits before they are compared (distillation,
            https://arxiv.org/abs/1503.02531).
        distillation_weight: Share of the loss that compares with the float model; the rest compares with the labels.

    Raises:
        ConversionError: A value is out of range.

    Example:
        >>> QATSettings(epochs=5).learning_rate
        5e-05
        >>> QATSettings(epochs=0)
        Traceback (most recent call last):
        edgedistil_runtime.errors.ConversionError: epochs of quantization-aware training must be a whole number from ...
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
        token_ids: Token ids of each text, `[CLS]` to `[SEP]`, without padding.
        targets: Indices of the labels, int32[n]. For a classifier of one output, the expected output: 0 or 1. For a
            multi-label classifier, the expected output of each label: 0 or 1, int32[n, num_classes].
        teacher: Probabilities of the float classifier, float32[n, num_classes].

    Example:
        >>> len(QATData(((2, 5, 3), (2, 7, 8, 3)), np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]])))
        2
    """

    token_ids: tuple[tuple[int, ...], ...]
    targets: NDArray[np.int32]
    teacher: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.token_ids)


@dataclass(frozen=True)
class QATEpoch:
    """Scores of the int8 simulation after an epoch, on one sample of the training texts for all epochs.

    Attributes:
        epoch: Number of the epoch, counted from 1; 0 is before training, with ranges that were only calibrated.
        loss: Mean loss of a text.
        accuracy: Share of texts whose predicted label is the target, 0 to 1. For a multi-label classifier, whose labels
            at a threshold of 0.5 are those of the target.
        agreement: Share of texts whose predicted label is, or labels are, that of the float classifier, 0 to 1.
    """

    epoch: int
    loss: float
    accuracy: float
    agreement: float


@dataclass(frozen=True)
class QATResult:
    """The result of training.

    Attributes:
        weights: Trained float weights; the embedding tables are unchanged.
        ranges: Site of `activation_sites` -> (min, max) float32 value that int8 represents. Both are points of the
            grid: (max - min) / 255 is its scale, and 0 is one of its points.
        history: One entry for the state before training and one for each epoch.
    """

    weights: ClassifierWeights
    ranges: Mapping[str, tuple[float, float]]
    history: tuple[QATEpoch, ...]


def check_data(data: QATData, weights: ClassifierWeights) -> None:
    """Checks that data fit the classifier.

    Raises:
        ConversionError: There are no texts, arrays have other shapes, or ids, targets or probabilities are out of
            range.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> from edgedistil_converters.model.keras_hub import read_weights
        >>> data = QATData(((2, 5, 3),), np.array([3]), np.full((1, 3), 1 / 3))
        >>> check_data(data, read_weights(load_classifier("intents")))
        Traceback (most recent call last):
        edgedistil_runtime.errors.ConversionError: Quantization-aware training needs targets from 0 to 2. Received: ...
    """
    count, classes = len(data), weights.num_classes
    targets, teacher = np.asarray(data.targets), np.asarray(data.teacher)
    _require(count >= 1, "at least one text", "none")
    is_multi_label = targets.ndim == 2 and weights.output_activation == "sigmoid" and classes > 1
    shape = (count, classes) if is_multi_label else (count,)
    _require(targets.shape == shape, f"targets of shape {shape}", targets.shape)
    _require(targets.dtype.kind in "iu", "whole numbers as targets", targets.dtype)
    _require(teacher.shape == (count, classes), f"teacher probabilities of shape ({count}, {classes})", teacher.shape)
    _require_within("targets", targets, 0, 1 if is_multi_label else max(classes, 2) - 1)  # one output: 0 or 1
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

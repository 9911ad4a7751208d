"""Padded batches of the training texts.

Texts of similar length share a batch, which is as long as its longest text: most texts are short, and none is cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistil_converters.model.weights import ClassifierWeights
from edgedistil_converters.preparation.quantization_aware.settings import QATData

__all__ = ["Batch", "Texts", "teacher_logits"]

Rows = NDArray[np.int64]

_BATCHES_PER_CHUNK = 20  # texts are sorted by length only within a chunk: random order, but little padding


@dataclass(frozen=True)
class Batch:
    """The inputs of a training step.

    Attributes:
        token_ids: Token ids, int32[b, m], padded on the right.
        targets: Indices of the labels, int32[b]; or, for several labels, 0 or 1 for each, int32[b, num_classes].
        teacher: Logits of the float classifier, float32[b, num_classes].
    """

    token_ids: NDArray[np.int32]
    targets: NDArray[np.int32]
    teacher: NDArray[np.float32]


class Texts:
    """All training texts, and their division into batches.

    Args:
        data: The training texts.
        weights: Weights of the float classifier; only their output activation is read.
        pad_id: The id that pads rows.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> from edgedistil_converters.model.keras_hub import read_weights
        >>> data = QATData(((2, 5, 6, 3), (2, 3)), np.array([0, 2]), np.full((2, 3), 1 / 3))
        >>> texts = Texts(data, read_weights(load_classifier("intents")), pad_id=0)
        >>> texts.batch(np.array([0, 1])).token_ids.tolist()
        [[2, 5, 6, 3], [2, 3, 0, 0]]
    """

    def __init__(self, data: QATData, weights: ClassifierWeights, pad_id: int) -> None:
        self._ids, self._targets, self._pad_id = data.token_ids, data.targets, pad_id
        self._lengths = np.asarray([len(row) for row in data.token_ids])
        self._teacher = teacher_logits(data.teacher, weights.output_activation)

    def epoch(self, epoch: int, *, batch_size: int, seed: int) -> list[Rows]:
        """Returns the indices of the texts of each step: every text once, in an order given by `epoch` and `seed`."""
        generator = np.random.default_rng([seed, epoch])
        order = generator.permutation(len(self._lengths))
        batches = self._batches(order, batch_size)
        return [batches[index] for index in generator.permutation(len(batches))]

    def sample(self, count: int, *, batch_size: int, seed: int) -> list[Rows]:
        """Returns up to `count` random texts in batches; equal seeds give equal texts."""
        order = np.random.default_rng(seed).permutation(len(self._lengths))
        return self._batches(order[:count], batch_size)

    def batch(self, rows: Rows) -> Batch:
        """Returns the inputs of a step from the indices of its texts."""
        ids: NDArray[np.int32] = np.full((len(rows), self._lengths[rows].max()), self._pad_id, np.int32)
        for row, index in zip(ids, rows, strict=True):
            row[: self._lengths[index]] = self._ids[index]
        return Batch(ids, self._targets[rows], self._teacher[rows])

    def _batches(self, order: Rows, batch_size: int) -> list[Rows]:
        chunk_size = batch_size * _BATCHES_PER_CHUNK
        chunks = [order[start : start + chunk_size] for start in range(0, len(order), chunk_size)]
        chunks = [chunk[np.argsort(self._lengths[chunk], kind="stable")] for chunk in chunks]  # shortest first
        return [chunk[start : start + batch_size] for chunk in chunks for start in range(0, len(chunk), batch_size)]


def teacher_logits(probabilities: Sequence[Any] | NDArray[np.float32], output_activation: str) -> NDArray[np.float32]:
    """Returns logits that give these probabilities.

    Args:
        probabilities: Probabilities, [n, num_classes].
        output_activation: `sigmoid`, or anything else for a softmax, whose logits are found up to a constant per row
            that does not change them.

    Example:
        >>> teacher_logits([[0.5, 0.5]], "sigmoid").tolist()
        [[0.0, 0.0]]
        >>> np.exp(teacher_logits([[0.25, 0.75]], "softmax")).round(3).tolist()
        [[0.25, 0.75]]
    """
    smallest = float(np.finfo(np.float32).eps)  # 0 and 1 have infinite logits
    clipped = np.clip(np.asarray(probabilities, np.float64), smallest, 1 - smallest)
    logits = np.log(clipped) - np.log1p(-clipped) if output_activation == "sigmoid" else np.log(clipped)
    return logits.astype(np.float32)

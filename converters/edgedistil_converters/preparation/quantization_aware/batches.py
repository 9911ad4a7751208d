"""Texts as padded batches.

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

_BATCHES_PER_CHUNK = 20  # sorted by length within: mixed enough, with little padding


@dataclass(frozen=True)
class Batch:
    """The inputs of a step.

    Attributes:
        token_ids: int32[b, m], padded on the right.
        targets: int32[b].
        teacher: float32[b, num_classes], the float classifier's logits.
    """

    token_ids: NDArray[np.int32]
    targets: NDArray[np.int32]
    teacher: NDArray[np.float32]


class Texts:
    """All training texts, and the batches they come in."""

    def __init__(self, data: QATData, weights: ClassifierWeights, pad_id: int) -> None:
        self._ids, self._targets, self._pad_id = data.token_ids, data.targets, pad_id
        self._lengths = np.asarray([len(row) for row in data.token_ids])
        self._teacher = teacher_logits(data.teacher, weights.output_activation)

    def epoch(self, epoch: int, *, batch_size: int, seed: int) -> list[Rows]:
        """Indices of the texts of each step; every text once, in an order that epoch and seed alone decide."""
        generator = np.random.default_rng([seed, epoch])
        order = generator.permutation(len(self._lengths))
        batches = self._batches(order, batch_size)
        return [batches[index] for index in generator.permutation(len(batches))]

    def sample(self, count: int, *, batch_size: int, seed: int) -> list[Rows]:
        """Some texts in batches, the same ones for a seed."""
        order = np.random.default_rng(seed).permutation(len(self._lengths))
        return self._batches(order[:count], batch_size)

    def batch(self, rows: Rows) -> Batch:
        """The texts of a step."""
        ids: NDArray[np.int32] = np.full((len(rows), self._lengths[rows].max()), self._pad_id, np.int32)
        for row, index in zip(ids, rows, strict=True):
            row[: self._lengths[index]] = self._ids[index]
        return Batch(ids, self._targets[rows], self._teacher[rows])

    def _batches(self, order: Rows, batch_size: int) -> list[Rows]:
        chunk_size = batch_size * _BATCHES_PER_CHUNK
        chunks = [order[start : start + chunk_size] for start in range(0, len(order), chunk_size)]
        chunks = [chunk[np.argsort(self._lengths[chunk], kind="stable")] for chunk in chunks]
        return [chunk[start : start + batch_size] for chunk in chunks for start in range(0, len(chunk), batch_size)]


def teacher_logits(probabilities: Sequence[Any] | NDArray[np.float32], output_activation: str) -> NDArray[np.float32]:
    """The logits that probabilities came from; those of a softmax up to a number that it takes away again."""
    smallest = float(np.finfo(np.float32).eps)
    likely = np.clip(np.asarray(probabilities, np.float64), smallest, 1 - smallest)
    logits = np.log(likely) - np.log1p(-likely) if output_activation == "sigmoid" else np.log(likely)
    return logits.astype(np.float32)

"""A teacher's vectors as a target: a linear map from the student's vectors to them, which is learned with the student.

A vector is what the head of a classifier reads of a text, or the mean over its tokens after a layer. A student is
narrower than its teacher, so the map is fitted to the vectors before training, and then trained with the student
(https://arxiv.org/abs/1909.10351, section 3).
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

__all__ = ["VectorMap"]

_RIDGE = 1e-2  # of the mean variance of the student's vectors


class VectorMap(keras.layers.Layer):  # type: ignore[misc]
    """The map, and the loss of a student's vectors against the teacher's.

    Args:
        kernel: First kernel, float32[student's width, teacher's width].
        bias: First bias, float32[teacher's width].
        scale: Number by which the sum of the squares of the differences is multiplied.
        name: Name of the layer.

    Example:
        >>> teacher = np.array([[3.0, 1.0], [1.0, 2.0], [2.0, 0.0]], "float32")
        >>> learned = VectorMap.fit(teacher @ np.array([[0.0, 1.0], [2.0, 0.0]], "float32"), teacher, weight=1.0)
        >>> float(learned.loss(np.zeros((3, 2), "float32"), teacher)) > 1
        True
    """

    def __init__(self, kernel: NDArray[np.float32], bias: NDArray[np.float32], scale: float, name: str) -> None:
        super().__init__(name=name)
        self._kernel = self.add_weight(shape=kernel.shape, name="kernel")
        self._bias = self.add_weight(shape=bias.shape, name="bias")
        self._kernel.assign(kernel)
        self._bias.assign(bias)
        self._scale = scale
        self.built = True

    @classmethod
    def fit(
        cls, student: NDArray[np.float32], teacher: NDArray[np.float32], weight: float, *, name: str = "vector_map"
    ) -> "VectorMap":
        """Fits a map by least squares.

        Args:
            student: Vectors of the student, float32[texts, width].
            teacher: Vectors of the teacher, float32[texts, width].
            weight: Loss of a map that returns the teacher's mean for every text.
            name: Name of the layer.
        """
        mean, expected = student.mean(axis=0), teacher.mean(axis=0)
        centred, targets = student - mean, teacher - expected
        products = centred.T @ centred
        ridge = _RIDGE * np.trace(products) / len(products) + np.finfo("float32").tiny
        kernel = np.linalg.solve(products + ridge * np.eye(len(products)), centred.T @ targets)
        variance = max(float(np.square(targets).sum(axis=1).mean()), 1e-9)
        bias = np.asarray(expected - mean @ kernel, "float32")
        return cls(np.asarray(kernel, "float32"), bias, weight / variance, name)

    def loss(self, student: Any, teacher: Any) -> Any:
        """Returns the loss of vectors, float32[batch, width] each: the mean over the texts."""
        difference = tf.matmul(student, self._kernel) + self._bias - tf.cast(teacher, student.dtype)
        return self._scale * tf.reduce_mean(tf.reduce_sum(tf.square(difference), axis=-1))

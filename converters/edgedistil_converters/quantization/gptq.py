"""GPTQ: int4 weights that are rounded one input after another, each making up for the errors of those before.

Rounding to nearest keeps every weight near its own value. What counts is what the matmul puts out on the texts of the
task: the error e of an output channel costs e H e^T there, with H = X^T X of the inputs X that calibration texts give.
GPTQ (Frantar et al. 2022, arXiv 2210.17323, algorithm 1) rounds the weights of the first input and moves those of all
later inputs so that this cost is least, then those of the second, and so on. How they move is in the upper Cholesky
factor of H's inverse.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAST_SCALE", "Int4Weights", "round_by_gptq"]

LEAST_SCALE = 2.0**-20
"""Of a block: its scale is a float16, which has no smaller numbers of full use, and must not be 0 where a block is."""
_LEAST_STEP, _GREATEST_STEP = -8, 7
_DAMPING = 0.01  # of H's mean diagonal, as in section 3.3 of the paper: few texts leave H without an inverse
_INPUTS_AT_ONCE = 64  # whose moves are applied to all later inputs in one matmul
# Of the scale with which a block's largest weight would be 7 steps. Less cuts it to lower the error of the others.
_SHARES = (1.0, 0.95, 0.9, 7 / 8, 0.85, 0.8, 0.75, 0.7)


@dataclass(frozen=True)
class Int4Weights:
    """The weights of a matmul as TFLite stores them.

    Attributes:
        steps: int8[outputs, inputs], -8 to 7.
        scales: float32[outputs, blocks]: what a step stands for in each block of inputs.
    """

    steps: NDArray[np.int8]
    scales: NDArray[np.float32]

    @property
    def values(self) -> NDArray[np.float32]:
        """float32[outputs, inputs]: what the weights stand for."""
        blocks = self.steps.reshape(*self.scales.shape, -1) * self.scales[:, :, None]
        values: NDArray[np.float32] = blocks.reshape(self.steps.shape)
        return values


def round_by_gptq(weights: NDArray[np.float32], hessian: NDArray[np.floating], block: int) -> Int4Weights:
    """Rounds the weights of one matmul.

    Args:
        weights: float32[outputs, inputs].
        hessian: [inputs, inputs]: X^T X of what went in.
        block: inputs that share a scale; where it does not divide them, an output channel has one scale.
    """
    left, moves = weights.T.copy(), _moves(hessian)  # by inputs, so that those of one are contiguous
    inputs, outputs = left.shape
    is_even = inputs % block == 0
    width = block if is_even else inputs
    steps = np.empty((inputs, outputs), np.int8)
    scales = np.empty((inputs // width, outputs), np.float32)
    for first in range(0, inputs, _INPUTS_AT_ONCE):
        last = min(first + _INPUTS_AT_ONCE, inputs)
        errors = np.empty((last - first, outputs), np.float32)
        for i in range(first, last):
            if i % width == 0:
                scales[i // width] = _scales(left[i : i + width], is_float16=is_even)
            scale = scales[i // width]
            steps[i] = np.clip(np.rint(left[i] / scale), _LEAST_STEP, _GREATEST_STEP)
            errors[i - first] = (left[i] - steps[i] * scale) / moves[i, i]
            left[i + 1 : last] -= np.outer(moves[i, i + 1 : last], errors[i - first])
        left[last:] -= moves[first:last, last:].T @ errors
    return Int4Weights(np.ascontiguousarray(steps.T), np.ascontiguousarray(scales.T))


def _moves(hessian: NDArray[np.floating]) -> NDArray[np.float32]:
    """The upper Cholesky factor of the inverse of H, damped; an input that was always 0 takes part in nothing."""
    damped = hessian.astype(np.float64)
    diagonal = np.diagonal(damped)
    mean = diagonal.mean() or 1.0
    np.fill_diagonal(damped, np.where(diagonal > 0, diagonal, mean) + _DAMPING * mean)
    inverse = np.linalg.inv(damped)
    factor: NDArray[np.float32] = np.linalg.cholesky((inverse + inverse.T) / 2).T.astype(np.float32)
    return factor


def _scales(weights: NDArray[np.float32], *, is_float16: bool) -> NDArray[np.float32]:
    """float32[outputs]: the scale with the least squared error for weights float32[inputs, outputs]."""
    whole = np.maximum(np.abs(weights).max(axis=0) / _GREATEST_STEP, LEAST_SCALE)
    best, least = whole, np.full(whole.shape, np.inf, np.float32)
    for share in _SHARES:
        candidate = _as_kernels_read_it(share * whole) if is_float16 else share * whole
        steps = np.clip(np.rint(weights / candidate), _LEAST_STEP, _GREATEST_STEP)
        error = np.square(weights - steps * candidate).sum(axis=0)
        best, least = np.where(error < least, candidate, best), np.minimum(error, least)
    scales: NDArray[np.float32] = best.astype(np.float32)
    return scales


def _as_kernels_read_it(scales: NDArray[np.floating]) -> NDArray[np.float32]:
    """A block's scale is a float16 in the file and a bfloat16 in XNNPACK's kernel: it must be both."""
    bits = scales.astype(np.float32).view(np.uint32)
    bfloat16 = (bits + 0x7FFF + (bits >> 16 & 1)) & np.uint32(0xFFFF0000)
    both: NDArray[np.float32] = np.maximum(bfloat16.view(np.float32), LEAST_SCALE).astype(np.float16).astype(np.float32)
    return both

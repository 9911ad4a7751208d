"""GPTQ: rounds int4 weights input by input; later weights compensate the errors of earlier ones.

Rounding to nearest keeps every weight close to its value, but what matters is the matmul's output on texts of the task.
An error e in the weights of an output channel gives it the squared error e H e^T, where H = X^T X for the inputs X from
calibration texts. GPTQ (Frantar et al. 2022, arXiv 2210.17323, algorithm 1) rounds the weights of the first input and
updates those of all later inputs so that this error is smallest, then does the same with the second input, and so on.
The updates follow from the upper Cholesky factor of the inverse of H.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["CLIP_FACTORS", "LEAST_SCALE", "Int4Weights", "round_by_gptq"]

LEAST_SCALE = 2.0**-20
"""The smallest scale of a block. Scales are float16, where smaller numbers lose precision, and must not be 0."""
CLIP_FACTORS = (1.0, 0.95, 0.9, 7 / 8, 0.85, 0.8, 0.75, 0.7)
"""Candidate scales of a block, in units of the scale that puts its largest weight at 7 steps.

A factor of 7/8 puts it at 8 steps, which is in the range only if it is negative. A smaller factor clips the largest
weights, and lowers the rounding error of the others.
"""
_MIN_STEP, _MAX_STEP = -8, 7  # of int4
_DAMPING = 0.01  # share of H's mean diagonal, as in section 3.3 of the paper: with few texts H has no inverse
_INPUTS_PER_BATCH = 64  # their updates of all later inputs are one matmul (the paper's lazy batches, section 3.3)


@dataclass(frozen=True)
class Int4Weights:
    """The weights of a matmul as TFLite stores them.

    Attributes:
        steps: int8[outputs, inputs], -8 to 7.
        scales: float32[outputs, blocks], the value of one step in each block of inputs.

    Example:
        >>> steps = np.array([[-8, 7, 1, 0]], np.int8)
        >>> Int4Weights(steps, np.array([[0.5, 2.0]], np.float32)).values.tolist()
        [[-4.0, 3.5, 2.0, 0.0]]
    """

    steps: NDArray[np.int8]
    scales: NDArray[np.float32]

    @property
    def values(self) -> NDArray[np.float32]:
        """The weights as floats, float32[outputs, inputs]."""
        blocks = self.steps.reshape(*self.scales.shape, -1) * self.scales[:, :, None]
        values: NDArray[np.float32] = blocks.reshape(self.steps.shape)
        return values


def round_by_gptq(weights: NDArray[np.float32], hessian: NDArray[np.floating], block: int) -> Int4Weights:
    """Round the weights of one matmul.

    Args:
        weights: float32[outputs, inputs].
        hessian: [inputs, inputs], X^T X of the matmul's inputs X.
        block: Number of inputs that share a scale. If it does not divide the inputs, or is 0, an output channel has one
            scale, and the inputs are rounded in the order of their size: those with the largest H_ii first, as the
            authors' program does with `act-order`, because the first inputs have the most later ones to make up for
            their errors. Blocks are of adjacent inputs and keep their order.

    Example:
        >>> generator = np.random.default_rng(0)
        >>> weights, inputs = (generator.normal(size=shape).astype(np.float32) for shape in [(4, 32), (100, 32)])
        >>> rounded = round_by_gptq(weights, inputs.T @ inputs, block=32)
        >>> rounded.scales.shape, bool(np.abs(rounded.values - weights).max() < 1)
        ((4, 1), True)
    """
    inputs, outputs = weights.shape[1], weights.shape[0]
    has_blocks = block > 0 and inputs % block == 0
    order = np.arange(inputs) if has_blocks else np.argsort(-np.diagonal(hessian), kind="stable")
    remaining = weights.T[order]  # [inputs, outputs], not yet rounded; the weights of one input are contiguous
    factor = _update_factor(hessian[np.ix_(order, order)])
    width = block if has_blocks else inputs  # inputs per scale
    steps = np.empty((inputs, outputs), np.int8)
    scales = np.empty((inputs // width, outputs), np.float32)
    for first in range(0, inputs, _INPUTS_PER_BATCH):
        last = min(first + _INPUTS_PER_BATCH, inputs)
        errors = np.empty((last - first, outputs), np.float32)
        for i in range(first, last):
            if i % width == 0:  # a block's scales come from its weights with all updates so far
                scales[i // width] = _scales(remaining[i : i + width], is_float16=has_blocks)
            scale = scales[i // width]  # [outputs]
            steps[i] = np.clip(np.rint(remaining[i] / scale), _MIN_STEP, _MAX_STEP)
            # Algorithm 1: e_i = (w_i - q_i) / U_ii, and w_j -= e_i U_ij for every later input j.
            errors[i - first] = (remaining[i] - steps[i] * scale) / factor[i, i]
            remaining[i + 1 : last] -= np.outer(factor[i, i + 1 : last], errors[i - first])
        remaining[last:] -= factor[first:last, last:].T @ errors  # the same for the inputs after the batch
    return Int4Weights(np.ascontiguousarray(steps[np.argsort(order)].T), np.ascontiguousarray(scales.T))


def _update_factor(hessian: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return U, upper triangular [inputs, inputs], with U^T U = the inverse of the damped H."""
    damped = hessian.astype(np.float64)
    diagonal = np.diagonal(damped)
    mean = diagonal.mean() or 1.0
    # An input that was always 0 has a row and a column of zeros: with any diagonal it affects no other input.
    np.fill_diagonal(damped, np.where(diagonal > 0, diagonal, mean) + _DAMPING * mean)
    inverse = np.linalg.inv(damped)
    # Made symmetric again after rounding. NumPy gives the lower factor L with L L^T = the inverse; U = L^T.
    factor: NDArray[np.float32] = np.linalg.cholesky((inverse + inverse.T) / 2).T.astype(np.float32)
    return factor


def _scales(weights: NDArray[np.float32], *, is_float16: bool) -> NDArray[np.float32]:
    """Return the scale with the least squared error for each output, float32[outputs].

    Args:
        weights: float32[inputs, outputs], the weights that share a scale.
        is_float16: True for blocks, whose scales must be exact in float16 and bfloat16.
    """
    unclipped = np.maximum(np.abs(weights).max(axis=0) / _MAX_STEP, LEAST_SCALE)  # [outputs], largest weight at 7 steps
    best, least = unclipped, np.full(unclipped.shape, np.inf, np.float32)
    for clip in CLIP_FACTORS:
        candidate = _rounded_for_kernels(clip * unclipped) if is_float16 else clip * unclipped
        steps = np.clip(np.rint(weights / candidate), _MIN_STEP, _MAX_STEP)  # [inputs, outputs]
        error = np.square(weights - steps * candidate).sum(axis=0)
        best, least = np.where(error < least, candidate, best), np.minimum(error, least)
    scales: NDArray[np.float32] = best.astype(np.float32)
    return scales


def _rounded_for_kernels(scales: NDArray[np.floating]) -> NDArray[np.float32]:
    """Round scales to numbers that float16 (in the file) and bfloat16 (in XNNPACK's kernel) both represent."""
    bits = scales.astype(np.float32).view(np.uint32)
    # bfloat16 is the upper half of float32's bits, rounded to nearest, ties to even.
    bfloat16 = (bits + 0x7FFF + (bits >> 16 & 1)) & np.uint32(0xFFFF0000)
    both: NDArray[np.float32] = np.maximum(bfloat16.view(np.float32), LEAST_SCALE).astype(np.float16).astype(np.float32)
    return both

"""Scales outlier channels of an encoder, so that static int8 has steps for the others.

Large pretrained encoders have a few channels whose values are a hundred times those of the others ("massive
activations", Sun et al. 2024, arXiv 2402.17762). A tensor has one scale, so the others would be rounded to a few steps.
The channels of a residual r = x + y are divided by s, and multiplied by s again inside the layer norm after it, which
static int8 computes in float:

    x is the output of a layer norm: gamma / s, beta / s; the matmuls that read x get their rows times s
    y is the output of a matmul: columns / s, bias / s
    the next layer norm computes on s * (r / s)

In float, the classifier is the same (as in SmoothQuant, Xiao et al. 2022, arXiv 2211.10438, of linear layers).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgedistil_converters.graph.classifier import EdgeGraph
from edgedistil_converters.graph.embeddings import FloatTable
from edgedistil_converters.graph.ops import SingleText
from edgedistil_converters.graph.transformer import EMBEDDINGS_NORM, layer_name
from edgedistil_converters.model.weights import ClassifierWeights, Dense, LayerNorm, Part
from edgedistil_converters.quantization.calibration import sampled

__all__ = ["scale_outlier_channels"]

_OUTLIER, _KEPT = 8.0, 4.0  # times the median channel: a residual with a larger one is scaled, to at most the second
_MOST_ROWS = 128


def scale_outlier_channels(weights: ClassifierWeights, rows: Sequence[Sequence[int]]) -> ClassifierWeights:
    """Return weights of the same classifier, with smaller values in the outlier channels of its residuals.

    Args:
        weights: Weights of a classifier.
        rows: Token ids without padding, of texts like those that the model will classify.

    Returns:
        The weights; `weights` itself if there are no outliers.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> from edgedistil_converters.model.keras_hub import read_weights
        >>> weights = read_weights(load_classifier("intents"))
        >>> scale_outlier_channels(weights, [[2, 5, 6, 8, 10, 3]]) is weights  # a small encoder has none
        True
    """
    scales = {site: _scale(peaks) for site, peaks in _peaks(weights, rows).items()}
    outlying = {site: scale for site, scale in scales.items() if scale is not None}
    if not outlying:
        return weights
    parts = dict(weights.parts)
    for index in range(len(weights.layers)):
        layer = layer_name(index)
        before = f"{layer_name(index - 1)}/output_norm" if index else EMBEDDINGS_NORM
        if (scale := outlying.get(f"{layer}/attention_residual")) is not None:
            readers = [f"{layer}/{name}" for name in ("query", "key", "value")]
            _scale_residual(parts, before, readers, f"{layer}/attention_output", f"{layer}/attention_norm", scale)
        if (scale := outlying.get(f"{layer}/output_residual")) is not None:
            norms = f"{layer}/attention_norm", f"{layer}/output_norm"
            _scale_residual(parts, norms[0], [f"{layer}/intermediate"], f"{layer}/output", norms[1], scale)
    return weights.with_parts(parts)


def _scale(peaks: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """What the channels of a residual are divided by, float32[width]; None if there is no outlier."""
    typical = float(np.median(peaks))
    # A median of 0 is of channels that are not used: nothing would be gained for them.
    if typical == 0 or peaks.max() <= _OUTLIER * typical:
        return None
    return np.asarray(np.maximum(1, peaks / (_KEPT * typical)), np.float32)


def _scale_residual(
    parts: dict[str, Part], norm: str, readers: Sequence[str], dense: str, next_norm: str, scale: NDArray[np.float32]
) -> None:
    before, added, after = parts[norm], parts[dense], parts[next_norm]
    assert isinstance(before, LayerNorm)
    assert isinstance(after, LayerNorm)
    assert isinstance(added, Dense)
    parts[norm] = replace(before, gamma=before.gamma / scale, beta=before.beta / scale)
    for reader in readers:
        part = parts[reader]
        assert isinstance(part, Dense)
        parts[reader] = replace(part, kernel=part.kernel * scale[:, None])
    parts[dense] = replace(added, kernel=added.kernel / scale, bias=added.bias / scale)
    parts[next_norm] = replace(after, input_scale=scale)


class _Observed(SingleText):
    """A text's forward pass that keeps the largest absolute value of each channel of each residual."""

    def __init__(self, weights: ClassifierWeights) -> None:
        super().__init__(weights)
        self.peaks: dict[str, Any] = {}

    def add(self, site: str, x: Any, y: Any) -> Any:
        added = super().add(site, x, y)
        self.peaks[site] = tf.reduce_max(tf.abs(added), 0)
        return added


def _peaks(weights: ClassifierWeights, rows: Sequence[Sequence[int]]) -> dict[str, NDArray[np.float32]]:
    """Residual -> largest absolute value of each channel, float32[width]."""
    graph = EdgeGraph(weights, FloatTable(weights.token_embeddings), FloatTable(weights.position_embeddings))

    @tf.function(input_signature=[tf.TensorSpec([1, None], tf.int32)], autograph=False)  # type: ignore[untyped-decorator]
    def observe(ids: Any) -> Any:
        ops = _Observed(weights)
        graph.classify_embeddings(graph.embed(ids), ops)
        return ops.peaks

    found: dict[str, NDArray[np.float32]] = {}
    for row in sampled(rows, _MOST_ROWS):  # not the first ones: a file may be sorted by label
        for site, peaks in observe(tf.constant([row], tf.int32)).items():
            found[site] = np.maximum(found.get(site, np.float32(0)), peaks.numpy())
    return found

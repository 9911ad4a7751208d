"""The edge graph as a functional `tf_keras` model, the only kind that TFMOT works on.

It computes the same as the edge graph, but kernels are variables, and every quantized activation is a layer `Site` with
the site's name. The embedding tables hold the values that the file's rounded rows have, and are not trained: so the
file rounds them to nearest, pieces that no training text contains stay consistent with the others, and the optimizer
keeps no moments for the largest arrays. Imported only in the child process.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras as keras
from numpy.typing import NDArray

from edgedistil_converters.graph.embeddings import embedding_table
from edgedistil_converters.graph.transformer import classify_embeddings
from edgedistil_converters.model.named_arrays import named_arrays
from edgedistil_converters.model.weights import ClassifierWeights, Dense, LayerNorm
from edgedistil_converters.preparation.quantization_aware import layers
from edgedistil_converters.preparation.quantization_aware.quantize_configs import (
    QuantizedAttention,
    QuantizedFlooredSite,
    QuantizedKernel,
    QuantizedSite,
    QuantizedTanh,
)
from edgedistil_converters.quantization.ranges import fixed_range, has_floor

__all__ = ["Calibration", "FloatMirror", "QuantizedMirror", "build_mirror", "quantize"]

_annotate = tfmot.quantization.keras.quantize_annotate_layer
_CLONED = {
    **{name: getattr(layers, name) for name in layers.__all__},
    **{
        config.__name__: config
        for config in (QuantizedAttention, QuantizedFlooredSite, QuantizedKernel, QuantizedSite, QuantizedTanh)
    },
}


@dataclass(frozen=True)
class FloatMirror:
    """The model with TFMOT's annotations, before anything is quantized.

    Attributes:
        model: Keras model, token_ids int32[b, m] -> logits float32[b, num_classes].
        sites: Site -> its symbolic tensor.
        pad_id: The id that attention masks.
    """

    model: Any
    sites: Mapping[str, Any]
    pad_id: int


@dataclass(frozen=True)
class Calibration:
    """Initial values of the learned ranges.

    Attributes:
        ranges: Site -> (min, max).
        floors: Site -> value to which smaller ones are raised, because the next step maps all of them to about 0; see
            `has_floor`.
    """

    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    floors: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class QuantizedMirror:
    """The model with TFMOT's fake quantization.

    Attributes:
        model: Keras model with the inputs and outputs of `FloatMirror.model`.
        sites: Names of the quantized activations, in the order of the forward pass.
    """

    model: Any
    sites: tuple[str, ...]

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Returns the trained weights under the names of `named_arrays`."""
        return {name: variable.numpy() for name, variable in _trainable(self.model)}

    def calibrate(self, calibration: Calibration) -> None:
        """Sets the initial values of the learned ranges."""
        for name, pair in calibration.ranges.items():
            if fixed_range(name) is None:
                for variable, value in zip(self._range_variables(name, "output"), pair, strict=True):
                    variable.assign(value)
        for name, floor in calibration.floors.items():
            self._variables(name)["output_floor"].assign(floor)

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Returns site -> (min, max) of its int8 grid, in the order of the forward pass."""
        return {
            name: fixed_range(name)
            or _grid_range(*(float(value.numpy()) for value in self._range_variables(name, "output")))
            for name in self.sites
        }

    def refresh_kernel_ranges(self) -> None:
        """Sets the scales of kernels from their current values; TFMOT does so only at the start of training steps."""
        for name, variable in _trainable(self.model):
            if name.endswith("/kernel") and self._is_quantized(name.replace("/kernel", "/dense")):
                largest = tf.reduce_max(tf.abs(variable), axis=0)  # [inputs, outputs] -> [outputs]: one scale each
                low, high = self._range_variables(name.replace("/kernel", "/dense"), "kernel")
                low.assign(-largest)
                high.assign(largest)

    def _is_quantized(self, layer: str) -> bool:
        return hasattr(self.model.get_layer(layer), "layer")  # TFMOT's wrapper keeps the layer in this attribute

    def _range_variables(self, layer: str, what: str) -> list[Any]:
        variables = self._variables(layer)
        return [variables[f"{what}_min"], variables[f"{what}_max"]]

    def _variables(self, layer: str) -> dict[str, Any]:
        return {_last_name(variable): variable for variable in self.model.get_layer(layer).variables}


@tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
def build_mirror(weights: ClassifierWeights, pad_id: int, weight_dtypes: Mapping[str, str]) -> FloatMirror:
    """Builds the annotated model of a classifier, with its weights.

    Args:
        weights: Weights of the float classifier.
        pad_id: The id that attention masks.
        weight_dtypes: Site -> dtype of its weights in the file; kernels of float32 will not be quantized.

    Example:
        >>> from edgedistil_converters.quantization.plan import QuantizationPlan
        >>> norm, dense = LayerNorm(np.ones(4), np.zeros(4), 1e-12), Dense(np.eye(4), np.zeros(4))
        >>> head = Dense(np.eye(4, 2), np.zeros(2))
        >>> weights = ClassifierWeights(np.eye(9, 4), np.zeros((5, 4)), norm, (), 1, dense, head, "softmax")
        >>> mirror = build_mirror(weights, pad_id=0, weight_dtypes=QuantizationPlan("int8-qat").weight_dtypes(0))
        >>> mirror.model(tf.constant([[2, 7, 3]])).shape, list(mirror.sites)
        (TensorShape([1, 2]), ['embeddings_layer_norm', 'pooled_dense', 'logits'])
    """
    ops = _KerasOps(weights, pad_id, weight_dtypes)
    logits = classify_embeddings(ops.embeddings(), weights.architecture, ops)
    mirror = FloatMirror(keras.Model(ops.token_ids, logits.values), ops.sites, pad_id)
    _set_weights(mirror.model, weights, weight_dtypes)
    return mirror


@tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
def quantize(mirror: FloatMirror, calibration: Calibration) -> QuantizedMirror:
    """Returns a copy of the model in which TFMOT rounds kernels and sites to their int8 grids.

    Example:
        >>> from edgedistil_converters.quantization.plan import QuantizationPlan
        >>> norm, dense = LayerNorm(np.ones(4), np.zeros(4), 1e-12), Dense(np.eye(4), np.zeros(4))
        >>> head = Dense(np.eye(4, 2), np.zeros(2))
        >>> weights = ClassifierWeights(np.eye(9, 4), np.zeros((5, 4)), norm, (), 1, dense, head, "softmax")
        >>> mirror = build_mirror(weights, pad_id=0, weight_dtypes=QuantizationPlan("int8-qat").weight_dtypes(0))
        >>> quantized = quantize(mirror, Calibration({"logits": (-1.0, 1.55)}))
        >>> [round(value, 3) for value in quantized.ranges()["logits"]]  # 256 points, 0.01 apart
        [-1.0, 1.55]
    """
    with tfmot.quantization.keras.quantize_scope(_CLONED):
        model = tfmot.quantization.keras.quantize_apply(mirror.model, quantized_layer_name_prefix="")
    quantized = QuantizedMirror(model, tuple(mirror.sites))
    quantized.calibrate(calibration)
    quantized.refresh_kernel_ranges()
    return quantized


@dataclass(frozen=True)
class _Rows:
    """An activation of the model that is being built.

    Attributes:
        values: Rows of all texts, [b * m, width], or of their first positions, [b, width].
        mask: Mask, [b * m, 1]: 1 at tokens, 0 at padding. None for first positions, which are never padding.
    """

    values: Any
    mask: Any = None


class _KerasOps:
    """The steps of the forward pass as layers of a functional model, each followed by a `Site`."""

    def __init__(self, weights: ClassifierWeights, pad_id: int, weight_dtypes: Mapping[str, str]) -> None:
        self.token_ids = keras.Input((None,), dtype="int32", name="token_ids")
        self.sites: dict[str, Any] = {}
        self._weights, self._weight_dtypes = weights, weight_dtypes
        self._mask = layers.TokenMask(pad_id)(self.token_ids)
        self._row_mask = layers.RowMask()(self._mask)
        self._scores_mask = layers.ScoresMask()(self._mask)

    def embeddings(self) -> _Rows:
        """Returns the sum of token and position embeddings."""
        weights = self._weights
        sizes = len(weights.token_embeddings), len(weights.position_embeddings), weights.width
        return _Rows(layers.Embeddings(*sizes, name="embeddings")(self.token_ids), self._row_mask)

    def dense(self, site: str, x: _Rows, *, activation: str | None = None) -> _Rows:
        weights = self._weights.parts[site]
        assert isinstance(weights, Dense)
        layer = keras.layers.Dense(weights.bias.size, kernel_initializer="zeros", name=f"{site}/dense")
        is_float = self._weight_dtypes[site] == "float32"
        values = (layer if is_float else _annotate(layer, QuantizedKernel()))(x.values)
        return self._site(site, layers.Relu()(values) if activation == "relu" else values, x.mask)

    def norm(self, site: str, x: _Rows) -> _Rows:
        weights = self._weights.parts[site]
        assert isinstance(weights, LayerNorm)
        return self._site(site, layers.LayerNorm(weights.epsilon, name=f"{site}/norm")(x.values), x.mask)

    def add(self, site: str, x: _Rows, y: _Rows) -> _Rows:
        return self._site(site, layers.Add()([x.values, y.values]), x.mask)

    def gelu(self, site: str, x: _Rows, *, is_approximate: bool) -> _Rows:
        return self._site(site, layers.Gelu(is_approximate=is_approximate)(x.values), x.mask)

    def tanh(self, site: str, x: _Rows) -> _Rows:
        return self._site(site, layers.Tanh()(x.values), x.mask, config=QuantizedTanh())

    def attend(self, layer: str, query: _Rows, key: _Rows, value: _Rows, *, is_first_only: bool) -> _Rows:
        queries, keys, values = (
            layers.SplitHeads(self._weights.num_heads)([rows.values, self._mask]) for rows in (query, key, value)
        )
        # Scores of padding are 0 when they are quantized, so they do not widen the range; the softmax then adds -120.
        scores_mask = layers.FirstScoresMask()(self._mask) if is_first_only else self._scores_mask
        scores = self._site(f"{layer}/scores", layers.Scores()([queries, keys]), scores_mask).values
        attention = layers.MaskedSoftmax()([scores, self._mask])
        attention = self._site(f"{layer}/attention", attention, config=QuantizedAttention()).values
        return self._site(f"{layer}/mixed", layers.MergeHeads()(layers.MixValues()([attention, values])), query.mask)

    def first_position(self, layer: str, x: _Rows) -> _Rows:
        return _Rows(layers.FirstPositions()([x.values, self._mask]))

    def _site(self, name: str, values: Any, mask: Any = None, *, config: Any = None) -> _Rows:
        default = QuantizedFlooredSite() if has_floor(name) else QuantizedSite()
        layer = _annotate(layers.Site(name=name), config or default)
        self.sites[name] = layer(values if mask is None else [values, mask])
        return _Rows(self.sites[name], mask)


def _set_weights(model: Any, weights: ClassifierWeights, weight_dtypes: Mapping[str, str]) -> None:
    arrays = named_arrays(weights)
    for name, variable in _trainable(model):
        variable.assign(arrays[name])
    for variable in model.get_layer("embeddings").variables:
        name = _last_name(variable)
        values = getattr(weights, name)
        variable.assign(embedding_table(values, weight_dtypes[name]).first_rows(len(values)))


def _trainable(model: Any) -> list[tuple[str, Any]]:
    """(name of `named_arrays`, variable) of all trained variables; a TFMOT wrapper has the named layer in `layer`."""
    return [
        (f"{getattr(layer, 'layer', layer).name.rpartition('/')[0]}/{_last_name(variable)}", variable)
        for layer in model.layers
        for variable in layer.trainable_variables
    ]


def _last_name(variable: Any) -> str:
    return str(variable.name).removesuffix(":0").rpartition("/")[2]


def _grid_range(lowest: float, highest: float) -> tuple[float, float]:
    """Moves a range as TFMOT's fake quantization does, so that 0 is one of its 256 points."""
    lowest, highest = min(lowest, 0.0), max(highest, 0.0)
    scale = (highest - lowest) / 255 or 1 / 255  # any scale does for a site that is always 0
    below = round(-lowest / scale)  # points below 0, 0 to 255
    return -below * scale, (255 - below) * scale

"""The edge graph as a functional `tf_keras` model, the only kind that TFMOT can work on.

It differs from the edge graph in nothing but its form: kernels are variables, and every quantized activation is a layer
`Site` with a name of its own. Token and position tables hold the values that the file's rows stand for, and stay as
they are: those rows are then plainly rounded, a piece that no training text uses moves as little as the others, and no
optimizer keeps two more copies of the largest arrays. Loaded in the child process only.
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
from edgedistil_converters.model.named_arrays import named_arrays
from edgedistil_converters.model.weights import ClassifierWeights, TransformerLayer
from edgedistil_converters.preparation.quantization_aware import layers
from edgedistil_converters.preparation.quantization_aware.quantize_configs import (
    QuantizedAttention,
    QuantizedFlooredSite,
    QuantizedKernel,
    QuantizedSite,
)
from edgedistil_converters.quantization.ranges import ATTENTION_RANGE, has_floor
from edgedistil_converters.sites import activation_sites

__all__ = ["Calibration", "FloatMirror", "QuantizedMirror", "build_mirror", "quantize"]

_annotate = tfmot.quantization.keras.quantize_annotate_layer
_CLONED = {
    **{name: getattr(layers, name) for name in layers.__all__},
    **{
        config.__name__: config for config in (QuantizedAttention, QuantizedFlooredSite, QuantizedKernel, QuantizedSite)
    },
}


@dataclass(frozen=True)
class FloatMirror:
    """The annotated model, in which nothing is quantized yet.

    Attributes:
        model: token_ids int32[b, m] -> logits float32[b, num_classes].
        sites: the symbolic tensor of each site.
        pad_id: the id that attention masks.
    """

    model: Any
    sites: Mapping[str, Any]
    pad_id: int


@dataclass(frozen=True)
class Calibration:
    """Where the training of ranges begins.

    Attributes:
        ranges: (lowest, highest) of each site.
        floors: of the sites that have one, the value below which nothing matters.
    """

    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    floors: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class QuantizedMirror:
    """The model with TFMOT's fake quantization.

    Attributes:
        model: as in `FloatMirror`.
        num_layers: transformer layers.
    """

    model: Any
    num_layers: int

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """The weights under the names of `named_arrays`."""
        return {name: variable.numpy() for name, variable in _trainable(self.model)}

    def calibrate(self, calibration: Calibration) -> None:
        """Lets the learned ranges begin somewhere."""
        for name, ends in calibration.ranges.items():
            if not name.endswith("/attention"):
                for variable, end in zip(self._range_variables(name, "output"), ends, strict=True):
                    variable.assign(end)
        for name, floor in calibration.floors.items():
            self._variables(name)["output_floor"].assign(floor)

    def ranges(self) -> dict[str, tuple[float, float]]:
        """The ends of the grid of each site, in the order of the forward pass."""
        return {
            name: ATTENTION_RANGE
            if name.endswith("/attention")
            else _grid_ends(*(float(end.numpy()) for end in self._range_variables(name, "output")))
            for name in activation_sites(self.num_layers)
        }

    def refresh_kernel_ranges(self) -> None:
        """Takes the scales of kernels from the kernels as they are; an evaluation would use those of the last step."""
        for name, variable in _trainable(self.model):
            if name.endswith("/kernel") and self._is_quantized(name.replace("/kernel", "/dense")):
                largest = tf.reduce_max(tf.abs(variable), axis=0)
                low, high = self._range_variables(name.replace("/kernel", "/dense"), "kernel")
                low.assign(-largest)
                high.assign(largest)

    def _is_quantized(self, layer: str) -> bool:
        return hasattr(self.model.get_layer(layer), "layer")  # a wrapper of TFMOT holds the layer itself

    def _range_variables(self, layer: str, what: str) -> list[Any]:
        variables = self._variables(layer)
        return [variables[f"{what}_min"], variables[f"{what}_max"]]

    def _variables(self, layer: str) -> dict[str, Any]:
        return {_last_name(variable): variable for variable in self.model.get_layer(layer).variables}


@tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
def build_mirror(weights: ClassifierWeights, pad_id: int, weight_dtypes: Mapping[str, str]) -> FloatMirror:
    """The annotated model of a classifier, with its weights, of which those of a float site will not be rounded."""
    builder = _Builder(weights, pad_id, weight_dtypes)
    x = builder.embed()
    for index, layer in enumerate(weights.layers):
        is_last = index == len(weights.layers) - 1
        x = builder.transformer_layer(x, layer, f"transformer_layer_{index}", is_first_position_only=is_last)
    if not weights.layers:
        x = builder.first_positions(x)
    pooled = builder.site("pooled_dense", layers.Relu()(builder.dense("pooled_dense", x, weights.pooled.bias.size)))
    logits = builder.site("logits", builder.dense("logits", pooled, weights.num_classes))
    mirror = FloatMirror(keras.Model(builder.token_ids, logits), builder.sites, pad_id)
    _set_weights(mirror.model, weights, weight_dtypes)
    return mirror


@tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
def quantize(mirror: FloatMirror, calibration: Calibration) -> QuantizedMirror:
    """A copy of the model in which TFMOT rounds kernels and sites."""
    with tfmot.quantization.keras.quantize_scope(_CLONED):
        model = tfmot.quantization.keras.quantize_apply(mirror.model, quantized_layer_name_prefix="")
    quantized = QuantizedMirror(model, num_layers=sum(name.endswith("/attention") for name in mirror.sites))
    quantized.calibrate(calibration)
    quantized.refresh_kernel_ranges()
    return quantized


class _Builder:
    """Puts layers behind one another."""

    def __init__(self, weights: ClassifierWeights, pad_id: int, weight_dtypes: Mapping[str, str]) -> None:
        self.token_ids = keras.Input((None,), dtype="int32", name="token_ids")
        self.sites: dict[str, Any] = {}
        self._weights, self._weight_dtypes = weights, weight_dtypes
        self._mask = layers.TokenMask(pad_id)(self.token_ids)
        self._row_mask = layers.RowMask()(self._mask)
        self._scores_mask = layers.ScoresMask()(self._mask)

    def embed(self) -> Any:
        weights = self._weights
        rows, positions = len(weights.token_embeddings), len(weights.position_embeddings)
        x = layers.Embeddings(rows, positions, weights.width, name="embeddings")(self.token_ids)
        return self.norm("embeddings_layer_norm", x, weights.embeddings_norm.epsilon, self._row_mask)

    def first_positions(self, rows: Any) -> Any:
        return layers.FirstPositions()([rows, self._mask])

    def site(self, name: str, x: Any, mask: Any = None, *, config: Any = None) -> Any:
        default = QuantizedFlooredSite() if has_floor(name) else QuantizedSite()
        layer = _annotate(layers.Site(name=name), config or default)
        self.sites[name] = layer(x if mask is None else [x, mask])
        return self.sites[name]

    def dense(self, name: str, x: Any, units: int) -> Any:
        layer = keras.layers.Dense(units, kernel_initializer="zeros", name=f"{name}/dense")
        is_float = self._weight_dtypes[name] == "float32"
        return (layer if is_float else _annotate(layer, QuantizedKernel()))(x)

    def norm(self, name: str, x: Any, epsilon: float, mask: Any) -> Any:
        return self.site(name, layers.LayerNorm(epsilon, name=f"{name}/norm")(x), mask)

    def transformer_layer(self, x: Any, layer: TransformerLayer, name: str, *, is_first_position_only: bool) -> Any:
        """One encoder layer; all positions attend, or the first alone."""
        mask = None if is_first_position_only else self._row_mask  # the first position is never padding

        def dense(site: str, rows: Any, units: int, mask: Any = mask) -> Any:
            return self.site(f"{name}/{site}", self.dense(f"{name}/{site}", rows, units), mask)

        queries = self.first_positions(x) if is_first_position_only else x
        inner = layer.query.bias.size
        query, key, value = (
            layers.SplitHeads(self._weights.num_heads)([rows, self._mask])
            for rows in (
                dense("query", queries, inner),
                dense("key", x, inner, self._row_mask),
                dense("value", x, inner, self._row_mask),
            )
        )
        mixed = self.site(f"{name}/mixed", self._attend(query, key, value, name, mask), mask)
        summed = layers.Add()([queries, dense("attention_output", mixed, self._weights.width)])
        summed = self.site(f"{name}/attention_residual", summed, mask)
        x = self.norm(f"{name}/attention_norm", summed, layer.attention_norm.epsilon, mask)
        hidden = layers.Gelu()(dense("intermediate", x, layer.intermediate.bias.size))
        hidden = self.site(f"{name}/gelu", hidden, mask)
        summed = layers.Add()([x, dense("output", hidden, self._weights.width)])
        summed = self.site(f"{name}/output_residual", summed, mask)
        return self.norm(f"{name}/output_norm", summed, layer.output_norm.epsilon, mask)

    def _attend(self, query: Any, key: Any, value: Any, name: str, mask: Any) -> Any:
        # Scores of padding become 0 before they are quantized, and -120 after it.
        scores_mask = self._scores_mask if mask is not None else layers.FirstScoresMask()(self._mask)
        scores = self.site(f"{name}/scores", layers.Scores()([query, key]), scores_mask)
        attention = layers.MaskedSoftmax()([scores, self._mask])
        attention = self.site(f"{name}/attention", attention, config=QuantizedAttention())
        return layers.MergeHeads()(layers.MixValues()([attention, value]))


def _set_weights(model: Any, weights: ClassifierWeights, weight_dtypes: Mapping[str, str]) -> None:
    arrays = named_arrays(weights)
    for name, variable in _trainable(model):
        variable.assign(arrays[name])
    for variable in model.get_layer("embeddings").variables:
        name = _last_name(variable)
        values = getattr(weights, name)
        variable.assign(embedding_table(values, weight_dtypes[name]).first_rows(len(values)))


def _trainable(model: Any) -> list[tuple[str, Any]]:
    """(name of `named_arrays`, variable) of all that is trained; a wrapper holds the layer that has the name."""
    return [
        (f"{getattr(layer, 'layer', layer).name.rpartition('/')[0]}/{_last_name(variable)}", variable)
        for layer in model.layers
        for variable in layer.trainable_variables
    ]


def _last_name(variable: Any) -> str:
    return str(variable.name).removesuffix(":0").rpartition("/")[2]


def _grid_ends(lowest: float, highest: float) -> tuple[float, float]:
    """The ends of the grid that TFMOT's fake quantization nudges a range to, so that 0 is one of its 256 points."""
    lowest, highest = min(lowest, 0.0), max(highest, 0.0)
    scale = (highest - lowest) / 255 or 1 / 255  # a site that is always 0 has any scale
    below = round(-lowest / scale)
    return -below * scale, (255 - below) * scale

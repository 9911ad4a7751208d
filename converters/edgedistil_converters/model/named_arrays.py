"""The weights of a classifier as arrays by name, as files and variables know them.

Names are those of the sites: `transformer_layer_0/query/kernel`, `embeddings_layer_norm/gamma`, `logits/bias`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistil_converters.model.weights import ClassifierWeights, Dense, LayerNorm, TransformerLayer

__all__ = ["named_arrays", "named_parts", "with_arrays"]

Arrays = Mapping[str, NDArray[Any]]
Part = Dense | LayerNorm

_HOMES = {"embeddings_layer_norm": "embeddings_norm", "pooled_dense": "pooled", "logits": "logits"}


def named_parts(weights: ClassifierWeights) -> Iterator[tuple[str, Part]]:
    """(site name, dense layer or layer norm) of everything that training changes."""
    for name, field in _HOMES.items():
        yield name, getattr(weights, field)
    for index, layer in enumerate(weights.layers):
        for part in fields(layer):
            yield f"transformer_layer_{index}/{part.name}", getattr(layer, part.name)


def named_arrays(weights: ClassifierWeights) -> dict[str, NDArray[np.float32]]:
    """The arrays that training changes: all but the embedding tables."""
    return {
        f"{name}/{array}": getattr(part, array)
        for name, part in named_parts(weights)
        for array in (("kernel", "bias") if isinstance(part, Dense) else ("gamma", "beta"))
    }


def with_arrays(weights: ClassifierWeights, arrays: Arrays) -> ClassifierWeights:
    """The same classifier with other numbers; `arrays` has the names of `named_arrays`."""
    layers = tuple(
        _with_arrays(layer, arrays, f"transformer_layer_{index}/") for index, layer in enumerate(weights.layers)
    )
    homes: dict[str, Any] = {field: _part(getattr(weights, field), arrays, name) for name, field in _HOMES.items()}
    return replace(weights, layers=layers, **homes)


def _with_arrays(layer: TransformerLayer, arrays: Arrays, prefix: str) -> TransformerLayer:
    parts: dict[str, Any] = {
        part.name: _part(getattr(layer, part.name), arrays, prefix + part.name) for part in fields(layer)
    }
    return replace(layer, **parts)


def _part(part: Part, arrays: Arrays, name: str) -> Part:
    if isinstance(part, Dense):
        return Dense(kernel=arrays[f"{name}/kernel"], bias=arrays[f"{name}/bias"])
    return LayerNorm(gamma=arrays[f"{name}/gamma"], beta=arrays[f"{name}/beta"], epsilon=part.epsilon)

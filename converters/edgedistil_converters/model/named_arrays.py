"""The weights of a classifier as arrays by name, for files and variables.

A name is a site and a field: `transformer_layer_0/query/kernel`, `embeddings_layer_norm/gamma`, `logits/bias`.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistil_converters.model.weights import ClassifierWeights, Part

__all__ = ["named_arrays", "with_arrays"]


def named_arrays(weights: ClassifierWeights) -> dict[str, NDArray[np.float32]]:
    """Returns the arrays that training changes, by name: all but the embedding tables.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> from edgedistil_converters.model.keras_hub import read_weights
        >>> named_arrays(read_weights(load_classifier("intents")))["logits/bias"].shape
        (3,)
    """
    return {f"{site}/{name}": array for site, part in weights.parts.items() for name, array in _arrays(part).items()}


def with_arrays(weights: ClassifierWeights, arrays: Mapping[str, NDArray[Any]]) -> ClassifierWeights:
    """Returns the same classifier with other values; `arrays` has all the names of `named_arrays`.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> from edgedistil_converters.model.keras_hub import read_weights
        >>> weights = read_weights(load_classifier("intents"))
        >>> halved = with_arrays(weights, {name: array / 2 for name, array in named_arrays(weights).items()})
        >>> bool((halved.logits.kernel == weights.logits.kernel / 2).all())
        True
    """
    return weights.with_parts({site: _with_arrays(part, site, arrays) for site, part in weights.parts.items()})


def _with_arrays(part: Part, site: str, arrays: Mapping[str, NDArray[Any]]) -> Part:
    found: dict[str, Any] = {name: arrays[f"{site}/{name}"] for name in _arrays(part)}
    return replace(part, **found)


def _arrays(part: Part) -> dict[str, NDArray[np.float32]]:
    """Field -> array of a part; without the epsilon of a layer norm, which is a number."""
    found = {field.name: getattr(part, field.name) for field in fields(part)}
    return {name: value for name, value in found.items() if isinstance(value, np.ndarray)}

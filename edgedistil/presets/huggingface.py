"""The classification head of a Hugging Face `DistilBertForSequenceClassification` checkpoint.

KerasHub 0.32 loads the backbone and the tokenizer of such a checkpoint and leaves the head random. The head is the
same one under other names (transformers, models/distilbert/modeling_distilbert.py): `pre_classifier`, ReLU,
`classifier`, read at the first token.
"""

from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras_hub.src.utils.transformers.safetensor_utils import SafetensorLoader

from edgedistil_runtime.errors import PresetError

__all__ = ["check_config", "has_trained_head", "labels", "load_head", "num_classes"]

_ARCHITECTURE = "DistilBertForSequenceClassification"


def has_trained_head(config: dict[str, Any]) -> bool:
    """Whether the checkpoint's config announces a text classifier."""
    return _ARCHITECTURE in (config.get("architectures") or [])


def check_config(config: dict[str, Any], preset: str) -> None:
    """Refuse a variant that KerasHub would load as something else than it is, without a word.

    Raises:
        PresetError: another activation than GELU, or a head that does not choose one class of several.
    """
    activation = config.get("activation", "gelu")
    if activation != "gelu":
        raise PresetError(f"{preset}: KerasHub's DistilBERT computes GELU. Received: activation {activation!r}")
    problem = config.get("problem_type") or "single_label_classification"
    if has_trained_head(config) and problem != "single_label_classification":
        raise PresetError(
            f"{preset}: a classifier here gives one label of several (single_label_classification). "
            f"Received: problem_type {problem!r}"
        )


def num_classes(directory: Path) -> int:
    """The number of classes of the head, read from its weights."""
    with SafetensorLoader(str(directory), prefix="") as loader:
        return int(loader.get_tensor("classifier.bias").shape[0])


def labels(config: dict[str, Any], count: int) -> tuple[str, ...]:
    """The class names of `id2label`, which transformers leaves out where they are its defaults, `LABEL_0` and on."""
    names = {int(index): str(name) for index, name in (config.get("id2label") or {}).items()}
    return tuple(names.get(index, f"LABEL_{index}") for index in range(max(count, len(names))))


def load_head(classifier: keras.Model, directory: Path) -> None:
    """Copy the head's weights; transformers stores a kernel as (out, in), Keras as (in, out)."""
    with SafetensorLoader(str(directory), prefix="") as loader:
        for layer, name in ((classifier.pooled_dense, "pre_classifier"), (classifier.output_dense, "classifier")):
            layer.kernel.assign(np.transpose(loader.get_tensor(f"{name}.weight")))
            layer.bias.assign(loader.get_tensor(f"{name}.bias"))

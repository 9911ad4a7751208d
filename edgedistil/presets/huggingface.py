"""The classification head of a Hugging Face `DistilBertForSequenceClassification` checkpoint.

KerasHub 0.32 loads the backbone and the tokenizer of such a checkpoint and leaves the head random. The head is the
same one under other names (transformers, models/distilbert/modeling_distilbert.py): `pre_classifier`, ReLU,
`classifier`, computed from the first token.
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
    """Returns True if the checkpoint's config names a text classifier.

    Example:
        >>> has_trained_head({"architectures": ["DistilBertForSequenceClassification"]})
        True
        >>> has_trained_head({"architectures": ["DistilBertForMaskedLM"]})
        False
    """
    return _ARCHITECTURE in (config.get("architectures") or [])


def check_config(config: dict[str, Any], preset: str) -> None:
    """Refuses a variant that KerasHub would load wrongly without an error.

    Raises:
        PresetError: the activation is not GELU, or the head does not choose one class of several.

    Example:
        >>> check_config({"activation": "relu"}, "hf://someone/model")
        Traceback (most recent call last):
        edgedistil_runtime.errors.PresetError: ... Received: activation 'relu'
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
    """Number of classes of the head, read from its weights."""
    with SafetensorLoader(str(directory), prefix="") as loader:
        return int(loader.get_tensor("classifier.bias").shape[0])


def labels(config: dict[str, Any], count: int) -> tuple[str, ...]:
    """Class names of `id2label`; transformers leaves out its defaults, `LABEL_0` and so on.

    Example:
        >>> labels({"id2label": {"0": "off", "1": "on"}}, 2), labels({}, 2)
        (('off', 'on'), ('LABEL_0', 'LABEL_1'))
    """
    names = {int(index): str(name) for index, name in (config.get("id2label") or {}).items()}
    return tuple(names.get(index, f"LABEL_{index}") for index in range(max(count, len(names))))


def load_head(classifier: keras.Model, directory: Path) -> None:
    """Copies the weights of the head; transformers stores a kernel as [out, in], Keras as [in, out]."""
    with SafetensorLoader(str(directory), prefix="") as loader:
        for layer, name in ((classifier.pooled_dense, "pre_classifier"), (classifier.output_dense, "classifier")):
            layer.kernel.assign(np.transpose(loader.get_tensor(f"{name}.weight")))
            layer.bias.assign(loader.get_tensor(f"{name}.bias"))

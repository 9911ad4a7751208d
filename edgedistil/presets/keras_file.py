"""A `.keras` file, which `classifier.save("name.keras")` writes -> a Keras classifier."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from edgedistil.builder import build_classifier
from edgedistil.presets.download import KERAS_SUFFIX
from edgedistil.presets.folding import fold
from edgedistil.presets.keras_hub_format import CLASSIFIERS, in_float32
from edgedistil_converters.model.folded_bert import is_distil_bert
from edgedistil_runtime.errors import PresetError

__all__ = ["load", "read_config"]


def read_config(path: Path) -> dict[str, Any]:
    """Returns the config of the model in a file, without loading it."""
    with zipfile.ZipFile(path) as archive:
        return dict(json.loads(archive.read("config.json")))


def load(
    path: Path,
    config: Mapping[str, Any],
    preset: str,
    *,
    num_classes: int | None,
    options: Mapping[str, Any],
    load_weights: bool = True,
    has_preprocessor: bool = True,
) -> Any:
    """Loads the classifier of a file; the arguments are those of `huggingface.load`.

    Raises:
        PresetError: the file holds another kind of model, or a classifier without a preprocessor.
    """
    kind = config.get("class_name")
    if kind not in CLASSIFIERS:
        raise PresetError(
            f"A {KERAS_SUFFIX} file must hold a text classifier with its preprocessor ({', '.join(CLASSIFIERS)}). "
            f"Received: {preset}, which is a {kind}. Save a backbone with save_to_preset"
        )
    source = keras.saving.load_model(path, compile=False)
    if has_preprocessor and source.preprocessor is None:
        raise PresetError(
            f"{preset}: the classifier needs its preprocessor, which contains the vocabulary. "
            "Received: preprocessor=None. Set classifier.preprocessor, and save it again"
        )
    if not is_distil_bert(source.backbone):
        return fold(source, num_classes=num_classes, options=options)
    source = in_float32(source)
    if num_classes is None and not options:
        return source
    own = {"activation": source.activation, "hidden_dim": source.hidden_dim, "dropout": source.dropout}
    classifier = build_classifier(
        source.backbone,
        num_classes or source.num_classes,
        preprocessor=source.preprocessor,
        pooled_activation=keras.activations.serialize(source.pooled_dense.activation),
        **{**(own if num_classes is None else {}), **options},
    )
    if num_classes is None:
        for variable, new in zip(source.weights, classifier.weights, strict=True):
            new.assign(variable)
    return classifier

"""A preset directory in KerasHub's format -> a Keras classifier: DistilBERTs and BERTs, with or without a trained head.

DistilBERTs, and BERTs that EdgeDistil saved, are loaded by KerasHub. A KerasHub BERT is loaded by KerasHub too and then
copied into a DistilBERT, see `folding.py`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import keras_hub

from edgedistil.builder import build_classifier
from edgedistil.presets.folding import fold
from edgedistil.presets.huggingface_tokenizer import check_vocabulary
from edgedistil_converters.model.folded_bert import FoldedBertBackbone

__all__ = ["BACKBONES", "CLASSIFIERS", "has_trained_head", "in_float32", "load"]

_BERT = "BertBackbone"
BACKBONES = ("DistilBertBackbone", _BERT, FoldedBertBackbone.__name__)
CLASSIFIERS = (
    *("DistilBertTextClassifier", "DistilBertClassifier", "BertTextClassifier", "BertClassifier"),
    "FoldedBertTextClassifier",
)


def has_trained_head(directory: Path) -> bool:
    """Returns True if the directory holds the weights of a text classifier's head.

    Example:
        >>> from pathlib import Path
        >>> has_trained_head(Path("intents"))
        True
    """
    # KerasHub silently makes a random head if task.weights.h5 is missing.
    if not (directory / "task.json").is_file() or not (directory / "task.weights.h5").is_file():
        return False
    task = json.loads((directory / "task.json").read_text(encoding="utf-8"))
    return task.get("class_name") in CLASSIFIERS


def load(
    directory: Path,
    config: Mapping[str, Any],
    preset: str,
    *,
    num_classes: int | None,
    options: Mapping[str, Any],
    load_weights: bool = True,
    has_preprocessor: bool = True,
) -> Any:
    """Loads a classifier with KerasHub's `from_preset`; the arguments are those of `huggingface.load`."""
    given: dict[str, Any] = {"load_weights": load_weights}
    # The preset's vocabulary would be loaded over that of a preprocessor handed to from_preset.
    given |= {} if has_preprocessor else {"preprocessor": None}
    given |= _mixed_precision(config)
    if config["class_name"] == _BERT:
        is_new = num_classes is not None
        head = {"num_classes": num_classes} if is_new else {}
        source = keras_hub.models.BertTextClassifier.from_preset(str(directory), **given, **head)
        classifier = fold(source, num_classes=num_classes, options=options)
    else:
        head = {} if num_classes is None else {"num_classes": num_classes}
        given = {**given, **options, **head}
        classifier = in_float32(keras_hub.models.DistilBertTextClassifier.from_preset(str(directory), **given))
    if has_preprocessor and classifier.preprocessor is not None:
        pieces = classifier.preprocessor.tokenizer.vocabulary_size()
        check_vocabulary(pieces, classifier.backbone.vocabulary_size, preset)
    return classifier


def _mixed_precision(config: Mapping[str, Any]) -> dict[str, str]:
    """KerasHub 0.32 loads a preset of mixed precision only if it is told the precision ("Invalid dtype" otherwise)."""
    policy = config["config"].get("dtype")
    name = str(policy.get("config", {}).get("name") if isinstance(policy, dict) else policy)
    return {"dtype": name} if name.startswith("mixed_") else {}


def in_float32(source: Any) -> Any:
    """Rebuilds a classifier of mixed precision: its weights are float32, and so is the arithmetic of a file.

    KerasHub cannot load it in another precision, because its optimizer's state is saved with it and has another form.
    """
    if source.backbone.compute_dtype == "float32":
        return source
    classifier = build_classifier(
        type(source.backbone).from_config({**source.backbone.get_config(), "dtype": "float32"}),
        source.num_classes,
        preprocessor=source.preprocessor,
        activation=source.activation,
        hidden_dim=source.hidden_dim,
        dropout=source.dropout,
        pooled_activation=keras.activations.serialize(source.pooled_dense.activation),
    )
    for variable, new in zip(source.weights, classifier.weights, strict=True):
        new.assign(variable)
    return classifier

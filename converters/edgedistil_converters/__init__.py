"""Converts a KerasHub `DistilBertTextClassifier` into one self-contained, verified `.tflite` file.

    classifier -> weights -> edge graph + tokenizer -> flatbuffer -> verified artefact

Example:
    >>> import keras_hub
    >>> from edgedistil_converters import QuantizationPlan, convert_classifier
    >>> classifier = keras_hub.models.DistilBertTextClassifier.from_preset("intents")
    >>> labels = ["lights", "music", "weather"]
    >>> convert_classifier(classifier, labels, "fp16.tflite", plan=QuantizationPlan("fp16")).parity.label_agreement
    1.0

Names are imported when they are first used: reading a file's structure needs no TensorFlow.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgedistil_converters.convert import Conversion, convert_classifier, convert_prepared
    from edgedistil_converters.interface import ModelInterface
    from edgedistil_converters.preparation.prepared import ConversionOptions, PreparedClassifier
    from edgedistil_converters.preparation.pruning import PrunedClassifier, PruningReport, prune_classifier
    from edgedistil_converters.preparation.score_calibration import calibrate_scores
    from edgedistil_converters.preparation.unknown_texts import fit_unknown_rule
    from edgedistil_converters.quantization.plan import LayerScheme, QuantizationPlan
    from edgedistil_converters.tflite.structure import Structure, read_structure
    from edgedistil_converters.verification.verify import ParityReport

__all__ = [
    "Conversion",
    "ConversionOptions",
    "LayerScheme",
    "ModelInterface",
    "ParityReport",
    "PreparedClassifier",
    "PrunedClassifier",
    "PruningReport",
    "QuantizationPlan",
    "Structure",
    "calibrate_scores",
    "convert_classifier",
    "convert_prepared",
    "fit_unknown_rule",
    "prune_classifier",
    "read_structure",
]

_LAZY_NAMES = {
    "Conversion": "convert",
    "ConversionOptions": "preparation.prepared",
    "ModelInterface": "interface",
    "LayerScheme": "quantization.plan",
    "ParityReport": "verification.verify",
    "PreparedClassifier": "preparation.prepared",
    "PrunedClassifier": "preparation.pruning",
    "PruningReport": "preparation.pruning",
    "QuantizationPlan": "quantization.plan",
    "Structure": "tflite.structure",
    "calibrate_scores": "preparation.score_calibration",
    "convert_classifier": "convert",
    "convert_prepared": "convert",
    "fit_unknown_rule": "preparation.unknown_texts",
    "prune_classifier": "preparation.pruning",
    "read_structure": "tflite.structure",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY_NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY_NAMES[name]}"), name)

"""Converts a KerasHub `DistilBertTextClassifier` into one self-contained, verified `.tflite` file.

    classifier -> weights -> edge graph + tokenizer -> flatbuffer -> verified artefact

Example:
    >>> from edgedistil_converters import QuantizationPlan, convert_classifier
    >>> convert_classifier(classifier, ["ham", "spam"], "spam.tflite", plan=QuantizationPlan("int8"))
"""

from edgedistil_converters.convert import Conversion, convert_classifier
from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_converters.structure import Structure, read_structure
from edgedistil_converters.verification import ParityReport

__all__ = ["Conversion", "ParityReport", "QuantizationPlan", "Structure", "convert_classifier", "read_structure"]

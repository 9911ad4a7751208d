"""Quantization-aware training: the classifier learns to live with int8 before it is written as int8.

    weights, texts -> folder -> child process: mirror -> TFMOT's fake quantization -> training -> weights, ranges

TensorFlow Model Optimization (TFMOT) works on `tf_keras` models alone, and importing it turns `tf.keras` into
`tf_keras` for the whole process, which KerasHub does not survive. So training runs in a child process, fed and
answering through files. What this package exports loads neither TensorFlow nor TFMOT; what the child runs does.
"""

from edgedistil_converters.preparation.quantization_aware.launch import train_quantization_aware
from edgedistil_converters.preparation.quantization_aware.settings import QATData, QATEpoch, QATResult, QATSettings
from edgedistil_converters.quantization.ranges import ATTENTION_RANGE
from edgedistil_converters.sites import activation_sites

__all__ = [
    "ATTENTION_RANGE",
    "QATData",
    "QATEpoch",
    "QATResult",
    "QATSettings",
    "activation_sites",
    "train_quantization_aware",
]

"""Quantization-aware training (QAT): trains a classifier with simulated int8 before it is written as int8.

    weights, texts -> folder -> child process: mirror -> TFMOT's fake quantization -> training -> weights, ranges

TensorFlow Model Optimization (TFMOT) works only on `tf_keras` models, and importing it replaces `tf.keras` in the whole
process, which breaks KerasHub. So training runs in a child process, whose input and output are files. The names
exported here import neither TensorFlow nor TFMOT; only the modules of the child do.
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

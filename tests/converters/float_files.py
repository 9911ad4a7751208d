"""A float file of a classifier, before any quantization."""

from edgedistil_converters import QuantizationPlan
from edgedistil_converters.flatbuffer import convert_module
from edgedistil_converters.interface import ModelInterface
from edgedistil_converters.model.keras_hub import read_weights
from edgedistil_converters.tokenizer.settings import read_tokenizer

TOKENS_ALONE = ModelInterface("none")  # without the tokenizer, half of the time of a conversion


def float_file(classifier):
    from edgedistil_converters.signatures import TextClassifierModule

    plan = QuantizationPlan("fp32")
    module = TextClassifierModule(
        read_weights(classifier), *read_tokenizer(classifier.preprocessor), plan, TOKENS_ALONE
    )
    return convert_module(module, plan, {})

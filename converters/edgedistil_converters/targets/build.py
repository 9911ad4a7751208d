"""Builds the encoder for a target."""

from collections.abc import Callable, Iterable, Sequence

from edgedistil_converters.model.weights import ClassifierWeights
from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_converters.quantization.ranges import Ranges
from edgedistil_converters.targets.parts import TargetEncoder
from edgedistil_runtime.artifact import TokenizerSettings
from edgedistil_runtime.contract import CORALBOARD, EDGETPU, GPU

__all__ = ["build_encoder"]


def build_encoder(
    target: str,
    weights: ClassifierWeights,
    settings: TokenizerSettings,
    plan: QuantizationPlan,
    token_ids: Callable[[], Iterable[Sequence[int]]],
    ranges: Ranges | None = None,
    fixed_lengths: Sequence[int] = (),
) -> TargetEncoder | None:
    """Builds the part of a classifier that an accelerator runs; returns None for a CPU, and for an NPU.

    Args:
        target: `cpu`, `gpu`, `edgetpu`, `coralboard` or `npu`.
        weights: Weights of the classifier.
        settings: Options of its tokenizer.
        plan: How to quantize.
        token_ids: Function that returns rows of token ids without padding, to measure ranges on; called only if needed.
        ranges: Ranges learned in training, site -> (min, max).
        fixed_lengths: Lengths for a GPU, beside that of the longest row; empty for powers of two.

    Raises:
        ConversionError: See `build_gpu_encoder`, `build_edgetpu_encoder` and `build_coralboard_encoder`.

    Example:
        >>> from edgedistil.presets.loading import load_classifier
        >>> from edgedistil_converters.model.read_classifier import read_classifier
        >>> read = read_classifier(load_classifier("intents"))
        >>> build_encoder("gpu", read.weights, read.settings, QuantizationPlan("fp16"), lambda: []).lengths
        (16,)
        >>> build_encoder("cpu", read.weights, read.settings, QuantizationPlan("fp16"), lambda: []) is None
        True
    """
    if target == GPU:
        from edgedistil_converters.targets.gpu import build_gpu_encoder

        return build_gpu_encoder(weights, settings.sequence_length, plan, fixed_lengths)
    if target == EDGETPU:
        from edgedistil_converters.targets.edgetpu import build_edgetpu_encoder

        return build_edgetpu_encoder(weights, settings, plan, token_ids(), ranges=ranges)
    if target == CORALBOARD:
        from edgedistil_converters.targets.coralboard import build_coralboard_encoder

        return build_coralboard_encoder(weights, settings, plan, token_ids(), ranges=ranges)
    return None

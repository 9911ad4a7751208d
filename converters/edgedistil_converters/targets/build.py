"""The encoder of a target, by the target's name."""

from collections.abc import Callable, Iterable, Sequence

from edgedistil_converters.model.weights import ClassifierWeights
from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_converters.quantization.ranges import Ranges
from edgedistil_converters.targets.parts import TargetEncoder
from edgedistil_runtime.artifact import TokenizerSettings

__all__ = ["build_encoder"]


def build_encoder(
    target: str,
    weights: ClassifierWeights,
    settings: TokenizerSettings,
    plan: QuantizationPlan,
    token_ids: Callable[[], Iterable[Sequence[int]]],
    ranges: Ranges | None = None,
) -> TargetEncoder | None:
    """The part of a classifier that an accelerator runs; None for a CPU.

    Args:
        target: `cpu`, `gpu` or `edgetpu`.
        weights: of the classifier.
        settings: of its tokenizer.
        plan: how to quantize.
        token_ids: rows to measure ranges on, without padding; called where they are needed.
        ranges: learned in training, site -> (least, greatest).

    Raises:
        ConversionError: see `build_gpu_encoder` and `build_edgetpu_encoder`.
    """
    if target == "gpu":
        from edgedistil_converters.targets.gpu import build_gpu_encoder

        return build_gpu_encoder(weights, settings.sequence_length, plan)
    if target == "edgetpu":
        from edgedistil_converters.targets.edgetpu import build_edgetpu_encoder

        return build_edgetpu_encoder(weights, settings, plan, token_ids(), ranges=ranges)
    return None

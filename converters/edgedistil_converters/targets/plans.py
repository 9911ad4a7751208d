"""Which plans and interfaces a target can run, and why not the others."""

from collections.abc import Mapping
from dataclasses import dataclass

from edgedistil_converters.interface import ModelInterface
from edgedistil_converters.quantization.plan import SCHEMES, QuantizationPlan, Tolerance
from edgedistil_runtime.errors import ConversionError

__all__ = ["TARGETS", "Target", "check_target", "check_target_plan", "encoder_tolerance", "target_schemes"]

_TOKENIZERS = ("builtin", "none")


@dataclass(frozen=True)
class Target:
    """What an accelerator asks of a plan.

    Attributes:
        name: for people, as the beginning of a sentence.
        refusals: scheme -> why the target cannot run it, also when a single layer has it.
        tolerance: for what the encoder for it computes; None for the plan's own.
    """

    name: str
    refusals: Mapping[str, str]
    tolerance: Tolerance | None = None


_FIXED_RANGES = (
    "a GPU computes in float, so fixed ranges gain nothing there, and LiteRT 2.3 was seen to run a fully quantized "
    "model on it and to answer zeros without an error"
)
_FLOAT = "its arithmetic is int8 alone, with the range of every activation fixed in the file"
TARGETS: Mapping[str, Target] = {
    "cpu": Target("A CPU", {}),
    "gpu": Target(
        "A GPU",
        {
            "int4": "LiteRT 2.3 was seen to abort the whole process when it loads int4 weights for a GPU",
            "int8-static": _FIXED_RANGES,
            "int8-qat": _FIXED_RANGES,
        },
    ),
    # Its encoder is int8 from end to end, layer norms and softmax too, and has a stand-in for GELU.
    "edgetpu": Target(
        "An Edge TPU", dict.fromkeys(("fp32", "fp16", "int8", "int4"), _FLOAT), Tolerance(0.6, 0.06, 0.75)
    ),
}


def check_target(target: str, plan: QuantizationPlan, interface: ModelInterface) -> None:
    """Refuses what a target cannot run, before anything is built.

    Raises:
        ConversionError: no such target, a plan that it cannot run, or an interface that leaves it nothing to run.
    """
    check_target_plan(target, plan)
    if target == "cpu":
        return
    if interface.tokenizer not in _TOKENIZERS:
        raise ConversionError(
            f"A file for {target} has the tokenizer {' or '.join(_TOKENIZERS)}. Received: {interface.tokenizer!r}, "
            "whose hosts link ops of their own for the CPU. Leave out --tokenizer."
        )
    if interface.metadata is not None:
        raise ConversionError(
            f"MediaPipe chooses the accelerator by itself and reads the one model at the front of a file. Received: "
            f"--target {target} with --metadata {interface.metadata}. Leave out one of them."
        )


def encoder_tolerance(target: str, plan: QuantizationPlan) -> Tolerance:
    """How far probabilities of the encoder for a target may be from those of the Keras classifier."""
    return _target(target).tolerance or plan.tolerance


def target_schemes(target: str) -> tuple[str, ...]:
    """The schemes that a target can run.

    Example:
        >>> target_schemes("gpu")
        ('fp32', 'fp16', 'int8')
    """
    return tuple(scheme for scheme in SCHEMES if scheme not in _target(target).refusals)


def check_target_plan(target: str, plan: QuantizationPlan) -> None:
    """Refuses a plan that a target cannot run.

    Args:
        target: `cpu`, `gpu` or `edgetpu`.
        plan: for its classifier.

    Raises:
        ConversionError: no such target, or a scheme, of the plan or of one of its layers, that it cannot run; the
            message says why, and which schemes it can.
    """
    refusals = _target(target).refusals
    if plan.scheme in refusals:
        raise ConversionError(
            f"{_target(target).name} cannot run a plan of {plan.scheme}: {refusals[plan.scheme]}. "
            f"Received: --target {target} --quantize {plan.scheme}. Use one of {', '.join(target_schemes(target))}."
        )
    for layer in plan.layers:
        # In a plan of fixed ranges a layer of int8 is one with fixed ranges. Tables are looked up on the CPU.
        is_fixed = plan.is_static and layer.scheme == "int8"
        if layer.scheme in refusals and not is_fixed and not layer.is_for_embeddings:
            raise ConversionError(
                f"{_target(target).name} cannot run layers of {layer.scheme}: {refusals[layer.scheme]}. "
                f"Received: --target {target} --layer '{layer.pattern}={layer.scheme}'. Leave that layer to the plan."
            )


def _target(name: str) -> Target:
    if name not in TARGETS:
        raise ConversionError(f"A target is one of {', '.join(TARGETS)}. Received: {name!r}.")
    return TARGETS[name]

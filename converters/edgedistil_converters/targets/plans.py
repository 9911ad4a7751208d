"""Checks that a target can run a plan and an interface."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from edgedistil_converters.interface import ModelInterface
from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_converters.quantization.schemes import SCHEMES, Rules, Tolerance
from edgedistil_runtime.contract import NO_TOKENIZER, NPU
from edgedistil_runtime.errors import ConversionError

__all__ = [
    "TARGETS",
    "Target",
    "check_target",
    "check_target_plan",
    "encoder_rules",
    "encoder_tolerance",
    "target_schemes",
]

_TOKENIZERS = ("builtin", "none")


@dataclass(frozen=True)
class Target:
    """A target and its limits.

    Attributes:
        name: Name for people, as the beginning of a sentence.
        refusals: Scheme -> why the target cannot run it, also in a single layer.
        tolerance: Bounds for the probabilities of the encoder for this target; None for those of the plan.
        rules: Rules for the encoder for this target; None for those of the plan.

    Example:
        >>> sorted(TARGETS["gpu"].refusals)
        ['int4', 'int8-qat', 'int8-static']
    """

    name: str
    refusals: Mapping[str, str]
    tolerance: Tolerance | None = None
    rules: Rules | None = None


_FIXED_RANGES = (
    "a GPU computes in float, so fixed ranges gain nothing, and LiteRT 2.3 was seen to run a fully quantized model "
    "on it and to return zeros without an error"
)
_FLOAT_REFUSALS = dict.fromkeys(
    ("fp32", "fp16", "int8", "int4"), "it computes only in int8, with the range of every activation fixed in the file"
)
# The bounds are wide because the whole encoder is int8, including layer norms and softmax, and approximates GELU.
_INT8_TOLERANCE = Tolerance(0.6, 0.06, 0.75)
# Its probabilities have steps of 1/256: small ones become 0, so their logarithm, the logit, says nothing.
_INT8_RULES = Rules(0.95, 2.0, 0.12, 1.0, max_logit_error=math.inf)
_BLOCKS = "compilers for NPUs refuse weights with a scale for each block"
_MIXED = "compilers for NPUs take float weights with float activations, and int8 weights with int8 activations only"
_RANGES = "attention over padded rows is float in such a file, so that an NPU would have to change between the two"
TARGETS: Mapping[str, Target] = {
    "cpu": Target("A CPU", {}),
    "gpu": Target(
        "A GPU",
        {
            "int4": "LiteRT 2.3 does not support int4 weights on a GPU",
            "int8-static": _FIXED_RANGES,
            "int8-qat": _FIXED_RANGES,
        },
    ),
    "edgetpu": Target("An Edge TPU", _FLOAT_REFUSALS, _INT8_TOLERANCE, _INT8_RULES),
    "coralboard": Target("A Coralboard", _FLOAT_REFUSALS, _INT8_TOLERANCE, _INT8_RULES),  # the same encoder
    "npu": Target("An NPU", {"int8": _MIXED, "int4": _BLOCKS, "int8-static": _RANGES, "int8-qat": _RANGES}),
}


def check_target(target: str, plan: QuantizationPlan, interface: ModelInterface) -> None:
    """Check, before any work, that a target can run a plan and an interface.

    Args:
        target: `cpu`, `gpu`, `edgetpu`, `coralboard` or `npu`.
        plan: The plan of the classifier.
        interface: The interface of the file.

    Raises:
        ConversionError: The target is unknown, cannot run the plan, or has no part in a file with this interface.

    Example:
        >>> check_target("gpu", QuantizationPlan("int8"), ModelInterface())
        >>> check_target("gpu", QuantizationPlan("int8"), ModelInterface("tftext"))
        Traceback (most recent call last):
        edgedistil_runtime.errors.ConversionError: A file for gpu has the tokenizer builtin or none. ...
    """
    check_target_plan(target, plan)
    if target == "cpu":
        return
    if target == NPU and (interface.tokenizer != NO_TOKENIZER or interface.metadata is not None):
        raise ConversionError(
            "A file for an NPU takes token ids, because a tokenizer has shapes that depend on the text. Received: "
            f"`target` {target} with `tokenizer` {interface.tokenizer}"
            f"{f' and `metadata` {interface.metadata}' if interface.metadata else ''}. Pass `tokenizer`='none' alone."
        )
    if interface.tokenizer not in _TOKENIZERS:
        raise ConversionError(
            f"A file for {target} has the tokenizer {' or '.join(_TOKENIZERS)}. Received: {interface.tokenizer!r}, "
            "whose hosts link custom ops for the CPU. Leave out `tokenizer`."
        )
    if interface.metadata is not None:
        raise ConversionError(
            "MediaPipe chooses the accelerator itself and reads only the first model of a file. Received: "
            f"`target` {target} with `metadata` {interface.metadata}. Leave out one of them."
        )


def encoder_tolerance(target: str, plan: QuantizationPlan) -> Tolerance:
    """Return the bounds for probabilities of the encoder for a target.

    Args:
        target: `cpu`, `gpu`, `edgetpu`, `coralboard` or `npu`.
        plan: The plan of the classifier.

    Example:
        >>> encoder_tolerance("edgetpu", QuantizationPlan("int8-static")).largest
        0.6
    """
    return _target(target).tolerance or plan.tolerance


def encoder_rules(target: str, plan: QuantizationPlan) -> Rules | None:
    """Return the rules for the encoder for a target; None if every text must keep its tolerance.

    Args:
        target: `cpu`, `gpu`, `edgetpu`, `coralboard` or `npu`.
        plan: The plan of the classifier.

    Example:
        >>> encoder_rules("gpu", QuantizationPlan("fp32")) is None
        True
    """
    return _target(target).rules or plan.rules


def target_schemes(target: str) -> tuple[str, ...]:
    """Return the schemes that a target can run.

    Example:
        >>> target_schemes("gpu")
        ('fp32', 'fp16', 'int8')
    """
    return tuple(scheme for scheme in SCHEMES if scheme not in _target(target).refusals)


def check_target_plan(target: str, plan: QuantizationPlan) -> None:
    """Check that a target can run a plan.

    Args:
        target: `cpu`, `gpu`, `edgetpu`, `coralboard` or `npu`.
        plan: The plan of the classifier.

    Raises:
        ConversionError: The target is unknown, or cannot run the scheme of the plan or of a layer. The message contains
            the reason and the schemes that it can run.
    """
    refusals = _target(target).refusals
    if plan.scheme in refusals:
        raise ConversionError(
            f"{_target(target).name} cannot run a plan of {plan.scheme}: {refusals[plan.scheme]}. "
            f"Received: `target` {target} with `scheme` {plan.scheme}. Use one of {', '.join(target_schemes(target))}."
        )
    for layer in plan.layers:
        # In a plan with fixed ranges an int8 layer has fixed ranges too. Embedding tables are on the CPU in any case.
        is_fixed = plan.is_static and layer.scheme == "int8"
        if layer.scheme in refusals and not is_fixed and not layer.is_for_embeddings:
            raise ConversionError(
                f"{_target(target).name} cannot run layers of {layer.scheme}: {refusals[layer.scheme]}. "
                f"Received: `target` {target} with {layer.pattern}={layer.scheme} in `layers`. Leave it out."
            )


def _target(name: str) -> Target:
    if name not in TARGETS:
        raise ConversionError(f"`target` must be one of {', '.join(TARGETS)}. Received: {name!r}.")
    return TARGETS[name]

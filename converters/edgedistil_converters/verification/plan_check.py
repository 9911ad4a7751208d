"""Checks the structure of a finished file against its plan."""

from collections.abc import Mapping

from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_converters.sites import EMBEDDING_SITES
from edgedistil_converters.tflite.structure import Structure, version_key
from edgedistil_runtime.errors import StructureError

__all__ = ["check_structure"]

_FLOAT_STEP = "masked_attention"
_LAST = 999  # larger than the number of any patch release
_HEAD_MATMULS = 2  # number of matmuls in a classifier without transformer layers


def check_structure(structure: Structure, plan: QuantizationPlan, custom_ops: frozenset[str] = frozenset()) -> None:
    """Checks ops, dtypes and the required runtime of a file.

    Args:
        structure: Structure of the file, as `read_structure` returns it.
        plan: The plan that it was quantized by.
        custom_ops: Names of ops that it may have although they are not builtin.

    Raises:
        StructureError: An op that is not allowed, weights or activations of another dtype than the plan's, large float
            constants in an int8 file, or ops that are newer than `plan.oldest_runtime`.

    Example:
        >>> from edgedistil_converters.tflite.structure import read_structure
        >>> from edgedistil_runtime import read_artifact
        >>> structure = read_structure(read_artifact("intents.tflite").flatbuffer())
        >>> check_structure(structure, QuantizationPlan("int8"))
        >>> check_structure(structure, QuantizationPlan("fp32"))
        Traceback (most recent call last):
        edgedistil_runtime.errors.StructureError: The matmuls of a file with the scheme fp32 must have ...
    """
    foreign = sorted(set(structure.custom_ops) - custom_ops)
    if foreign:
        allowed = f"builtin ops and {', '.join(sorted(custom_ops))}" if custom_ops else "builtin ops"
        raise StructureError(f"The file must contain only {allowed}. Received: {', '.join(foreign)}.")
    dtypes = plan.weight_dtypes(len({site.split("/")[0] for site in structure.matmuls if "/" in site}))
    expected = {site: dtype for site, dtype in dtypes.items() if site not in EMBEDDING_SITES}
    received = {site: weights for site, (weights, _) in structure.matmuls.items()}
    if received != expected:
        pairs = {site: (expected.get(site), received.get(site)) for site in expected | received}
        shown = [f"{site}: {a} expected, {b} found" for site, (a, b) in pairs.items() if a != b]
        raise StructureError(
            f"The matmuls of a file with the scheme {plan.scheme} must have the weights of the plan. "
            f"Received: {'; '.join(shown[:5])}."
        )
    if plan.oldest_runtime and version_key(structure.minimum_runtime) > (*version_key(plan.oldest_runtime), _LAST):
        raise StructureError(
            f"The file must run on TFLite {plan.oldest_runtime}. Received: ops of TFLite {structure.minimum_runtime}."
        )
    if plan.is_static:
        _check_integer_activations(structure, expected)
    if "float32" not in dtypes.values() and plan.scheme != "fp16" and structure.large_float_constants:
        raise StructureError(
            f"A file with the scheme {plan.scheme} must contain no large float constants. "
            f"Received: {', '.join(structure.large_float_constants[:5])}."
        )


def _check_integer_activations(structure: Structure, dtypes: Mapping[str, str]) -> None:
    """Checks that int8 matmuls, attention without a mask, and GELU have int8 outputs."""
    matmuls = [site for site, dtype in dtypes.items() if dtype == "int8" and structure.matmuls[site][1] != "int8"]
    steps = [site for site in structure.float_steps if not site.endswith(f"/{_FLOAT_STEP}")]
    if len(dtypes) > _HEAD_MATMULS and (matmuls or steps):
        raise StructureError(
            "Matmuls, attention and GELU of a file with fixed ranges must have int8 outputs. "
            f"Received: float outputs of {', '.join([*matmuls, *steps][:5])}."
        )

"""Is a file made of what its plan says?"""

from collections.abc import Mapping

from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_converters.sites import EMBEDDING_SITES
from edgedistil_converters.tflite.structure import Structure, version_key
from edgedistil_runtime.errors import StructureError

__all__ = ["check_structure"]

_FLOAT_STEP = "masked_attention"
_LAST = 999  # after every patch release
_HEAD_MATMULS = 2  # a classifier without transformer layers has no others


def check_structure(structure: Structure, plan: QuantizationPlan, custom_ops: frozenset[str] = frozenset()) -> None:
    """Compares a structure with the contract and with its plan.

    Args:
        structure: of the file.
        plan: that made it.
        custom_ops: names of ops that it may have although they are no builtins.

    Raises:
        StructureError: an op that it may not have, weights of another dtype than the plan's, or large float constants
            in an int8 file.
    """
    foreign = sorted(set(structure.custom_ops) - custom_ops)
    if foreign:
        beside = f" and {', '.join(sorted(custom_ops))}" if custom_ops else ""
        raise StructureError(f"The file must hold builtin ops{beside} alone. Received: {', '.join(foreign)}.")
    dtypes = plan.weight_dtypes(len({site.split("/")[0] for site in structure.matmuls if "/" in site}))
    due = {site: dtype for site, dtype in dtypes.items() if site not in EMBEDDING_SITES}
    received = {site: weights for site, (weights, _) in structure.matmuls.items()}
    if received != due:
        wrong = {site: (due.get(site), received.get(site)) for site in due | received}
        shown = [f"{site}: {a} due, {b} found" for site, (a, b) in wrong.items() if a != b]
        raise StructureError(
            f"The matmuls of a {plan.scheme} file must have the weights that the plan says. "
            f"Received: {'; '.join(shown[:5])}."
        )
    if plan.oldest_runtime and version_key(structure.minimum_runtime) > (*version_key(plan.oldest_runtime), _LAST):
        raise StructureError(
            f"The file must run on TFLite {plan.oldest_runtime}. Received: ops of TFLite {structure.minimum_runtime}."
        )
    if plan.is_static:
        _check_integer_activations(structure, due)
    if "float32" not in dtypes.values() and plan.scheme != "fp16" and structure.large_float_constants:
        raise StructureError(
            f"An {plan.scheme} file must hold no large float constants. "
            f"Received: {', '.join(structure.large_float_constants[:5])}."
        )


def _check_integer_activations(structure: Structure, due: Mapping[str, str]) -> None:
    """Every matmul that the plan has not taken out puts out int8; so do attention without a mask, and GELU."""
    matmuls = [site for site, dtype in due.items() if dtype == "int8" and structure.matmuls[site][1] != "int8"]
    steps = [site for site in structure.float_steps if not site.endswith(f"/{_FLOAT_STEP}")]
    if len(due) > _HEAD_MATMULS and (matmuls or steps):
        raise StructureError(
            "Matmuls, attention and GELU of a file with fixed ranges must put out int8. "
            f"Received: float from {', '.join([*matmuls, *steps][:5])}."
        )

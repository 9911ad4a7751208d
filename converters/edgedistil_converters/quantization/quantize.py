"""Quantizes a float flatbuffer: translates a plan to a recipe for Google's litert-quantizer."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from edgedistil_converters.quantization.int4 import BLOCK, fill_zero_blocks, rounded_weights, write_weights
from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_converters.quantization.ranges import Ranges, quantizer_statistics
from edgedistil_converters.sites import ACTIVATION_SITES, EMBEDDING_SITES
from edgedistil_converters.tflite.quiet import quiet
from edgedistil_converters.tflite.site_names import site_of
from edgedistil_runtime.errors import ConversionError

__all__ = ["quantize"]

# litert-quantizer searches these patterns in the names of an op's outputs, each followed by a semicolon. A static plan
# quantizes the encoder and the head. Float are the arithmetic inside a layer norm, whose squares need more than 8 bits,
# and the attention of padded batches, whose mask (-120) would widen its range.
_ENCODER = r"(^|/)(transformer_layer_\d+/|pooled_dense|pooled_tanh|logits)"
_FLOAT_INSIDE = (r"_norm[/;]", r"/masked_attention[/;]")


def quantize(
    model: bytes,
    plan: QuantizationPlan,
    weight_dtypes: Mapping[str, str],
    ranges: Ranges | None = None,
    sample_rows: Sequence[Sequence[int]] = (),
) -> bytes:
    """Quantize the matmuls of a model, and its activations if the plan fixes their ranges.

    Embedding tables are left as they are: the graph was built with quantized ones.

    Args:
        model: A float flatbuffer with named sites.
        plan: How to quantize.
        weight_dtypes: Site -> dtype of its weights, see `QuantizationPlan.weight_dtypes`.
        ranges: Activation ranges, site -> (min, max). Only for static plans.
        sample_rows: Token ids of texts, without padding. Only for plans that round by GPTQ.

    Returns:
        The quantized flatbuffer.

    Raises:
        ConversionError: A range is missing or invalid, there are no rows to round by, or the quantizer refuses the
            model.
    """
    if plan.is_static:
        return _quantized(model, plan, weight_dtypes, ranges)
    int4 = _matmuls(weight_dtypes, "int4")
    has_blocks = plan.int4_scales == "block"
    rounded = rounded_weights(model, int4, sample_rows, has_blocks=has_blocks) if plan.rounding == "gptq" else {}
    if has_blocks:
        model = fill_zero_blocks(model, _int4_matmuls(weight_dtypes, _input_widths(_content(model)))[0])
    return write_weights(_quantized(model, plan, weight_dtypes, None), rounded)


def _quantized(model: bytes, plan: QuantizationPlan, weight_dtypes: Mapping[str, str], ranges: Ranges | None) -> bytes:
    """Quantize a model with litert-quantizer, which rounds to nearest."""
    from litert_quantizer import quantizer

    content = _content(model)
    with TemporaryDirectory(prefix="edgedistil-") as folder:
        path = Path(folder, "float.tflite")
        path.write_bytes(model)
        work = quantizer.Quantizer(str(path))
        statistics = None
        if plan.is_static:
            _check_ranges(ranges or {}, weight_dtypes)
            _add_static_recipe(work, weight_dtypes)
            statistics = quantizer_statistics(content, ranges or {})
            # It would run an interpreter over the model, which fails with custom ops, to find signatures with empty
            # statistics. There are none: every entry has a minimum and a maximum.
            work._ensure_model_qsv_sufficient = lambda _: None
        else:
            _add_dynamic_recipe(work, plan, weight_dtypes, _input_widths(content))
        try:
            with quiet():
                quantized = work.quantize(statistics).quantized_model
        except Exception as error:  # the quantizer's errors have no common type
            raise ConversionError(f"litert-quantizer refused a plan of {plan.scheme}: {error}") from error
    if quantized is None:
        raise ConversionError(f"litert-quantizer returned no model for a plan of {plan.scheme}.")
    return bytes(quantized)


def _content(model: bytes) -> Any:
    return schema.ModelT.InitFromPackedBuf(model, 0)


def _check_ranges(ranges: Ranges, weight_dtypes: Mapping[str, str]) -> None:
    layers = sorted({site.split("/")[0] for site in weight_dtypes if "/" in site})
    required = [*(f"{layer}/{name}" for layer in layers for name in ACTIVATION_SITES), "pooled_dense", "logits"]
    missing = [site for site in required if site not in ranges]
    if missing:
        raise ConversionError(
            "There must be a range for every activation of the encoder and the head. "
            f"Missing: {', '.join(missing[:5])}."
        )
    wrong = {site: pair for site, pair in ranges.items() if not -math.inf < pair[0] <= 0 <= pair[1] < math.inf}
    if wrong:
        site, pair = next(iter(wrong.items()))
        raise ConversionError(
            f"A range is (min, max), finite, and contains 0, which int8 must represent exactly. "
            f"Received: {tuple(pair)} for {site}."
        )


def _add_dynamic_recipe(
    work: Any, plan: QuantizationPlan, weight_dtypes: Mapping[str, str], input_widths: Mapping[str, int]
) -> None:
    """Add recipes for dynamic plans: weights have fixed scales, activations get theirs at run time.

    int8 weights have one scale per output channel, or per matrix where old kernels must run them. int4 weights have one
    per 32 weights of a channel, or per channel if the plan says so. TFLite's blocks must divide a channel evenly; other
    int4 channels have one scale each.

    Args:
        work: A `Quantizer`.
        plan: The plan.
        weight_dtypes: Site -> dtype of its weights.
        input_widths: Site -> weights per output channel.
    """
    from litert_quantizer import qtyping

    whole, blocks = qtyping.QuantGranularity.CHANNELWISE, qtyping.QuantGranularity.BLOCKWISE_32
    even, uneven = _int4_matmuls(weight_dtypes, input_widths)
    int8 = qtyping.QuantGranularity.TENSORWISE if plan.oldest_runtime else whole
    int4 = blocks if plan.int4_scales == "block" else whole
    recipe = ((_matmuls(weight_dtypes, "int8"), 8, int8), (even, 4, int4), (uneven, 4, whole))
    for sites, bits, granularity in recipe:
        if sites:
            work.add_dynamic_config(_is_one_of(sites), qtyping.TFLOperationName.FULLY_CONNECTED, bits, granularity)


def _int4_matmuls(weight_dtypes: Mapping[str, str], input_widths: Mapping[str, int]) -> tuple[list[str], list[str]]:
    """Return the sites whose int4 weights have blocks, and those with one scale per output channel."""
    sites = _matmuls(weight_dtypes, "int4")
    even = [site for site in sites if input_widths[site] % BLOCK == 0]
    return even, [site for site in sites if site not in even]


def _input_widths(content: Any) -> dict[str, int]:
    """Return site -> weights per output channel of its matmul."""
    widths = {}
    for signature in content.signatureDefs:
        subgraph = content.subgraphs[signature.subgraphIndex]
        for op in subgraph.operators:
            if content.operatorCodes[op.opcodeIndex].builtinCode == schema.BuiltinOperator.FULLY_CONNECTED:
                site = site_of(subgraph.tensors[op.outputs[0]].name.decode(), signature.signatureKey.decode())
                widths[site] = int(subgraph.tensors[op.inputs[1]].shape[1])
    return widths


def _add_static_recipe(work: Any, weight_dtypes: Mapping[str, str]) -> None:
    from litert_quantizer import algorithm_manager, qtyping

    every, nothing = qtyping.TFLOperationName.ALL_SUPPORTED, algorithm_manager.AlgorithmName.NO_QUANTIZE
    work.add_static_config(_ENCODER, every, 8, 8)
    for pattern in _FLOAT_INSIDE:
        work.update_quantization_recipe(pattern, every, algorithm_key=nothing)
    floats = _matmuls(weight_dtypes, "float32")
    if floats:
        work.update_quantization_recipe(_is_one_of(floats), every, algorithm_key=nothing)


def _matmuls(weight_dtypes: Mapping[str, str], dtype: str) -> list[str]:
    return [site for site, found in weight_dtypes.items() if found == dtype and site not in EMBEDDING_SITES]


def _is_one_of(sites: Sequence[str]) -> str:
    return f"/({'|'.join(map(re.escape, sites))});"

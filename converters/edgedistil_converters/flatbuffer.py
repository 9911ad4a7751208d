"""From a TensorFlow module to the bytes of a TFLite flatbuffer, quantized as the plan says."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_converters.quantization.quantize import quantize
from edgedistil_converters.quantization.ranges import Ranges
from edgedistil_converters.sites import EMBEDDING_SITES
from edgedistil_converters.tflite.buffers import normalize_flatbuffer, packed
from edgedistil_converters.tflite.quiet import quiet
from edgedistil_converters.tflite.site_names import name_sites
from edgedistil_runtime.errors import ConversionError

__all__ = ["convert_module"]


def convert_module(
    module: Any,
    plan: QuantizationPlan,
    default_shapes: Mapping[str, Mapping[str, tuple[int, ...]]],
    *,
    has_custom_ops: bool = False,
    calibrate: Callable[[bytes], Ranges] | None = None,
    sample_rows: Callable[[], Sequence[Sequence[int]]] | None = None,
) -> bytes:
    """Converts a module into a TFLite flatbuffer.

    Args:
        module: A `tf.Module`; every value of `module.functions` is a `tf.function` with an input signature. Its
            `weight_dtypes`, site -> dtype, are what the plan makes of its weights; a module without them has none.
        plan: How to quantize.
        default_shapes: Signature -> input -> the shape to declare for it, see `signatures.DEFAULT_SHAPES`.
        has_custom_ops: True to let ops through that are no builtins.
        calibrate: Function from the float model, with its sites named, to the ranges of activations; for a plan that
            fixes them.
        sample_rows: Function that returns token ids of texts, without padding; for a plan that rounds by GPTQ.

    Returns:
        A TFLite flatbuffer.

    Raises:
        ConversionError: TensorFlow's converter refuses the graph, the plan does not fit it, or `calibrate` or
            `sample_rows` is needed and missing.

    Example:
        >>> module = tf.Module()
        >>> twice = tf.function(lambda x: {"y": 2 * x}, input_signature=[tf.TensorSpec([2], name="x")])
        >>> module.functions = {"twice": twice}
        >>> convert_module(module, QuantizationPlan("fp32"), {})[4:8]
        b'TFL3'
    """
    _check_needs(plan, calibrate, sample_rows)
    with tempfile.TemporaryDirectory(prefix="edgedistil-") as folder, quiet():
        tf.saved_model.save(module, folder, signatures=dict(module.functions))
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(module.functions))
        converter.allow_custom_ops = has_custom_ops
        if plan.scheme == "fp16":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        try:
            model = bytes(converter.convert())
        except Exception as error:  # the converter's own errors have no common type
            raise ConversionError(f"TensorFlow's converter refused the graph: {_first_line(error)}") from error
    named = _with_sites(model)
    dtypes: Mapping[str, str] = getattr(module, "weight_dtypes", {})
    if {"int8", "int4"} & {dtype for site, dtype in dtypes.items() if site not in EMBEDDING_SITES}:
        ranges = calibrate(named) if plan.is_static and calibrate else None
        rows = sample_rows() if plan.rounding == "gptq" and sample_rows else ()
        named = quantize(named, plan, dtypes, ranges, rows)
    return normalize_flatbuffer(named, default_shapes)


def _check_needs(plan: QuantizationPlan, calibrate: object, sample_rows: object) -> None:
    if plan.is_static and calibrate is None:
        raise ConversionError(
            f"A plan of {plan.scheme} fixes the ranges of activations. Received: calibrate=None. Pass a function from "
            "the float model to ranges, such as one that calls `activation_ranges`, or use the scheme int8."
        )
    if plan.rounding == "gptq" and sample_rows is None:
        raise ConversionError(
            "A plan that rounds by GPTQ needs texts. Received: sample_rows=None. Pass a function that gives rows of "
            "token ids, or leave rounding at nearest, which needs none."
        )


def _with_sites(model: bytes) -> bytes:
    """The model with its sites named."""
    content = schema.ModelT.InitFromPackedBuf(model, 0)
    name_sites(content)
    return packed(content, len(model))


def _first_line(error: Exception) -> str:
    """The converter appends the whole graph to its messages."""
    return str(error).strip().splitlines()[0][:500] if str(error).strip() else type(error).__name__

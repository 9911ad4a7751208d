"""From a TensorFlow module to the bytes of a TFLite flatbuffer, quantized as the plan says."""

import copy
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_converters.quantization.quantize import quantize
from edgedistil_converters.quantization.ranges import Ranges
from edgedistil_converters.quiet import quiet
from edgedistil_converters.sites import matmul_sites, name_sites
from edgedistil_runtime.artifact import FILE_IDENTIFIER
from edgedistil_runtime.errors import ConversionError

__all__ = ["as_every_runtime_reads_it", "convert_module", "packed"]

_FULLY_CONNECTED = schema.BuiltinOperator.FULLY_CONNECTED
# Of float activations and per-channel int8 weights, from GetBuiltinOperatorVersion in TFLite's
# tools/versioning/op_version.cc. int4 weights get it too: with version 1, tflite-runtime 2.14 loads them and answers
# nonsense.
_NEW_KERNEL_VERSION = 12


def convert_module(
    module: Any,
    plan: QuantizationPlan,
    default_shapes: Mapping[str, Mapping[str, tuple[int, ...]]],
    *,
    has_custom_ops: bool = False,
    calibrate: Callable[[bytes], Ranges] | None = None,
    sample_rows: Callable[[], Sequence[Sequence[int]]] | None = None,
) -> bytes:
    """Converts a module with a `functions` dict, signature name -> traced function.

    Args:
        module: a `tf.Module`; every value of `module.functions` is a `tf.function` with an input signature.
        plan: how to quantize.
        default_shapes: signature -> input -> the shape to declare for it, see `signatures.DEFAULT_SHAPES`.
        has_custom_ops: whether ops that are no builtins are let through.
        calibrate: the ranges of activations, for a plan that fixes them: given the float model with its sites named.
        sample_rows: token ids of texts, without padding, for a plan that rounds by GPTQ.

    Returns:
        A TFLite flatbuffer.

    Raises:
        ConversionError: TensorFlow's converter refuses the graph, the plan does not fit it, or it needs ranges or rows
            that are not given.
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
            model = bytearray(converter.convert())
        except Exception as error:  # the converter's own errors have no common type
            raise ConversionError(f"TensorFlow's converter refused the graph: {_first_line(error)}") from error
    named, num_layers = _with_sites(bytes(model))
    dtypes = plan.weight_dtypes(num_layers)
    if {"int8", "int4"} & {dtypes[site] for site in matmul_sites(num_layers)}:
        ranges = calibrate(named) if plan.is_static and calibrate else None
        rows = sample_rows() if plan.rounding == "gptq" and sample_rows else ()
        named = quantize(named, plan, dtypes, ranges, rows)
    model = bytearray(as_every_runtime_reads_it(named))
    _declare_shapes(model, default_shapes)
    return bytes(model)


def _check_needs(plan: QuantizationPlan, calibrate: object, sample_rows: object) -> None:
    if plan.is_static and calibrate is None:
        raise ConversionError(
            f"A plan of {plan.scheme} fixes the ranges of activations. Received: calibrate=None. Pass a function from "
            "the float model to ranges, such as one that calls `activation_ranges`, or use int8, which needs none."
        )
    if plan.rounding == "gptq" and sample_rows is None:
        raise ConversionError(
            "A plan that rounds by GPTQ needs texts. Received: sample_rows=None. Pass a function that gives rows of "
            "token ids, or leave rounding at nearest, which needs none."
        )


def _with_sites(model: bytes) -> tuple[bytes, int]:
    """The model with its sites named, and how many transformer layers it has."""
    content = schema.ModelT.InitFromPackedBuf(model, 0)
    num_layers = name_sites(content)
    return packed(content, len(model)), num_layers


def packed(content: Any, size: int) -> bytes:
    """The bytes of a `ModelT`.

    Args:
        content: the model.
        size: about how many bytes there will be.
    """
    builder = flatbuffers.Builder(size + 1024)
    builder.Finish(content.Pack(builder), file_identifier=FILE_IDENTIFIER)
    return bytes(builder.Output())


def as_every_runtime_reads_it(model: bytes) -> bytes:
    """Mends what converters leave.

    litert-quantizer 0.11 puts constants behind the flatbuffer, where TFLite before 2.15 does not look for them: they
    are moved into it. It leaves version 1 on matmuls with one scale per output channel, with which tflite-runtime 2.14
    accepts the file and applies the first scale to all channels: they get the version that TFLite gives to such a
    matmul. And TensorFlow numbers the branches of an IF by how many functions the process has traced: they are named
    by their place, and their tensors not at all, so that equal classifiers give equal files.
    """
    content = schema.ModelT.InitFromPackedBuf(model, 0)
    for buffer in content.buffers:
        if buffer.offset > 1:  # 0 and 1 stand for inline and absent, see `Buffer` in TFLite's schema.fbs
            buffer.data = np.frombuffer(model, np.uint8, buffer.size, buffer.offset)
        buffer.offset = buffer.size = 0
    _raise_versions(content)
    called = {signature.subgraphIndex for signature in content.signatureDefs}
    for index, subgraph in enumerate(content.subgraphs):
        if index not in called:
            subgraph.name = f"branch_{index}".encode()
            for tensor in subgraph.tensors:
                tensor.name = b""
    return packed(content, len(model))


def _raise_versions(content: Any) -> None:
    """Gives matmuls that an old kernel would get wrong an operator code that it refuses."""
    matmuls = {i for i, code in enumerate(content.operatorCodes) if code.builtinCode == _FULLY_CONNECTED}
    per_channel = [
        op
        for subgraph in content.subgraphs
        for op in subgraph.operators
        if op.opcodeIndex in matmuls and _needs_a_new_kernel(subgraph, op)
    ]
    if per_channel:
        code = copy.copy(content.operatorCodes[per_channel[0].opcodeIndex])
        code.version = _NEW_KERNEL_VERSION
        content.operatorCodes.append(code)
    for op in per_channel:
        op.opcodeIndex = len(content.operatorCodes) - 1


def _needs_a_new_kernel(subgraph: Any, op: Any) -> bool:
    """Whether an old kernel would take a matmul's weights for int8 with one scale, and compute something else."""
    activations, weights = (subgraph.tensors[op.inputs[k]] for k in (0, 1))
    scales = weights.quantization.scale if weights.quantization is not None else None
    is_per_channel = scales is not None and len(scales) > 1
    return activations.type == schema.TensorType.FLOAT32 and (is_per_channel or weights.type == schema.TensorType.INT4)


def _declare_shapes(model: bytearray, default_shapes: Mapping[str, Mapping[str, tuple[int, ...]]]) -> None:
    """Writes default shapes of resizable inputs over the ones that the converter left, in place."""
    root = schema.Model.GetRootAs(model, 0)
    for i in range(root.SignatureDefsLength()):
        signature = root.SignatureDefs(i)
        subgraph = root.Subgraphs(signature.SubgraphIndex())
        shapes = default_shapes.get(signature.SignatureKey().decode(), {})
        for k in range(signature.InputsLength()):
            shape = shapes.get(signature.Inputs(k).Name().decode())
            if shape is not None:
                subgraph.Tensors(signature.Inputs(k).TensorIndex()).ShapeAsNumpy()[:] = shape


def _first_line(error: Exception) -> str:
    """The converter appends the whole graph to its messages."""
    return str(error).strip().splitlines()[0][:500] if str(error).strip() else type(error).__name__

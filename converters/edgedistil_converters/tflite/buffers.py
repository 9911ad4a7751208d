"""The bytes of a TFLite flatbuffer: packing, and mending what converters leave in it."""

import copy
from collections.abc import Mapping
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgedistil_runtime.artifact import FILE_IDENTIFIER

__all__ = ["declare_shapes", "normalize_flatbuffer", "packed"]

_FULLY_CONNECTED = schema.BuiltinOperator.FULLY_CONNECTED
# Of float activations and per-channel int8 weights, from GetBuiltinOperatorVersion in TFLite's
# tools/versioning/op_version.cc. int4 weights get it too: with version 1, tflite-runtime 2.14 loads them and answers
# nonsense.
_NEW_KERNEL_VERSION = 12


def packed(content: Any, size: int) -> bytes:
    """The bytes of a `ModelT`.

    Args:
        content: the model.
        size: about how many bytes there will be.
    """
    builder = flatbuffers.Builder(size + 1024)
    builder.Finish(content.Pack(builder), file_identifier=FILE_IDENTIFIER)
    return bytes(builder.Output())


def normalize_flatbuffer(model: bytes) -> bytes:
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


def declare_shapes(model: bytearray, default_shapes: Mapping[str, Mapping[str, tuple[int, ...]]]) -> None:
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

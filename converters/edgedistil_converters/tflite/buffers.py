"""The bytes of a TFLite flatbuffer: packing, and repairs of what converters write."""

import copy
from collections.abc import Mapping
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgedistil_converters.tflite.sharing import Apart, SharingBuilder
from edgedistil_converters.tflite.site_names import site_of
from edgedistil_runtime.artifact import FILE_IDENTIFIER
from edgedistil_runtime.fixed_shapes import is_fixed

__all__ = ["called_subgraphs", "normalize_flatbuffer", "packed"]

_FULLY_CONNECTED = schema.BuiltinOperator.FULLY_CONNECTED
# The version for float activations and per-channel int8 weights, from GetBuiltinOperatorVersion in TFLite's
# tools/versioning/op_version.cc. int4 weights get it too: tflite-runtime 2.14 loads them with version 1 and computes
# wrong results.
_NEW_KERNEL_VERSION = 12


def packed(content: Any, size: int, builder: type[flatbuffers.Builder] = flatbuffers.Builder) -> bytes:
    """Return the bytes of a `ModelT`.

    Args:
        content: The model.
        size: Approximate number of bytes.
        builder: What writes them: `SharingBuilder` for bytes that nobody changes in place.

    Example:
        >>> packed(schema.ModelT(), size=100)[4:8]
        b'TFL3'
    """
    writer = builder(size + 1024)
    writer.Finish(content.Pack(writer), file_identifier=FILE_IDENTIFIER)
    return bytes(writer.Output())


def normalize_flatbuffer(
    model: bytes, default_shapes: Mapping[str, Mapping[str, tuple[int, ...]]] | None = None
) -> bytes:
    """Return a flatbuffer that every supported runtime reads, and that is equal for equal classifiers.

    Repairs five things:

    * litert-quantizer 0.11 puts constants after the flatbuffer, where TFLite before 2.15 does not look for them. They
      are moved into it.
    * litert-quantizer 0.11 leaves version 1 on matmuls with one scale per output channel. tflite-runtime 2.14 accepts
      such a file and applies the first scale to all channels. The matmuls get the version that TFLite gives them.
    * TensorFlow names and orders the branches of an IF by the number of functions that the process has traced. They
      are put in the order in which ops call them and named by their index, and the names of their tensors are removed.
    * Every signature repeats what describes its graph: operators, shapes, the scales of a matmul's channels. Equal
      parts are stored once, as the weights are.
    * Signatures of fixed shapes repeat the graph for each length. What no reader needs is removed from them.

    Args:
        model: A flatbuffer from TensorFlow's converter or litert-quantizer.
        default_shapes: Signature -> input -> shape, for resizable inputs. Others keep the shapes from the converter.

    Example:
        >>> from edgedistil_runtime import read_artifact
        >>> model = normalize_flatbuffer(read_artifact("intents.tflite").flatbuffer())
        >>> content = schema.ModelT.InitFromPackedBuf(model, 0)
        >>> {buffer.offset for buffer in content.buffers}  # all constants are inside
        {0}
        >>> [subgraph.name for subgraph in content.subgraphs if b"branch" in subgraph.name][:1]
        [b'branch_...']
    """
    content = schema.ModelT.InitFromPackedBuf(model, 0)
    for buffer in content.buffers:
        if buffer.offset > 1:  # 0 and 1 mean inline and absent, see `Buffer` in TFLite's schema.fbs
            buffer.data = np.frombuffer(model, np.uint8, buffer.size, buffer.offset)
        buffer.offset = buffer.size = 0
    _raise_versions(content)
    _order_branches(content)
    _strip_fixed(content)
    called = {signature.subgraphIndex for signature in content.signatureDefs}
    for index, subgraph in enumerate(content.subgraphs):
        if index not in called:
            subgraph.name = f"branch_{index}".encode()
            for tensor in subgraph.tensors:
                tensor.name = b""
    _declare_shapes(content, default_shapes or {})
    _keep_outputs_apart(content)
    return packed(content, len(model), builder=SharingBuilder)


def _strip_fixed(content: Any) -> None:
    """Removes names, empty quantization and shapes that are there twice from signatures of fixed shapes."""
    for signature in content.signatureDefs:
        name = signature.signatureKey.decode()
        if not is_fixed(name):
            continue
        subgraph = content.subgraphs[signature.subgraphIndex]
        kept = {*subgraph.inputs, *subgraph.outputs}
        for index, tensor in enumerate(subgraph.tensors):
            if index not in kept and not site_of(tensor.name.decode(), name):
                tensor.name = b""
            if tensor.shapeSignature is not None and list(tensor.shapeSignature) == list(tensor.shape):
                tensor.shapeSignature = None
            quantization = tensor.quantization
            if quantization is not None and quantization.scale is None and quantization.details is None:
                tensor.quantization = None


def _order_branches(content: Any) -> None:
    """Move subgraphs of no signature after the others, in the order in which ops call them."""
    order = sorted({signature.subgraphIndex for signature in content.signatureDefs})
    for index in order:  # grows while branches are found, which may call others
        for op in content.subgraphs[index].operators:
            order += [called for called in called_subgraphs(op).values() if called not in order]
    order += [index for index in range(len(content.subgraphs)) if index not in order]
    moved_to = {before: after for after, before in enumerate(order)}
    for subgraph in content.subgraphs:
        for op in subgraph.operators:
            for name, index in called_subgraphs(op).items():
                setattr(op.builtinOptions, name, moved_to[index])
    for signature in content.signatureDefs:
        signature.subgraphIndex = moved_to[signature.subgraphIndex]
    content.subgraphs = [content.subgraphs[index] for index in order]


def called_subgraphs(op: Any) -> dict[str, int]:
    """Return option -> index for the options of an op that name a subgraph, those of an IF.

    Example:
        >>> branches = schema.IfOptionsT(thenSubgraphIndex=1, elseSubgraphIndex=2)
        >>> called_subgraphs(schema.OperatorT(builtinOptions=branches))
        {'thenSubgraphIndex': 1, 'elseSubgraphIndex': 2}
    """
    options = vars(op.builtinOptions) if op.builtinOptions is not None else {}
    return {name: int(value) for name, value in options.items() if name.endswith("SubgraphIndex")}


def _raise_versions(content: Any) -> None:
    """Give matmuls that old kernels would compute wrongly a version that old runtimes refuse."""
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
    """Return True if an old kernel would read a matmul's weights as int8 with one scale, and be wrong."""
    activations, weights = (subgraph.tensors[op.inputs[k]] for k in (0, 1))
    scales = weights.quantization.scale if weights.quantization is not None else None
    is_per_channel = scales is not None and len(scales) > 1
    return activations.type == schema.TensorType.FLOAT32 and (is_per_channel or weights.type == schema.TensorType.INT4)


def _declare_shapes(content: Any, default_shapes: Mapping[str, Mapping[str, tuple[int, ...]]]) -> None:
    for signature in content.signatureDefs:
        subgraph = content.subgraphs[signature.subgraphIndex]
        shapes = default_shapes.get(signature.signatureKey.decode(), {})
        for entry in signature.inputs:
            shape = shapes.get(entry.name.decode())
            if shape is not None:
                subgraph.tensors[entry.tensorIndex].shape = np.array(shape, np.int32)


def _keep_outputs_apart(content: Any) -> None:
    """Makes outputs of open shapes share nothing, because web_demo/flatbuffer.js changes the shape of one in place."""
    for signature in content.signatureDefs:
        if not is_fixed(signature.signatureKey.decode()):
            tensors = content.subgraphs[signature.subgraphIndex].tensors
            for entry in signature.outputs:
                tensors[entry.tensorIndex] = Apart(tensors[entry.tensorIndex])

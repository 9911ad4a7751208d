"""Counts what one run of a signature costs, without a clock: ops, pieces for XNNPACK, bytes of weights, multiply-adds.

XNNPACK, LiteRT's delegate for CPUs, takes connected ops in pieces; the interpreter runs what is left op by op. Ops
inside the branches of an IF are not counted.
"""

import math
import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from edgedistil_converters.tflite.buffers import called_subgraphs, packed
from edgedistil_converters.tflite.op_names import OP_NAMES
from edgedistil_runtime.native_log import native_log_hidden

__all__ = ["PARTS", "OpCost", "RunCost", "read_run_cost"]

PARTS = ("tokenizer", "embeddings", "layers", "head")
"""Parts of a graph; `tokenizer` is everything before the embeddings, a mask too."""
_DELEGATE = "DELEGATE"
_PART_OF_NAME = (
    (re.compile(r"(^|/)transformer_layer_\d+(/|$)"), "layers"),
    (re.compile(r"(^|/)embeddings(_layer_norm)?(/|;|$)"), "embeddings"),
    (re.compile(r"(^|/)(mean_pooling\w*|pooled_dense|pooled_tanh|logits|probabilities)(/|;|$)"), "head"),
)
_READS_ROWS = ("GATHER", "SLICE", "STRIDED_SLICE")  # of a constant, they read what they return


@dataclass(frozen=True)
class OpCost:
    """One op of a signature.

    Attributes:
        part: One of `PARTS`.
        op: Name of the op.
        is_delegated: True if XNNPACK runs it.
        weight_bytes: Bytes of constants that it reads.
        multiply_adds: Products that it sums; 0 for ops other than matmuls.
    """

    part: str
    op: str
    is_delegated: bool
    weight_bytes: int
    multiply_adds: int


@dataclass(frozen=True)
class RunCost:
    """One run of a signature.

    Attributes:
        ops: The ops, in their order in the file.
        pieces: Number of pieces that XNNPACK takes.

    Example:
        >>> ops = OpCost("layers", "GELU", True, 0, 0), OpCost("head", "FULLY_CONNECTED", True, 8, 8)
        >>> RunCost(ops, pieces=1).count(part="layers"), RunCost(ops, pieces=1).weight_bytes
        (1, 8)
    """

    ops: tuple[OpCost, ...]
    pieces: int

    def count(self, *, part: str = "", op: str = "", is_delegated: bool | None = None) -> int:
        """Return the number of ops of a part, of a name, and with or without the delegate."""
        return sum(
            (not part or found.part == part)
            and (not op or found.op == op)
            and (is_delegated is None or found.is_delegated == is_delegated)
            for found in self.ops
        )

    @property
    def weight_bytes(self) -> int:
        """Bytes of constants that all ops read."""
        return sum(op.weight_bytes for op in self.ops)

    @property
    def multiply_adds(self) -> int:
        """Products that all ops sum."""
        return sum(op.multiply_adds for op in self.ops)

    @property
    def left(self) -> Counter[str]:
        """Op -> count of those that the interpreter runs itself."""
        return Counter(op.op for op in self.ops if not op.is_delegated)


def read_run_cost(flatbuffer: bytes, signature: str, inputs: Mapping[str, NDArray[Any]]) -> RunCost:
    """Run a signature once with XNNPACK and once without, and count.

    Args:
        flatbuffer: A TFLite model.
        signature: Name of the signature.
        inputs: Its inputs, in the shapes of a text.

    Raises:
        ValueError: There is no such signature.

    Example:
        >>> import numpy as np
        >>> from edgedistil_runtime import read_artifact
        >>> model = read_artifact("intents.tflite").flatbuffer()
        >>> cost = read_run_cost(model, "classify_tokens", {"token_ids": np.array([[2, 5, 6, 8, 10, 3]], np.int32)})
        >>> cost.count(part="layers", op="FULLY_CONNECTED"), cost.count(op="GELU", is_delegated=False)
        (12, 0)
    """
    content = _with_first(schema.ModelT.InitFromPackedBuf(flatbuffer, 0), signature)
    model, subgraph = packed(content, len(flatbuffer)), content.subgraphs[0]
    taken, pieces = _delegated(_run(model, signature, inputs))
    plain = _run(
        model, signature, inputs, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    shapes = [tuple(map(int, plain.TensorSize(tensor, 0))) for tensor in range(len(subgraph.tensors))]
    return RunCost(
        tuple(_op_cost(content, op, shapes, node in taken) for node, op in enumerate(subgraph.operators)), pieces
    )


def _with_first(content: Any, signature: str) -> Any:
    """The model with a signature's subgraph as the first, which is the only one whose nodes an interpreter shows."""
    found = {entry.signatureKey.decode(): entry.subgraphIndex for entry in content.signatureDefs}
    if signature not in found:
        raise ValueError(f"The model has the signatures {sorted(found)}. Received: {signature!r}.")
    swapped = {0: found[signature], found[signature]: 0}
    for subgraph in content.subgraphs:
        for op in subgraph.operators:
            for name, index in called_subgraphs(op).items():
                setattr(op.builtinOptions, name, swapped.get(index, index))
    for entry in content.signatureDefs:
        entry.subgraphIndex = swapped.get(entry.subgraphIndex, entry.subgraphIndex)
    order = [swapped.get(index, index) for index in range(len(content.subgraphs))]
    content.subgraphs = [content.subgraphs[index] for index in order]
    return content


def _run(model: bytes, signature: str, inputs: Mapping[str, NDArray[Any]], **options: Any) -> Any:
    """The interpreter's own object after a run; Python's `Interpreter` does not show the nodes of a graph."""
    with warnings.catch_warnings(), native_log_hidden():
        warnings.simplefilter("ignore")  # a warning that preserved tensors take memory
        preserved = {"experimental_preserve_all_tensors": True} if options else {}
        interpreter = Interpreter(model_content=model, num_threads=1, **preserved, **options)
        interpreter.get_signature_runner(signature)(**inputs)
    return interpreter._interpreter


def _delegated(graph: Any) -> tuple[set[int], int]:
    """The nodes between the inputs and the outputs of the delegate's pieces, and the number of pieces."""
    names = [graph.NodeName(node) for node in range(graph.NumNodes())]
    pieces = [node for node, name in enumerate(names) if name == _DELEGATE]
    maker = {tensor: node for node, name in enumerate(names) if name != _DELEGATE for tensor in graph.NodeOutputs(node)}
    taken: set[int] = set()
    for piece in pieces:
        edge, waiting = set(graph.NodeInputs(piece)), [*graph.NodeOutputs(piece)]
        while waiting:
            tensor = waiting.pop()
            if tensor in edge or tensor not in maker or maker[tensor] in taken:
                continue
            taken.add(maker[tensor])
            waiting.extend(graph.NodeInputs(maker[tensor]))
    return taken, len(pieces)


def _op_cost(content: Any, op: Any, shapes: Sequence[tuple[int, ...]], is_delegated: bool) -> OpCost:
    tensors = content.subgraphs[0].tensors
    name, output = OP_NAMES[content.operatorCodes[op.opcodeIndex].builtinCode], int(op.outputs[0])
    part = _part(tensors[output].name.decode(), is_output=output in content.subgraphs[0].outputs)
    sizes = {int(i): _constant_bytes(content, tensors[i]) for i in op.inputs if i >= 0}
    if name in _READS_ROWS and sizes[int(op.inputs[0])]:
        first = int(op.inputs[0])
        sizes[first] = sizes[first] * math.prod(shapes[output]) // math.prod(shapes[first])
    return OpCost(part, name, is_delegated, sum(sizes.values()), _multiply_adds(name, op, shapes))


def _part(tensor_name: str, *, is_output: bool) -> str:
    found = [part for pattern, part in _PART_OF_NAME if pattern.search(tensor_name)]
    return found[0] if found else "head" if is_output else "tokenizer"


def _constant_bytes(content: Any, tensor: Any) -> int:
    data = content.buffers[tensor.buffer].data
    return 0 if data is None else len(data)


def _multiply_adds(name: str, op: Any, shapes: Sequence[tuple[int, ...]]) -> int:
    if name not in ("FULLY_CONNECTED", "BATCH_MATMUL"):
        return 0
    left = shapes[int(op.inputs[0])]
    inner = left[-2] if name == "BATCH_MATMUL" and op.builtinOptions.adjX else left[-1]
    return math.prod(shapes[int(op.outputs[0])]) * inner

"""int4 weights of matmuls in a flatbuffer: measures inputs on texts, rounds by GPTQ, and writes the weights.

litert-quantizer rounds weights to nearest and lays out the file. Weights rounded by GPTQ replace its own, byte for
byte. Its own GPTQ is not used: it has the inverse of H where the paper has the inverse's Cholesky factor, and it
measures every signature separately.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgedistil_converters.quantization.calibration import sampled
from edgedistil_converters.quantization.gptq import LEAST_SCALE, Int4Weights, round_by_gptq
from edgedistil_converters.quantization.observation import ObservedModel, observed
from edgedistil_runtime.errors import ConversionError

__all__ = ["BLOCK", "MOST_TEXTS", "fill_zero_blocks", "input_hessians", "rounded_weights", "write_weights"]

BLOCK = 32
"""Number of weights of an output channel that share a scale, if it divides the channel."""
MOST_TEXTS = 512
"""The most texts to measure. GPTQ's authors use 128 long ones (section 4); 512 short ones did as well as 2,000."""
_MAX_STEP = 7
_POSITIONS_AT_ONCE = 1024  # positions whose inputs are kept before they are multiplied


def rounded_weights(
    model: bytes, sites: Collection[str], token_ids: Sequence[Sequence[int]], *, has_blocks: bool = True
) -> dict[str, Int4Weights]:
    """Round the weights of matmuls by GPTQ.

    Args:
        model: A float flatbuffer with named sites.
        sites: Sites of the matmuls.
        token_ids: Rows without padding. If there are more than `MOST_TEXTS`, a random sample is used.
        has_blocks: True for a scale per `BLOCK` weights, False for one per output channel.

    Returns:
        Site -> rounded weights.

    Raises:
        ConversionError: There are no rows.
    """
    hessians = input_hessians(model, sites, sampled(token_ids, MOST_TEXTS))
    if not hessians:
        raise ConversionError(
            "GPTQ measures the inputs of matmuls on a few hundred texts, without labels, like those that the model "
            "will classify. Received: none. Pass `calibration_texts`, or use the rounding nearest, which needs none."
        )
    root = schema.Model.GetRootAs(model, 0)
    weights = {site: _constant(root, subgraph, op) for site, subgraph, op in _matmuls(root, sites)}
    return {site: round_by_gptq(weights[site], hessians[site], BLOCK if has_blocks else 0) for site in sites}


def input_hessians(
    model: bytes, sites: Collection[str], token_ids: Iterable[Sequence[int]]
) -> dict[str, NDArray[np.float32]]:
    """Return X^T X of the inputs X of matmuls, summed over the positions of all rows.

    Args:
        model: A float flatbuffer with named sites.
        sites: Sites of the matmuls.
        token_ids: Rows without padding.

    Returns:
        Site -> float32[inputs, inputs]; matmuls with the same input share an array. Empty if there are no rows.
    """
    root = schema.Model.GetRootAs(model, 0)
    sums: dict[int, NDArray[np.float32]] = {}  # input tensor -> X^T X
    with observed(model) as running:
        inputs = _input_tensors(root, running, sites)
        rows = iter(token_ids)
        while seen := _observe(running, set(inputs.values()), rows):
            for tensor, parts in seen.items():
                values = np.concatenate(parts)  # [positions, inputs]
                product = values.T @ values
                sums[tensor] = sums[tensor] + product if tensor in sums else product
    return {site: sums[tensor] for site, tensor in inputs.items() if tensor in sums}


def _input_tensors(root: Any, running: ObservedModel, sites: Collection[str]) -> dict[str, int]:
    """Return site -> input tensor of its matmul, in the observed signature."""
    outputs = {running.sites[site]: site for site in sites}
    subgraph = root.Subgraphs(running.subgraph)
    ops = map(subgraph.Operators, range(subgraph.OperatorsLength()))
    found = {outputs[op.Outputs(0)]: int(op.Inputs(0)) for op in ops if op.Outputs(0) in outputs}
    return {site: found[site] for site in sites}


def _observe(
    running: ObservedModel, tensors: Collection[int], token_ids: Iterator[Sequence[int]]
) -> dict[int, list[NDArray[np.float32]]]:
    """Run the next rows: tensor -> its values, one array [positions, inputs] per row."""
    seen: dict[int, list[NDArray[np.float32]]] = {}
    positions = 0
    for row in token_ids:
        running.run(row)
        for tensor in tensors:
            values = running.values(tensor)
            # Cuts off padding after the text. Most matmuls of the last layer have one position, that of [CLS].
            seen.setdefault(tensor, []).append(values.reshape(-1, values.shape[-1])[: len(row)])
        positions += len(row)
        if positions >= _POSITIONS_AT_ONCE:
            break
    return seen


def fill_zero_blocks(model: bytes, sites: Collection[str]) -> bytes:
    """Return the model with one tiny weight in every block of zeros, or of numbers nearly as small.

    litert-quantizer 0.11 divides by the scale of a block, which would be 0.

    Args:
        model: A float flatbuffer with named sites.
        sites: Sites of the matmuls whose weights get blocks.
    """
    changed, least = bytearray(model), _MAX_STEP * LEAST_SCALE  # the weight whose scale is LEAST_SCALE
    root = schema.Model.GetRootAs(changed, 0)
    for _, subgraph, op in _matmuls(root, sites):
        blocks = _constant(root, subgraph, op).reshape(-1, BLOCK)  # a view of the flatbuffer: [blocks, 32]
        blocks[np.abs(blocks).max(axis=1) < least, 0] = least
    return bytes(changed)


def write_weights(model: bytes, weights: Mapping[str, Int4Weights]) -> bytes:
    """Return a quantized model with other int4 weights and scales of the same shapes.

    Args:
        model: A flatbuffer as litert-quantizer returns it.
        weights: Site of a matmul -> its weights.
    """
    changed = bytearray(model)
    root = schema.Model.GetRootAs(changed, 0)
    for site, subgraph, op in _matmuls(root, weights):
        tensor = subgraph.Tensors(op.Inputs(1))
        _bytes(changed, root, tensor)[:] = _packed(weights[site].steps)
        # Scales of blocks are a float16 tensor; scales of output channels are in the weights' own parameters, float32.
        quantization, scales = tensor.Quantization(), weights[site].scales.ravel()
        if quantization.DetailsType() == schema.QuantizationDetails.BlockwiseQuantization:
            details = schema.BlockwiseQuantization()
            details.Init(quantization.Details().Bytes, quantization.Details().Pos)
            _bytes(changed, root, subgraph.Tensors(details.Scales())).view(np.float16)[:] = scales
        else:
            quantization.ScaleAsNumpy()[:] = scales
    return bytes(changed)


def _matmuls(root: Any, sites: Collection[str]) -> Iterator[tuple[str, Any, Any]]:
    """Return (site, subgraph, op) of the matmuls at these sites, in all signatures."""
    for subgraph in map(root.Subgraphs, range(root.SubgraphsLength())):
        for op in map(subgraph.Operators, range(subgraph.OperatorsLength())):
            site = (subgraph.Tensors(op.Outputs(0)).Name() or b"").decode().partition("/")[2]
            code = root.OperatorCodes(op.OpcodeIndex()).BuiltinCode()
            if site in sites and code == schema.BuiltinOperator.FULLY_CONNECTED:
                yield site, subgraph, op


def _constant(root: Any, subgraph: Any, op: Any) -> NDArray[np.float32]:
    """Return a matmul's weights as a view, float32[outputs, inputs]."""
    tensor = subgraph.Tensors(op.Inputs(1))
    weights: NDArray[np.float32] = root.Buffers(tensor.Buffer()).DataAsNumpy().view(np.float32)
    return weights.reshape(tensor.ShapeAsNumpy())


def _bytes(model: bytearray, root: Any, tensor: Any) -> NDArray[np.uint8]:
    """Return a constant's bytes as a view: inside the flatbuffer, or after it (see `Buffer` in TFLite's schema.fbs)."""
    buffer = root.Buffers(tensor.Buffer())
    if buffer.Offset() > 1:  # 0 and 1 mean that the data are inline or absent
        return np.frombuffer(model, np.uint8, buffer.Size(), buffer.Offset())
    inside: NDArray[np.uint8] = buffer.DataAsNumpy()
    return inside


def _packed(steps: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Pack two steps per byte, the first in the lower four bits."""
    # int8 steps as four-bit two's complement; an odd number of steps is padded with 0.
    halves = np.append(steps.ravel(), np.zeros(steps.size % 2, np.int8)).view(np.uint8) & 0xF
    packed: NDArray[np.uint8] = np.bitwise_or(halves[0::2], np.left_shift(halves[1::2], 4), dtype=np.uint8)
    return packed

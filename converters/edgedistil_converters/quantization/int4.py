"""int4 weights of matmuls in a flatbuffer: measured on texts, rounded by GPTQ, and written.

litert-quantizer rounds weights to nearest and lays out the file. Weights that were rounded otherwise are written over
its own: they take the same bytes. Its own GPTQ uses the inverse of H where the paper has its Cholesky factor, and
measures every signature by itself.
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

__all__ = ["BLOCK", "MOST_TEXTS", "input_hessians", "rounded_weights", "with_scales", "write_weights"]

BLOCK = 32
"""Weights of an output channel that share a scale, where it divides the channel."""
MOST_TEXTS = 512
"""GPTQ's authors calibrate on 128 long texts (section 4); 512 short ones measured as well as 2,000."""
_STEPS = 7
_ROWS_AT_ONCE = 1024  # of inputs that are kept before they are multiplied


def rounded_weights(model: bytes, sites: Collection[str], token_ids: Sequence[Sequence[int]]) -> dict[str, Int4Weights]:
    """Rounds the weights of matmuls by GPTQ.

    Args:
        model: a float flatbuffer with named sites.
        sites: of the matmuls.
        token_ids: rows without padding; of more than `MOST_TEXTS`, that many are taken, at random.

    Raises:
        ConversionError: there are no rows.
    """
    hessians = input_hessians(model, sites, sampled(token_ids, MOST_TEXTS))
    if not hessians:
        raise ConversionError(
            "GPTQ rounds weights by what texts like those the model will meet put into the matmuls: some hundred of "
            "them, without labels. Received: none. Pass --calibration-data FILE (calibration_texts=...), or leave "
            "rounding at nearest, which needs none."
        )
    root = schema.Model.GetRootAs(model, 0)
    weights = {site: _constant(root, subgraph, op) for site, subgraph, op in _matmuls(root, sites)}
    return {site: round_by_gptq(weights[site], hessians[site], BLOCK) for site in sites}


def input_hessians(
    model: bytes, sites: Collection[str], token_ids: Iterable[Sequence[int]]
) -> dict[str, NDArray[np.float32]]:
    """X^T X of what goes into matmuls, over the positions of all rows; matmuls with one input share one array.

    Args:
        model: a float flatbuffer with named sites.
        sites: of the matmuls.
        token_ids: rows without padding.

    Returns:
        site -> float32[inputs, inputs]; nothing where there are no rows.
    """
    root = schema.Model.GetRootAs(model, 0)
    sums: dict[int, NDArray[np.float32]] = {}
    with observed(model) as running:
        inputs = _input_tensors(root, running, sites)
        rows = iter(token_ids)
        while seen := _observe(running, set(inputs.values()), rows):
            for tensor, parts in seen.items():
                values = np.concatenate(parts)
                product = values.T @ values
                sums[tensor] = sums[tensor] + product if tensor in sums else product
    return {site: sums[tensor] for site, tensor in inputs.items() if tensor in sums}


def _input_tensors(root: Any, running: ObservedModel, sites: Collection[str]) -> dict[str, int]:
    """Site -> the tensor that goes into its matmul, in the observed signature."""
    outputs = {running.sites[site]: site for site in sites}
    subgraph = root.Subgraphs(running.subgraph)
    ops = map(subgraph.Operators, range(subgraph.OperatorsLength()))
    found = {outputs[op.Outputs(0)]: int(op.Inputs(0)) for op in ops if op.Outputs(0) in outputs}
    return {site: found[site] for site in sites}


def _observe(
    running: ObservedModel, tensors: Collection[int], token_ids: Iterator[Sequence[int]]
) -> dict[int, list[NDArray[np.float32]]]:
    """Tensor -> what it held on the next few rows: matrices of a row for each position."""
    seen: dict[int, list[NDArray[np.float32]]] = {}
    positions = 0
    for row in token_ids:
        running.run(row)
        for tensor in tensors:
            values = running.values(tensor)
            # Padding stands behind the text; of the last layer's matmuls most see [CLS] alone.
            seen.setdefault(tensor, []).append(values.reshape(-1, values.shape[-1])[: len(row)])
        positions += len(row)
        if positions >= _ROWS_AT_ONCE:
            break
    return seen


def with_scales(model: bytes, sites: Collection[str]) -> bytes:
    """The model with one tiny weight in every block of zeros, or of numbers about as small.

    litert-quantizer 0.11 divides such a block by its scale, which is 0.

    Args:
        model: a float flatbuffer with named sites.
        sites: of matmuls whose weights get blocks.
    """
    changed, least = bytearray(model), _STEPS * LEAST_SCALE
    root = schema.Model.GetRootAs(changed, 0)
    for _, subgraph, op in _matmuls(root, sites):
        blocks = _constant(root, subgraph, op).reshape(-1, BLOCK)
        blocks[np.abs(blocks).max(axis=1) < least, 0] = least
    return bytes(changed)


def write_weights(model: bytes, weights: Mapping[str, Int4Weights]) -> bytes:
    """A quantized model with other int4 weights and scales of the same shapes.

    Args:
        model: as litert-quantizer returns it.
        weights: of matmuls by their sites.
    """
    changed = bytearray(model)
    root = schema.Model.GetRootAs(changed, 0)
    for site, subgraph, op in _matmuls(root, weights):
        tensor = subgraph.Tensors(op.Inputs(1))
        _bytes(changed, root, tensor)[:] = _packed(weights[site].steps)
        quantization, scales = tensor.Quantization(), weights[site].scales.ravel()
        if quantization.DetailsType() == schema.QuantizationDetails.BlockwiseQuantization:
            details = schema.BlockwiseQuantization()
            details.Init(quantization.Details().Bytes, quantization.Details().Pos)
            _bytes(changed, root, subgraph.Tensors(details.Scales())).view(np.float16)[:] = scales
        else:
            quantization.ScaleAsNumpy()[:] = scales
    return bytes(changed)


def _matmuls(root: Any, sites: Collection[str]) -> Iterator[tuple[str, Any, Any]]:
    """(site, subgraph, op) of these matmuls in all signatures."""
    for subgraph in map(root.Subgraphs, range(root.SubgraphsLength())):
        for op in map(subgraph.Operators, range(subgraph.OperatorsLength())):
            site = (subgraph.Tensors(op.Outputs(0)).Name() or b"").decode().partition("/")[2]
            code = root.OperatorCodes(op.OpcodeIndex()).BuiltinCode()
            if site in sites and code == schema.BuiltinOperator.FULLY_CONNECTED:
                yield site, subgraph, op


def _constant(root: Any, subgraph: Any, op: Any) -> NDArray[np.float32]:
    """float32[outputs, inputs]: a matmul's weights, in place."""
    tensor = subgraph.Tensors(op.Inputs(1))
    weights: NDArray[np.float32] = root.Buffers(tensor.Buffer()).DataAsNumpy().view(np.float32)
    return weights.reshape(tensor.ShapeAsNumpy())


def _bytes(model: bytearray, root: Any, tensor: Any) -> NDArray[np.uint8]:
    """A constant's bytes in place: inside of the flatbuffer, or behind it, see `Buffer` in TFLite's schema.fbs."""
    buffer = root.Buffers(tensor.Buffer())
    if buffer.Offset() > 1:
        return np.frombuffer(model, np.uint8, buffer.Size(), buffer.Offset())
    inside: NDArray[np.uint8] = buffer.DataAsNumpy()
    return inside


def _packed(steps: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Two steps a byte, the first in its lower half."""
    halves = np.append(steps.ravel(), np.zeros(steps.size % 2, np.int8)).view(np.uint8) & 0xF
    packed: NDArray[np.uint8] = np.bitwise_or(halves[0::2], np.left_shift(halves[1::2], 4), dtype=np.uint8)
    return packed

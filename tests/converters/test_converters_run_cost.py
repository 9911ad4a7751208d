"""What one short text costs in a small model, without a clock.

The bounds are what was counted when they were written. Lower them with every gain. Eleven of the tokenizer's ops are
the price, also in bytes read, of shapes that seldom change (`tokenizer/steady_shapes.py`).
"""

from collections import Counter

import numpy as np
import pytest

from edgedistil_converters.tflite.run_cost import OpCost, RunCost, read_run_cost
from edgedistil_runtime.text_bytes import encode_text

from .conftest import INTERMEDIATE, LAYERS, WIDTH

IDS = np.arange(5, 14, dtype=np.int32)[None]
INPUTS = {"classify_text": {"text": encode_text("the cats")}, "classify_tokens": {"token_ids": IDS}}
BOUNDS = {  # (signature, scheme): ops of the tokenizer or mask, embeddings, layers and head; pieces; bytes
    ("classify_text", "fp32"): (297, 16, 77, 4, 1, 50_420),
    ("classify_text", "fp16"): (311, 16, 101, 7, 2, 42_140),
    ("classify_text", "int8"): (297, 22, 77, 4, 1, 33_540),
    ("classify_tokens", "fp32"): (8, 19, 83, 3, 4, 24_960),
    ("classify_tokens", "fp16"): (23, 19, 107, 6, 5, 16_422),
    ("classify_tokens", "int8"): (8, 25, 83, 3, 5, 7_904),
}


@pytest.mark.parametrize(("signature", "scheme"), BOUNDS)
def test_no_run_costs_more_than_it_did(convert, signature, scheme):
    *most, pieces, weight_bytes = BOUNDS[signature, scheme]
    cost = read_run_cost(convert(scheme).artifact.flatbuffer(), signature, INPUTS[signature])
    counted = [cost.count(part=part) for part in ("tokenizer", "embeddings", "layers", "head")]
    assert all(count <= bound for count, bound in zip(counted, most, strict=True)), counted
    assert sum(counted) == len(cost.ops)
    assert cost.pieces <= pieces
    assert cost.weight_bytes <= weight_bytes
    for part in ("layers", "head"):
        left = Counter(op.op for op in cost.ops if op.part == part and not op.is_delegated)
        # The heads of a batch are reshaped to two sizes that only a run knows.
        assert set(left) <= ({"RESHAPE", "PACK"} if signature == "classify_tokens" else set())
        assert left.total() <= 9


@pytest.mark.parametrize("signature", INPUTS)
def test_multiply_adds_are_those_of_the_architecture(convert, signature):
    """The last layer multiplies keys and values at every position, and everything else at the first."""
    cost = read_run_cost(convert("int8").artifact.flatbuffer(), signature, INPUTS[signature])
    square, feed_forward, attended = WIDTH * WIDTH, 2 * WIDTH * INTERMEDIATE, 2 * WIDTH
    tokens = IDS.size if signature == "classify_tokens" else _tokens(convert)
    full = tokens * (4 * square + feed_forward + tokens * attended)
    last = tokens * 2 * square + 2 * square + feed_forward + tokens * attended
    layers = sum(op.multiply_adds for op in cost.ops if op.part == "layers")
    assert layers == (LAYERS - 1) * full + last


def _tokens(convert):
    """The number of token ids of the text, from the first matmul of the file by fp32."""
    cost = read_run_cost(convert("fp32").artifact.flatbuffer(), "classify_text", INPUTS["classify_text"])
    first = next(op for op in cost.ops if op.op == "FULLY_CONNECTED")
    return first.multiply_adds // (WIDTH * WIDTH)


def test_parts_that_the_delegate_leaves_are_counted():
    cost = RunCost((OpCost("layers", "IF", False, 4, 0), OpCost("layers", "GELU", True, 0, 0)), pieces=1)
    assert cost.left == {"IF": 1}
    assert cost.count(part="layers", is_delegated=True) == 1
    assert (cost.weight_bytes, cost.multiply_adds) == (4, 0)


def test_a_signature_that_is_not_there(convert):
    with pytest.raises(ValueError, match="'embed'"):
        read_run_cost(convert("fp32").artifact.flatbuffer(), "embed", {})

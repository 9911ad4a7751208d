"""The encoder for a GPU, run on the CPU, and the forms that a GPU gets wrong."""

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_converters.tflite.structure import read_structure

from .targets import LENGTH, converted

GPU_TOLERANCE = {"fp32": 1e-5, "fp16": 5e-3, "int8": 0.06}


@pytest.fixture(scope="module")
def gpu(ingredients):
    """`gpu("fp32")`: the module's one conversion by that scheme."""
    from edgedistil_converters.targets.gpu import build_gpu_encoder

    return cache(lambda scheme: build_gpu_encoder(ingredients[0], LENGTH, QuantizationPlan(scheme)))


def runner(flatbuffer, signature):
    return Interpreter(model_content=flatbuffer, num_threads=1).get_signature_runner(signature)


def test_lengths_double_up_to_the_longest():
    from edgedistil_converters.targets.gpu import encoder_lengths

    assert encoder_lengths(3) == (3,)
    assert encoder_lengths(16) == (16,)
    assert encoder_lengths(17) == (16, 17)
    assert encoder_lengths(512) == (16, 32, 64, 128, 256, 512)


@pytest.mark.parametrize("scheme", GPU_TOLERANCE)
def test_gpu_encoder_computes_what_keras_computes(gpu, embedded, answers, rows, scheme):
    from edgedistil_converters.targets.gpu import gpu_objections
    from edgedistil_runtime.backends.encoders import encoder_signature

    parts = gpu(scheme)
    assert parts.lengths == (16, LENGTH)
    assert gpu_objections(parts.flatbuffer) == ()
    used = set()
    for answer, inputs in zip(answers, embedded(parts, rows), strict=True):
        length = inputs["embeddings"].shape[1]
        assert inputs["attention_bias"].shape == (1, 1, 1, length)
        used.add(length)
        probabilities = runner(parts.flatbuffer, encoder_signature(length))(**inputs)["probabilities"]
        np.testing.assert_allclose(probabilities[0], answer.probabilities, rtol=0, atol=GPU_TOLERANCE[scheme])
    assert used == {16, LENGTH}


def test_weights_of_all_lengths_are_stored_once(gpu, ingredients):
    weights, parts = ingredients[0], gpu("fp32")
    assert len(parts.lengths) == 2
    tables = weights.token_embeddings.size + weights.position_embeddings.size
    encoder = 4 * (weights.parameters - tables)
    assert encoder <= read_structure(parts.flatbuffer).constant_bytes["float32"] < 1.1 * encoder


@pytest.mark.parametrize(
    ("compute", "shapes", "dtype", "message"),
    [
        (lambda tf, x: x + np.ones((4, 8), np.float32), [(4, 8)], "float32", "constant matrix of rank 2"),
        (lambda tf, x: x[:, 0], [(4, 8)], "float32", "an axis is dropped"),
        (lambda tf, x: tf.gather(np.ones((9, 8), np.float32), x), [(4,)], "int32", "is not float32"),
        (
            lambda tf, x: tf.gather(np.ones((9, 8), np.float32), x),
            [(4,)],
            "int32",
            "GATHER, which LiteRT's GPU code does not",
        ),
        (lambda tf, x: x * 2, [(None, 8)], "float32", "no fixed shape"),
        (lambda tf, x: x * 2, [(1, 2, 3, 4, 5)], "float32", "rank 5"),
    ],
    ids=["matrix", "slice", "integers", "gather", "dynamic", "rank"],
)
def test_what_a_gpu_gets_wrong_is_found(compute, shapes, dtype, message):
    from edgedistil_converters.targets.gpu import gpu_objections

    assert any(message in objection for objection in gpu_objections(converted(compute, *shapes, dtype=dtype)))


def matmul_of(first, second):
    """A model of one BATCH_MATMUL as the objects of its schema, which are read and never written to a file."""
    tensors = [
        SimpleNamespace(name=name, type=schema.TensorType.FLOAT32, shape=[1, 4, 4], shapeSignature=None, buffer=0)
        for name in (b"a", b"b", b"product")
    ]
    op = SimpleNamespace(inputs=[first, second], outputs=[2], builtinOptions=None)
    return SimpleNamespace(buffers=[SimpleNamespace(data=None)]), SimpleNamespace(tensors=tensors), op


@pytest.mark.parametrize(("operands", "count"), [((0, 0), 1), ((0, 1), 0)])
def test_a_matmul_of_a_tensor_with_itself_is_found(operands, count):
    from edgedistil_converters.targets.gpu import _objections_to_op

    found = list(_objections_to_op(*matmul_of(*operands), "BATCH_MATMUL"))
    assert len(found) == count
    assert all(objection.startswith("product is a tensor multiplied by itself") for objection in found)

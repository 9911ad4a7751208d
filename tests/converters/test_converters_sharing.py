"""A flatbuffer whose equal parts are stored once is the same model, part by part, and smaller."""

import warnings

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edgedistil_converters.tflite.buffers import normalize_flatbuffer, packed
from edgedistil_converters.tflite.sharing import SharingBuilder


def unpacked(flatbuffer):
    return schema.ModelT.InitFromPackedBuf(flatbuffer, 0)


def plain(part):
    """What the object API has read, as lists and numbers that can be compared."""
    if isinstance(part, np.ndarray):
        return part.dtype.str, part.tobytes()
    if isinstance(part, list):
        return [plain(one) for one in part]
    if hasattr(part, "__dict__"):
        return type(part).__name__, {name: plain(value) for name, value in vars(part).items()}
    return part


def tensor(name, shape, scale=()):
    quantization = schema.QuantizationParametersT(scale=np.array(scale, np.float32)) if len(scale) else None
    return schema.TensorT(shape=np.array(shape, np.int32), buffer=1, name=name, quantization=quantization)


def negation(*shape):
    """A subgraph that negates a tensor twice."""
    ops = [
        schema.OperatorT(opcodeIndex=0, inputs=np.array([k], np.int32), outputs=np.array([k + 1], np.int32))
        for k in (0, 1)
    ]
    return schema.SubGraphT(
        tensors=[tensor(name, shape) for name in (b"x", b"", b"y")],
        inputs=np.array([0], np.int32),
        outputs=np.array([2], np.int32),
        operators=ops,
    )


def model(*subgraphs):
    code = schema.BuiltinOperator.NEG
    return schema.ModelT(
        version=3,
        operatorCodes=[schema.OperatorCodeT(deprecatedBuiltinCode=code, builtinCode=code)],
        subgraphs=list(subgraphs),
        buffers=[schema.BufferT(), schema.BufferT()],
        signatureDefs=[
            schema.SignatureDefT(
                signatureKey=f"negate_{k}".encode(),
                subgraphIndex=k,
                inputs=[schema.TensorMapT(name=b"x", tensorIndex=0)],
                outputs=[schema.TensorMapT(name=b"y", tensorIndex=2)],
            )
            for k in range(len(subgraphs))
        ],
    )


def test_the_model_is_the_same_and_smaller():
    content = model(*(negation(1, size) for size in (4, 5, 6)))
    before, after = packed(content, 1000), packed(content, 1000, SharingBuilder)
    assert plain(unpacked(after)) == plain(unpacked(before))
    assert len(after) < 0.7 * len(before)


def test_repeated_operators_are_stored_once():
    root = schema.Model.GetRootAs(packed(model(negation(1, 4), negation(1, 5)), 1000, SharingBuilder), 0)
    first, second = root.Subgraphs(0), root.Subgraphs(1)
    assert {first.Operators(k)._tab.Pos for k in range(2)} == {second.Operators(k)._tab.Pos for k in range(2)}
    assert first.Operators(0)._tab.Pos != first.Operators(1)._tab.Pos
    assert first.Tensors(0)._tab.Pos != second.Tensors(0)._tab.Pos  # of other shapes


def test_lookalikes_are_kept_apart():
    """Numbers that compare equal or have equal bytes, and are not the same part."""
    zeros = tensor(b"a", [1], [0.0, 0.5]), tensor(b"a", [1], [-0.0, 0.5])
    scales = schema.QuantizationParametersT(scale=np.array([0.5], np.float32), zeroPoint=np.array([1], np.int64))
    lows = schema.QuantizationParametersT(min=np.array([0.5], np.float32), quantizedDimension=1)
    offsets = schema.QuantizationParametersT(zeroPoint=np.array([1 + (2 << 32)], np.int64))
    tensors = [*zeros, *(schema.TensorT(quantization=part) for part in (scales, lows, offsets)), tensor(b"b", [1, 2])]
    tensors += [schema.TensorT(type=3), schema.TensorT(buffer=3), schema.TensorT(isVariable=True), tensor(b"", [1])]
    content = model(schema.SubGraphT(tensors=tensors, name=b"a"))
    content.signatureDefs = []
    after = unpacked(packed(content, 100, SharingBuilder))
    assert plain(after) == plain(unpacked(packed(content, 100)))
    assert [np.signbit(one.quantization.scale[0]) for one in after.subgraphs[0].tensors[:2]] == [False, True]


@pytest.mark.parametrize("size", [1, 64, 100_000])
def test_a_builder_that_grows(size):
    content = model(*(negation(1, length) for length in range(1, 40)))
    assert packed(content, size, SharingBuilder) == packed(content, 1 << 20, SharingBuilder)


def test_an_interpreter_runs_it():
    interpreter = Interpreter(model_content=packed(model(negation(1, 4), negation(1, 5)), 1000, SharingBuilder))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for key, size in (("negate_0", 4), ("negate_1", 5)):
            values = np.arange(size, dtype=np.float32)[None]
            np.testing.assert_array_equal(interpreter.get_signature_runner(key)(x=values)["y"], values)


def places_of_shapes(flatbuffer):
    """(subgraph, tensor) -> place of the shape in the file."""
    root = schema.Model.GetRootAs(flatbuffer, 0)
    subgraphs = [root.Subgraphs(number) for number in range(root.SubgraphsLength())]
    tables = {
        (number, index): subgraph.Tensors(index)._tab
        for number, subgraph in enumerate(subgraphs)
        for index in range(subgraph.TensorsLength())
    }
    return {key: table.Vector(table.Offset(4)) for key, table in tables.items()}


def test_an_output_of_a_signature_can_be_changed_in_place():
    """The page in web_demo writes another length into the shape of an output, which no other tensor may have then."""
    two = model(negation(1, 1), negation(1, 1))
    places = places_of_shapes(normalize_flatbuffer(packed(two, 4096)))
    outputs = [places.pop((number, 2)) for number in (0, 1)]
    assert len({*outputs, *places.values()}) == 3  # one for each output, and one for all other tensors

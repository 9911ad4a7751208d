"""What the files are made of: shapes, ops, versions, dtypes, and every weight once."""

import copy
from collections import Counter
from dataclasses import replace

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgedistil_converters import QuantizationPlan
from edgedistil_converters.model.keras_hub import read_weights
from edgedistil_converters.tflite.buffers import normalize_flatbuffer
from edgedistil_converters.tflite.structure import read_structure
from edgedistil_converters.tokenizer.graph import GraphTokenizer
from edgedistil_converters.tokenizer.settings import read_tokenizer
from edgedistil_converters.verification.plan_check import check_structure
from edgedistil_runtime import BackendError, LiteRTInterpreterBackend
from edgedistil_runtime.errors import ConversionError, StructureError
from edgedistil_runtime.text_bytes import encode_text

SCHEMES = ("fp32", "fp16", "int8")
MATMULS = 2 * 6 + 2  # six a layer, two in the head
GRAPHS = 2  # classify_text and classify_tokens
SEQUENCE_LENGTH = 24


@pytest.fixture(scope="module", params=SCHEMES)
def scheme(request):
    return request.param


@pytest.fixture(scope="module")
def flatbuffer(convert, scheme):
    return convert(scheme).artifact.flatbuffer()


@pytest.fixture(scope="module")
def int8_model(convert):
    return schema.ModelT.InitFromPackedBuf(convert("int8").artifact.flatbuffer(), 0)


def test_signatures_are_the_contract(flatbuffer):
    found = {
        name: [[(t.name, t.dtype, t.shape, t.default_shape) for t in side] for side in sides]
        for name, sides in read_structure(flatbuffer).signatures.items()
    }
    assert found.keys() == {"classify_text", "tokenize", "classify_tokens"}
    text = ("text", "int32", (-1,), (256,))
    assert [found[name][0] for name in ("classify_text", "tokenize")] == [[text], [text]]
    assert found["classify_tokens"][0] == [("token_ids", "int32", (-1, -1), (1, 64))]
    assert [t[:2] for t in found["tokenize"][1]] == [("token_ids", "int32")]
    for name in ("classify_text", "classify_tokens"):
        [(output, dtype, _, default)] = found[name][1]
        assert (output, dtype, default[-1]) == ("probabilities", "float32", 3)


def test_inputs_can_be_resized(convert, scheme):
    backend = LiteRTInterpreterBackend(convert(scheme).artifact.path)
    for size in (1, 2, 300, 3, 256):
        text = np.zeros(size, np.int32)
        text[:1] = ord("a")
        assert backend.run("tokenize", {"text": text})["token_ids"].shape == (1, 3)
        assert backend.run("classify_text", {"text": text})["probabilities"].shape == (1, 3)
    for shape in ((1, 1), (5, 2), (1, SEQUENCE_LENGTH), (2, 7)):
        token_ids = np.ones(shape, np.int32)
        assert backend.run("classify_tokens", {"token_ids": token_ids})["probabilities"].shape == (shape[0], 3)


def test_more_tokens_than_positions_are_an_error(convert):
    backend = LiteRTInterpreterBackend(convert("fp32").artifact.path)
    with pytest.raises(BackendError):
        backend.run("classify_tokens", {"token_ids": np.ones((1, SEQUENCE_LENGTH + 1), np.int32)})


def expected_constants(classifier):
    """Bytes of matrices and of vectors in float32: what a file must hold once, and once only."""
    weights = read_weights(classifier)
    tables = weights.token_embeddings.size + SEQUENCE_LENGTH * weights.width
    kernels = sum(
        getattr(layer, name).kernel.size
        for layer in weights.layers
        for name in ("query", "key", "value", "attention_output", "intermediate", "output")
    )
    matrices = tables + kernels + weights.pooled_dense.kernel.size + weights.logits.kernel.size
    unused = (weights.position_embeddings.shape[0] - SEQUENCE_LENGTH) * weights.width
    return matrices, weights.parameters - unused - matrices, len(weights.token_embeddings) + SEQUENCE_LENGTH


def test_every_weight_is_stored_once(convert, classifier):
    matrices, vectors, rows = expected_constants(classifier)
    few = 150  # bytes: epsilons and the like are more, vectors that the converter folds into others are less
    sizes = {scheme: convert(scheme).structure.constant_bytes for scheme in SCHEMES}
    assert abs(sizes["fp32"]["float32"] - 4 * (matrices + vectors)) <= few
    assert abs(sizes["fp16"]["float16"] - 2 * (matrices + vectors)) <= few
    assert sizes["fp16"].get("float32", 0) <= few
    assert sizes["int8"]["int8"] == matrices
    # LayerNorm and biases, and a scale for each row of the embedding tables.
    assert abs(sizes["int8"]["float32"] - 4 * (vectors + rows)) <= few


def test_a_file_is_its_constants_and_a_graph(flatbuffer):
    constants = sum(read_structure(flatbuffer).constant_bytes.values())
    assert constants < len(flatbuffer) < constants + 215_000


def test_weights_and_tokenizer_tables_appear_once_in_the_bytes(convert, classifier):
    content, weights = convert("fp32").artifact.flatbuffer(), read_weights(classifier)
    tokenizer = GraphTokenizer(*read_tokenizer(classifier.preprocessor))
    arrays = [  # but those that TensorFlow's converter folds a neighbour into, the gamma of a LayerNorm for instance
        tokenizer._trie.base,
        tokenizer._trie.check,
        tokenizer._token,
        tokenizer._spell._entry_of,
        tokenizer._spell._page_of,
        weights.token_embeddings,
        weights.position_embeddings[:SEQUENCE_LENGTH],
        *(layer.attention_output.kernel.T for layer in weights.layers),
        *(layer.output.kernel.T for layer in weights.layers),
        weights.logits.kernel.T,
        weights.logits.bias,
    ]
    assert [content.count(np.ascontiguousarray(array).tobytes()) for array in arrays] == [1] * len(arrays)


def test_constants_lie_inside_the_flatbuffer(int8_model):
    assert {(buffer.offset, buffer.size) for buffer in int8_model.buffers} == {(0, 0)}
    assert sum(len(buffer.data) for buffer in int8_model.buffers if buffer.data is not None) > 80_000


def operators(model):
    for subgraph in model.subgraphs:
        for op in subgraph.operators:
            yield subgraph, op, model.operatorCodes[op.opcodeIndex]


def is_fully_connected(code):
    return code.builtinCode == schema.BuiltinOperator.FULLY_CONNECTED


def test_matmuls_are_int8_with_a_scale_for_each_output_and_say_so(int8_model):
    found = [
        (graph.tensors[op.inputs[1]], code) for graph, op, code in operators(int8_model) if is_fully_connected(code)
    ]
    assert len(found) == GRAPHS * MATMULS
    for weights, code in found:
        assert weights.type == schema.TensorType.INT8
        assert len(weights.quantization.scale) == weights.shape[0] > 1
        assert code.version == 12


def test_exactly_these_ops_touch_int8(int8_model):
    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    found = Counter(
        names[code.builtinCode]
        for graph, op, code in operators(int8_model)
        if any(graph.tensors[i].type == schema.TensorType.INT8 for i in [*op.inputs, *op.outputs] if i >= 0)
    )
    # Rows of token embeddings are gathered, those of positions sliced, and both cast to float32.
    assert found == {"FULLY_CONNECTED": GRAPHS * MATMULS, "GATHER": 2, "STRIDED_SLICE": 2, "CAST": 4}


def test_structure_of_each_scheme(convert):
    found = {scheme: convert(scheme).structure for scheme in SCHEMES}
    assert {scheme: s.matmul_weights for scheme, s in found.items()} == {
        "fp32": {"float32": GRAPHS * MATMULS},
        "fp16": {"float16": GRAPHS * MATMULS},
        "int8": {"int8": GRAPHS * MATMULS},
    }
    assert {scheme: s.minimum_runtime >= "2." for scheme, s in found.items()} == dict.fromkeys(SCHEMES, True)
    assert found["int8"].minimum_runtime == "2.17.0"
    for structure in found.values():
        assert structure.custom_ops == ()
        names = {name for name, _ in structure.ops}
        assert not names & {"CUSTOM", "WHILE", "CALL_ONCE", "NEG", "VAR_HANDLE", "DELEGATE"}
        assert not any(name.startswith("Flex") for name in names)
        assert sum(n for (name, _), n in structure.ops.items() if name == "FULLY_CONNECTED") == GRAPHS * MATMULS
    assert {v for name, v in found["int8"].ops if name == "FULLY_CONNECTED"} == {12}
    assert {v for name, v in found["fp32"].ops if name == "FULLY_CONNECTED"} == {1}


def test_the_tokenizer_has_no_op_of_late(tokenizer_file, tmp_path):
    """GATHER 4 reads 16-bit tables; `test_converters_tokenizer_runtimes.py` runs it in tflite-runtime 2.14."""
    file = tokenizer_file("lowercase")
    assert file.ids("") == [2, 3]  # made
    structure = read_structure((file.folder / "tokenizer.tflite").read_bytes())
    assert {op for op in structure.ops if op[1] > 2} == {("GATHER", 4)}
    assert structure.custom_ops == ()
    assert structure.matmul_weights == {}


@pytest.mark.parametrize("due", SCHEMES)
def test_a_file_satisfies_its_own_plan_alone(convert, scheme, due):
    structure = convert(scheme).structure
    if due == scheme:
        check_structure(structure, QuantizationPlan(due))
        return
    with pytest.raises(StructureError, match=f"The matmuls of a file with the scheme {due}"):
        check_structure(structure, QuantizationPlan(due))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"custom_ops": ("MyOp",)}, "only builtin ops. Received: MyOp"),
        ({"custom_ops": ("FlexErf", "MyOp")}, "only builtin ops. Received: FlexErf, MyOp"),
        ({"matmuls": {}}, "must have the weights of the plan. Received: pooled_dense: int8 expected, None found"),
        ({"large_float_constants": ("table",)}, "no large float constants. Received: table"),
    ],
    ids=str,
)
def test_a_structure_that_breaks_the_contract_is_refused(convert, changes, message):
    structure = convert("int8").structure
    check_structure(structure, QuantizationPlan("int8"))
    with pytest.raises(StructureError, match=message):
        check_structure(replace(structure, **changes), QuantizationPlan("int8"))


def packed(model):
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def test_a_custom_op_in_a_file_is_found(int8_model):
    model = copy.deepcopy(int8_model)
    code = next(c for c in model.operatorCodes if c.builtinCode == schema.BuiltinOperator.RSQRT)
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = b"FlexRsqrt"
    structure = read_structure(packed(model))
    assert structure.custom_ops == ("FlexRsqrt",)
    assert structure.ops["FlexRsqrt", 0] == GRAPHS * 5
    with pytest.raises(StructureError, match="FlexRsqrt"):
        check_structure(structure, QuantizationPlan("int8"))


def test_one_float_matmul_and_one_float_table_in_an_int8_file_are_found(int8_model):
    model = copy.deepcopy(int8_model)
    graph, op, _ = next(found for found in operators(model) if is_fully_connected(found[2]))
    graph.tensors[op.inputs[1]].type = schema.TensorType.FLOAT32
    structure = read_structure(packed(model))
    assert structure.matmul_weights == {"float32": 1, "int8": GRAPHS * MATMULS - 1}
    with pytest.raises(StructureError, match="int8 expected, float32"):
        check_structure(structure, QuantizationPlan("int8"))

    model = copy.deepcopy(int8_model)
    gathered = [
        graph.tensors[op.inputs[0]]
        for graph, op, code in operators(model)
        if code.builtinCode == schema.BuiltinOperator.GATHER
        and graph.tensors[op.inputs[0]].type == schema.TensorType.INT8
    ]
    buffer = model.buffers[gathered[0].buffer]
    buffer.data = np.zeros(4 * 1024 * 4, np.uint8)
    for tensor in gathered:
        tensor.type, tensor.shape = schema.TensorType.FLOAT32, [1024, 4]
    structure = read_structure(packed(model))
    assert len(structure.large_float_constants) == 1
    with pytest.raises(StructureError, match="large float constants"):
        check_structure(structure, QuantizationPlan("int8"))


def test_constants_behind_the_flatbuffer_are_moved_into_it(int8_model):
    """Where litert-quantizer puts them once a model is large; the tiny one is packed like that by hand."""
    from edgedistil_converters.tflite.buffers import normalize_flatbuffer

    model = copy.deepcopy(int8_model)
    buffer = max((b for b in model.buffers if b.data is not None), key=lambda b: len(b.data))
    data = bytes(np.asarray(buffer.data, np.uint8))
    buffer.data, buffer.offset, buffer.size = None, 2, len(data)  # 0 and 1 stand for inline and absent
    buffer.offset = len(packed(model))
    mended = schema.ModelT.InitFromPackedBuf(normalize_flatbuffer(packed(model) + data), 0)
    assert {(b.offset, b.size) for b in mended.buffers} == {(0, 0)}
    contents = [
        [None if b.data is None else bytes(np.asarray(b.data, np.uint8)) for b in m.buffers]
        for m in (int8_model, mended)
    ]
    assert contents[0] == contents[1]


def make_module(classifier, plan):
    from edgedistil_converters.interface import ModelInterface
    from edgedistil_converters.signatures import TextClassifierModule

    return TextClassifierModule(
        read_weights(classifier), *read_tokenizer(classifier.preprocessor), plan, ModelInterface()
    )


def test_the_same_classifier_gives_the_same_bytes_and_no_output(convert, classifier, capfd):
    """TF_CPP_MIN_LOG_LEVEL is 3 in the tests: what TensorFlow's C++ says of itself is not looked at here."""
    from edgedistil_converters.flatbuffer import convert_module
    from edgedistil_converters.signatures import DEFAULT_SHAPES

    before = convert("int8").artifact.flatbuffer()
    plan = QuantizationPlan("int8")
    module = make_module(classifier, plan)
    capfd.readouterr()
    again = convert_module(module, plan, DEFAULT_SHAPES)
    assert capfd.readouterr() == ("", "")
    assert again == before


def test_what_tensorflow_refuses_is_a_conversion_error_of_one_line():
    import tensorflow as tf

    from edgedistil_converters.flatbuffer import convert_module

    module = tf.Module()
    module.functions = {
        "f": tf.function(
            lambda text: {"y": tf.strings.length(tf.strings.as_string(text))},
            input_signature=[tf.TensorSpec([None], tf.int32, name="text")],
        )
    }
    with pytest.raises(ConversionError, match="TensorFlow's converter refused the graph") as caught:
        convert_module(module, QuantizationPlan("fp32"), {})
    assert len(str(caught.value).splitlines()) == 1
    assert caught.value.__cause__ is not None


TEXTS = ("", "a", "turn on the light!", "Straße 東京 quiz", "play music " * 20)


def test_files_compute_what_keras_computes(convert, classifier, scheme):
    tolerance = {"fp32": 1e-5, "fp16": 5e-3, "int8": 0.06}[scheme]
    features = classifier.preprocessor(list(TEXTS))
    outputs = np.asarray(classifier({k: np.asarray(features[k]) for k in ("token_ids", "padding_mask")}))
    exponentials = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    backend = LiteRTInterpreterBackend(convert(scheme).artifact.path)
    single = np.concatenate([backend.run("classify_text", {"text": encode_text(t)})["probabilities"] for t in TEXTS])
    batch = backend.run("classify_tokens", {"token_ids": np.asarray(features["token_ids"], np.int32)})["probabilities"]
    np.testing.assert_allclose(single, expected, rtol=0, atol=tolerance)
    np.testing.assert_allclose(batch, expected, rtol=0, atol=tolerance)
    assert np.ptp(expected, axis=0).max() > 5 * tolerance


def swapped(model, first, second):
    """A flatbuffer with two subgraphs in each other's place."""
    content = schema.ModelT.InitFromPackedBuf(model, 0)
    place = {first: second, second: first}
    for subgraph in content.subgraphs:
        for op in subgraph.operators:
            for name, index in list(vars(op.builtinOptions).items()) if op.builtinOptions else ():
                if name.endswith("SubgraphIndex"):
                    setattr(op.builtinOptions, name, place.get(index, index))
    content.subgraphs[first], content.subgraphs[second] = content.subgraphs[second], content.subgraphs[first]
    return packed(content)


def test_branches_are_in_the_order_of_their_calls_however_tensorflow_numbers_them(convert):
    model = normalize_flatbuffer(convert("fp32").artifact.flatbuffer())
    content = schema.ModelT.InitFromPackedBuf(model, 0)
    branches = [index for index, subgraph in enumerate(content.subgraphs) if subgraph.name.startswith(b"branch_")]
    assert len(branches) >= 2
    other = swapped(model, branches[0], branches[-1])
    assert other != model
    assert normalize_flatbuffer(other) == model

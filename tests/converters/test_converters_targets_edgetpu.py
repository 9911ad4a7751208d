"""The encoder for an Edge TPU, run on the CPU, and which of its ops the compiler is predicted to map."""

import json
from types import SimpleNamespace

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_converters.targets.edgetpu_mapping import predict_mapping
from edgedistil_runtime.errors import ConversionError

from .targets import LENGTH, PAD, TEXTS, WIDTH, converted

# Full int8 of a classifier of width 16 with random weights; a trained one of width 128 has a mean of 0.0015.
EDGETPU_MEAN_TOLERANCE, EDGETPU_AGREEMENT = 0.06, 0.85
KERNEL_TOLERANCE = 48  # steps of 1/256 by which two of LiteRT's own sets of int8 kernels may differ


@pytest.fixture(scope="module")
def edgetpu(ingredients, rows):
    from edgedistil_converters.targets.edgetpu import build_edgetpu_encoder

    return build_edgetpu_encoder(*ingredients, QuantizationPlan("int8-static"), rows)


class Encoder:
    """An encoder without a signature, run by the names of its tensors."""

    def __init__(self, flatbuffer, kernels=OpResolverType.AUTO):
        self._interpreter = Interpreter(model_content=flatbuffer, num_threads=1, experimental_op_resolver_type=kernels)
        self._interpreter.allocate_tensors()
        self.inputs = {detail["name"]: detail for detail in self._interpreter.get_input_details()}
        [self.output] = self._interpreter.get_output_details()

    def steps(self, inputs):
        for name, values in inputs.items():
            self._interpreter.set_tensor(self.inputs[name]["index"], values)
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self.output["index"])[0]

    def __call__(self, inputs):
        scale, zero_point = self.output["quantization"]
        return (self.steps(inputs).astype(np.float32) - zero_point) * scale


# The encoder


def test_the_encoder_is_one_int8_subgraph_without_signatures(edgetpu):
    model = schema.ModelT.InitFromPackedBuf(edgetpu.flatbuffer, 0)
    [subgraph] = model.subgraphs
    assert not model.signatureDefs
    assert edgetpu.lengths == (LENGTH,)
    encoder = Encoder(edgetpu.flatbuffer)
    assert {name: (d["shape"].tolist(), d["dtype"]) for name, d in encoder.inputs.items()} == {
        "embeddings": ([1, 1, LENGTH, WIDTH], np.int8),
        "attention_mask": ([1, 1, LENGTH, 1], np.int8),
    }
    assert encoder.output["name"] == "probabilities"
    assert encoder.output["quantization"] == (1 / 256, -128)
    computed = {int(op.outputs[0]) for op in subgraph.operators}
    assert {subgraph.tensors[i].type for i in computed} == {schema.TensorType.INT8}
    assert all(buffer.offset == 0 for buffer in model.buffers)  # nothing behind the flatbuffer


def test_edgetpu_encoder_computes_nearly_what_keras_computes(edgetpu, embedded, answers, rows):
    encoder = Encoder(edgetpu.flatbuffer)
    found = np.array([encoder(inputs) for inputs in embedded(edgetpu, rows)])
    due = np.array([answer.probabilities for answer in answers])
    assert len({int(row.argmax()) for row in due}) > 1
    assert np.abs(found - due).mean() < EDGETPU_MEAN_TOLERANCE
    assert (found.argmax(1) == due.argmax(1)).mean() >= EDGETPU_AGREEMENT


def test_embed_rounds_as_the_encoder_is_told(edgetpu, embedded, ingredients, rows):
    from edgedistil_converters.targets.edgetpu import _float_inputs
    from edgedistil_converters.targets.parts import padded_row

    encoder = Encoder(edgetpu.flatbuffer)
    for row, inputs in zip(rows, embedded(edgetpu, rows), strict=True):
        due = _float_inputs(ingredients[0], padded_row(row, LENGTH, PAD), PAD)
        for name, values in inputs.items():
            scale, zero_point = encoder.inputs[name]["quantization"]
            tokens = np.s_[:, :, : len(row)]  # padding lies outside of the ranges
            found = (values.astype(np.float32) - zero_point) * scale
            np.testing.assert_allclose(found[tokens], due[name][tokens], rtol=0, atol=0.51 * scale)
        assert (inputs["attention_mask"].reshape(-1) == 127).sum() == len(row)


def test_padding_has_no_influence(edgetpu, embedded, rows):
    encoder = Encoder(edgetpu.flatbuffer)
    inputs = embedded(edgetpu, rows[:2])
    for values, row in zip(inputs, rows[:2], strict=True):
        due = encoder.steps(values).copy()
        generator = np.random.default_rng(0)
        padding = values["embeddings"].copy()
        padding[:, :, len(row) :] = generator.integers(-128, 128, padding[:, :, len(row) :].shape, np.int8)
        assert not np.array_equal(padding, values["embeddings"])
        assert encoder.steps({**values, "embeddings": padding}).tolist() == due.tolist()


def test_all_kernels_of_litert_agree(edgetpu, embedded, rows):
    """A form that one set of kernels gets wrong, as the reference kernels SUM, would not be fit for a third machine."""
    kernels = (OpResolverType.AUTO, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES, OpResolverType.BUILTIN_REF)
    inputs = embedded(edgetpu, rows)
    found = [[Encoder(edgetpu.flatbuffer, k).steps(values) for values in inputs] for k in kernels]
    for other in found[1:]:
        assert np.abs(np.array(other, int) - np.array(found[0], int)).max() <= KERNEL_TOLERANCE


def test_given_ranges_stand_in_the_place_of_measured_ones(ingredients, rows):
    from edgedistil_converters.targets.edgetpu import build_edgetpu_encoder

    layer = {"query": (-1.0, 3.0), "scores": (-2.0, 5.0), "attention": (0.0, 1.0)}
    sites = {f"transformer_layer_0/{name}": pair for name, pair in layer.items()} | {"logits": (-7.0, 7.0)}
    parts = build_edgetpu_encoder(*ingredients, QuantizationPlan("int8-qat"), rows[:3], ranges=sites)
    [subgraph] = schema.ModelT.InitFromPackedBuf(parts.flatbuffer, 0).subgraphs
    outputs = [subgraph.tensors[op.outputs[0]] for op in subgraph.operators]
    found = {t.name.decode(): t.quantization for t in outputs if t.quantization.scale is not None}

    def spans(part):
        [step] = {(q.scale[0], q.zeroPoint[0]) for name, q in found.items() if part in name}
        return ((-128 - step[1]) * step[0], (127 - step[1]) * step[0])

    assert spans("transformer_layer_0/query/") == pytest.approx((-1, 3), abs=0.02)
    assert spans("transformer_layer_0/scores/Conv2D") == pytest.approx((-5, 2), abs=0.03)  # negated
    assert spans("transformer_layer_0/attention/masked") == pytest.approx((-5, 2), abs=0.03)
    assert spans("logits/Conv2D") == pytest.approx((-7, 7), abs=0.06)
    # Attention is divided by its mean here, so that its range is that of another tensor.
    [spread] = [op for op in subgraph.operators if b"layer_0/mixed/spread" in subgraph.tensors[op.outputs[0]].name]
    assert 255 * subgraph.tensors[spread.inputs[0]].quantization.scale[0] > 1.5


def test_ranges_need_rows(ingredients):
    from edgedistil_converters.targets.edgetpu import build_edgetpu_encoder

    with pytest.raises(ConversionError, match="Received: none. Pass `calibration_texts`"):
        build_edgetpu_encoder(*ingredients, QuantizationPlan("int8-static"), [])


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_float_graph_computes_what_keras_computes(make_classifier, activation):
    """Before it is rounded: the softmax of rsqrt and sigmoid is exact, GELU is not, and there may be no layers."""
    from edgedistil_converters.model.keras_hub import read_weights
    from edgedistil_converters.targets.edgetpu import _float_inputs
    from edgedistil_converters.targets.edgetpu_graph import EdgeTPUGraph
    from edgedistil_converters.targets.parts import padded_row
    from edgedistil_converters.verification.keras_answers import answer_with_keras

    for num_layers, tolerance in ((0, 1e-5), (2, 0.05)):
        classifier = make_classifier(activation=activation, num_layers=num_layers)
        weights, answers = read_weights(classifier), answer_with_keras(classifier, TEXTS[:6])
        for answer in answers:
            inputs = _float_inputs(weights, padded_row(answer.token_ids, LENGTH, PAD), PAD)
            both = [EdgeTPUGraph(weights, form).classify(**inputs).numpy()[0] for form in (False, True)]
            np.testing.assert_allclose(both[0], both[1], rtol=0, atol=1e-5)
            np.testing.assert_allclose(both[0], answer.probabilities, rtol=0, atol=tolerance)


# What the compiler would do


def test_the_whole_encoder_is_predicted_to_map(edgetpu):
    prediction = predict_mapping(edgetpu.flatbuffer)
    assert prediction.is_whole, prediction.to_dict()["reasons"]
    assert prediction.mapped == len(prediction.ops) > 100
    assert prediction.largest_activation_bytes == LENGTH * LENGTH * WIDTH
    summary = prediction.to_dict()
    assert summary["source"] == "predicted" and summary["on_cpu"] == 0
    assert json.loads(json.dumps(summary)) == summary
    assert json.loads(json.dumps(prediction.op_dicts()))[0]["is_mapped"] is True


def test_batch_matmul_ends_the_segment(ingredients, rows):
    from edgedistil_converters.targets.edgetpu import build_edgetpu_encoder

    parts = build_edgetpu_encoder(*ingredients, QuantizationPlan("int8-static"), rows[:3], has_batch_matmul=True)
    prediction = predict_mapping(parts.flatbuffer)
    first = next(i for i, op in enumerate(prediction.ops) if not op.is_mapped)
    assert prediction.ops[first].op == "BATCH_MATMUL" and 0 < first < 15
    assert not any(op.is_mapped for op in prediction.ops[first:])
    reasons = prediction.to_dict()["reasons"]
    assert reasons["BATCH_MATMUL: not in the list of supported operations"] == 4
    assert any("makes one segment" in reason for reason in reasons)


def edited(flatbuffer, edit):
    """A flatbuffer after a change to its `ModelT`."""
    model = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
    edit(model)
    builder = flatbuffers.Builder(len(flatbuffer) + 1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def first_op(model, name):
    """The first op of a kind, its inputs and its output."""
    [subgraph], code = model.subgraphs, getattr(schema.BuiltinOperator, name)
    op = next(op for op in subgraph.operators if model.operatorCodes[op.opcodeIndex].builtinCode == code)
    return SimpleNamespace(
        op=op,
        inputs=[subgraph.tensors[i] for i in op.inputs],
        output=subgraph.tensors[op.outputs[0]],
        code=model.operatorCodes[op.opcodeIndex],
    )


def make_dynamic(model):
    op = first_op(model, "ADD")
    op.output.shapeSignature = [-1, *op.output.shape[1:]]


def make_float(model):
    first_op(model, "ADD").output.type = schema.TensorType.FLOAT32


def make_batch(model):
    first_op(model, "ADD").output.shape = [2, 3, 4, 5]


def set_code(code, number):
    code.builtinCode, code.deprecatedBuiltinCode = number, min(number, 127)


def make_gelu(model):
    set_code(first_op(model, "LOGISTIC").code, schema.BuiltinOperator.GELU)


def make_tile(model):
    set_code(first_op(model, "REDUCE_MIN").code, schema.BuiltinOperator.TILE)


def make_rows(model):
    first_op(model, "SOFTMAX").inputs[0].shape = [1, 2, 3]


def make_long(model):
    first_op(model, "SOFTMAX").inputs[0].shape = [1, 16_001]


def make_odd_channels(model):
    for tensor in model.subgraphs[0].tensors:
        if tensor.shape is not None and len(tensor.shape) == 4 and tensor.shape[-1] == WIDTH:
            tensor.shape = [*tensor.shape[:-1], WIDTH + 1]


def make_batch_mean(model):
    axes = first_op(model, "MEAN").inputs[1]
    model.buffers[axes.buffer].data = np.frombuffer(np.array([0], np.int32).tobytes(), np.uint8)


def make_dilated(model):
    first_op(model, "CONV_2D").op.builtinOptions.dilationWFactor = 3


def make_computed_weights(model):
    kernel = first_op(model, "CONV_2D").inputs[1]
    kernel.shape, model.buffers[kernel.buffer].data = [1, *kernel.shape[1:]], None


@pytest.mark.parametrize(
    ("edit", "op", "reason"),
    [
        (make_dynamic, "ADD", "has no fixed shape"),
        (make_float, "ADD", "is not int8"),
        (make_batch, "ADD", "more than 3 dimensions above 1"),
        (make_gelu, "GELU", "the compiler cannot read a file with GELU"),
        (make_tile, "TILE", "not in the list"),
        (make_rows, "SOFTMAX", "its input has 2 rows"),
        (make_long, "SOFTMAX", "longer than 16000"),
        (make_odd_channels, "MEAN", f"it reduces {WIDTH + 1} channels"),
        (make_batch_mean, "MEAN", "it reduces the batch"),
        (make_dilated, "CONV_2D", "dilations"),
        (make_computed_weights, "CONV_2D", "not constant"),
    ],
)
def test_limits_of_ops(edgetpu, edit, op, reason):
    prediction = predict_mapping(edited(edgetpu.flatbuffer, edit))
    assert not prediction.is_whole
    assert any(found.op == op and reason in found.reason for found in prediction.ops), prediction.to_dict()
    assert bool(prediction.refusal) == (op == "GELU") and (op != "GELU" or prediction.mapped == 0)


@pytest.mark.parametrize(
    ("compute", "shape", "op", "reason"),
    [
        (lambda tf, x: tf.matmul(x, np.ones((8, 3), np.float32)), (4, 8), "FULLY_CONNECTED", "its output has 4 rows"),
        (lambda tf, x: tf.matmul(x, np.ones((8, 3), np.float32)), (1, 8), "FULLY_CONNECTED", ""),
        (lambda tf, x: x[:, ::2], (4, 8), "STRIDED_SLICE", "its strides are not all 1"),
        (lambda tf, x: tf.concat([x, np.ones((4, 8), np.float32)], 1), (4, 8), "CONCATENATION", "a constant input"),
        (lambda tf, x: tf.pad(x, [[1, 0], [0, 0]]), (4, 8), "PAD", "pads the batch"),
        (lambda tf, x: tf.pad(x, [[0, 0], [1, 0]]), (4, 8), "PAD", ""),
        (lambda tf, x: tf.split(x, 2, 0)[1], (4, 8), "SPLIT", "splits the batch"),
        (lambda tf, x: tf.stack([x, 2 * x]), (4, 8), "PACK", "packs along the batch"),
        (lambda tf, x: tf.nn.relu(tf.nn.max_pool2d(x, 2, 2, "VALID")), (1, 4, 4, 8), "MAX_POOL_2D", "activation"),
    ],
)
def test_limits_of_other_ops(compute, shape, op, reason):
    def make_integers(model):
        for tensor in model.subgraphs[0].tensors:
            if tensor.type == schema.TensorType.FLOAT32:
                tensor.type = schema.TensorType.INT8

    prediction = predict_mapping(edited(converted(compute, shape), make_integers))
    [found] = [found for found in prediction.ops if found.op == op]
    assert reason in found.reason
    assert found.is_mapped == (not reason)

"""Targets that take fixed lengths: GPU and Edge TPU, run on the CPU, and what is predicted of them."""

import json
import stat
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgedistil_converters.interface import ModelInterface
from edgedistil_converters.quantization.plan import SCHEMES, LayerScheme, QuantizationPlan
from edgedistil_converters.structure import read_structure
from edgedistil_converters.targets.edgetpu_compiler import parse_compiler_log, run_edgetpu_compiler
from edgedistil_converters.targets.edgetpu_mapping import predict_mapping
from edgedistil_converters.targets.plans import TARGETS, check_target, check_target_plan, target_schemes
from edgedistil_runtime.errors import ConversionError
from edgedistil_runtime.metadata import TARGETS as METADATA_TARGETS

LENGTH, WIDTH, PAD = 24, 16, 0
GPU_TOLERANCE = {"fp32": 1e-5, "fp16": 5e-3, "int8": 0.06}
# Full int8 of a classifier of width 16 with random weights; a trained one of width 128 has a mean of 0.0015.
EDGETPU_MEAN_TOLERANCE, EDGETPU_AGREEMENT = 0.06, 0.85
KERNEL_TOLERANCE = 48  # steps of 1/256 by which two of LiteRT's own sets of int8 kernels may differ
TEXTS = (
    "turn on the light",
    "play music",
    "",
    "turn the light off in Paris, please!",
    "NASA plays music 日 on and on and on and on and on and on and on and on",
    "é ü ñ straße 京都",
    *(
        f"{a} the {b} {c}"
        for a in ("turn", "play", "is", "stop")
        for b in ("light", "music")
        for c in ("on", "off", "?")
    ),
)


@pytest.fixture(scope="module")
def ingredients(classifier):
    """Weights of the tiny classifier, and settings of its tokenizer."""
    from edgedistil_converters.edge_graph.weights import read_weights
    from edgedistil_converters.tokenizer.settings import read_tokenizer

    return read_weights(classifier), read_tokenizer(classifier.preprocessor)[0]


@pytest.fixture(scope="module")
def answers(classifier):
    from edgedistil_converters.verification import answer_with_keras

    return answer_with_keras(classifier, TEXTS)


@pytest.fixture(scope="module")
def rows(answers):
    return [answer.token_ids for answer in answers]


@pytest.fixture(scope="module")
def edgetpu(ingredients, rows):
    from edgedistil_converters.targets.edgetpu import build_edgetpu_encoder

    return build_edgetpu_encoder(*ingredients, QuantizationPlan("int8-static"), rows)


@pytest.fixture(scope="module")
def gpu(ingredients):
    """`gpu("fp32")`: the module's one conversion by that scheme."""
    from edgedistil_converters.targets.gpu import build_gpu_encoder

    return cache(lambda scheme: build_gpu_encoder(ingredients[0], LENGTH, QuantizationPlan(scheme)))


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


def runner(flatbuffer, signature):
    return Interpreter(model_content=flatbuffer, num_threads=1).get_signature_runner(signature)


@pytest.fixture(scope="module")
def embedded(ingredients):
    """`embedded(encoder, rows)`: what `embed` gives for rows, with float tables."""
    from edgedistil_converters.targets.parts import padded_row

    weights = ingredients[0]

    def embed(encoder, rows):
        found = []
        for row in rows:
            length = next(length for length in encoder.lengths if length >= len(row))
            ids = padded_row(row, length, PAD)[0]
            embeddings = weights.token_embeddings[ids] + weights.position_embeddings[:length]
            inputs = encoder.inputs(embeddings, (ids != PAD).astype(np.float32))
            found.append({name: np.asarray(values) for name, values in inputs.items()})
        return found

    return embed


# Plans


def test_targets_are_those_that_metadata_know():
    assert tuple(TARGETS) == METADATA_TARGETS


def test_schemes_of_targets():
    assert target_schemes("cpu") == tuple(SCHEMES)
    assert target_schemes("gpu") == ("fp32", "fp16", "int8")
    assert target_schemes("edgetpu") == ("int8-static", "int8-qat")


@pytest.mark.parametrize(
    ("target", "plan", "message"),
    [
        ("gpu", QuantizationPlan("int8-static"), "computes in float.*zeros.*--quantize int8-static.*fp32, fp16, int8"),
        ("gpu", QuantizationPlan("int8-qat"), "A GPU cannot run a plan of int8-qat"),
        ("gpu", QuantizationPlan("int4"), "abort"),
        ("gpu", QuantizationPlan("int8", (LayerScheme("logits", "int4"),)), "layers of int4.*'logits=int4'"),
        ("edgetpu", QuantizationPlan("int8"), "int8 alone.*Use one of int8-static, int8-qat"),
        ("edgetpu", QuantizationPlan("int8-static", (LayerScheme("logits", "fp32"),)), "layers of fp32"),
        ("tpu", QuantizationPlan("fp32"), "cpu, gpu, edgetpu. Received: 'tpu'"),
    ],
)
def test_plans_that_a_target_cannot_run(target, plan, message):
    with pytest.raises(ConversionError, match=message):
        check_target_plan(target, plan)


@pytest.mark.parametrize(
    ("interface", "message"),
    [
        (ModelInterface("tftext"), "builtin or none. Received: 'tftext'"),
        (ModelInterface("none", metadata="mediapipe"), "--target gpu with --metadata mediapipe"),
    ],
)
def test_interfaces_that_an_accelerator_cannot_have(interface, message):
    check_target("cpu", QuantizationPlan("fp16"), interface)
    with pytest.raises(ConversionError, match=message):
        check_target("gpu", QuantizationPlan("fp16"), interface)


@pytest.mark.parametrize("target", TARGETS)
def test_every_scheme_of_a_target_passes(target):
    for scheme in target_schemes(target):
        check_target_plan(target, QuantizationPlan(scheme))
    layer = (LayerScheme("logits", "int8"),)  # what a layer of such a plan is anyway
    check_target_plan("edgetpu", QuantizationPlan("int8-static", layer))


# GPU


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


def converted(compute, *shapes, dtype="float32"):
    import tensorflow as tf

    from edgedistil_converters.flatbuffer import convert_module

    module = tf.Module()
    specs = [tf.TensorSpec(shape, getattr(tf, dtype), name=f"x{i}") for i, shape in enumerate(shapes)]
    module.functions = {"f": tf.function(lambda *x: {"y": compute(tf, *x)}, input_signature=specs)}
    return convert_module(module, QuantizationPlan("fp32"), {})


@pytest.mark.parametrize(
    ("compute", "shapes", "dtype", "message"),
    [
        (lambda tf, x: x + np.ones((4, 8), np.float32), [(4, 8)], "float32", "constant matrix of rank 2"),
        (lambda tf, x: x[:, 0], [(4, 8)], "float32", "an axis is dropped"),
        (lambda tf, x: tf.matmul(x, x), [(1, 4, 4)], "float32", "multiplied by itself"),
        (lambda tf, x: tf.gather(np.ones((9, 8), np.float32), x), [(4,)], "int32", "is not float32"),
        (lambda tf, x: tf.gather(np.ones((9, 8), np.float32), x), [(4,)], "int32", "GATHER, which GPUs do not know"),
        (lambda tf, x: x * 2, [(None, 8)], "float32", "no fixed shape"),
        (lambda tf, x: x * 2, [(1, 2, 3, 4, 5)], "float32", "rank 5"),
    ],
    ids=["matrix", "slice", "square", "integers", "gather", "dynamic", "rank"],
)
def test_what_a_gpu_gets_wrong_is_found(compute, shapes, dtype, message):
    from edgedistil_converters.targets.gpu import gpu_objections

    assert any(message in objection for objection in gpu_objections(converted(compute, *shapes, dtype=dtype)))


# Edge TPU


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

    with pytest.raises(ConversionError, match="Received: none. Pass --calibration-data"):
        build_edgetpu_encoder(*ingredients, QuantizationPlan("int8-static"), [])


def test_without_layers_there_is_nothing_for_an_accelerator(ingredients):
    from edgedistil_converters.targets.edgetpu import build_edgetpu_encoder
    from edgedistil_converters.targets.gpu import build_gpu_encoder

    weights, settings = ingredients
    headless = replace(weights, layers=())
    with pytest.raises(ConversionError, match="--target cpu"):
        build_gpu_encoder(headless, LENGTH, QuantizationPlan("fp32"))
    with pytest.raises(ConversionError, match="--target cpu"):
        build_edgetpu_encoder(headless, settings, QuantizationPlan("int8-static"), [[2, 3]])


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_float_graph_computes_what_keras_computes(make_classifier, activation):
    """Before it is rounded: the softmax of rsqrt and sigmoid is exact, GELU is not, and there may be no layers."""
    from edgedistil_converters.edge_graph.weights import read_weights
    from edgedistil_converters.targets.edgetpu import _float_inputs
    from edgedistil_converters.targets.edgetpu_graph import EdgeTPUGraph
    from edgedistil_converters.targets.parts import padded_row
    from edgedistil_converters.verification import answer_with_keras

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
        (lambda tf, x: tf.matmul(x, np.ones((8, 3), np.float32)), (4, 8), "FULLY_CONNECTED", "it puts out 4 rows"),
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


LOG = """\
Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 812 ms.

Input model: encoder.tflite
Input size: 512.50KiB
Output model: encoder_edgetpu.tflite
Output size: 1.10MiB
On-chip memory used for caching model parameters: 438.25KiB
On-chip memory remaining for caching model parameters: 7.25MiB
Off-chip memory used for streaming uncached model parameters: 64.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 9
Operation log: encoder_edgetpu.log

Model successfully compiled but not all operations are supported by the Edge TPU.
Number of operations that will run on Edge TPU: 6
Number of operations that will run on CPU: 3

Operator                       Count      Status

CONV_2D                        4          Mapped to Edge TPU
MUL                            2          Mapped to Edge TPU
BATCH_MATMUL                   1          Operation not supported
MUL                            1          More than one subgraph is not supported
SOFTMAX                        1          Operation is otherwise supported, but not mapped due to some unspecified limitation
Compilation child process completed within timeout period.
Compilation succeeded!
"""  # noqa: E501


def test_log_of_the_compiler():
    log = parse_compiler_log(LOG)
    assert log.version == "16.0.384591198"
    assert [(line.op, line.count) for line in log.ops] == [
        ("CONV_2D", 4), ("MUL", 2), ("BATCH_MATMUL", 1), ("MUL", 1), ("SOFTMAX", 1),
    ]  # fmt: skip
    assert log.ops[2].status == "Operation not supported"
    assert log.ops[4].status.endswith("due to some unspecified limitation")
    assert (log.mapped, log.is_whole, log.subgraphs) == (6, False, 1)
    assert (log.on_chip_used, log.on_chip_remaining, log.off_chip_used) == (448_768, 7_602_176, 64)
    summary = log.to_dict()
    assert summary["mapped"] == 6 and summary["ops"][0]["op"] == "CONV_2D"
    assert json.loads(json.dumps(summary))["source"] == "edgetpu_compiler"


def test_a_log_file_has_the_table_alone():
    log = parse_compiler_log("Operator   Count   Status\n\nADD   2   Mapped to Edge TPU\n")
    assert log.is_whole and log.mapped == 2
    assert (log.version, log.subgraphs, log.off_chip_used) == ("", None, None)


def test_a_log_without_a_table_is_an_error():
    with pytest.raises(ConversionError, match="--show_operations.*Received: 'Compilation failed!'"):
        parse_compiler_log("Edge TPU Compiler version 16.0.384591198\nCompilation failed!\n")


def make_compiler(folder, script):
    """A stand-in on the PATH: the compiler itself cannot be had here."""
    program = folder / "edgetpu_compiler"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def test_no_compiler_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run_edgetpu_compiler(tmp_path / "encoder.tflite", tmp_path) is None


def test_the_compiler_is_run(tmp_path, monkeypatch):
    (tmp_path / "log").write_text(LOG)
    (tmp_path / "encoder.tflite").write_bytes(b"model")
    make_compiler(tmp_path, 'cp "$4" "$3/encoder_edgetpu.tflite"\necho "$@" > "$3/arguments"\ncat "$3/log"')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    compilation = run_edgetpu_compiler(tmp_path / "encoder.tflite", tmp_path)
    assert compilation.flatbuffer == b"model"
    assert compilation.log == parse_compiler_log(LOG)
    assert (tmp_path / "arguments").read_text().split() == [
        "--show_operations", "--out_dir", str(tmp_path), str(tmp_path / "encoder.tflite"),
    ]  # fmt: skip


def test_a_refusal_says_what_the_compiler_said(tmp_path, monkeypatch):
    make_compiler(tmp_path, "echo 'Compilation failed due to large activation tensors in model.'\nexit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(ConversionError, match="large activation tensors in model.*--sequence-length"):
        run_edgetpu_compiler(tmp_path / "encoder.tflite", tmp_path)

"""GPTQ: int4 weights that err less on texts of the task than those rounded to nearest, and are in the file as such."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edgedistil_converters import QuantizationPlan
from edgedistil_converters.flatbuffer import convert_module
from edgedistil_converters.interface import ModelInterface
from edgedistil_converters.quantization import int4
from edgedistil_converters.quantization.calibration import sampled
from edgedistil_converters.quantization.gptq import LEAST_SCALE, Int4Weights, round_by_gptq
from edgedistil_converters.quantization.int4 import input_hessians, rounded_weights, write_weights
from edgedistil_converters.quantization.plan import LayerScheme
from edgedistil_converters.quantization.quantize import quantize
from edgedistil_converters.sites import matmul_sites
from edgedistil_converters.tflite.structure import read_structure
from edgedistil_converters.verification.plan_check import check_structure
from edgedistil_runtime.errors import ConversionError

LAYERS, WIDTH, INTERMEDIATE, SEQUENCE_LENGTH = 2, 32, 48, 24
INT4, GPTQ = QuantizationPlan("int4"), QuantizationPlan("int4", rounding="gptq")
BY_CHANNEL = QuantizationPlan("int4", rounding="gptq", int4_scales="channel")
FLOAT_MATMULS = QuantizationPlan("fp32", (LayerScheme("*_embeddings", "int4"),))
SITES = matmul_sites(LAYERS)
CHANNELS = tuple(f"transformer_layer_{i}/output" for i in range(LAYERS))  # 32 does not divide their inputs


# --- the rounding itself


def correlated_inputs(inputs, *, rows=400, seed=0):
    generator = np.random.default_rng(seed)
    hidden = generator.normal(size=(rows, max(2, inputs // 3)))
    return (hidden @ generator.normal(size=(hidden.shape[1], inputs))).astype(np.float32)


def make_weights(outputs, inputs, seed=1):
    return np.random.default_rng(seed).normal(0, 0.1, (outputs, inputs)).astype(np.float32)


def output_error(weights, rounded, values):
    return float(np.square(values @ (weights - rounded).T).sum())


def nearest(weights, scales):
    blocks = weights.reshape(*scales.shape, -1)
    steps = np.clip(np.rint(blocks / scales[:, :, None]), -8, 7)
    return (steps * scales[:, :, None]).reshape(weights.shape)


@pytest.mark.parametrize(
    ("inputs", "block", "blocks"), [(64, 32, 2), (96, 32, 3), (48, 32, 1), (200, 32, 1), (64, 0, 1)]
)
def test_outputs_err_less_than_with_weights_rounded_to_nearest(inputs, block, blocks):
    weights, values = make_weights(24, inputs), correlated_inputs(inputs)
    found = round_by_gptq(weights, values.T @ values, block)
    assert found.steps.dtype == np.int8
    assert found.steps.shape == weights.shape
    assert found.scales.shape == (24, blocks)
    assert (found.steps.min(), found.steps.max()) == (-8, 7)
    largest = np.abs(weights.reshape(24, blocks, -1)).max(2) / 7
    due = min(output_error(weights, nearest(weights, scales), values) for scales in (largest, found.scales))
    assert output_error(weights, found.values, values) < 0.5 * due


def test_inputs_that_know_nothing_of_each_other_are_rounded_to_nearest():
    weights = make_weights(8, 64)
    found = round_by_gptq(weights, 5 * np.eye(64), 32)
    np.testing.assert_array_equal(found.values, nearest(weights, found.scales))


def by_the_definition(weights, hessian, scale):
    """Optimal brain quantization in order: after each input, the best move of all later ones, solved afresh."""
    left, steps = weights.astype(np.float64), np.zeros(weights.shape)
    damped = hessian + 0.01 * np.diag(hessian).mean() * np.eye(len(hessian))
    for i in range(weights.shape[1]):
        steps[:, i] = np.clip(np.rint(left[:, i] / scale), -8, 7)
        error = left[:, i] - steps[:, i] * scale
        rest = damped[i + 1 :, i + 1 :]
        left[:, i + 1 :] += np.outer(error, np.linalg.solve(rest, damped[i + 1 :, i]))
    return steps


@pytest.mark.parametrize(("inputs", "block"), [(80, 32), (64, 0)])
def test_the_moves_are_those_of_the_definition(inputs, block):
    """With one scale a channel; the inputs with the largest squares come first."""
    weights, values = make_weights(12, inputs), correlated_inputs(inputs).astype(np.float64)
    hessian = values.T @ values
    found = round_by_gptq(weights, hessian, block)
    order = np.argsort(-np.diag(hessian))
    assert list(order) != sorted(order)
    due = by_the_definition(weights[:, order], hessian[np.ix_(order, order)], found.scales[:, 0])
    assert (found.steps[:, order] == due).mean() > 0.99  # the rest are ties that float32 decides


def test_blocks_are_rounded_in_the_order_of_their_inputs():
    weights, values = make_weights(12, 32), correlated_inputs(32).astype(np.float64)
    found = round_by_gptq(weights, values.T @ values, 32)
    due = by_the_definition(weights, values.T @ values, found.scales[:, 0])
    assert (found.steps == due).mean() > 0.99


def test_an_input_that_is_always_zero_changes_nothing():
    weights, values = make_weights(6, 64), correlated_inputs(64)
    values[:, 10] = 0
    found = round_by_gptq(weights, values.T @ values, 32)
    assert np.isfinite(found.values).all()
    assert output_error(weights, found.values, values) < output_error(weights, nearest(weights, found.scales), values)
    silent = round_by_gptq(weights, np.zeros((64, 64), np.float32), 32)
    np.testing.assert_array_equal(silent.values, nearest(weights, silent.scales))


def test_one_text_is_enough_to_stay_finite():
    weights, values = make_weights(6, 64), correlated_inputs(64, rows=1)
    found = round_by_gptq(weights, values.T @ values, 32)
    assert np.abs(found.values - weights).max() < 0.2


def test_scales_are_what_kernels_read():
    """float16 in the file, bfloat16 in XNNPACK; of zeros too."""
    weights = make_weights(5, 64)
    weights[0], weights[1, :32], weights[2] = 0, 1e-7, 1e3 * weights[2]
    scales = round_by_gptq(weights, np.eye(64), 32).scales
    assert scales.min() >= LEAST_SCALE
    np.testing.assert_array_equal(scales, scales.astype(np.float16).astype(np.float32))
    assert not (scales.view(np.uint32) & 0xFFFF).any()


# --- in a model


@pytest.fixture(scope="module")
def make_file(wide):
    """`make_file(plan, interface=..., **options of convert_module)`."""
    from edgedistil_converters.model.keras_hub import read_weights
    from edgedistil_converters.signatures import TextClassifierModule
    from edgedistil_converters.tokenizer.settings import read_tokenizer

    def make(plan, interface=None, **options):
        module = TextClassifierModule(
            read_weights(wide), *read_tokenizer(wide.preprocessor), plan, interface or ModelInterface("none")
        )
        return convert_module(module, plan, {}, **options)

    return make


@pytest.fixture(scope="module")
def float_model(make_file):
    """Float matmuls, and the embeddings of an int4 plan: what `quantize` starts from."""
    return make_file(FLOAT_MATMULS)


@pytest.fixture(scope="module")
def rows(vocabulary):
    """Token ids of sixty texts."""
    generator = np.random.default_rng(4)
    lengths = generator.integers(1, SEQUENCE_LENGTH - 1, 60)
    return [[2, *generator.integers(4, len(vocabulary), length).tolist(), 3] for length in lengths]


@pytest.fixture(scope="module")
def dtypes():
    return INT4.weight_dtypes(LAYERS)


@pytest.fixture(scope="module")
def files(float_model, rows, dtypes):
    return {
        "nearest": quantize(float_model, INT4, dtypes),
        "gptq": quantize(float_model, GPTQ, dtypes, None, rows),
    }


def probabilities(flatbuffer, rows):
    run = Interpreter(model_content=flatbuffer, num_threads=1).get_signature_runner("classify_tokens")
    return np.concatenate([run(token_ids=np.array([row], np.int32))["probabilities"] for row in rows])


@pytest.fixture(scope="module")
def unseen(vocabulary):
    generator = np.random.default_rng(5)
    return [[2, *generator.integers(4, len(vocabulary), 9).tolist(), 3] for _ in range(200)]


def test_matmuls_err_less_on_texts_that_were_not_seen(files, float_model, unseen):
    hessians, floats = input_hessians(float_model, SITES, unseen), weights_of(float_model)
    cost = {name: {} for name in files}
    for name, file in files.items():
        for site, weights in weights_of(file).items():
            error = floats[site] - weights.values
            cost[name][site] = np.einsum("ij,jk,ik->", error, hessians[site], error)
    shares = np.array([cost["gptq"][site] / cost["nearest"][site] for site in SITES])
    assert shares.mean() < 0.7


def test_probabilities_stay_near(files, float_model, unseen):
    difference = np.abs(probabilities(files["gptq"], unseen) - probabilities(float_model, unseen))
    assert 1e-4 < difference.mean() < 0.03


def weights_of(flatbuffer):
    """Site -> its int4 weights, or its float ones, read from the file."""
    content = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
    [signature] = content.signatureDefs
    subgraph, found = content.subgraphs[signature.subgraphIndex], {}

    def data(tensor):
        buffer = content.buffers[tensor.buffer]
        if buffer.offset > 1:
            return np.frombuffer(flatbuffer, np.uint8, buffer.size, buffer.offset)
        return np.asarray(buffer.data, np.uint8)

    for op in subgraph.operators:
        if content.operatorCodes[op.opcodeIndex].builtinCode == schema.BuiltinOperator.FULLY_CONNECTED:
            tensor, site = subgraph.tensors[op.inputs[1]], subgraph.tensors[op.outputs[0]].name.decode()
            site, packed = site.removeprefix("classify_tokens/"), data(tensor)
            if tensor.type == schema.TensorType.FLOAT32:
                found[site] = packed.view(np.float32).reshape(tensor.shape)
                continue
            halves = np.stack([packed & 15, packed >> 4], 1).astype(np.int8).ravel()
            steps = np.where(halves > 7, halves - 16, halves)[: np.prod(tensor.shape)].reshape(tensor.shape)
            details = tensor.quantization.details
            scales = tensor.quantization.scale if details is None else data(subgraph.tensors[details.scales])
            scales = scales if details is None else scales.view(np.float16).astype(np.float32)
            found[site] = Int4Weights(steps, scales.reshape(len(steps), -1))
    return found


def test_the_file_holds_the_rounded_weights(files, float_model, rows):
    due, found = rounded_weights(float_model, SITES, rows), weights_of(files["gptq"])
    assert set(found) == set(due) == set(SITES)
    for site, weights in due.items():
        np.testing.assert_array_equal(found[site].steps, weights.steps, err_msg=site)
        np.testing.assert_array_equal(found[site].scales, weights.scales.astype(np.float32), err_msg=site)
        assert found[site].scales.shape[1] == 1
        assert (site in CHANNELS) == (weights.steps.shape[1] == INTERMEDIATE)


def test_the_file_is_laid_out_as_without_texts(files):
    assert len(files["gptq"]) == len(files["nearest"])
    assert files["gptq"] != files["nearest"]
    check_structure(read_structure(files["gptq"]), GPTQ)


def test_a_scale_for_a_whole_channel(float_model, rows, dtypes, unseen):
    file = quantize(float_model, BY_CHANNEL, dtypes, None, rows)
    due, found = rounded_weights(float_model, SITES, rows, has_blocks=False), weights_of(file)
    for site, weights in due.items():
        np.testing.assert_array_equal(found[site].steps, weights.steps, err_msg=site)
        np.testing.assert_array_equal(found[site].scales, weights.scales, err_msg=site)
    check_structure(read_structure(file), BY_CHANNEL)
    assert not has_blocks(file)
    assert has_blocks(quantize(float_model, GPTQ, dtypes, None, rows))
    assert not has_blocks(quantize(float_model, QuantizationPlan("int4", int4_scales="channel"), dtypes))
    difference = np.abs(probabilities(file, unseen) - probabilities(float_model, unseen))
    assert 1e-4 < difference.mean() < 0.03


def has_blocks(flatbuffer):
    """True if any int4 weights of a matmul have a scale per block."""
    content = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
    [signature] = content.signatureDefs
    subgraph = content.subgraphs[signature.subgraphIndex]
    matmuls = [
        subgraph.tensors[op.inputs[1]]
        for op in subgraph.operators
        if content.operatorCodes[op.opcodeIndex].builtinCode == schema.BuiltinOperator.FULLY_CONNECTED
    ]
    assert {tensor.type for tensor in matmuls} == {schema.TensorType.INT4}
    return any(tensor.quantization.details is not None for tensor in matmuls)


def test_writing_the_weights_that_are_there_changes_nothing(files):
    assert write_weights(files["nearest"], weights_of(files["nearest"])) == files["nearest"]
    assert write_weights(files["nearest"], {}) == files["nearest"]


def test_equal_texts_give_equal_files(files, float_model, rows, dtypes):
    assert quantize(float_model, GPTQ, dtypes, None, rows) == files["gptq"]


def test_hessians_are_of_what_the_matmuls_saw(make_file, rows, wide, monkeypatch):
    monkeypatch.setattr(int4, "_POSITIONS_AT_ONCE", 50)  # so that sums are taken in parts
    model = make_file(QuantizationPlan("fp32"))
    found = input_hessians(model, SITES, rows)
    assert set(found) == set(SITES)
    assert found["transformer_layer_0/query"] is found["transformer_layer_0/key"]
    assert found["transformer_layer_1/output"].shape == (INTERMEDIATE, INTERMEDIATE)
    # The head sees [CLS] alone; layers, all positions.
    inputs = hidden_states(wide, rows)
    np.testing.assert_allclose(found["pooled_dense"], inputs.T @ inputs, rtol=1e-3, atol=1e-2)
    outputs = np.maximum(inputs @ np.asarray(wide.pooled_dense.kernel) + np.asarray(wide.pooled_dense.bias), 0)
    np.testing.assert_allclose(found["logits"], outputs.T @ outputs, rtol=1e-3, atol=1e-2)
    backbone = wide.backbone
    first = np.asarray(backbone.embeddings_layer_norm(backbone.embeddings(np.array(rows[:1]))))[0]
    one = input_hessians(model, SITES, rows[:1])["transformer_layer_0/query"]
    np.testing.assert_allclose(one, first.T @ first, rtol=1e-3, atol=1e-2)


def hidden_states(classifier, rows):
    """What the backbone gives for the first token of each row."""
    ids = np.array([row + [0] * (SEQUENCE_LENGTH - len(row)) for row in rows], np.int32)
    mask = np.array([[1] * len(row) + [0] * (SEQUENCE_LENGTH - len(row)) for row in rows], np.int32)
    return np.asarray(classifier.backbone({"token_ids": ids, "padding_mask": mask}))[:, 0]


def test_padding_is_not_measured(make_file, float_model, rows):
    """MediaPipe's form has rows of a fixed length."""
    padded = make_file(FLOAT_MATMULS, ModelInterface("none", metadata="mediapipe"))
    for site in ("transformer_layer_0/query", "transformer_layer_1/key", "logits"):
        found, due = (input_hessians(model, SITES, rows[:8])[site] for model in (padded, float_model))
        np.testing.assert_allclose(found, due, rtol=1e-3, atol=1e-2, err_msg=site)


def test_of_many_texts_some_are_drawn(float_model, rows, monkeypatch):
    monkeypatch.setattr(int4, "MOST_TEXTS", 20)
    taken = rounded_weights(float_model, ["logits"], rows)["logits"]
    due = rounded_weights(float_model, ["logits"], sampled(rows, 20))["logits"]
    np.testing.assert_array_equal(taken.steps, due.steps)


def test_only_int4_matmuls_of_a_mixed_plan_are_rounded_so(float_model, rows):
    layers = (LayerScheme("transformer_layer_1/[io]*", "int4"), LayerScheme("logits", "fp32"))
    plan = QuantizationPlan("int8", layers).calibrated(LAYERS)
    one, other = (
        quantize(float_model, p, p.weight_dtypes(LAYERS), None, rows) for p in (plan, QuantizationPlan("int8", layers))
    )
    assert plan.rounding == "gptq"
    assert one != other
    assert (
        read_structure(one).matmul_weights
        == read_structure(other).matmul_weights
        == {
            "float32": 1,
            "int8": len(SITES) - 3,
            "int4": 2,
        }
    )


# --- from the door


def test_a_module_is_converted_with_rows(make_file, rows, files):
    found = make_file(GPTQ, sample_rows=lambda: rows)
    check_structure(read_structure(found), GPTQ)
    np.testing.assert_array_equal(probabilities(found, rows[:5]), probabilities(files["gptq"], rows[:5]))


def test_rows_are_not_asked_for_where_nothing_needs_them(make_file):
    make_file(INT4, sample_rows=lambda: pytest.fail("asked"))


def test_gptq_without_texts_is_refused(make_file, float_model, dtypes):
    with pytest.raises(ConversionError, match="GPTQ needs texts. Received: sample_rows=None"):
        make_file(GPTQ)
    with pytest.raises(ConversionError, match="Received: none. Pass `calibration_texts`"):
        quantize(float_model, GPTQ, dtypes)


def test_fixed_ranges_without_a_way_to_measure_are_refused(make_file):
    for scheme in ("int8-static", "int8-qat"):
        with pytest.raises(ConversionError, match=f"A plan of {scheme} fixes .* Received: calibrate=None"):
            make_file(QuantizationPlan(scheme))

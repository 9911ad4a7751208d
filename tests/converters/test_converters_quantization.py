"""Quantized files: which weights and activations are integers, with which ranges, and what is refused."""

from dataclasses import replace

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgedistil_converters import (
    ConversionOptions,
    PreparedClassifier,
    QuantizationPlan,
    convert_classifier,
    convert_prepared,
)
from edgedistil_converters.interface import ModelInterface
from edgedistil_converters.quantization.plan import LayerScheme
from edgedistil_converters.sites import ACTIVATION_SITES, matmul_sites
from edgedistil_converters.tflite.structure import read_structure
from edgedistil_converters.verification.plan_check import check_structure
from edgedistil_converters.verification.texts import VERIFICATION_TEXTS
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.errors import StructureError

from .float_files import TOKENS_ALONE

LAYERS, WIDTH, INTERMEDIATE = 2, 32, 48
SEQUENCE_LENGTH = 24
MATMULS = 6 * LAYERS + 2
SIGNATURES = 2  # that classify
MIXED = QuantizationPlan(
    "int8",
    (
        LayerScheme("transformer_layer_0/*", "fp32"),
        LayerScheme("transformer_layer_1/[io]*", "int4"),
        LayerScheme("*_embeddings", "int4"),
    ),
)
STATIC = QuantizationPlan("int8-static")


def fixed(plan, *patterns):
    return QuantizationPlan(plan, tuple(LayerScheme(pattern, "fp32") for pattern in patterns))


MIXED_STATIC = fixed("int8-static", "transformer_layer_0/output", "transformer_layer_1/output", "logits")


PLANS = {
    "int4": QuantizationPlan("int4"),
    "mixed": MIXED,
    "int8-static": STATIC,
    "mixed static": replace(MIXED_STATIC, layers=(*MIXED_STATIC.layers, LayerScheme("*_embeddings", "int4"))),
    "int8-qat": QuantizationPlan("int8-qat"),
}
LARGER = 1.25  # learned ranges of the tests, over measured ones: to be found again in the file


@pytest.fixture(scope="module")
def conversions(wide, labels, ranges, tmp_path_factory):
    """Plan -> the verified conversion."""
    folder = tmp_path_factory.mktemp("quantized")
    learned = {site: (LARGER * least, LARGER * greatest) for site, (least, greatest) in ranges.items()}

    def convert(name, plan):
        prepared = PreparedClassifier(
            wide,
            labels,
            name,
            calibration_texts=[*VERIFICATION_TEXTS, *VERIFICATION_TEXTS] if plan.is_static else (),
            ranges=learned if name == "int8-qat" else None,
        )
        interface = ModelInterface() if name == "int8-static" else TOKENS_ALONE
        return convert_prepared(prepared, ConversionOptions(plan, interface), folder / f"{name}.tflite")

    return {name: convert(name, plan) for name, plan in PLANS.items()}


@pytest.fixture(scope="module", params=PLANS)
def name(request):
    return request.param


def test_files_are_near_keras_and_not_equal(conversions, name):
    parity, tolerance = conversions[name].parity, PLANS[name].tolerance
    assert 1e-4 < parity.largest_difference <= tolerance.largest
    assert 1e-5 < parity.mean_difference <= tolerance.mean
    # int4 has 1/16 of the steps of int8.
    assert parity.mean_difference < (0.04 if "int4" in (name, *MIXED.to_dict()["layers"].values()) else 0.01)


def test_a_static_file_takes_texts(conversions, labels):
    with TextClassifier(conversions["int8-static"].artifact.path) as model:
        assert tuple(model.classify("turn on the light").probabilities) == labels
        assert model.runtime_info.golden_cases > 0


def test_matmuls_are_what_the_plan_says(conversions, name):
    structure, plan = conversions[name].structure, PLANS[name]
    dtypes = plan.weight_dtypes(LAYERS)
    assert set(structure.matmuls) == set(matmul_sites(LAYERS))
    for site, (weights, outputs) in structure.matmuls.items():
        assert weights == dtypes[site]
        assert outputs == ("int8" if plan.is_static and weights == "int8" else "float32"), site
    signatures = sum(name.startswith("classify") for name in structure.signatures)
    assert sum(structure.matmul_weights.values()) == signatures * MATMULS
    check_structure(structure, plan)


def test_which_weights_each_plan_has(conversions):
    found = {name: conversion.structure.matmul_weights for name, conversion in conversions.items()}
    assert found == {
        "int4": {"int4": MATMULS},
        "mixed": {"float32": 6, "int8": 6, "int4": 2},
        "int8-static": {"int8": SIGNATURES * MATMULS},
        "mixed static": {"int8": MATMULS - 3, "float32": 3},
        "int8-qat": {"int8": MATMULS},
    }


def test_which_activations_are_integers(conversions):
    found = {name: conversion.structure.integer_ops for name, conversion in conversions.items()}
    assert found["int4"] == found["mixed"] == {}
    per_layer = {"ADD": 2, "BATCH_MATMUL": 2, "GELU": 1}
    for name, signatures, matmuls in (("int8-static", 2, 28), ("int8-qat", 1, 14), ("mixed static", 1, 11)):
        assert {op: found[name][op] for op in per_layer} == {
            op: signatures * LAYERS * count for op, count in per_layer.items()
        }
        assert found[name]["FULLY_CONNECTED"] == matmuls
    # The mask of a padded batch would stretch the range of its attention: it stays float.
    assert found["int8-static"]["SOFTMAX"] == LAYERS
    assert "SUB" not in found["int8-static"]  # LayerNorm


def test_metadata_say_what_was_done(conversions, name):
    conversion, plan = conversions[name], PLANS[name]
    metadata = conversion.artifact.metadata
    assert metadata.quantization == plan.to_dict()
    assert min(0.1, plan.tolerance.largest) <= metadata.tolerance <= plan.tolerance.largest
    assert metadata.oldest_runtime == conversion.structure.minimum_runtime
    assert metadata.parity == conversion.parity.to_dict()


def test_weights_take_the_bytes_that_the_plan_says(conversions, name):
    bytes_of = conversions[name].structure.constant_bytes
    rows = conversions[name].artifact.metadata.model["vocabulary_size"] + SEQUENCE_LENGTH
    square, between, head = WIDTH * WIDTH, WIDTH * INTERMEDIATE, WIDTH * (WIDTH + 3)
    packed = rows * (WIDTH // 2 + 1)  # with a multiple for the one block of a row
    kernels = LAYERS * (4 * square + 2 * between) + head
    int8, int4 = {
        "int4": (packed, kernels // 2),
        "mixed": (packed + 4 * square + head, between),
        "mixed static": (packed + kernels - LAYERS * between - 3 * WIDTH, 0),
    }.get(name, (rows * WIDTH + kernels, 0))
    assert (bytes_of["int8"], bytes_of.get("int4", 0)) == (int8, int4)


@pytest.fixture(scope="module")
def content(conversions):
    def read(name):
        return schema.ModelT.InitFromPackedBuf(conversions[name].artifact.flatbuffer(), 0)

    return read


def matmuls(content):
    """(site, weights, version) of every matmul of `classify_tokens`."""
    [signature] = [s for s in content.signatureDefs if s.signatureKey == b"classify_tokens"]
    subgraph = content.subgraphs[signature.subgraphIndex]
    for op in subgraph.operators:
        code = content.operatorCodes[op.opcodeIndex]
        if code.builtinCode == schema.BuiltinOperator.FULLY_CONNECTED:
            name = subgraph.tensors[op.outputs[0]].name.decode()
            yield name.removeprefix("classify_tokens/"), subgraph.tensors[op.inputs[1]], code.version


def test_int4_weights_have_blocks_where_32_divides_a_channel(content):
    blocks, channels = set(), set()
    for site, weights, _ in matmuls(content("int4")):
        assert weights.type == schema.TensorType.INT4
        if weights.quantization.detailsType == schema.QuantizationDetails.BlockwiseQuantization:
            assert weights.quantization.details.blockSize == 32
            blocks.add(site)
        else:
            assert len(weights.quantization.scale) == weights.shape[0]
            channels.add(site)
    assert channels == {f"transformer_layer_{i}/output" for i in range(LAYERS)}
    assert blocks | channels == set(matmul_sites(LAYERS))


def test_integer_weights_with_float_activations_are_of_a_version_that_old_runtimes_refuse(content, conversions):
    for name in ("int4", "mixed"):
        for site, weights, version in matmuls(content(name)):
            is_float = weights.type == schema.TensorType.FLOAT32
            assert (version == 12) != is_float, site
        assert conversions[name].structure.minimum_runtime == "2.17.0"


def test_static_matmuls_have_versions_that_old_runtimes_compute_rightly(content, conversions):
    """tflite-runtime 2.14 was found to give the answers of LiteRT 2.3 for per-channel int8 matmuls of version 1."""
    for name in ("int8-static", "int8-qat", "mixed static"):
        found = list(matmuls(content(name)))
        assert {version for _, _, version in found} == {1}
        assert all(
            len(weights.quantization.scale) == weights.shape[0] for site, weights, _ in found if weights.type == 9
        )
        assert conversions[name].structure.minimum_runtime in ("2.8.0", "2.9.0")


def expected_steps(least, greatest):
    scale = (greatest - least) / 255
    return scale, round(-128 - least / scale)


@pytest.mark.parametrize(("name", "share"), [("int8-static", 1.0), ("int8-qat", LARGER)])
def test_ranges_are_really_in_the_file(content, ranges, name, share):
    found = content(name)
    compared = 0
    for signature in found.signatureDefs:
        subgraph = found.subgraphs[signature.subgraphIndex]
        tensors = {tensor.name.decode(): tensor for tensor in subgraph.tensors}
        for site, (least, greatest) in ranges.items():
            tensor = tensors.get(f"{signature.signatureKey.decode()}/{site}")
            if tensor is None or tensor.type != schema.TensorType.INT8:
                continue
            scale, zero = expected_steps(share * least, share * greatest)
            if site.endswith("/attention"):  # the one grid that the kernel of SOFTMAX knows
                scale, zero = 1 / 256, -128
            assert tensor.quantization.scale[0] == pytest.approx(scale, rel=0.01), site  # of int8 embeddings
            assert abs(int(tensor.quantization.zeroPoint[0]) - zero) <= 2, site
            compared += 1
    integers = len([site for site in ACTIVATION_SITES if not site.endswith("_norm")])
    # classify_tokens masks its attention, in float.
    signatures = SIGNATURES if name == "int8-static" else 1
    assert compared == signatures * (LAYERS * integers + 2) - LAYERS


# --- structures that do not fit their plan


def altered(structure, site, dtypes):
    return replace(structure, matmuls={**structure.matmuls, site: dtypes})


def test_each_file_fits_its_own_plan_alone(conversions):
    for name, conversion in conversions.items():
        for other, plan in PLANS.items():
            if other == name or {name, other} == {"int8-static", "int8-qat"}:
                check_structure(conversion.structure, plan)
            else:
                with pytest.raises(StructureError):
                    check_structure(conversion.structure, plan)


@pytest.mark.parametrize(
    ("name", "site", "dtypes", "message"),
    [
        ("int4", "logits", ("int8", "float32"), "logits: int4 expected, int8 found"),
        ("mixed", "logits", ("int4", "float32"), "logits: int8 expected, int4 found"),
        ("mixed", "transformer_layer_0/key", ("int8", "float32"), "layer_0/key: float32 expected, int8 found"),
        ("int8-static", "logits", ("float32, int8", "int8"), "logits: int8 expected, float32, int8 found"),
        ("int8-static", "transformer_layer_1/key", ("int8", "float32"), "float outputs of .*_layer_1/key"),
        (
            "int8-static",
            "transformer_layer_1/key",
            ("int8", "float32, int8"),
            "float outputs of transformer_layer_1/key",
        ),
        ("int4", "foreign", ("int4", "float32"), "foreign: None expected, int4 found"),
    ],
)
def test_one_matmul_that_is_not_as_planned_is_found(conversions, name, site, dtypes, message):
    with pytest.raises(StructureError, match=message):
        check_structure(altered(conversions[name].structure, site, dtypes), PLANS[name])


@pytest.mark.parametrize("step", ["attention", "gelu", "scores", "mixed"])
def test_a_float_step_in_a_static_file_is_found(conversions, step):
    content = schema.ModelT.InitFromPackedBuf(conversions["int8-static"].artifact.flatbuffer(), 0)
    with_float(content, f"classify_text/transformer_layer_1/{step}".encode())
    structure = read_structure(packed(content))
    assert f"transformer_layer_1/{step}" in structure.float_steps
    with pytest.raises(
        StructureError, match=f"must have int8 outputs. Received: float outputs of transformer_layer_1/{step}"
    ):
        check_structure(structure, STATIC)


def test_attention_with_a_mask_is_float(conversions):
    masked = tuple(f"transformer_layer_{i}/masked_attention" for i in range(LAYERS))
    for name in ("int8-static", "int8-qat", "mixed static"):
        assert conversions[name].structure.float_steps == masked


def with_float(content, name):
    [signature] = [s for s in content.signatureDefs if s.signatureKey == b"classify_text"]
    [tensor] = [t for t in content.subgraphs[signature.subgraphIndex].tensors if t.name == name]
    assert tensor.type == schema.TensorType.INT8
    tensor.type = schema.TensorType.FLOAT32


def packed(content):
    builder = flatbuffers.Builder(1024)
    builder.Finish(content.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("name", ["int4", "int8-static", "int8-qat"])
def test_a_large_float_table_is_found(conversions, name):
    structure = replace(conversions[name].structure, large_float_constants=("table",))
    with pytest.raises(
        StructureError, match=f"the scheme {name} must contain no large float constants. Received: table"
    ):
        check_structure(structure, PLANS[name])


def test_a_file_with_float_layers_may_have_large_floats(conversions):
    structure = conversions["mixed"].structure
    assert structure.large_float_constants
    check_structure(structure, MIXED)


def test_reading_a_structure_joins_what_signatures_differ_in(conversions):
    content = schema.ModelT.InitFromPackedBuf(conversions["int8-static"].artifact.flatbuffer(), 0)
    with_float(content, b"classify_text/transformer_layer_0/query")
    assert read_structure(packed(content)).matmuls["transformer_layer_0/query"] == ("int8", "float32, int8")


def test_one_scale_a_matrix_for_old_runtimes(wide, labels, tmp_path):
    plan = QuantizationPlan("int8", oldest_runtime="2.14")
    conversion = convert_classifier(wide, labels, tmp_path / "old.tflite", plan=plan, interface=TOKENS_ALONE)
    assert conversion.structure.minimum_runtime == "2.9.0"
    assert {version for op, version in conversion.structure.ops if op == "FULLY_CONNECTED"} == {1}
    content = schema.ModelT.InitFromPackedBuf(conversion.artifact.flatbuffer(), 0)
    scales = [
        len(subgraph.tensors[op.inputs[1]].quantization.scale)
        for subgraph in content.subgraphs
        for op in subgraph.operators
        if content.operatorCodes[op.opcodeIndex].builtinCode == schema.BuiltinOperator.FULLY_CONNECTED
    ]
    assert set(scales) == {1}
    with pytest.raises(StructureError, match=r"must run on TFLite 2\.14"):
        check_structure(replace(conversion.structure, minimum_runtime="2.17.0"), plan)

"""A plan is a frozen value, and an impossible one cannot be built."""

import dataclasses

import pytest

from edgedistil_converters.quantization.plan import LayerScheme, QuantizationPlan
from edgedistil_converters.quantization.schemes import SCHEMES
from edgedistil_runtime.errors import ConversionError

SCHEME_NAMES = ("fp32", "fp16", "int8", "int4", "int8-static", "int8-qat")
STATIC = ("int8-static", "int8-qat")
EMBEDDINGS = ("token_embeddings", "position_embeddings")


@pytest.mark.parametrize("scheme", ["int2", "INT8", "", "int8 ", "int8_static", None, 8])
def test_an_unknown_scheme_is_refused(scheme):
    with pytest.raises(ConversionError, match="one of fp32, fp16, int8") as caught:
        QuantizationPlan(scheme)
    assert f"Received: {scheme!r}" in str(caught.value)


def test_a_plan_is_frozen_and_a_value():
    plan = QuantizationPlan("fp16")
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.scheme = "int8"
    assert plan == QuantizationPlan("fp16") != QuantizationPlan("fp32")
    assert {plan: 1}[QuantizationPlan("fp16")] == 1


def test_int8_is_the_default():
    assert QuantizationPlan() == QuantizationPlan("int8")


def test_unknown_keys_are_refused():
    with pytest.raises(TypeError):
        QuantizationPlan(scheme="int8", bits=4)


# Scheme -> weights, embeddings, activations, needs.
DTYPES = {
    "fp32": ("float32", "float32", "float32", ""),
    "fp16": ("float16", "float16", "float32", ""),
    "int8": ("int8", "int8", "float32", ""),
    "int4": ("int4", "int4", "float32", ""),
    "int8-static": ("int8", "int8", "int8", "calibration data"),
    "int8-qat": ("int8", "int8", "int8", "training data"),
}


def test_every_scheme_is_tested():
    assert tuple(SCHEMES) == SCHEME_NAMES == tuple(DTYPES)


@pytest.mark.parametrize("scheme", SCHEME_NAMES)
def test_what_a_scheme_stands_for(scheme):
    plan = QuantizationPlan(scheme)
    weights, embeddings, activations, needs = DTYPES[scheme]
    assert plan.to_dict() == {
        "scheme": scheme,
        "weights": weights,
        "embeddings": embeddings,
        "activations": activations,
        "layers": {},
        "oldest_runtime": "",
        "rounding": "nearest" if scheme == "int4" else "",
        "int4_scales": "block" if scheme == "int4" else "",
    }
    assert plan.needs == needs
    assert plan.is_static == (activations == "int8")
    dtypes = plan.weight_dtypes(2)
    assert len(dtypes) == 2 * 6 + 2 + 2
    assert {dtypes[site] for site in EMBEDDINGS} == {embeddings}
    assert {dtype for site, dtype in dtypes.items() if site not in EMBEDDINGS} == {weights}


@pytest.mark.parametrize("num_layers", [0, 1, 12])
def test_there_is_a_dtype_for_every_weight(num_layers):
    dtypes = QuantizationPlan("int8").weight_dtypes(num_layers)
    matmuls = ("query", "key", "value", "attention_output", "intermediate", "output")
    layers = {f"transformer_layer_{i}/{name}" for i in range(num_layers) for name in matmuls}
    assert set(dtypes) == {*layers, "pooled_dense", "logits", *EMBEDDINGS}


def test_coarser_schemes_have_wider_tolerances():
    tolerances = [QuantizationPlan(scheme).tolerance for scheme in ("fp32", "fp16", "int8", "int8-static", "int4")]
    assert [t.largest for t in tolerances] == sorted({t.largest for t in tolerances})
    assert [t.mean for t in tolerances] == sorted({t.mean for t in tolerances})
    assert all(0 < t.mean < t.largest <= 0.5 for t in tolerances)


def plan_with(scheme, **layers):
    return QuantizationPlan(scheme, tuple(LayerScheme(pattern, dtype) for pattern, dtype in layers.items()))


@pytest.mark.parametrize(
    ("layers", "largest"),
    [
        ({}, 0.1),
        ({"logits": "fp32"}, 0.1),
        ({"logits": "int8"}, 0.1),
        ({"logits": "int4"}, 0.5),
        ({"*": "fp32", "logits": "int4"}, 0.5),
    ],
    ids=str,
)
def test_a_mixed_plan_is_as_tolerant_as_its_coarsest_scheme(layers, largest):
    assert plan_with("int8", **layers).tolerance.largest == largest
    assert plan_with("fp32", logits="int8").tolerance == QuantizationPlan("int8").tolerance
    assert plan_with("int4", logits="fp32").tolerance == QuantizationPlan("int4").tolerance


def dtypes_of(scheme, *layers, num_layers=12):
    plan = QuantizationPlan(scheme, tuple(LayerScheme(*layer) for layer in layers))
    return plan.weight_dtypes(num_layers)


def sites_of(dtypes, dtype):
    return {site for site, found in dtypes.items() if found == dtype}


def test_a_pattern_chooses_layers_by_name():
    dtypes = dtypes_of("int8", ("transformer_layer_1/*", "fp32"))
    assert len(sites_of(dtypes, "float32")) == 6
    assert all(site.startswith("transformer_layer_1/") for site in sites_of(dtypes, "float32"))
    assert sites_of(dtypes_of("int8", ("transformer_layer_1?/output", "int4")), "int4") == {
        "transformer_layer_10/output",
        "transformer_layer_11/output",
    }
    assert sites_of(dtypes_of("int8", ("*_[02]/[qk]*", "fp32")), "float32") == {
        f"transformer_layer_{i}/{name}" for i in (0, 2) for name in ("query", "key")
    }
    assert sites_of(dtypes_of("int8", ("*/output", "int4"), num_layers=1), "int4") == {"transformer_layer_0/output"}
    assert sites_of(dtypes_of("int8", ("*_embeddings", "int4")), "int4") == set(EMBEDDINGS)


def test_the_last_pattern_that_matches_counts():
    first, second = ("transformer_layer_0/*", "fp32"), ("*/query", "int4")
    one, other = (
        dtypes_of("int8", *layers)["transformer_layer_0/query"] for layers in ((first, second), (second, first))
    )
    assert (one, other) == ("int4", "float32")
    assert dtypes_of("int8", ("*s", "int4"), ("logits", "fp32"))["position_embeddings"] == "int4"


@pytest.mark.parametrize(
    "pattern", ["transformer_layer_2/*", "Logits", "query", "", "transformer_layer_0/gelu", "logits "]
)
def test_a_pattern_that_matches_nothing_is_refused_with_the_names(pattern):
    plan = QuantizationPlan("int8", (LayerScheme("logits", "fp32"), LayerScheme(pattern, "fp32")))
    with pytest.raises(ConversionError, match="matches no layer") as caught:
        plan.weight_dtypes(2)
    assert repr(pattern) in str(caught.value)
    assert "transformer_layer_1/query" in str(caught.value)
    assert "token_embeddings" in str(caught.value)


@pytest.mark.parametrize("scheme", ["fp16", "int8-static", "int8-qat", "float32", "", None])
def test_the_schemes_of_a_layer(scheme):
    with pytest.raises(ConversionError, match="one of fp32, int8, int4") as caught:
        LayerScheme("logits", scheme)
    assert f"Received: {scheme!r} for 'logits'" in str(caught.value)


def test_layers_in_a_plan_of_fp16_are_refused():
    with pytest.raises(ConversionError, match="Layers can have other schemes .* Received: 'fp16'"):
        plan_with("fp16", logits="fp32")


@pytest.mark.parametrize("scheme", STATIC)
def test_int4_matmuls_in_a_static_plan_are_refused(scheme):
    with pytest.raises(ConversionError, match=f"In a plan of {scheme}, a matmul can be taken out with fp32") as caught:
        plan_with(scheme, logits="int4").weight_dtypes(1)
    assert "Received: int4 for logits." in str(caught.value)
    assert plan_with(scheme, logits="fp32").weight_dtypes(1)["logits"] == "float32"


@pytest.mark.parametrize("scheme", STATIC)
def test_embeddings_of_a_static_plan_may_be_int4(scheme):
    dtypes = dtypes_of(scheme, ("*_embeddings", "int4"))
    assert sites_of(dtypes, "int4") == set(EMBEDDINGS)
    assert sites_of(dtypes, "int8") == dtypes.keys() - set(EMBEDDINGS)


@pytest.mark.parametrize("scheme", STATIC)
def test_a_static_plan_without_an_integer_matmul_is_refused(scheme):
    with pytest.raises(ConversionError, match="takes every matmul out") as caught:
        QuantizationPlan(scheme, (LayerScheme("*", "fp32"), LayerScheme("*_embeddings", "int8"))).weight_dtypes(2)
    assert "Use fp32" in str(caught.value)


@pytest.mark.parametrize("scheme", ["int8", "int4", *STATIC])
@pytest.mark.parametrize("pattern", ["token_embeddings", "position_embeddings", "*s"])
def test_float_embeddings_in_a_file_of_integers_are_refused(scheme, pattern):
    with pytest.raises(ConversionError, match=f"not float in a plan of {scheme}"):
        QuantizationPlan(scheme, (LayerScheme(pattern, "fp32"),)).weight_dtypes(2)
    assert plan_with("fp32", token_embeddings="int8").weight_dtypes(2)["position_embeddings"] == "float32"


def test_plain_data_keep_the_layers_in_their_order():
    plan = plan_with("int8", **{"transformer_layer_1/*": "int4", "*/query": "fp32"})
    assert list(plan.to_dict()["layers"].items()) == [("transformer_layer_1/*", "int4"), ("*/query", "fp32")]
    assert plan == plan_with("int8", **{"transformer_layer_1/*": "int4", "*/query": "fp32"})
    assert plan != plan_with("int8", **{"*/query": "fp32", "transformer_layer_1/*": "int4"})
    assert hash(plan) == hash(plan_with("int8", **{"transformer_layer_1/*": "int4", "*/query": "fp32"}))


def test_plain_data_of_a_pattern_given_twice_mean_the_same():
    layers = (
        LayerScheme("*/query", "fp32"),
        LayerScheme("transformer_layer_0/*", "int4"),
        LayerScheme("*/query", "int8"),
    )
    plan = QuantizationPlan("int8", layers)
    again = plan_with("int8", **plan.to_dict()["layers"])
    assert again.weight_dtypes(2) == plan.weight_dtypes(2)


def test_old_runtimes():
    assert QuantizationPlan("int8", oldest_runtime="2.14").to_dict()["oldest_runtime"] == "2.14"
    with pytest.raises(ConversionError, match=r"must be empty or 2\.14\. Received: '2.9'"):
        QuantizationPlan("int8", oldest_runtime="2.9")
    for plan in (("int4",), ("int8", (LayerScheme("logits", "int4"),))):
        with pytest.raises(ConversionError, match="no int4 kernels for matmuls"):
            QuantizationPlan(*plan, oldest_runtime="2.14").weight_dtypes(1)
    tables = QuantizationPlan("int8", (LayerScheme("*_embeddings", "int4"),), oldest_runtime="2.14")
    assert sites_of(tables.weight_dtypes(1), "int4") == set(EMBEDDINGS)


@pytest.mark.parametrize(
    ("pattern", "is_for_embeddings"),
    [
        ("*_embeddings", True),
        ("token_embeddings", True),
        ("*", False),
        ("*s", False),  # logits too
        ("transformer_layer_12/*", False),
        ("no_such_layer", False),
    ],
)
def test_patterns_for_embeddings_alone(pattern, is_for_embeddings):
    assert LayerScheme(pattern, "int4").is_for_embeddings == is_for_embeddings


def test_texts_make_a_plan_of_int4_round_by_gptq():
    plan = QuantizationPlan("int4")
    assert plan.rounding == plan.to_dict()["rounding"] == "nearest"
    found = plan.calibrated(2)
    assert found == QuantizationPlan("int4", rounding="gptq") == found.calibrated(2) != plan
    assert found.to_dict()["rounding"] == "gptq"
    assert plan_with("int8", logits="int4").calibrated(2).rounding == "gptq"


@pytest.mark.parametrize("plan", [*map(QuantizationPlan, SCHEME_NAMES), plan_with("int8", token_embeddings="int4")])
def test_texts_change_no_plan_without_int4_matmuls(plan):
    if plan.scheme != "int4":
        assert plan.calibrated(2) == plan
    assert plan_with("int4", **{"*_[01]/*": "int8", "pooled_dense": "int8", "logits": "fp32"}).calibrated(
        2
    ).rounding == ("nearest")


@pytest.mark.parametrize("rounding", ["", "GPTQ", "octav", None])
def test_an_unknown_rounding_is_refused(rounding):
    with pytest.raises(ConversionError, match=f"`rounding` must be nearest or gptq. Received: {rounding!r}"):
        QuantizationPlan("int4", rounding=rounding)


def test_what_shares_a_scale():
    plan = QuantizationPlan("int8", (LayerScheme("*/output", "int4"),), int4_scales="channel")
    assert plan.to_dict()["int4_scales"] == plan.calibrated(2).int4_scales == "channel"
    with pytest.raises(ConversionError, match="`int4_scales` must be block or channel. Received: 'row'"):
        QuantizationPlan("int4", int4_scales="row")
    with pytest.raises(ConversionError, match="this plan of int8 has none. Received: 'channel'. Use int4, or give"):
        QuantizationPlan("int8", int4_scales="channel")


@pytest.mark.parametrize("scheme", [scheme for scheme in SCHEME_NAMES if scheme != "int4"])
def test_gptq_without_int4_is_refused(scheme):
    with pytest.raises(ConversionError, match=f"this plan of {scheme} has none. Received: 'gptq'"):
        QuantizationPlan(scheme, rounding="gptq")

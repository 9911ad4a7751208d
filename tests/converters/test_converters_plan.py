"""A plan is a frozen value, and an impossible one cannot be built."""

import dataclasses

import pytest

from edgedistil_converters.quantization.plan import SCHEMES, QuantizationPlan
from edgedistil_runtime.errors import ConversionError


@pytest.mark.parametrize("scheme", ["int4", "INT8", "", "int8 ", None, 8])
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


@pytest.mark.parametrize(("scheme", "dtype"), [("fp32", "float32"), ("fp16", "float16"), ("int8", "int8")])
def test_plain_data_names_the_scheme_and_its_dtypes(scheme, dtype):
    assert QuantizationPlan(scheme).to_dict() == {"scheme": scheme, "weights": dtype, "embeddings": dtype}


def test_coarser_schemes_have_wider_tolerances():
    tolerances = [QuantizationPlan(scheme).tolerance for scheme in ("fp32", "fp16", "int8")]
    assert [t.largest for t in tolerances] == sorted({t.largest for t in tolerances})
    assert [t.mean for t in tolerances] == sorted({t.mean for t in tolerances})
    assert all(0 < t.mean < t.largest <= 0.1 for t in tolerances)
    assert len(SCHEMES) == 3

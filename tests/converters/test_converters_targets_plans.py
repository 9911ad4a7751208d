"""What each target takes: schemes, interfaces, and a classifier with layers."""

from dataclasses import replace

import pytest

from edgedistil_converters.interface import ModelInterface
from edgedistil_converters.quantization.plan import SCHEMES, LayerScheme, QuantizationPlan
from edgedistil_converters.targets.plans import TARGETS, check_target, check_target_plan, target_schemes
from edgedistil_runtime.errors import ConversionError
from edgedistil_runtime.metadata import TARGETS as METADATA_TARGETS

from .targets import LENGTH


def test_targets_are_those_that_metadata_know():
    assert tuple(TARGETS) == METADATA_TARGETS


def test_schemes_of_targets():
    assert target_schemes("cpu") == tuple(SCHEMES)
    assert target_schemes("gpu") == ("fp32", "fp16", "int8")
    assert target_schemes("edgetpu") == ("int8-static", "int8-qat")


@pytest.mark.parametrize(
    ("target", "plan", "message"),
    [
        ("gpu", QuantizationPlan("int8-static"), "computes in float.*zeros.*`scheme` int8-static.*fp32, fp16, int8"),
        ("gpu", QuantizationPlan("int8-qat"), "A GPU cannot run a plan of int8-qat"),
        ("gpu", QuantizationPlan("int4"), "does not support int4"),
        ("gpu", QuantizationPlan("int8", (LayerScheme("logits", "int4"),)), "layers of int4.*logits=int4 in `layers`"),
        ("edgetpu", QuantizationPlan("int8"), "only in int8.*Use one of int8-static, int8-qat"),
        ("edgetpu", QuantizationPlan("int8-static", (LayerScheme("logits", "fp32"),)), "layers of fp32"),
        ("tpu", QuantizationPlan("fp32"), "cpu, gpu, edgetpu, coralboard. Received: 'tpu'"),
    ],
)
def test_plans_that_a_target_cannot_run(target, plan, message):
    with pytest.raises(ConversionError, match=message):
        check_target_plan(target, plan)


@pytest.mark.parametrize(
    ("interface", "message"),
    [
        (ModelInterface("tftext"), "builtin or none. Received: 'tftext'"),
        (ModelInterface("none", metadata="mediapipe"), "`target` gpu with `metadata` mediapipe"),
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


@pytest.mark.parametrize(("target", "scheme"), [("gpu", "int8"), ("edgetpu", "int8-static")])
def test_tables_stay_on_the_cpu_and_may_be_int4(target, scheme):
    check_target_plan(target, QuantizationPlan(scheme, (LayerScheme("*_embeddings", "int4"),)))
    with pytest.raises(ConversionError, match="layers of int4"):
        check_target_plan(target, QuantizationPlan(scheme, (LayerScheme("*", "int4"),)))


def test_without_layers_there_is_nothing_for_an_accelerator(ingredients):
    from edgedistil_converters.targets.edgetpu import build_edgetpu_encoder
    from edgedistil_converters.targets.gpu import build_gpu_encoder

    weights, settings = ingredients
    headless = replace(weights, layers=())
    with pytest.raises(ConversionError, match="Use the target cpu"):
        build_gpu_encoder(headless, LENGTH, QuantizationPlan("fp32"))
    with pytest.raises(ConversionError, match="Use the target cpu"):
        build_edgetpu_encoder(headless, settings, QuantizationPlan("int8-static"), [[2, 3]])

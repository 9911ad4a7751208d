"""The step that quantizes a float file, by itself: its output, and the ranges that it refuses."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from edgedistil_converters import QuantizationPlan
from edgedistil_converters.quantization.quantize import quantize
from edgedistil_runtime.errors import ConversionError

from .float_files import float_file

LAYERS, INTERMEDIATE = 2, 48
STATIC = QuantizationPlan("int8-static")


def probabilities(flatbuffer, rows):
    run = Interpreter(model_content=flatbuffer, num_threads=1).get_signature_runner("classify_tokens")
    return np.concatenate([run(token_ids=np.array([row], np.int32))["probabilities"] for row in rows])


ROWS = ([2, 3], [2, 5, 9, 30, 3], list(range(2, 26)))


def test_a_matmul_of_zeros_stays_finite_in_int4(make_wide):
    """As pruning leaves them: a block of zeros has no scale."""
    classifier = make_wide()
    first, second = classifier.backbone.transformer_layers
    query, dense = first._self_attention_layer._query_dense, second._feedforward_intermediate_dense
    query.kernel.assign(0 * query.kernel)
    dense.kernel.assign(dense.kernel * (np.arange(INTERMEDIATE) > 6))
    before = float_file(classifier)
    plan = QuantizationPlan("int4")
    after = quantize(before, plan, plan.weight_dtypes(LAYERS))
    difference = np.abs(probabilities(after, ROWS) - probabilities(before, ROWS))
    assert np.isfinite(difference).all()
    assert difference.max() < 0.1


def test_quantization_is_deterministic(float_model, ranges):
    for plan in (QuantizationPlan("int4"), STATIC):
        one, other = (quantize(float_model, plan, plan.weight_dtypes(LAYERS), ranges) for _ in range(2))
        assert one == other != float_model


def test_ranges_of_nothing_are_ranges_still(float_model, ranges):
    """A step that gave 0 on all calibration texts."""
    flat = {**ranges, "transformer_layer_0/gelu": (0.0, 0.0)}
    found = quantize(float_model, STATIC, STATIC.weight_dtypes(LAYERS), flat)
    assert np.isfinite(probabilities(found, ROWS)).all()


@pytest.mark.parametrize("missing", ["logits", "transformer_layer_1/gelu", "transformer_layer_0/attention"])
def test_a_missing_range_is_refused_by_name(float_model, ranges, missing):
    rest = {site: pair for site, pair in ranges.items() if site != missing}
    with pytest.raises(ConversionError, match=f"a range for every activation .* Missing: {missing}"):
        quantize(float_model, STATIC, STATIC.weight_dtypes(LAYERS), rest)


def test_no_ranges_at_all_are_refused(float_model):
    with pytest.raises(ConversionError, match="Missing: transformer_layer_0/query, "):
        quantize(float_model, STATIC, STATIC.weight_dtypes(LAYERS))


@pytest.mark.parametrize("pair", [(np.nan, 1.0), (-1.0, np.inf), (0.5, 1.0), (-2.0, -1.0), (1.0, -1.0), (-1.0, np.nan)])
def test_what_is_no_range_is_refused(float_model, ranges, pair):
    with pytest.raises(ConversionError, match="finite, and contains 0.* Received: .* for logits"):
        quantize(float_model, STATIC, STATIC.weight_dtypes(LAYERS), {**ranges, "logits": pair})


def test_what_the_quantizer_refuses_is_a_conversion_error(float_model, monkeypatch):
    from litert_quantizer import quantizer

    def fail(*_):
        raise ValueError("no such thing")

    plan = QuantizationPlan("int8")
    monkeypatch.setattr(quantizer.Quantizer, "quantize", fail)
    with pytest.raises(ConversionError, match="refused a plan of int8: no such thing") as caught:
        quantize(float_model, plan, plan.weight_dtypes(LAYERS))
    assert isinstance(caught.value.__cause__, ValueError)
    monkeypatch.setattr(quantizer.Quantizer, "quantize", lambda *_: quantizer.QuantizationResult([], None))
    with pytest.raises(ConversionError, match="returned no model"):
        quantize(float_model, plan, plan.weight_dtypes(LAYERS))

"""What a conversion with integer activations must be given."""

import logging

import pytest

from edgedistil_converters import (
    ConversionOptions,
    PreparedClassifier,
    QuantizationPlan,
    convert_classifier,
    convert_prepared,
)
from edgedistil_runtime.errors import ConversionError

STATIC = QuantizationPlan("int8-static")


class Stopped(Exception):
    """The checks before any work have passed."""


@pytest.fixture
def no_work(monkeypatch):
    def stop(*_):
        raise Stopped

    monkeypatch.setattr("edgedistil_converters.convert.read_classifier", stop)


def test_a_static_plan_without_calibration_texts_is_refused(no_work, wide, labels, tmp_path):
    with pytest.raises(ConversionError, match="Received: none. Pass `calibration_texts`"):
        convert_classifier(wide, labels, tmp_path / "m.tflite", plan=STATIC)


def test_a_plan_of_learned_ranges_without_any_is_refused(no_work, wide, labels, tmp_path):
    plan = QuantizationPlan("int8-qat")
    with pytest.raises(ConversionError, match="ranges that were learned in training. Received: none"):
        convert_classifier(wide, labels, tmp_path / "m.tflite", plan=plan, calibration_texts=["a"] * 99)
    with pytest.raises(Stopped):
        convert_prepared(
            PreparedClassifier(wide, labels, "m", ranges={}), ConversionOptions(plan), tmp_path / "m.tflite"
        )


@pytest.mark.parametrize(("count", "is_warned"), [(1, True), (31, True), (32, False), (500, False)])
def test_few_calibration_texts_are_a_warning(no_work, wide, labels, tmp_path, caplog, count, is_warned):
    with caplog.at_level(logging.WARNING), pytest.raises(Stopped):
        convert_classifier(wide, labels, tmp_path / "m.tflite", plan=STATIC, calibration_texts=["a"] * count)
    assert (f"Calibration on {count} texts" in caplog.text) == is_warned

"""The texts that ranges are measured on: which are refused, which are taken, and that pairs are among them."""

from collections import Counter

import numpy as np
import pytest

from edgedistil_converters import ModelInterface, QuantizationPlan, convert_classifier
from edgedistil_converters.model.keras_token_ids import unpadded_rows
from edgedistil_converters.quantization.calibration import sampled
from edgedistil_runtime.errors import ConversionError


@pytest.mark.parametrize("count", [0, 1, 512])
def test_few_items_are_all_taken(count):
    assert sampled(range(count), 512) == tuple(range(count))


@pytest.mark.parametrize("count", [513, 1024, 2000, 4096])
@pytest.mark.parametrize("order", ["in turn", "sorted"])
def test_a_sample_has_every_label_in_whatever_order_they_come(count, order):
    labels = [number % 4 if order == "in turn" else 4 * number // count for number in range(count)]
    chosen = sampled(labels, 512)
    assert len(chosen) == 512
    assert all(85 < share < 171 for share in Counter(chosen).values()) and len(set(chosen)) == 4
    assert chosen == sampled(labels, 512)
    positions = np.array(sampled(range(count), 512))
    assert (np.diff(positions) > 0).all()


@pytest.mark.parametrize(
    ("texts", "received"), [("turn on the light", "'turn on"), (["light", 2], "2"), ([None], "None")]
)
def test_calibration_texts_that_are_none(classifier, labels, tmp_path, texts, received):
    with pytest.raises(ConversionError, match=f"list of strings. Received: {received}"):
        convert_classifier(
            classifier, labels, tmp_path / "m.tflite", plan=QuantizationPlan("int8-static"), calibration_texts=texts
        )
    assert list(tmp_path.iterdir()) == []


def test_a_file_for_pairs_is_calibrated_on_pairs_too(classifier, labels, tmp_path, monkeypatch):
    class Measured(Exception):
        pass

    def stop(model, rows):
        raise Measured(list(rows))

    monkeypatch.setattr("edgedistil_converters.convert.activation_ranges", stop)
    # No graph is built, and the converter asks for ranges at once: which rows are measured does not depend on either.
    monkeypatch.setattr("edgedistil_converters.convert.TextClassifierModule", lambda *_, **__: None)
    monkeypatch.setattr("edgedistil_converters.convert.convert_module", lambda *_, calibrate, **__: calibrate(b""))
    texts = ["turn on", "play music", "the light"] * 12
    with pytest.raises(Measured) as caught:
        convert_classifier(
            classifier,
            labels,
            tmp_path / "m.tflite",
            plan=QuantizationPlan("int8-static"),
            interface=ModelInterface(takes_text_pair=True),
            calibration_texts=texts,
        )
    [rows] = caught.value.args
    assert len(rows) == 36 + 35
    assert rows[:36] == unpadded_rows(classifier.preprocessor, texts)
    assert rows[36] == unpadded_rows(classifier.preprocessor, ["turn on"], ["play music"])[0]

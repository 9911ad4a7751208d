"""Calibration of scores: the temperature, its place in the last layer, and the files that get it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgedistil_converters import (
    ConversionOptions,
    PreparedClassifier,
    QuantizationPlan,
    calibrate_scores,
    convert_prepared,
)
from edgedistil_converters.preparation.score_calibration import fit_temperature
from edgedistil_converters.verification.keras_answers import answer_with_keras
from edgedistil_converters.verification.reliability import at_temperature, measure_reliability
from edgedistil_converters.verification.texts import VERIFICATION_TEXTS
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.artifact import read_artifact
from edgedistil_runtime.backends.choice import encoder_on_cpu
from edgedistil_runtime.errors import ConversionError

LABELS = ["light", "music", "other"]
TEXTS = tuple(
    f"{a} the {b} {c}" for a in ("turn", "play") for b in ("light", "music", "lamp") for c in "abcdefghijklmnopqrst"
)


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def draw(logits, temperature, seed=0):
    """Classes of texts whose true probabilities are those of the logits at a temperature."""
    generator = np.random.default_rng(seed)
    return [generator.choice(len(row), p=row) for row in softmax(logits / temperature)]


class TestTemperature:
    @pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
    def test_the_true_one_is_found(self, temperature):
        logits = np.random.default_rng(1).normal(0, 3, (4000, 5))
        found = fit_temperature(softmax(logits), draw(logits, temperature))
        assert found == pytest.approx(temperature, rel=0.06)

    @pytest.mark.parametrize("temperature", [0.5, 2.0])
    def test_of_one_output(self, temperature):
        logits = np.random.default_rng(2).normal(0, 4, (4000, 1))
        classes = draw(np.concatenate([0 * logits, logits], axis=1), temperature)
        assert fit_temperature(1 / (1 + np.exp(-logits)), classes) == pytest.approx(temperature, rel=0.1)

    def test_of_sigmoids(self):
        generator = np.random.default_rng(3)
        logits = generator.normal(-2, 3, (3000, 4))
        classes = generator.integers(0, 4, 3000)
        logits[np.arange(3000), classes] = generator.normal(2, 3, 3000)
        probabilities = 1 / (1 + np.exp(-logits))
        found = fit_temperature(probabilities, classes, are_independent=True)
        is_right = np.arange(4) == classes[:, None]

        def loss(temperature):
            rows = at_temperature(probabilities, temperature, are_independent=True)
            return -np.log(np.where(is_right, rows, 1 - rows)).mean()

        assert loss(found) < min(loss(0.9 * found), loss(1.1 * found))

    @pytest.mark.parametrize("count", [100, 300])
    def test_texts_that_are_all_right_leave_a_doubt(self, count):
        """As much as one mistake more would."""
        probabilities = np.tile([0.9, 0.05, 0.05], (count, 1))
        score = at_temperature(probabilities[:1], fit_temperature(probabilities, [0] * count)).max()
        assert 1 - 1 / count < score < 1 - 0.3 / count

    @given(
        st.lists(st.floats(-30, 30), min_size=2, max_size=6, unique=True),
        st.floats(0.05, 20),
    )
    def test_no_label_changes(self, logits, temperature):
        rows = softmax(np.array([logits]))
        moved = at_temperature(rows, temperature)
        np.testing.assert_allclose(moved, softmax(np.array([logits]) / temperature), atol=1e-9)
        assert moved[0, rows.argmax()] == moved.max()

    def test_probabilities_that_underflowed(self):
        found = at_temperature(np.array([[1.0, 0.0]]), 2.0)
        assert np.isfinite(found).all() and found[0, 0] > 0.999
        assert np.isfinite(fit_temperature(np.array([[1.0, 0.0]] * 9), [1] * 9))


class TestReliability:
    def test_by_hand(self):
        """Two bins: 3 texts at 0.62, of which 2 are right, and 1 at 1.0, which is right."""
        rows = np.array([[0.62, 0.38], [0.62, 0.38], [0.38, 0.62], [1.0, 0.0]])
        found = measure_reliability(rows, [0, 1, 1, 0])
        assert found.calibration_error == pytest.approx(3 / 4 * abs(2 / 3 - 0.62))
        assert found.brier_score == pytest.approx((2 * 2 * 0.38**2 + 2 * 0.62**2) / 4)
        filled = [(one.texts, round(one.mean_score, 6)) for one in found.bins if one.texts]
        assert filled == [(3, 0.62), (1, 1.0)]
        assert (len(found.bins), found.bins[0].low, found.bins[-1].high) == (15, 0, 1)

    def test_the_upper_end_belongs_to_a_bin(self):
        found = measure_reliability(np.array([[0.6, 0.4], [0.600001, 0.399999]]), [0, 0])
        assert [one.texts for one in found.bins[8:10]] == [1, 1]  # 9/15 = 0.6

    def test_one_output(self):
        both = measure_reliability(np.array([[0.2, 0.8], [0.9, 0.1]]), [1, 1])
        assert measure_reliability(np.array([[0.8], [0.1]]), [1, 1]) == both

    def test_calibrated_scores_have_a_small_error(self):
        logits = np.random.default_rng(4).normal(0, 2, (20_000, 3))
        assert measure_reliability(softmax(logits), draw(logits, 1)).calibration_error < 0.015
        assert measure_reliability(softmax(2 * logits), draw(logits, 1)).calibration_error > 0.05


@pytest.fixture
def prepared(make_classifier):
    return PreparedClassifier(make_classifier(), LABELS, "test")


@pytest.fixture
def classes(prepared):
    """Classes that make the classifier too sure of itself: true probabilities are those at temperature 2."""
    rows = np.array([answer.probabilities for answer in answer_with_keras(prepared.classifier, TEXTS)])
    return draw(np.log(rows), 2.0)


def answers(path, **options):
    with TextClassifier(path, verify=False, **options) as classifier:
        return np.array([list(classifier.classify(text).probabilities.values()) for text in VERIFICATION_TEXTS])


class TestClassifier:
    def test_the_last_layer_is_divided(self, prepared, classes):
        before = answer_with_keras(prepared.classifier, VERIFICATION_TEXTS)
        done = calibrate_scores(prepared, TEXTS, classes, source="some")
        record = done.record["score_calibration"]
        assert record["temperature"] > 1.2
        assert (record["texts"], record["source"]) == (len(TEXTS), "some")
        assert record["after"]["brier_score"] < record["before"]["brier_score"]
        rows = np.array([answer.probabilities for answer in before])
        after = np.array([answer.probabilities for answer in answer_with_keras(done.classifier, VERIFICATION_TEXTS)])
        np.testing.assert_allclose(after, at_temperature(rows, record["temperature"]), atol=1e-6)
        again = calibrate_scores(done, TEXTS, classes).record["score_calibration"]
        assert again["temperature"] == pytest.approx(1, abs=1e-3)

    def test_what_belongs_to_the_classifier_as_it_was(self, prepared, classes):
        """Training with quantization leaves a reference and ranges."""
        reference = answer_with_keras(prepared.classifier, VERIFICATION_TEXTS[:3])
        ranges = {"logits": (-4.0, 8.0), "pooled_dense": (0.0, 3.0)}
        done = calibrate_scores(replace(prepared, reference=reference, ranges=ranges), TEXTS, classes)
        temperature = done.record["score_calibration"]["temperature"]
        assert done.ranges == {"logits": (-4 / temperature, 8 / temperature), "pooled_dense": (0.0, 3.0)}
        due = answer_with_keras(done.classifier, VERIFICATION_TEXTS[:3])
        for one, other in zip(done.reference, due, strict=True):
            np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-6)
            assert one.token_ids == other.token_ids

    @pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
    def test_outputs_that_are_probabilities(self, make_classifier, activation):
        prepared = PreparedClassifier(make_classifier(activation=activation), LABELS, "test")
        before = np.array([answer.probabilities for answer in answer_with_keras(prepared.classifier, TEXTS)])
        done = calibrate_scores(prepared, TEXTS, before.argmax(axis=1).tolist())
        after = np.array([answer.probabilities for answer in answer_with_keras(done.classifier, TEXTS)])
        temperature = done.record["score_calibration"]["temperature"]
        due = at_temperature(before, temperature, are_independent=activation == "sigmoid")
        np.testing.assert_allclose(after, due, atol=1e-5)

    def test_too_few_texts(self, prepared):
        with pytest.raises(ConversionError, match=r"at least 100 labelled texts .* Received: 99 \(texts\)"):
            calibrate_scores(prepared, TEXTS[:100], [0] * 99 + [None])


class TestFiles:
    @pytest.mark.parametrize(
        ("scheme", "target", "tolerance"),
        [
            ("int8", "cpu", 0.08),
            ("fp32", "gpu", 1e-5),
            ("int8-static", "edgetpu", 0.1),
        ],
    )
    def test_every_target_has_it_in_the_graph(self, prepared, classes, tmp_path, scheme, target, tolerance):
        plan, texts = QuantizationPlan(scheme), (*TEXTS, *VERIFICATION_TEXTS)
        is_static = plan.needs == "calibration data"
        before = np.array(
            [answer.probabilities for answer in answer_with_keras(prepared.classifier, VERIFICATION_TEXTS)]
        )
        done = calibrate_scores(prepared, TEXTS, classes)
        done = replace(done, calibration_texts=texts if is_static else ())
        path = tmp_path / "model.tflite"
        conversion = convert_prepared(done, ConversionOptions(plan, target=target), path)
        temperature = read_artifact(path).metadata.temperature
        assert temperature == done.record["score_calibration"]["temperature"] > 1.2
        due = at_temperature(before, temperature)
        assert np.abs(before - due).max() > 2 * tolerance if tolerance < 0.05 else True
        for backend in (None, *([encoder_on_cpu(read_artifact(path))] if target != "cpu" else [])):
            received = answers(path, backend=backend)
            np.testing.assert_allclose(received, due, rtol=0, atol=tolerance)
            assert np.abs(received - due).mean() < np.abs(received - before).mean()
        cases = conversion.artifact.metadata.golden_cases
        for case, answer in zip(cases, answer_with_keras(done.classifier, [case.text for case in cases]), strict=True):
            np.testing.assert_allclose(case.probabilities, answer.probabilities, atol=1e-6)

    @pytest.mark.parametrize("record", [None, 3, {}, {"temperature": "2"}, {"temperature": True}, {"temperature": -1}])
    def test_other_records_are_no_temperature(self, make_tokenizer_settings, record):
        from edgedistil_runtime.artifact import ArtifactMetadata

        settings = make_tokenizer_settings(["[PAD]", "[CLS]", "[SEP]"])
        metadata = ArtifactMetadata(
            "a", ("b",), settings, {"scheme": "fp32"}, "cpu", (), 1.0, preparation={"score_calibration": record}
        )
        assert metadata.temperature == 1

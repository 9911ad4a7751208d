"""Multi-label classifiers: their files in every scheme, their verification by sets, and what refuses them."""

from dataclasses import replace

import numpy as np
import pytest

from edgedistil_converters import (
    ConversionOptions,
    ModelInterface,
    PreparedClassifier,
    QuantizationPlan,
    calibrate_scores,
    convert_classifier,
)
from edgedistil_converters.preparation.quantization_aware import QATSettings
from edgedistil_converters.preparation.quantization_aware.prepare import train_with_quantization
from edgedistil_converters.quantization.plan import LayerScheme
from edgedistil_converters.quantization.schemes import Tolerance
from edgedistil_converters.verification.judge import describe_flips
from edgedistil_converters.verification.keras_answers import answer_with_keras
from edgedistil_converters.verification.measures import compare
from edgedistil_converters.verification.texts import VERIFICATION_TEXTS
from edgedistil_converters.verification.verify import verify
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.backends.choice import encoder_on_cpu
from edgedistil_runtime.decision import Decision
from edgedistil_runtime.errors import ConversionError, ParityError

LABELS = ("light", "music", "other")
THRESHOLDS = (0.5, 0.4, 0.6)
SCHEMES = ("fp32", "fp16", "int8", "int4", "int8-static")


@pytest.fixture(scope="module")
def multi_label(make_classifier):
    return make_classifier(activation="sigmoid")


@pytest.fixture(scope="module")
def convert_multi(multi_label, tmp_path_factory):
    def convert(scheme, **options):
        return convert_classifier(
            multi_label,
            LABELS,
            tmp_path_factory.mktemp("multi") / "m.tflite",
            # In int4, this random classifier is no longer itself.
            plan=QuantizationPlan(scheme, (LayerScheme("transformer_layer_*", "int8"),) if scheme == "int4" else ()),
            calibration_texts=VERIFICATION_TEXTS if scheme in ("int4", "int8-static") else (),
            thresholds=THRESHOLDS,
            min_agreement=0.5,
            **options,
        )

    return convert


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_gives_keras_sets(multi_label, convert_multi, scheme):
    conversion = convert_multi(scheme)
    metadata = conversion.artifact.metadata
    assert (metadata.schema_version, metadata.thresholds) == (2, THRESHOLDS)
    assert "LOGISTIC" in {op for op, _ in conversion.structure.ops}
    answers = answer_with_keras(multi_label, VERIFICATION_TEXTS)
    decision = Decision(THRESHOLDS)
    due = [{LABELS[number] for number in decision.chosen(np.array(answer.probabilities))} for answer in answers]
    assert {len(labels) for labels in due} >= {1, 2}  # so that the best label would not do
    with TextClassifier(conversion.artifact.path) as classifier:
        found = [set(answer.labels) for answer in classifier.classify_batch([answer.text for answer in answers])]
    agreement = np.mean([one == other for one, other in zip(due, found, strict=True)])
    assert agreement >= (1.0 if scheme == "fp32" else 0.9)
    if scheme == "fp32":
        assert conversion.parity.label_agreement == 1


def test_the_part_for_a_gpu_gives_the_same_probabilities(convert_multi, multi_label):
    conversion = convert_multi("fp32", target="gpu")
    [due] = answer_with_keras(multi_label, ["turn on the light"])
    with TextClassifier(conversion.artifact.path, backend=encoder_on_cpu(conversion.artifact)) as classifier:
        found = classifier.classify("turn on the light")
    np.testing.assert_allclose(list(found.probabilities.values()), due.probabilities, atol=1e-3)
    assert found.labels is not None


def test_mediapipe_takes_the_file(convert_multi):
    conversion = convert_multi("fp32", interface=ModelInterface("none", metadata="mediapipe"))
    assert conversion.artifact.metadata.thresholds == THRESHOLDS


def test_verification_compares_sets(convert_multi, multi_label):
    """The best label is the same on both sides; one that is not the best changes."""
    path = convert_multi("fp32").artifact.path
    [answer] = answer_with_keras(multi_label, ["light"])
    best = int(np.argmax(answer.probabilities))
    changed = next(number for number in range(3) if number != best)
    is_given = answer.probabilities[changed] >= THRESHOLDS[changed]
    wrong = list(answer.probabilities)
    wrong[changed] = THRESHOLDS[changed] + (-0.2 if is_given else 0.2)
    wrong[best] = max(wrong) + 0.01 if max(wrong) < 0.99 else wrong[best]
    difference = float(np.abs(np.array(wrong) - answer.probabilities).max())
    other = replace(answer, probabilities=tuple(wrong))
    assert verify(path, [other], Tolerance(difference + 1e-3, 1)).label_agreement == 0
    with pytest.raises(ParityError, match="on 0.0% of the texts"):
        verify(path, [other], Tolerance(difference + 1e-3, 1, agreement=0.5))


def test_flips_name_the_sets():
    keras, file = np.array([[0.9, 0.1], [0.45, 0.2]]), np.array([[0.9, 0.6], [0.45, 0.2]])
    found = compare(keras, file, decision=Decision((0.5, 0.5)))
    assert (found.agreement, round(found.weighted_agreement, 2)) == (0.5, 0.6)
    assert describe_flips(found, ["x", "y"], ["on", "off"]).endswith("'x' (on 0.10, in the file on and off).")


def test_a_label_that_the_file_never_gives_is_lost():
    keras, file = np.array([[0.9, 0.95], [0.9, 0.9]]), np.array([[0.9, 0.1], [0.9, 0.2]])
    assert compare(keras, file, decision=Decision((0.5, 0.5))).lost_labels == (1,)
    assert compare(keras, file[[0, 0]] * [1, 9], decision=Decision((0.5, 0.5))).lost_labels == ()


def test_the_logits_of_sigmoids_have_no_common_constant():
    """Halving all odds is invisible to a softmax's logits and an error of a sigmoid's."""
    keras = np.array([[0.5, 0.2], [0.8, 0.5]])
    odds = keras / (1 - keras) / 2
    file = odds / (1 + odds)
    assert compare(keras, file, decision=Decision((0.5, 0.5))).logit_error > 0.5


@pytest.mark.parametrize(
    ("activation", "thresholds", "message"),
    [
        ("softmax", THRESHOLDS, "sigmoid each"),
        (None, THRESHOLDS, "sigmoid each"),
        ("sigmoid", (0.5,), "1 for 3 labels"),
        ("sigmoid", (0.5, 0.5, 1.0), "less than 1"),
    ],
)
def test_thresholds_that_are_refused(make_classifier, activation, thresholds, message):
    with pytest.raises(ConversionError, match=message):
        PreparedClassifier(make_classifier(activation=activation), LABELS, "m", thresholds=thresholds)


def test_what_refuses_several_labels(multi_label, tmp_path):
    prepared = PreparedClassifier(multi_label, LABELS, "m", thresholds=THRESHOLDS)
    with pytest.raises(ConversionError, match="multi-label classifier: the numbers of all labels.*Received: 0"):
        calibrate_scores(prepared, VERIFICATION_TEXTS, [0] * len(VERIFICATION_TEXTS))
    with pytest.raises(ConversionError, match=r"the number of the class.*Received: \[0\]"):
        calibrate_scores(replace(prepared, thresholds=()), VERIFICATION_TEXTS, [[0]] * len(VERIFICATION_TEXTS))
    with pytest.raises(ConversionError, match="multi-label"):
        train_with_quantization(prepared, ["light"], [0], QATSettings(), options=ConversionOptions(), folder=tmp_path)

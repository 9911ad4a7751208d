"""Texts with none of the labels: thresholds, the output `unknown_score` in every scheme, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from edgedistil_converters import (
    ConversionOptions,
    ModelInterface,
    PreparedClassifier,
    QuantizationPlan,
    convert_classifier,
    convert_prepared,
    fit_unknown_rule,
)
from edgedistil_converters.model.keras_logits import keras_logits
from edgedistil_converters.preparation.prepared import check_unknown_target
from edgedistil_converters.preparation.unknown_texts import balanced_threshold, energies, threshold_for_share
from edgedistil_converters.quantization.plan import LayerScheme
from edgedistil_converters.quantization.schemes import SCHEMES, Bounds
from edgedistil_converters.targets.plans import TARGETS
from edgedistil_converters.verification.unknown_check import FLOAT_SCORE_ERROR, check_unknown_scores
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.artifact import read_artifact
from edgedistil_runtime.backends.compiled_model import CompiledModelBackend
from edgedistil_runtime.errors import ConversionError, ParityError

LABELS = ["light", "music", "other"]
TEXTS = [
    f"{a} the {b} {c}" for a in ("turn", "play") for b in ("light", "music", "lamp") for c in "abcdefghijklmnopqrst"
]
CLASSES = [0] * len(TEXTS)
UNKNOWN = [f"{letter} {letter}" for letter in "abcdefghijklmnopqrstuvw"]


@pytest.fixture(scope="module", params=[None, "softmax"])
def prepared(request, make_classifier):
    return PreparedClassifier(make_classifier(activation=request.param), LABELS, "m")


@pytest.fixture(scope="module")
def fitted(make_classifier):
    return fit_unknown_rule(PreparedClassifier(make_classifier(), LABELS, "m"), "none", TEXTS, CLASSES)


def convert(prepared, path, scheme="int8", **options):
    layers = (LayerScheme("transformer_layer_*", "int8"),) if scheme == "int4" else ()
    plan = QuantizationPlan(scheme, layers)
    prepared = replace(prepared, calibration_texts=TEXTS if scheme in ("int4", "int8-static") else ())
    options = {"verification_texts": TEXTS, "bounds": Bounds(min_agreement=0.5), **options}
    return convert_prepared(prepared, ConversionOptions(plan, **options), path)


class TestThreshold:
    @pytest.mark.parametrize("share", [0.5, 0.9, 0.97, 0.99])
    def test_a_share_is_kept_and_not_much_more(self, share):
        scores = np.random.default_rng(0).normal(size=100)
        kept = (scores <= threshold_for_share(scores, share)).mean()
        assert kept == pytest.approx(share)

    def test_the_balance_is_the_best_of_all(self):
        generator = np.random.default_rng(1)
        known, unknown = generator.normal(-2, 1, 60), generator.normal(0, 1, 40)

        def balance(threshold):
            return (known <= threshold).mean() + (unknown > threshold).mean()

        best = max(balance(one) for one in np.concatenate([known, unknown]))
        assert balance(balanced_threshold(known, unknown)) == pytest.approx(best)

    def test_separate_texts_are_separated_in_the_middle(self):
        assert balanced_threshold(np.array([-4.0, -3.0]), np.array([-1.0, 2.0])) == -2


def test_the_energy_is_that_of_the_logits_also_of_a_softmax(prepared, make_classifier):
    logits = keras_logits(prepared.classifier, TEXTS[:5])
    plain = make_classifier()
    plain.set_weights(prepared.classifier.get_weights())
    features = plain.preprocessor(TEXTS[:5])
    np.testing.assert_allclose(logits, np.asarray(plain(features)), atol=1e-5)
    np.testing.assert_allclose(energies(logits), -np.log(np.exp(logits).sum(axis=1)), atol=1e-9)


def test_the_record_has_the_shares(prepared):
    record = fit_unknown_rule(prepared, "none", TEXTS, CLASSES, in_scope_kept=0.9, source="some").record
    rule = record["unknown_texts"]
    scores = energies(keras_logits(prepared.classifier, TEXTS))
    assert (rule["label"], rule["texts"], rule["source"], rule["score"]) == ("none", len(TEXTS), "some", "energy")
    assert rule["in_scope_kept"] == (scores <= rule["threshold"]).mean() >= 0.9
    both = fit_unknown_rule(prepared, "none", TEXTS, CLASSES, unknown_texts=UNKNOWN).record["unknown_texts"]
    others = energies(keras_logits(prepared.classifier, UNKNOWN))
    assert both["threshold"] == balanced_threshold(scores, others)
    assert (both["unknown_texts"], both["unknown_found"]) == (len(UNKNOWN), (others > both["threshold"]).mean())


@pytest.mark.parametrize("scheme", ["fp32", "fp16", "int8", "int4", "int8-static"])
def test_every_scheme_has_the_score(fitted, tmp_path, scheme):
    conversion = convert(fitted, tmp_path / "m.tflite", scheme)
    expected = energies(keras_logits(fitted.classifier, TEXTS))
    with TextClassifier(conversion.artifact.path) as classifier:
        single, rows = [classifier.classify(text) for text in TEXTS], classifier.classify_batch(TEXTS)
    received = np.array([answer.unknown_score for answer in single])
    bound = FLOAT_SCORE_ERROR if scheme == "fp32" else SCHEMES[scheme].rules.max_logit_error
    together = np.array([answer.unknown_score for answer in rows])
    for found in (received, together):
        assert np.sqrt(((found - expected) ** 2).mean()) <= bound * expected.std()
    rule = classifier.metadata.unknown_rule
    assert [answer.is_unknown for answer in single] == (received > rule.threshold).tolist()
    assert conversion.artifact.metadata.schema_version == 1


def test_probabilities_are_those_of_a_file_without_the_rule(fitted, tmp_path):
    convert(fitted, tmp_path / "with.tflite")
    convert(replace(fitted, record={}), tmp_path / "without.tflite")
    with TextClassifier(tmp_path / "with.tflite") as one, TextClassifier(tmp_path / "without.tflite") as other:
        assert other.classify(TEXTS[0]).is_unknown is None
        for text in TEXTS[:10]:
            assert one.classify(text).probabilities == other.classify(text).probabilities


def test_large_files_run_in_a_compiled_model(fitted, tmp_path):
    """Files of more than 16 MB run there; here a smaller one does."""
    path = convert(fitted, tmp_path / "m.tflite").artifact.path
    longest_row = read_artifact(path).metadata.tokenizer.sequence_length
    backend = CompiledModelBackend(path, longest_row=longest_row, num_classes=len(LABELS))
    with TextClassifier(path) as one, TextClassifier(path, backend=backend) as other:
        expected, received = (classifier.classify_batch(TEXTS[:40]) for classifier in (one, other))
        assert other.classify(TEXTS[0]).unknown_score is not None
    scores = [[answer.unknown_score for answer in answers] for answers in (expected, received)]
    np.testing.assert_allclose(*scores, atol=1e-3)


def test_pairs_and_token_ids(fitted, tmp_path):
    convert(fitted, tmp_path / "pair.tflite", interface=ModelInterface(takes_text_pair=True))
    with TextClassifier(tmp_path / "pair.tflite") as classifier:
        assert classifier.classify("play", "music").unknown_score is not None
    convert(fitted, tmp_path / "ids.tflite", "fp32", interface=ModelInterface("none"))
    with TextClassifier(tmp_path / "ids.tflite") as classifier:
        assert classifier.classify_tokens([[2, 5, 3]])[0].unknown_score is not None


def test_tensorflow_texts_ops(fitted, tmp_path):
    pytest.importorskip("tensorflow_text")
    convert(fitted, tmp_path / "tftext.tflite", interface=ModelInterface("tftext"))
    convert(fitted, tmp_path / "builtin.tflite")
    with TextClassifier(tmp_path / "tftext.tflite") as one, TextClassifier(tmp_path / "builtin.tflite") as other:
        for text in TEXTS[:5]:
            assert one.classify(text).unknown_score == pytest.approx(other.classify(text).unknown_score, abs=1e-6)


def test_other_scores_than_those_of_keras_are_refused(fitted, tmp_path):
    path = tmp_path / "m.tflite"
    convert(fitted, path, "fp32")
    expected = energies(keras_logits(fitted.classifier, TEXTS))
    plan = QuantizationPlan("fp32")
    assert check_unknown_scores(path, TEXTS, [], expected, plan) < FLOAT_SCORE_ERROR
    with pytest.raises(ParityError, match=r"unknown_score.* is off by 200"):
        check_unknown_scores(path, TEXTS, [], expected + 2 * expected.std(), plan)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "gpu"}, r"needs the target cpu or npu \(`target`\). Received: gpu"),
        ({"interface": ModelInterface("none", metadata="mediapipe")}, "one output"),
    ],
)
def test_hosts_that_cannot_have_it(fitted, tmp_path, options, message):
    with pytest.raises(ConversionError, match=message):
        convert(fitted, tmp_path / "m.tflite", **options)
    assert not (tmp_path / "m.tflite").exists()


def test_a_refusal_names_every_target_that_can_have_it():
    refused = {}
    for target in TARGETS:
        try:
            check_unknown_target(target, ModelInterface())
        except ConversionError as error:
            refused[target] = str(error)
    assert set(refused) == {"gpu", "edgetpu", "coralboard"}
    assert all(f"needs the target cpu or npu (`target`). Received: {name}." in said for name, said in refused.items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": "music"}, "none of light, music"),
        ({"label": ""}, "one line"),
        ({"label": "a\nb"}, "one line"),
        ({"label": "a\tb"}, "one line"),
        ({"label": " "}, "one line"),
        ({"in_scope_kept": 97}, "For 97 %: 0.97"),
        ({"in_scope_kept": 0.0}, "in_scope_kept"),
        ({"texts": TEXTS[:99], "class_numbers": CLASSES[:99]}, "at least 100 .* Received: 99"),
        ({"class_numbers": [None, *CLASSES[1:]], "texts": TEXTS[:100] + TEXTS[:20]}, None),
        ({"unknown_texts": UNKNOWN[:5]}, "at least 20 texts .* Received: 5"),
    ],
)
def test_what_is_refused(make_classifier, changes, message):
    arguments = {"label": "none", "texts": TEXTS, "class_numbers": CLASSES, **changes}
    prepared = PreparedClassifier(make_classifier(), LABELS, "m")
    if message is None:
        assert fit_unknown_rule(prepared, **arguments).record["unknown_texts"]["texts"] == 119
        return
    with pytest.raises(ConversionError, match=message):
        fit_unknown_rule(prepared, **arguments)


@pytest.mark.parametrize("thresholds", [(), (0.5, 0.5, 0.5)])
def test_sigmoids_are_refused(make_classifier, thresholds):
    prepared = PreparedClassifier(make_classifier(activation="sigmoid"), LABELS, "m", thresholds=thresholds)
    with pytest.raises(ConversionError, match="multi-label" if thresholds else "softmax"):
        fit_unknown_rule(prepared, "none", TEXTS, CLASSES)


class TestConvertClassifier:
    def test_it_fits_the_rule_on_labelled_verification_texts(self, make_classifier, tmp_path):
        classifier = make_classifier()
        due = fit_unknown_rule(
            PreparedClassifier(classifier, LABELS, "m"),
            "none",
            TEXTS,
            CLASSES,
            in_scope_kept=0.9,
            unknown_texts=UNKNOWN,
        ).record["unknown_texts"]
        given = {"verification_texts": [*TEXTS, "a"], "verification_labels": [*["light"] * len(TEXTS), None]}
        rule = {"unknown_label": "none", "in_scope_kept": 0.9, "unknown_texts": UNKNOWN}
        path = tmp_path / "m.tflite"
        convert_classifier(classifier, LABELS, path, min_agreement=0.5, **given, **rule)
        record = read_artifact(path).metadata.preparation["unknown_texts"]
        assert record == {**due, "threshold": pytest.approx(due["threshold"], abs=1e-5), "source": "verification texts"}
        with TextClassifier(path) as model:
            assert model.classify("turn the light a").unknown_score is not None

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"unknown_label": "none"}, r"at least 100 labelled texts.*Received: 0"),
            ({"unknown_label": "light"}, "none of light"),
            ({"unknown_label": "none", "target": "gpu"}, "target cpu"),
            ({"unknown_texts": UNKNOWN}, "without `unknown_label`"),
        ],
    )
    def test_what_is_refused(self, make_classifier, tmp_path, options, message):
        with pytest.raises(ConversionError, match=message):
            convert_classifier(make_classifier(), LABELS, tmp_path / "m.tflite", verification_texts=TEXTS, **options)

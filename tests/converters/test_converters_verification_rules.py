"""The gate: what is measured on texts, which measures break a rule, and what a refusal tells."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgedistil_converters import ModelInterface, QuantizationPlan, convert_classifier
from edgedistil_converters.model.weights import Dense
from edgedistil_converters.preparation.prepared import failed_path
from edgedistil_converters.quantization.schemes import SCHEMES, Bounds, Rules
from edgedistil_converters.verification.golden_cases import choose_golden_cases, replay_tolerance, trusted_answers
from edgedistil_converters.verification.judge import describe_flips, violations
from edgedistil_converters.verification.keras_answers import answer_with_keras
from edgedistil_converters.verification.measures import compare, logit_error, paired_loss, wilson_interval
from edgedistil_converters.verification.samples import Samples, class_number
from edgedistil_converters.verification.texts import VERIFICATION_TEXTS
from edgedistil_converters.verification.verify import ParityReport
from edgedistil_converters.verification.weights_check import check_weights
from edgedistil_runtime import TextClassifier
from edgedistil_runtime.artifact import GoldenCase, read_artifact
from edgedistil_runtime.errors import ConversionError, ParityError

LABELS = ("on", "off")
SURE, CLOSE = [0.95, 0.05], [0.51, 0.49]


def rows(*parts):
    """Rows of probabilities: `rows((SURE, 3), (CLOSE, 2))` are five."""
    return np.array([row for row, count in parts for _ in range(count)])


def swapped(row):
    return row[::-1]


# Measures


def test_wilson_is_the_interval_of_the_tables():
    # Newcombe (1998), table I: 81 of 263 and 15 of 148.
    np.testing.assert_allclose(wilson_interval(81, 263), (0.2553, 0.3662), atol=5e-5)
    np.testing.assert_allclose(wilson_interval(15, 148), (0.0624, 0.1605), atol=5e-5)
    assert wilson_interval(0, 5)[0] == 0
    assert wilson_interval(5, 5)[1] == 1


def test_a_paired_loss_counts_only_texts_that_change():
    right = np.ones(200, bool)
    loss, (low, high) = paired_loss(right, right)
    assert loss == 0
    assert low < 0 < high < 2
    one_each = right.copy()
    one_each[0] = False
    other = right.copy()
    other[1] = False
    assert paired_loss(one_each, other)[0] == 0
    worse = np.arange(200) >= 20
    loss, (low, high) = paired_loss(right, worse)
    assert loss == 10
    assert 5 < low < 10 < high < 15
    gain, interval = paired_loss(worse, right)
    assert gain == -10
    np.testing.assert_allclose(interval, (-high, -low))


def test_a_flip_counts_by_how_sure_keras_was():
    keras = rows((SURE, 8), (CLOSE, 2))
    close = compare(keras, rows((SURE, 8), (swapped(CLOSE), 2)))
    sure = compare(keras, rows((SURE, 6), (swapped(SURE), 2), (CLOSE, 2)))
    assert close.agreement == sure.agreement == pytest.approx(0.8)
    assert close.weighted_agreement == pytest.approx(1 - 2 * 0.02 / 10)
    assert sure.weighted_agreement == pytest.approx(1 - 2 * 0.9 / 10)
    assert [flip.row for flip in sure.flips] == [6, 7]
    assert sure.flips[0].sure == 0.95


def test_a_label_is_lost_if_none_of_its_sure_texts_keeps_it():
    keras = rows(([0.9, 0.05, 0.05], 2), ([0.05, 0.9, 0.05], 2), ([0.4, 0.3, 0.3], 1))
    file = keras.copy()
    file[0] = [0.05, 0.9, 0.05]
    assert compare(keras, file).lost_labels == ()
    file[1] = [0.05, 0.9, 0.05]  # the text of 0.4 still has label 0, but Keras is not sure of it
    assert compare(keras, file).lost_labels == (0,)
    once = np.delete(keras, 1, axis=0)
    assert compare(once, np.delete(file, 1, axis=0)).lost_labels == ()  # one text proves nothing


def test_the_logits_error_does_not_depend_on_how_flat_probabilities_are():
    logits = np.random.default_rng(0).normal(0, 3, (100, 10))
    noise = np.random.default_rng(1).normal(0, 0.05, (100, 10))

    def softmax(values):
        return np.exp(values) / np.exp(values).sum(1, keepdims=True)

    steep = logit_error(softmax(logits), softmax(logits + noise))
    flat = logit_error(softmax(logits / 20), softmax((logits + noise) / 20))
    assert steep == pytest.approx(flat, rel=0.05)
    assert flat == pytest.approx(0.05 / 3, rel=0.1)


def test_one_output_is_two_classes():
    comparison = compare(np.array([[0.9], [0.2]]), np.array([[0.4], [0.2]]), [1, 0])
    assert comparison.agreement == 0.5
    assert (comparison.keras_accuracy, comparison.accuracy, comparison.accuracy_loss) == (1, 0.5, 50)


def test_texts_without_a_right_class_count_for_agreement_only():
    comparison = compare(rows((SURE, 4)), rows((SURE, 3), (swapped(SURE), 1)), [0, None, 0, None])
    assert (comparison.texts, comparison.labelled_texts, comparison.accuracy) == (4, 2, 1)
    assert comparison.agreement == 0.75
    assert compare(rows((SURE, 4)), rows((SURE, 4)), [None] * 4).accuracy is None


def test_measures_are_plain_data():
    measures = compare(rows((SURE, 4)), rows((SURE, 4)), [0] * 4).to_dict()
    assert json.loads(json.dumps(measures, allow_nan=False)) == measures
    assert "flips" not in measures  # texts of the training data have no place in a file


# Rules


def broken(keras, file, rules, numbers=(), **options):
    return violations(compare(keras, file, numbers), rules, LABELS, **options)


def test_close_flips_pass_and_sure_ones_do_not():
    rules = Rules()
    keras = rows((SURE, 270), (CLOSE, 30))
    assert broken(keras, rows((SURE, 270), (swapped(CLOSE), 30)), rules) == []
    [found] = broken(keras, rows((SURE, 240), (swapped(SURE), 30), (CLOSE, 30)), rules)
    assert found.startswith("labels agree on 90.0% of the texts, or 91.0% if a flip counts")
    assert "`min_agreement` is 0.98" in found
    assert broken(keras, rows((SURE, 240), (swapped(SURE), 30), (CLOSE, 30)), Rules(min_agreement=0.9)) == []


def test_few_texts_prove_little():
    assert broken(rows((SURE, 30)), rows((SURE, 29), (swapped(SURE), 1)), Rules()) == []
    assert broken(rows((SURE, 3000)), rows((SURE, 2900), (swapped(SURE), 100)), Rules())


def test_accuracy_is_judged_where_labels_are_known():
    keras, file, right = rows((CLOSE, 300)), rows((CLOSE, 280), (swapped(CLOSE), 20)), [0] * 300
    assert broken(keras, file, Rules()) == []
    [found] = broken(keras, file, Rules(), right)
    assert found.startswith("accuracy falls from 100.0% to 93.3%, by 6.7 points")
    assert "`max_accuracy_loss` is 0.5" in found
    assert broken(keras, file, Rules(max_accuracy_loss=5), right) == []
    assert broken(keras, file, Rules(), [1] * 300) == []  # the file is better


def test_differences_are_judged_on_texts_of_the_right_kind_only():
    keras, file = rows((SURE, 300)), rows(([0.75, 0.25], 300))
    rules = Rules(max_mean_difference=0.1, max_p99_difference=0.1)
    assert len(broken(keras, file, rules)) == 2
    assert broken(keras, file, rules, are_samples=False) == []
    one = rows((SURE, 299), ([0.75, 0.25], 1))
    assert broken(keras, one, rules) == []  # one text of 300 is no rule
    assert "the logits are off by" in broken(keras, file, Rules(max_logit_error=0.05), are_samples=False)[0]


def test_not_a_number_breaks_a_rule():
    assert broken(rows((SURE, 30)), rows((SURE, 29), ([float("nan")] * 2, 1)), Rules())


def test_flips_are_told_the_surest_first():
    comparison = compare(rows((CLOSE, 1), (SURE, 8)), rows((swapped(CLOSE), 1), (swapped(SURE), 8)))
    told = describe_flips(comparison, [f"text {row}" for row in range(9)], LABELS)
    assert told.startswith("Another label than Keras': 'text 1' (on 0.95, in the file off); ")
    assert told.endswith("; and 4 more.")
    assert describe_flips(compare(rows((SURE, 1)), rows((SURE, 1))), ["a"], LABELS) == ""


@pytest.mark.parametrize("bounds", [{"min_agreement": 98}, {"min_agreement": -0.1}, {"max_accuracy_loss": -1}])
def test_bounds_out_of_range_are_refused(bounds):
    with pytest.raises(ConversionError, match=next(iter(bounds))):
        Bounds(**bounds)
    with pytest.raises(ConversionError, match=next(iter(bounds))):
        Rules(**bounds)


def test_coarser_schemes_have_wider_rules():
    bounds = [SCHEMES[scheme].rules for scheme in ("fp16", "int8", "int4")]
    for finer, coarser in itertools.pairwise(bounds):
        assert finer.min_agreement >= coarser.min_agreement
        assert finer.max_logit_error < coarser.max_logit_error
    assert QuantizationPlan("fp32").rules is None


def test_the_table_of_the_document_has_the_rules():
    page = (Path(__file__).parents[2] / "docs" / "verification.md").read_text(encoding="utf-8")
    for name, scheme in SCHEMES.items():
        [row] = [line for line in page.splitlines() if line.startswith(f"| {name} |") and line.count("|") == 7]
        numbers = [cell.strip() for cell in row.strip("|").split("|")[1:]]
        if scheme.rules is None:
            assert float(numbers[0].split()[0]) == scheme.tolerance.largest
        else:
            assert list(map(float, numbers)) == list(vars(scheme.rules).values())


# Samples


def test_equal_samples_count_once():
    samples = Samples(["a", "a", "b\ud800"], [1, 2, None])
    assert samples.number_of == {"a": 1, "b\ufffd": None}
    assert Samples(["a"]).number_of == {"a": None}
    with pytest.raises(ConversionError, match="`verification_texts`"):
        Samples(["a", "b"], [1])


def test_labels_become_numbers():
    assert [class_number(label, ["a", "b"]) for label in ("b", "c", None)] == [1, None, None]
    assert [class_number(label, ["spam"]) for label in ("spam", "ham", None)] == [1, 0, None]


# Golden cases


def case(text, *probabilities):
    return GoldenCase(text, (2, 5, 3), probabilities)


def test_golden_cases_keep_half_the_tolerance():
    tolerance = SCHEMES["int8"].tolerance
    answers = [case(str(number), 0.9, 0.1) for number in range(30)]
    report = ParityReport(30, 0.2, 0.0, 1.0, differences=tuple(0.01 * number for number in range(30)))
    trusted = trusted_answers(answers, report, tolerance)
    assert [int(answer.text) for answer in trusted] == list(range(8))  # the nearest 8, as no 8 keep 0.05
    assert replay_tolerance(tolerance, report) == pytest.approx(0.14)


def test_a_device_that_gives_zeros_is_found_out_where_probabilities_are_flat():
    answers = [case("hello", *[0.02] * 50)]
    report = ParityReport(1, 0.0, 0.0, 1.0, differences=(0.001,))
    assert replay_tolerance(SCHEMES["int8"].tolerance, report, answers) == pytest.approx(0.01)


def test_the_surest_text_of_each_label_is_a_golden_case():
    answers = [case(f"flat {number}", 0.51, 0.49) for number in range(20)] + [case("sure", 0.99, 0.01)]
    assert "sure" in [chosen.text for chosen in choose_golden_cases(answers)]


# Files

TEXTS = tuple(
    f"{word} the {thing} {how}"
    for word in ("turn", "play", "is")
    for thing in ("light", "music", "rain")
    for how in ("on", "off", "now", "?")
)


def damaged(weights):
    """(kind, weights) of damages that a gate must find."""
    first, layers = weights.layers[0], weights.layers
    order = np.r_[8:16, 0:8]  # two heads of 8
    heads = Dense(first.value.kernel[:, order], first.value.bias[order])
    scale = Dense(2 * first.value.kernel, first.value.bias)
    epsilon = replace(first.output_norm, epsilon=0.5)
    kernel, bias = first.intermediate.kernel.copy(), first.intermediate.bias.copy()
    kernel[:, 0], bias[0] = 0, 20
    saturated = Dense(kernel, bias)
    order = np.array([1, 0, 2])
    labels = Dense(weights.logits.kernel[:, order], weights.logits.bias[order])
    for kind, changed in (
        ("scale", replace(first, value=scale)),
        ("heads", replace(first, value=heads)),
        ("epsilon", replace(first, output_norm=epsilon)),
        ("channel", replace(first, intermediate=saturated)),
    ):
        yield kind, replace(weights, layers=(changed, *layers[1:]))
    yield "label", replace(weights, logits=labels)


def test_good_weights_pass_in_float_and_damaged_ones_do_not(classifier, ingredients):
    weights, settings = ingredients
    answers = answer_with_keras(classifier, TEXTS)
    assert check_weights(weights, settings.pad_id, answers) < 1e-5
    for _kind, wrong in damaged(weights):
        with pytest.raises(ParityError, match=r"before any rounding; 0\.0001 is allowed"):
            check_weights(wrong, settings.pad_id, answers)


@pytest.fixture
def without_weights_check(monkeypatch):
    """Leaves the verdict to the rules, as for damage that is done later."""
    monkeypatch.setattr("edgedistil_converters.convert.check_weights", lambda *_: 0.0)


TOKENS_ALONE = ModelInterface("none")  # without the tokenizer, half of the time of a conversion


def converted(classifier, labels, path, **options):
    numbers = [np.argmax(answer.probabilities) for answer in answer_with_keras(classifier, TEXTS)]
    return convert_classifier(
        classifier, labels, path, verification_texts=TEXTS, verification_labels=[labels[n] for n in numbers], **options
    )


def test_a_good_file_is_judged_on_the_given_texts(classifier, labels, tmp_path):
    parity = converted(classifier, labels, tmp_path / "m.tflite", interface=TOKENS_ALONE).parity
    assert (parity.judged_on, parity.measures.texts) == ("verification texts", len(TEXTS))
    assert parity.measures.keras_accuracy == 1
    metadata = read_artifact(tmp_path / "m.tflite").metadata
    assert metadata.parity["judged_on"] == "verification texts"
    assert metadata.parity["measures"]["accuracy"] == parity.measures.accuracy
    assert {golden.text for golden in metadata.golden_cases} <= set(VERIFICATION_TEXTS)  # and none of the caller's


def test_without_texts_the_built_in_ones_are_named(convert):
    assert convert("int8").artifact.metadata.parity["judged_on"] == "built-in texts"


def test_swapped_labels_are_refused_by_the_rules(classifier, labels, tmp_path, monkeypatch, without_weights_check):
    from edgedistil_converters.model.read_classifier import read_classifier

    def read(*arguments):
        source = read_classifier(*arguments)
        return replace(source, weights=dict(damaged(source.weights))["label"])

    monkeypatch.setattr("edgedistil_converters.convert.read_classifier", read)
    path = tmp_path / "m.tflite"
    with pytest.raises(ParityError) as refusal:
        converted(classifier, labels, path, keep_failed=True)
    message = str(refusal.value)
    assert f"on {len(TEXTS)} texts (verification texts): labels agree on" in message
    assert "Another label than Keras': '" in message
    assert "Use the scheme fp16 (`scheme`)" in message
    assert not path.exists()
    kept = failed_path(path)
    assert f"The file is kept for study: {kept}." in message
    with TextClassifier(kept) as failed:
        assert failed.classify("turn on the light").label in labels
    assert read_artifact(kept).metadata.parity == {}
    with pytest.raises(ParityError, match=r"keep it under another name \(`keep_failed`\)"):
        converted(classifier, labels, path, interface=TOKENS_ALONE)


def test_golden_cases_fit_into_the_rows_of_hosts_that_cannot_resize_them():
    short = [GoldenCase("on", (2, 5, 3), (0.7, 0.3)), GoldenCase("é" * 127, (2, 5, 5, 3), (0.7, 0.3))]
    long = [
        GoldenCase("é" * 128, (2, 5, 5, 5, 3), (0.7, 0.3)),
        GoldenCase("on", (2, 5, 3, 5, 3), (0.7, 0.3), "a" * 255),
    ]
    assert {case.text for case in choose_golden_cases([*short, *long])} == {"on", "é" * 127}
    assert all(case.text_pair is None for case in choose_golden_cases([*short, *long]))
    assert set(choose_golden_cases(long)) == set(long)

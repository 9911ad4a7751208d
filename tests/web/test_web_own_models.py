"""The page with other models: unknown texts, several labels, truncated texts, and which words matter."""

import pytest

from .conftest import FP32_TOLERANCE, MOST_WORDS, TEXTS, code_units, needs_npm

pytestmark = needs_npm


def check_explanation(classifier, text, found, tolerance):
    from edgedistil_runtime.explanation import explain, find_words

    if len(find_words(text)) > MOST_WORDS:
        assert "at most 500 words" in found["error"]
        return
    due = explain(classifier, text)
    assert [code_units(word) for word, _ in found["words"]] == [code_units(effect.word) for effect in due.words]
    assert [effect for _, effect in found["words"]] == pytest.approx([word.effect for word in due.words], abs=tolerance)
    assert found["isShown"]
    effects = {(effect.word, effect.label_without) for effect in due.words}
    for word, _, label in found["table"]:
        assert (word, due.label if label == "the same" else label) in effects


@pytest.mark.parametrize("name", ["unknown", "several"])
def test_web_explanation_is_that_of_the_runtime(scenario, own, name):
    from edgedistil_runtime import TextClassifier

    rows = scenario("explanations")[name]["rows"]
    with TextClassifier(own[name]) as classifier:
        for (case, text), row in zip(TEXTS.items(), rows, strict=True):
            assert row["truncated"] == classifier.classify(text).is_truncated, case
            check_explanation(classifier, text, row["explanation"], FP32_TOLERANCE)
    assert sum(row["truncated"] is True for row in rows) >= 1
    assert sum(bool(row["explanation"]["table"]) for row in rows) > len(rows) / 2


def test_web_texts_with_no_label_are_those_of_the_runtime(scenario, own):
    from edgedistil_runtime import TextClassifier

    told = scenario("explanations")["unknown"]
    with TextClassifier(own["unknown"]) as classifier:
        answers = [classifier.classify(text) for text in TEXTS.values()]
    assert {answer.is_unknown for answer in answers} == {True, False}
    for answer, row in zip(answers, told["rows"], strict=True):
        assert (row["unknown"] is not None) == answer.is_unknown
        assert row["label"] == ("none of these" if answer.is_unknown else answer.label)
        assert row["given"] == ([] if answer.is_unknown else [answer.label])
        if answer.is_unknown:
            assert row["unknown"].endswith(f"Nearest: {answer.label}.")
    assert "calibrated" in told["facts"] and "none of these" in told["facts"]


def test_web_several_labels_are_those_of_the_runtime(scenario, own):
    from edgedistil_runtime import TextClassifier

    told = scenario("explanations")["several"]
    with TextClassifier(own["several"]) as classifier:
        answers = [classifier.classify(text) for text in TEXTS.values()]
    assert {len(answer.labels) for answer in answers} == {0, 1, 2}
    for answer, row in zip(answers, told["rows"], strict=True):
        assert row["given"] == list(answer.labels)
        assert row["label"] == (", ".join(answer.labels) or "None of the labels")
        assert row["probabilities"] == pytest.approx(dict(answer.probabilities), abs=FP32_TOLERANCE)
    assert "several for a text" in told["facts"]


def test_web_explanation_ends_with_its_text(scenario):
    told = scenario("explaining")
    assert told["first"]["text"] == TEXTS["command"]
    assert [word for word, _ in told["first"]["words"]] == TEXTS["command"].split()
    assert told["shown"] == [True, False, False]
    assert told["runs"] < 10  # of 401


def test_web_page_says_whether_threads_are_on(scenario):
    assert "threads on" in scenario("answers")["facts"]
    told = scenario("withoutIsolation")
    assert not told["isIsolated"]
    assert "threads off: the server does not isolate the page" in told["facts"]
    assert told["row"]["label"] == scenario("answers")["rows"][0]["label"]

"""Explanations by occlusion."""

import numpy as np
import pytest

from edgedistil_runtime import FakeBackend, InputError, TextClassifier, explain
from edgedistil_runtime.explanation import MOST_WORDS, find_words

WEIGHTS = {"good": (0.0, 0.0, 2.0), "bad": (2.0, 0.0, 0.0), "so": (0.0, 0.5, 0.0)}


def answer(signature, inputs):
    """Logits are sums of the words' weights."""
    text = bytes(inputs["text"].astype(np.uint8)).split(b"\0")[0].decode("utf-8")
    if signature == "tokenize":
        return {"token_ids": np.array([[1, *(7 for _ in text.split()), 2]], np.int32)}
    logits = np.sum([np.zeros(3), *(WEIGHTS.get(word, np.zeros(3)) for word in text.split())], axis=0)
    return {"probabilities": np.exp([logits], dtype=np.float32) / np.exp(logits).sum().astype(np.float32)}


@pytest.fixture
def classifier(fake_path):
    with TextClassifier(fake_path, backend=FakeBackend(answer), verify=False) as classifier:
        yield classifier


def test_effects_are_differences_of_scores(classifier):
    found = explain(classifier, "so good bad good")
    assert (found.label, found.classification.text) == ("hög", "so good bad good")
    assert [(word.word, word.start, word.end) for word in found.words] == [
        ("so", 0, 2),
        ("good", 3, 7),
        ("bad", 8, 11),
        ("good", 12, 16),
    ]
    without = ("good bad good", "so bad good", "so good good", "so good bad")
    for number, rest in enumerate(without):
        word = found.words[number]
        due = found.score - classifier.classify(rest).probabilities["hög"]
        assert word.effect == pytest.approx(due, abs=1e-6)
    assert [word.effect > 0 for word in found.words] == [False, True, False, True]
    assert [word.word for word in found.strongest(2)] == ["good", "good"]
    assert "bad" not in [word.word for word in found.strongest(9)]


def test_the_label_without_a_word(classifier):
    [word] = explain(classifier, "good").words
    assert word.label_without == "low"
    assert explain(classifier, "good good").words[0].label_without == "hög"


def test_another_label(classifier):
    found = explain(classifier, "good bad", label="low")
    assert (found.label, found.score) == ("low", found.classification.probabilities["low"])
    assert [word.effect > 0 for word in found.words] == [False, True]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \n\t", []),
        ("don't re-open it!", ["don't", "re-open", "it", "!"]),
        ("größer日本 x2", ["größer", "日", "本", "x2"]),
        ("ไทย", ["ไ", "ท", "ย"]),
        ("👍🏽 a.b", ["👍", "🏽", "a", ".", "b"]),
        ("\ud800 a", ["\ud800", "a"]),
    ],
)
def test_words(classifier, text, words):
    assert [text[start:end] for start, end in find_words(text)] == words
    assert [word.word for word in explain(classifier, text).words] == words


def test_refusals(classifier):
    with pytest.raises(InputError, match="`label` must be one of low, middle, hög. Received: 'lo'"):
        explain(classifier, "good", label="lo")
    with pytest.raises(InputError, match="Received: NoneType"):
        explain(classifier, None)
    with pytest.raises(InputError, match=rf"at most {MOST_WORDS} words.*Received: 501 words"):
        explain(classifier, "a " * (MOST_WORDS + 1))
    assert len(explain(classifier, "a " * MOST_WORDS).words) == MOST_WORDS


def test_a_real_model(echo_path):
    with TextClassifier(echo_path, num_threads=1) as classifier:
        found = explain(classifier, "hello big world")
        rest = classifier.classify(" big world")
    assert found.words[0].effect == found.score - rest.probabilities[found.label]

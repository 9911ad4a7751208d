"""Models that carry their tokenizer in other ways, or take pairs of texts."""

import dataclasses
import sys

import numpy as np
import pytest

from edgedistil_runtime import (
    AcceleratorMismatch,
    BackendError,
    FakeBackend,
    GoldenCase,
    InputError,
    Signature,
    TextClassifier,
)
from edgedistil_runtime.artifact import artifact_bytes

TEXT = {
    "classify_text": Signature(("text",), ("probabilities",)),
    "tokenize": Signature(("text",), ("token_ids",)),
}
PAIR = {
    "classify_text_pair": Signature(("text", "text_pair"), ("probabilities",)),
    "tokenize_pair": Signature(("text", "text_pair"), ("token_ids",)),
}
TOKENS = {"classify_tokens": Signature(("token_ids",), ("probabilities",))}
FEATURES = {"serving_default": Signature(("ids", "segment_ids", "mask"), ("probabilities",))}


def decode(value):
    """Return the text in the inputs: rows of bytes, or one string."""
    return value[0] if value.dtype == object else bytes(value.astype(np.uint8)).split(b"\0")[0]


def token_ids(*texts):
    return [1] + [token for text in texts for token in [*text, 2]]


def probabilities(ids):
    exponentials = np.exp([np.mean(ids) / 64, 1.0, len(ids) / 8])
    return exponentials / exponentials.sum()


def answer(signature, inputs):
    """A model with every signature: its probabilities are a function of its token ids."""
    if signature == "serving_default":
        assert {value.shape for value in inputs.values()} == {(1, 128)}  # the sequence length
        assert (inputs["mask"] == (inputs["ids"] != 0)).all()
        assert not inputs["segment_ids"].any()
    names = [name for name in ("text", "text_pair") if name in inputs]
    rows = (
        [token_ids(*(decode(inputs[name]) for name in names))] if names else inputs.get("token_ids", inputs.get("ids"))
    )
    if signature.startswith("tokenize"):
        return {"token_ids": np.array(rows, np.int32)}
    return {"probabilities": np.array([probabilities([i for i in row if i]) for row in rows], np.float32)}


@pytest.fixture
def load(write, flatbuffer, metadata, vocabulary):
    """`load(kind, signatures, golden cases)`: a classifier on a fake model."""

    def load_classifier(kind, signatures, cases=None, model=answer):
        cases = [("hi", None)] if cases is None else cases
        golden = tuple(
            GoldenCase(text, tuple(ids), tuple(probabilities(ids).tolist()), pair)
            for text, pair in cases
            for ids in [token_ids(*(part.encode() for part in (text, pair) if part is not None))]
        )
        tokenizer = dataclasses.replace(metadata.tokenizer, kind=kind)
        about = dataclasses.replace(metadata, tokenizer=tokenizer, golden_cases=golden)
        path = write(artifact_bytes(flatbuffer, about, vocabulary))
        return TextClassifier(path, backend=FakeBackend(model, signatures=signatures))

    return load_classifier


def test_pairs(load):
    classifier = load("builtin", TEXT | PAIR | TOKENS, [("hi", None), ("hi", "ho"), ("", "")])
    assert classifier.tokenize("ab", "c") == [1, 97, 98, 2, 99, 2]
    answer = classifier.classify("ab", "c")
    assert (answer.text, answer.text_pair) == ("ab", "c")
    assert list(answer.probabilities.values()) == pytest.approx(probabilities([1, 97, 98, 2, 99, 2]), abs=1e-6)
    assert classifier.classify("ab").text_pair is None
    assert classifier.classify("ab") != answer


@pytest.mark.parametrize("signatures", [TEXT | PAIR, TEXT | PAIR | TOKENS])
def test_batches_of_pairs_keep_their_order(load, signatures):
    classifier = load("builtin", signatures)
    firsts, seconds = ["a", "bcd", "e", ""], ["x", "", "yz", ""]
    answers = classifier.classify_batch(firsts, seconds)
    assert [a.text for a in answers] == firsts
    assert [a.text_pair for a in answers] == seconds
    assert answers == [classifier.classify(firsts[i], seconds[i]) for i in range(4)]


def test_a_golden_pair_that_differs(load):
    def other(signature, inputs):
        return (
            answer("tokenize", {"text": inputs["text"]}) if signature == "tokenize_pair" else answer(signature, inputs)
        )

    with pytest.raises(AcceleratorMismatch, match="'hi' with 'ho'"):
        load("builtin", TEXT | PAIR, [("hi", None), ("hi", "ho")], model=other)


def test_pairs_for_a_model_of_single_texts(load):
    classifier = load("builtin", TEXT | TOKENS)
    with pytest.raises(InputError, match=r"takes one text, not a pair.*`takes_text_pair`"):
        classifier.classify("a", "b")
    with pytest.raises(InputError, match="one second text for each text. Received: 2 texts, 1 second texts"):
        classifier.classify_batch(["a", "b"], ["c"])
    with pytest.raises(InputError, match="takes a list of texts"):
        classifier.classify_batch(["a"], "b")


def test_tftext_models_get_strings(load):
    classifier = load("tftext", TEXT)
    assert classifier.tokenize("hé") == token_ids("hé".encode())
    assert classifier.classify("hé\ud800").text == "hé\ud800"
    assert classifier.tokenize("\ud800") == token_ids("\ufffd".encode())


@pytest.mark.parametrize("signatures", [TOKENS, FEATURES])
def test_models_without_a_tokenizer(load, signatures):
    classifier = load("none", signatures)
    assert classifier.runtime_info.golden_cases == 1
    rows = [[1, 97, 2], [1, 98, 99, 2], [1, 2]]
    answers = classifier.classify_tokens(rows)
    assert [answer.text for answer in answers] == [None] * 3
    for i, row in enumerate(rows):
        assert list(answers[i].probabilities.values()) == pytest.approx(probabilities(row), abs=1e-6)
    assert classifier.classify_tokens([]) == []
    for call in (classifier.classify, classifier.tokenize, lambda text: classifier.classify_batch([text])):
        with pytest.raises(InputError, match=r"no tokenizer.*classify_tokens.*`tokenizer`='builtin'"):
            call("hi")


def test_token_ids_can_be_given_to_models_with_a_tokenizer(load):
    classifier = load("builtin", TEXT | TOKENS)
    [received] = classifier.classify_tokens([classifier.tokenize("hi")])
    assert received.probabilities == classifier.classify("hi").probabilities


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([], "1 to 128 token ids. Received: 0 in row 1"),
        ([1] * 129, "1 to 128 token ids. Received: 129 in row 1"),
        ([1, 256], r"from 0 to 255.*Received: \[256\] in row 1"),
        ([1, -1], r"Received: \[-1\]"),
    ],
)
def test_token_ids_that_the_model_has_not(load, row, message):
    with pytest.raises(InputError, match=message):
        load("none", TOKENS).classify_tokens([[1, 2], row])


@pytest.mark.parametrize(
    ("kind", "signatures", "due"),
    [
        ("builtin", TOKENS, "classify_text"),
        ("tftext", TOKENS, "classify_text"),
        ("none", TEXT, "classify_tokens or serving_default"),
    ],
)
def test_signatures_that_contradict_the_kind(load, kind, signatures, due):
    with pytest.raises(BackendError, match=f"tokenizer is `{kind}` has the signature {due}"):
        load(kind, signatures)


def test_tensorflow_text_is_asked_for_by_name(write, flatbuffer, metadata, vocabulary, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_text", None)
    tokenizer = dataclasses.replace(metadata.tokenizer, kind="tftext")
    path = write(artifact_bytes(flatbuffer, dataclasses.replace(metadata, tokenizer=tokenizer), vocabulary))
    with pytest.raises(BackendError, match=r"TensorFlow Text's ops.*`tokenizer`='builtin'"):
        TextClassifier(path)

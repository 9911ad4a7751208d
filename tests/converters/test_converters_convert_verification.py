"""What verification finds: Keras's answers, tampered graphs, and differences in every measure."""

from dataclasses import replace

import numpy as np
import pytest

from edgedistil_converters import ModelInterface, convert_classifier
from edgedistil_converters.model.keras_hub import read_weights
from edgedistil_converters.quantization.schemes import Tolerance
from edgedistil_converters.tokenizer.graph import GraphTokenizer
from edgedistil_converters.tokenizer.settings import read_tokenizer
from edgedistil_converters.verification.keras_answers import answer_with_keras
from edgedistil_converters.verification.verify import verify
from edgedistil_runtime.errors import ArtifactError, ParityError

from .conversions import FP32, names_in, refused


def test_keras_answers_do_not_depend_on_their_batch(classifier):
    texts = ["a", "turn on the light " * 9, "", "light\0s"] * 5
    answers = answer_with_keras(classifier, texts)
    assert [answer.text for answer in answers] == texts
    for text, answer in zip(texts, answers, strict=True):
        [alone] = answer_with_keras(classifier, [text])
        assert answer.token_ids == alone.token_ids
        np.testing.assert_allclose(answer.probabilities, alone.probabilities, rtol=0, atol=1e-6)
        assert sum(answer.probabilities) == pytest.approx(1)
    assert answers[3].token_ids == answer_with_keras(classifier, ["light"])[0].token_ids


def test_a_lone_surrogate_in_the_callers_texts_is_a_replacement_character(classifier):
    [answer] = answer_with_keras(classifier, ["light \ud800 on"])
    assert answer.text == "light \ufffd on"


# Tampered graphs


def tampered(flatbuffer, array, change):
    """The flatbuffer with one of its constants changed."""
    old = np.ascontiguousarray(array).tobytes()
    assert flatbuffer.count(old) == 1
    return flatbuffer.replace(old, np.ascontiguousarray(change(array.copy())).astype(array.dtype).tobytes())


def test_the_untampered_graph_passes(finished, convert, classifier, labels, tmp_path):
    finished(tampered(convert("fp32").artifact.flatbuffer(), read_weights(classifier).logits.bias, lambda a: a))
    assert convert_classifier(classifier, labels, tmp_path / "model.tflite", plan=FP32).parity.label_agreement == 1


@pytest.mark.parametrize(
    "constant",
    [
        lambda w: w.logits.bias,
        lambda w: w.logits.kernel.T,
        lambda w: w.token_embeddings,
        lambda w: w.position_embeddings[:24],
        lambda w: w.layers[0].attention_output.kernel.T,
        lambda w: w.layers[-1].output.kernel.T,
    ],
    ids=["logits bias", "logits", "tokens", "positions", "attention", "feed-forward"],
)
def test_a_tampered_graph_is_a_parity_error(finished, convert, classifier, labels, tmp_path, constant):
    content = convert("fp32").artifact.flatbuffer()
    finished(
        tampered(
            content,
            constant(read_weights(classifier)),
            lambda array: array + np.linspace(-1, 1, array.size).reshape(array.shape),
        )
    )
    error = refused(
        ParityError, "differ from those of the Keras classifier", classifier, labels, tmp_path / "m.tflite", plan=FP32
    )
    assert "a defect of EdgeDistil; please report it" in str(error)
    assert names_in(tmp_path) == []


def test_a_tampered_batch_signature_is_a_parity_error(finished, convert, classifier, labels, tmp_path):
    """Without the score that masks padding, `classify_tokens` is wrong on every padded row."""
    content = convert("fp32").artifact.flatbuffer()
    finished(tampered(content, np.array([-120], np.float32), np.zeros_like))
    refused(ParityError, "differ", classifier, labels, tmp_path / "m.tflite", plan=FP32)


def test_a_tampered_tokenizer_is_a_parity_error(finished, convert, classifier, labels, tmp_path):
    def swap_two(token):
        used = np.flatnonzero(token >= 0)
        one, other = (slot for slot in used if vocabulary[token[slot]] in ("h", "##e"))
        token[[one, other]] = token[[other, one]]
        return token

    settings, vocabulary = read_tokenizer(classifier.preprocessor)
    finished(tampered(convert("fp32").artifact.flatbuffer(), GraphTokenizer(settings, vocabulary)._token, swap_two))
    error = refused(
        ParityError, "other token ids than KerasHub's", classifier, labels, tmp_path / "m.tflite", plan=FP32
    )
    assert "Expected: [2, " in str(error)
    assert names_in(tmp_path) == []


# `verify`


def test_verify_measures_and_judges(convert, classifier):
    path = convert("fp32").artifact.path
    answers = answer_with_keras(classifier, ["light", "music", "turn it on"])
    report = verify(path, answers, Tolerance(1e-4, 1e-5))
    assert (report.texts, report.label_agreement) == (3, 1)
    p = answers[0].probabilities
    shifted = [replace(answers[0], probabilities=(p[0] + 0.02, p[1] - 0.02, p[2])), *answers[1:]]
    assert verify(path, shifted, Tolerance(0.03, 0.03)).largest_difference == pytest.approx(0.02, abs=1e-5)
    with pytest.raises(ParityError, match=r"'light' differ .* by 0.02; 0.01 is allowed"):
        verify(path, shifted, Tolerance(0.01, 0.01))
    with pytest.raises(ParityError, match="on average; .* is allowed"):
        verify(path, shifted, Tolerance(0.03, 0.001))
    with pytest.raises(ParityError, match="by nan"):
        verify(path, [replace(answers[0], probabilities=(float("nan"),) * 3)], Tolerance(1, 1))
    with pytest.raises(ParityError, match="other token ids"):
        verify(path, [replace(answers[0], token_ids=(*answers[0].token_ids, 3))], Tolerance(1, 1))


def test_a_label_may_flip_between_near_equals_alone(convert, classifier):
    path = convert("fp32").artifact.path
    [answer] = answer_with_keras(classifier, ["turn on the light"])
    given = np.array(answer.probabilities)
    best, second = np.argsort(given)[-1:-3:-1]
    # A reference that prefers the second label by a little, and differs by the same little and the gap between both.
    due = given.copy()
    due[second] = given[best] + 0.01
    difference = float(due[second] - given[second])
    flipped = [replace(answer, probabilities=tuple(due.tolist()))]
    assert verify(path, flipped, Tolerance(difference + 1e-4, 1)).label_agreement == 0
    # One that prefers it by more than the tolerance, with the difference spread over both.
    shift = given[best] - given[second] + 0.02
    due = given.copy()
    due[second] += shift
    due[best] -= shift
    flipped = [replace(answer, probabilities=tuple(due.tolist()))]
    with pytest.raises(ParityError, match=r"flips from number \d"):
        verify(path, flipped, Tolerance(float(shift) + 1e-4, 1))


@pytest.mark.parametrize(
    ("scheme", "due"),
    [("fp32", "a defect of EdgeDistil"), ("fp16", "the scheme fp32"), ("int8", "the scheme fp16")],
)
def test_the_next_step_is_one_that_helps(convert, classifier, scheme, due):
    [answer] = answer_with_keras(classifier, ["light"])
    with pytest.raises(ParityError, match=f"is allowed\\. .*{due}") as caught:
        verify(convert(scheme).artifact.path, [replace(answer, probabilities=(1.0, 0.0, 0.0))], Tolerance(1e-9, 1))
    assert f"Use the scheme {scheme}" not in str(caught.value)


def test_one_output_has_two_labels(make_classifier, tmp_path):
    classifier = make_classifier(num_classes=1, activation="sigmoid")
    path = tmp_path / "m.tflite"
    convert_classifier(classifier, ["lights"], path, plan=FP32, interface=ModelInterface("none"))
    [answer] = answer_with_keras(classifier, ["turn on the light"])
    [p] = answer.probabilities
    assert verify(path, [answer], Tolerance(1e-3, 1e-3)).label_agreement == 1
    other_side = replace(answer, probabilities=(1 - p,))
    difference = abs(1 - 2 * p)
    assert verify(path, [other_side], Tolerance(difference + 1e-3, 1)).label_agreement == 0
    with pytest.raises(ParityError, match="on 0.0% of the texts"):
        verify(path, [other_side], Tolerance(difference + 1e-3, 1, agreement=0.5))


def test_a_damaged_artefact_is_not_verified(convert, classifier, tmp_path):
    content = bytearray(convert("fp32").artifact.path.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "damaged.tflite").write_bytes(content)
    with pytest.raises(ArtifactError, match="damaged"):
        verify(tmp_path / "damaged.tflite", answer_with_keras(classifier, ["light"]), Tolerance(1, 1))

"""`TextClassifier` with a fake backend: its checks, its calls and its results."""

import dataclasses

import numpy as np
import pytest

from edgedistil_runtime import (
    AcceleratorMismatch,
    ArtifactError,
    BackendError,
    Classification,
    FakeBackend,
    InputError,
    Signature,
    TextClassifier,
)
from edgedistil_runtime.artifact import GoldenCase, artifact_bytes
from edgedistil_runtime.text_bytes import encode_text

ALL_SIGNATURES = {
    "classify_text": Signature(("text",), ("probabilities",)),
    "tokenize": Signature(("text",), ("token_ids",)),
    "classify_tokens": Signature(("token_ids",), ("probabilities",)),
}


@pytest.fixture
def backend(echo):
    return FakeBackend(echo.answer)


@pytest.fixture
def classifier(fake_path, backend):
    with TextClassifier(fake_path, backend=backend) as classifier:
        backend.calls.clear()
        yield classifier


class TestAnswers:
    def test_classification(self, classifier, echo):
        answer = classifier.classify("hello")
        assert (answer.text, answer.label) == ("hello", "low")
        assert list(answer.probabilities) == ["low", "middle", "hög"]
        assert list(answer.probabilities.values()) == pytest.approx(echo.probabilities("hello"), abs=1e-6)
        assert answer.score == answer.probabilities["low"]
        assert all(type(value) is float for value in answer.probabilities.values())

    def test_top(self):
        answer = Classification("", "b", 0.5, {"a": 0.2, "b": 0.5, "c": 0.3})
        assert answer.top(2) == [("b", 0.5), ("c", 0.3)]
        assert len(answer.top(9)) == 3
        with pytest.raises(InputError, match="at least 1"):
            answer.top(0)

    def test_tokenize(self, classifier):
        assert classifier.tokenize("hi") == [1, 104, 105, 2]

    def test_runtime_info(self, classifier):
        info = classifier.runtime_info
        assert (info.backend, info.accelerator, info.num_threads, info.golden_cases) == ("fake", "cpu", None, 4)
        assert 0 <= info.largest_difference < 1e-6

    def test_close_closes_the_backend(self, fake_path, backend):
        with TextClassifier(fake_path, backend=backend) as classifier:
            assert not backend.is_closed
        with pytest.raises(BackendError, match="closed"):
            classifier.classify("late")


class TestBatch:
    TEXTS = ("dd", "a", "ccc", "bb", "", "a", "ccc")

    def test_order_is_kept_one_by_one(self, classifier, backend):
        answers = classifier.classify_batch(self.TEXTS)
        assert answers == [classifier.classify(text) for text in self.TEXTS]
        assert {signature for signature, _ in backend.calls} == {"classify_text"}

    def test_order_is_kept_in_groups(self, fake_path, echo):
        def answer(signature, inputs):
            if "text" in inputs:
                return echo.answer(signature, inputs)
            rows = [row[row != 0] for row in inputs["token_ids"]]
            texts = [bytes(row[1:-1].astype(np.uint8)).decode() for row in rows]
            return {"probabilities": np.array([echo.probabilities(text) for text in texts], np.float32)}

        backend = FakeBackend(answer, signatures=ALL_SIGNATURES)
        with TextClassifier(fake_path, backend=backend) as classifier:
            backend.calls.clear()
            answers = classifier.classify_batch(self.TEXTS)
            shapes = [given["token_ids"].shape for name, given in backend.calls if name == "classify_tokens"]
            assert answers == [classifier.classify(text) for text in self.TEXTS]
            assert shapes == [(1, 2), (2, 3), (2, 4), (2, 5)]
            backend.calls.clear()
            similar = ["x" * 20, "y" * 21, "z" * 20, "x" * 20]
            assert [answer.text for answer in classifier.classify_batch(similar)] == similar
            assert [given["token_ids"].shape for _, given in backend.calls if "token_ids" in given] == [(4, 23)]
            backend.calls.clear()
            assert len(classifier.classify_batch(["a"] * 19)) == 19
            assert [len(given["token_ids"]) for _, given in backend.calls if "token_ids" in given] == [8, 8, 3]

    def test_static_plans_run_one_by_one(self, write, flatbuffer, metadata, vocabulary, echo):
        static = dataclasses.replace(metadata, quantization={"scheme": "int8-static", "activations": "int8"})
        path = write(artifact_bytes(flatbuffer, static, vocabulary))
        backend = FakeBackend(echo.answer, signatures=ALL_SIGNATURES)
        with TextClassifier(path, backend=backend) as classifier:
            backend.calls.clear()
            classifier.classify_batch(self.TEXTS)
        assert {signature for signature, _ in backend.calls} == {"classify_text"}

    def test_nothing_in_nothing_out(self, classifier):
        assert classifier.classify_batch([]) == []

    def test_a_generator(self, classifier):
        assert [answer.text for answer in classifier.classify_batch(text for text in "ab")] == ["a", "b"]

    @pytest.mark.parametrize("texts", ["one text", b"one text"])
    def test_one_text_is_no_batch(self, classifier, texts):
        with pytest.raises(InputError, match="takes a list of texts"):
            classifier.classify_batch(texts)

    def test_one_bad_item_runs_nothing(self, classifier, backend):
        with pytest.raises(InputError, match="Received: NoneType"):
            classifier.classify_batch(["good", None])
        assert backend.calls == []


class TestInput:
    @pytest.mark.parametrize("text", [None, 3, b"bytes", ["a"]])
    def test_only_str(self, classifier, text):
        with pytest.raises(InputError, match=f"Received: {type(text).__name__}"):
            classifier.classify(text)

    @pytest.mark.parametrize(
        ("text", "same_as"),
        [
            ("\ud800", "\ufffd"),
            ("a\udc80b", "a\ufffdb"),
            ("\ud800\ud801", "\ufffd\ufffd"),
            ("\ud83d\ude00", "😀"),
            ("\ude00\ud83d", "\ufffd\ufffd"),
        ],
    )
    def test_surrogates(self, classifier, text, same_as):
        assert encode_text(text).tolist() == encode_text(same_as).tolist()
        assert classifier.tokenize(text) == classifier.tokenize(same_as)
        assert classifier.classify(text).text == text

    @pytest.mark.parametrize(
        ("size", "row"), [(0, 128), (1, 128), (127, 128), (128, 128), (129, 256), (257, 512), (5000, 8192)]
    )
    def test_rows_grow_by_powers_of_two(self, size, row):
        encoded = encode_text("x" * size)
        assert (encoded.shape, encoded.dtype) == ((row,), np.int32)
        assert encoded.tolist() == [ord("x")] * size + [0] * (row - size)

    def test_bytes_above_127_are_not_negative(self):
        assert encode_text("日")[:4].tolist() == [0xE6, 0x97, 0xA5, 0]


class TestGoldenCases:
    def load(self, write, flatbuffer, metadata, vocabulary, backend, **options):
        return TextClassifier(write(artifact_bytes(flatbuffer, metadata, vocabulary)), backend=backend, **options)

    def test_wrong_token_ids(self, write, flatbuffer, with_golden_case, vocabulary, backend, echo):
        wrong = with_golden_case(GoldenCase("hi", (1, 104, 2), tuple(echo.probabilities("hi"))))
        with pytest.raises(AcceleratorMismatch, match=r"'hi'.*Expected: \[1, 104, 2\]. Received: \[1, 104, 105, 2\]"):
            self.load(write, flatbuffer, wrong, vocabulary, backend)
        assert backend.is_closed

    @pytest.mark.parametrize(("shift", "passes"), [(0.0009, True), (0.0011, False), (-0.0009, True), (-0.0011, False)])
    def test_tolerance(self, write, flatbuffer, with_golden_case, vocabulary, backend, echo, shift, passes):
        first, *rest = echo.probabilities("hi").tolist()
        shifted = with_golden_case(GoldenCase("hi", tuple(echo.token_ids("hi")), (first + shift, *rest)))
        if passes:
            info = self.load(write, flatbuffer, shifted, vocabulary, backend).runtime_info
            assert info.largest_difference == pytest.approx(abs(shift), abs=1e-6)
        else:
            with pytest.raises(AcceleratorMismatch, match=r"tolerance 0\.001, difference 0\.0011"):
                self.load(write, flatbuffer, shifted, vocabulary, backend)

    @pytest.mark.parametrize(("gap", "passes"), [(0.009, True), (0.011, False)])
    def test_label_must_agree_unless_the_call_is_close(
        self, write, flatbuffer, with_golden_case, vocabulary, echo, gap, passes
    ):
        expected = (0.5 + gap / 2, 0.5 - gap / 2, 0.0)
        case = with_golden_case(GoldenCase("", (1, 2), expected), tolerance=0.01)

        def answer(signature, inputs):
            if signature == "tokenize":
                return echo.answer(signature, inputs)
            return {"probabilities": np.array([[0.4995, 0.5005, 0.0]], np.float32)}

        if passes:
            self.load(write, flatbuffer, case, vocabulary, FakeBackend(answer))
        else:
            with pytest.raises(AcceleratorMismatch):
                self.load(write, flatbuffer, case, vocabulary, FakeBackend(answer))

    def test_verify_false_replays_nothing(self, fake_path):
        backend = FakeBackend(lambda signature, inputs: {})
        info = TextClassifier(fake_path, backend=backend, verify=False).runtime_info
        assert (info.golden_cases, info.largest_difference, backend.calls) == (0, 0.0, [])


class TestRefusals:
    @pytest.mark.parametrize("accelerator", ["tpu", "CPU", "", None])
    def test_accelerator(self, fake_path, backend, accelerator):
        with pytest.raises(BackendError, match="one of cpu, gpu, edgetpu, coralboard. Received:"):
            TextClassifier(fake_path, accelerator, backend=backend)

    def test_missing_file(self, tmp_path):
        with pytest.raises(ArtifactError, match="No such file"):
            TextClassifier(tmp_path / "none.tflite")

    @pytest.mark.parametrize(
        "outputs",
        [
            {},
            {"probabilities": np.zeros((1, 2), np.float32)},
            {"probabilities": np.zeros(3, np.float32)},
            {"probabilities": np.full((1, 3), np.nan, np.float32)},
        ],
    )
    def test_outputs_that_break_the_contract(self, fake_path, outputs):
        backend = FakeBackend(lambda signature, inputs: outputs)
        classifier = TextClassifier(fake_path, backend=backend, verify=False)
        with pytest.raises(BackendError, match=r"classify_text must (give finite|have the output)"):
            classifier.classify("x")

    def test_fake_backend_checks_what_it_is_given(self, backend):
        with pytest.raises(BackendError, match="signatures"):
            backend.run("translate", {})
        with pytest.raises(BackendError, match=r"takes the inputs \['text'\]. Received: \['texts'\]"):
            backend.run("tokenize", {"texts": np.zeros(1)})

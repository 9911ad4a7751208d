"""Signatures of fixed shapes: the smallest that holds a text, exact cuts, and what none holds."""

import dataclasses

import numpy as np
import pytest

from edgedistil_runtime import FakeBackend, TextClassifier
from edgedistil_runtime.artifact import artifact_bytes
from edgedistil_runtime.backends import FixedOnlyBackend, Signature
from edgedistil_runtime.errors import BackendError, InputError
from edgedistil_runtime.fixed_shapes import FixedSignatures, TextShape, is_fixed

TEXT = {"classify_text_16_8": (16, 8), "classify_text_32_16": (32, 16)}
ROWS = {"classify_tokens_8": 8, "classify_tokens_16": 16}


@pytest.fixture
def fixed_backend(echo):
    """Answers as `echo` does, of the token ids that a length has room for; it refuses every other shape."""

    def answer(signature, inputs):
        if signature in TEXT:
            num_bytes, length = TEXT[signature]
            row = inputs["text"]
            assert row.shape == (num_bytes,) and row.dtype == np.int32
            ids = echo.token_ids(bytes(row.astype(np.uint8)).decode("utf-8", "replace"))
            kept = ids if len(ids) <= length else [*ids[: length - 1], ids[-1]]
            return {"probabilities": probabilities(kept), "token_count": np.array([len(ids)], np.int32)}
        row = inputs["token_ids"]
        assert row.shape == (1, ROWS[signature])
        return {"probabilities": probabilities([token for token in row[0].tolist() if token])}

    signatures = {name: Signature(("text",), ("probabilities", "token_count")) for name in TEXT}
    signatures |= {name: Signature(("token_ids",), ("probabilities",)) for name in ROWS}
    return FakeBackend(answer, signatures=signatures)


def probabilities(token_ids):
    mean = np.mean(token_ids) / 64
    exponentials = np.exp([mean, 1.0, 2.0 - mean])
    return np.array([exponentials / exponentials.sum()], np.float32)


@pytest.fixture
def fixed(fake_path, fixed_backend):
    with TextClassifier(fake_path, backend=fixed_backend) as classifier:
        yield classifier


def of_calls(backend):
    return [call[0] for call in backend.calls]


def test_golden_cases_that_a_length_holds_are_replayed(fixed, metadata):
    held = [case for case in metadata.golden_cases if len(case.token_ids) <= 16]
    assert fixed.runtime_info.golden_cases == len(held) > 0


@pytest.mark.parametrize(
    ("text", "signatures", "is_truncated"),
    [
        ("", ["classify_text_16_8"], False),
        ("lights", ["classify_text_16_8"], False),  # 6 bytes and 2 more ids
        ("lights!", ["classify_text_16_8", "classify_text_32_16"], False),  # 9 ids
        ("turn it on now", ["classify_text_16_8", "classify_text_32_16"], False),  # 16 ids
        ("turn them on now", ["classify_text_16_8", "classify_text_32_16"], True),
        ("turn them on now, please", ["classify_text_32_16"], True),  # 24 bytes
    ],
)
def test_the_smallest_that_holds_a_text_runs(fixed, fixed_backend, text, signatures, is_truncated):
    fixed_backend.calls.clear()
    found = fixed.classify(text)
    assert of_calls(fixed_backend) == signatures
    assert found.is_truncated is is_truncated
    ids = [1, *text.encode(), 2]
    kept = ids if len(ids) <= 16 else [*ids[:15], 2]
    assert list(found.probabilities.values()) == pytest.approx(probabilities(kept)[0].tolist())


def test_a_text_of_more_bytes_is_cut_where_a_word_ends(fixed):
    text = "on " * 20
    found = fixed.classify(text)
    assert found.is_truncated is True
    kept = [1, *text.encode()[:14], 2]
    assert list(found.probabilities.values()) == pytest.approx(probabilities(kept)[0].tolist())


def test_a_text_that_cannot_be_cut_has_its_own_error(fixed):
    with pytest.raises(InputError, match="at most 32 bytes.*Received: 33 bytes"):
        fixed.classify("x" * 33)
    assert fixed.classify("x" * 32).is_truncated
    assert fixed.classify("y\0" + "x" * 40).is_truncated is False  # a NUL ends a text


def test_rows_run_in_the_smallest_that_holds_them(fixed, fixed_backend):
    fixed_backend.calls.clear()
    answers = fixed.classify_tokens([[1, 9, 2], [1, *[9] * 7, 2], [1, *[9] * 14, 2]])
    assert of_calls(fixed_backend) == ["classify_tokens_8", "classify_tokens_16", "classify_tokens_16"]
    for answer, row in zip(answers, ([1, 9, 2], [1, *[9] * 7, 2], [1, *[9] * 14, 2]), strict=True):
        assert list(answer.probabilities.values()) == pytest.approx(probabilities(row)[0].tolist())
    with pytest.raises(InputError, match="1 to 16 token ids. Received: 17 in row 1"):
        fixed.classify_tokens([[1, 2], [9] * 17])


def test_batches_and_pairs(fixed):
    texts = ["lights", "turn it on now"]
    assert [one.probabilities for one in fixed.classify_batch(texts)] == [
        fixed.classify(text).probabilities for text in texts
    ]
    with pytest.raises(InputError, match="not a pair"):
        fixed.classify("on", "off")


def test_open_shapes_are_preferred(fake_path, fixed_backend, echo):
    signatures = {**fixed_backend.signatures(), "classify_text": Signature(("text",), ("probabilities",))}
    signatures["tokenize"] = Signature(("text",), ("token_ids",))
    backend = FakeBackend(echo.answer, signatures=signatures)
    with TextClassifier(fake_path, backend=backend) as classifier:
        backend.calls.clear()
        classifier.classify("lights")
    assert of_calls(backend) == ["classify_text"]
    only = FixedOnlyBackend(backend)
    assert sorted(only.signatures()) == sorted([*TEXT, *ROWS])
    with pytest.raises(BackendError, match="The signatures are .* Received: 'classify_text'"):
        only.run("classify_text", {})


def test_one_length_alone(fixed_backend):
    assert sorted(FixedOnlyBackend(fixed_backend, 8).signatures()) == ["classify_text_16_8", "classify_tokens_8"]
    with pytest.raises(BackendError, match="of the length 9. Received"):
        FixedOnlyBackend(fixed_backend, 9)


def test_a_model_without_any_is_refused(fake_path):
    backend = FakeBackend(
        lambda *_: {}, signatures={"classify_tokens_8": Signature(("token_ids",), ("probabilities",))}
    )
    with pytest.raises(BackendError, match="has the signature classify_text"):
        TextClassifier(fake_path, backend=backend)


def test_rows_alone_for_a_model_of_token_ids(tmp_path, flatbuffer, metadata, vocabulary, fixed_backend):
    tokenizer = dataclasses.replace(metadata.tokenizer, kind="none")
    path = tmp_path / "ids.tflite"
    path.write_bytes(
        artifact_bytes(flatbuffer, dataclasses.replace(metadata, tokenizer=tokenizer, target="npu"), vocabulary)
    )
    with TextClassifier(path, backend=fixed_backend) as classifier:
        assert classifier.metadata.target == "npu"
        assert classifier.runtime_info.golden_cases > 0
        assert len(classifier.classify_tokens([[1, 9, 2]])) == 1
        with pytest.raises(InputError, match="takes token ids"):
            classifier.classify("lights")


@pytest.mark.parametrize(
    "name",
    ["classify_tokens_08", "classify_text_16", "classify_tokens", "classify_text_pair", "embed", "tokenize_8", "x"],
)
def test_other_names_are_not_fixed(name):
    assert not is_fixed(name)
    assert FixedSignatures.among([name]) == FixedSignatures()


def test_shapes_ascend():
    found = FixedSignatures.among(
        ["classify_text_128_32", "classify_text_128_16", "classify_tokens_16", "tokenize_8_9"]
    )
    assert found.texts == (TextShape(128, 16), TextShape(128, 32))
    assert found.lengths == (16,)
    assert is_fixed("tokenize_8_9") and is_fixed("embed_9")

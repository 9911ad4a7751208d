"""A model in two parts: which part runs what, and a classifier of both."""

import numpy as np
import pytest

from edgedistil_runtime import AcceleratorMismatch, BackendError, FakeBackend, Signature, TextClassifier
from edgedistil_runtime.backends.two_parts import TwoPartBackend

from .two_parts import ids

LENGTHS = (4, 8, 16)
PAD = 99
TEXT, PAIR = Signature(("text",), ("token_ids",)), Signature(("text", "text_pair"), ("token_ids",))
SIGNATURES = {
    "classify_text": Signature(("text",), ("probabilities",)),
    "tokenize": TEXT,
    "classify_text_pair": Signature(("text", "text_pair"), ("probabilities",)),
    "tokenize_pair": PAIR,
    "classify_tokens": Signature(("token_ids",), ("probabilities",)),
    "embed": Signature(("token_ids",), ("embeddings", "attention_mask")),
    "serving_default": Signature(("ids", "segment_ids", "mask"), ("probabilities",)),
}


def answer(signature, inputs):
    """The host: ids are the numbers of the text; `embed` returns halves of ids and a mask."""
    if signature == "embed":
        ids = inputs["token_ids"]
        return {"embeddings": ids / 2, "attention_mask": (ids != PAD).astype(np.float32)}
    assert signature in ("tokenize", "tokenize_pair"), "the rest is the encoder's"
    return {"token_ids": np.concatenate(list(inputs.values()))[None]}


class FakeEncoder:
    """Returns the sum of the token ids, and keeps its inputs."""

    name = "fake chip"

    def __init__(self, closed):
        self.runs, self.closed = [], closed

    def run(self, length, inputs):
        self.runs.append((length, inputs))
        total = 2 * (inputs["embeddings"] * inputs["attention_mask"]).sum()
        return np.array([[total, -total]], np.float32)

    def close(self):
        self.closed.append("encoder")


class Host(FakeBackend):
    def __init__(self, closed, signatures=None):
        super().__init__(answer, signatures=SIGNATURES if signatures is None else signatures)
        self.closed = closed

    def close(self):
        super().close()
        self.closed.append("host")


@pytest.fixture
def closed():
    """Names of the closed parts, in order."""
    return []


@pytest.fixture
def host(closed):
    return Host(closed)


@pytest.fixture
def encoder(closed):
    return FakeEncoder(closed)


@pytest.fixture
def backend(host, encoder):
    return TwoPartBackend(host, encoder, lengths=LENGTHS, pad_id=PAD)


# Which part runs what


@pytest.mark.parametrize(("count", "length"), [(0, 4), (1, 4), (4, 4), (5, 8), (8, 8), (9, 16), (16, 16)])
def test_rows_are_padded_to_the_shortest_length(backend, host, encoder, count, length):
    row = list(range(1, count + 1))
    [[total, _]] = backend.run("classify_tokens", {"token_ids": ids(*row)[None]})["probabilities"].tolist()
    assert total == sum(row)
    [(name, given)] = host.calls
    assert name == "embed"
    assert given["token_ids"].tolist() == [row + [PAD] * (length - count)]
    assert given["token_ids"].dtype == np.int32
    [(used, inputs)] = encoder.runs
    assert used == length
    assert inputs["embeddings"].shape == (1, length)
    assert inputs["attention_mask"].sum() == count


def test_too_long_a_row(backend, host, encoder):
    with pytest.raises(BackendError, match="at most 16 token ids, the encoder's longest. Received: 17"):
        backend.run("classify_tokens", {"token_ids": np.ones((1, 17), np.int32)})
    assert host.calls == encoder.runs == []


def test_text_is_tokenized_and_embedded_by_the_host(backend, host, encoder):
    outputs = backend.run("classify_text", {"text": ids(1, 2, 3)})
    assert outputs["probabilities"].tolist() == [[6, -6]]
    assert [name for name, _ in host.calls] == ["tokenize", "embed"]
    assert [length for length, _ in encoder.runs] == [4]


def test_pairs_have_their_own_tokenizer(backend, host):
    outputs = backend.run("classify_text_pair", {"text": ids(1, 2, 3), "text_pair": ids(4, 5)})
    assert outputs["probabilities"].tolist() == [[15, -15]]
    assert [name for name, _ in host.calls] == ["tokenize_pair", "embed"]


@pytest.mark.parametrize(
    ("signature", "inputs"),
    [("tokenize", {"text": ids(7, 8)}), ("tokenize_pair", {"text": ids(7), "text_pair": ids(8)})],
)
def test_token_ids_are_the_hosts(backend, host, encoder, signature, inputs):
    assert backend.run(signature, inputs)["token_ids"].tolist() == [[7, 8]]
    assert [name for name, _ in host.calls] == [signature]
    assert encoder.runs == []


def test_rows_of_a_batch_run_one_by_one(backend, encoder):
    rows = np.array([[1, 2, 3, 4, 5], [6, 7, PAD, PAD, PAD], [8, 0, 0, 0, 9]], np.int32)
    outputs = backend.run("classify_tokens", {"token_ids": rows})["probabilities"]
    assert outputs.tolist() == [[15, -15], [13, -13], [17, -17]]
    assert outputs.dtype == np.float32
    assert [(length, given["embeddings"].shape) for length, given in encoder.runs] == [(8, (1, 8))] * 3


def test_signatures_are_those_that_classify_or_tokenize(backend, encoder, closed):
    assert sorted(backend.signatures()) == sorted(SIGNATURES.keys() - {"embed", "serving_default"})
    assert backend.signatures()["classify_text"] == SIGNATURES["classify_text"]
    few = {name: SIGNATURES[name] for name in ("classify_tokens", "embed")}
    without_tokenizer = TwoPartBackend(Host(closed, few), encoder, lengths=LENGTHS, pad_id=PAD)
    assert list(without_tokenizer.signatures()) == ["classify_tokens"]


@pytest.mark.parametrize(
    ("signature", "inputs", "message"),
    [
        ("embed", {"token_ids": ids(1)[None]}, "The model has the signatures .*Received: 'embed'"),
        ("classify_text", {"token_ids": ids(1)[None]}, r"takes the inputs \['text'\]. Received: \['token_ids'\]"),
        ("classify_text_pair", {"text": ids(1)}, r"\['text', 'text_pair'\]. Received: \['text'\]"),
    ],
)
def test_inputs_are_checked_before_anything_runs(backend, host, encoder, signature, inputs, message):
    with pytest.raises(BackendError, match=message):
        backend.run(signature, inputs)
    assert host.calls == encoder.runs == []


def test_name_and_version(backend):
    assert (backend.name, backend.version) == ("fake and fake chip", "")


def test_the_encoder_is_closed_before_the_host(backend, closed):
    backend.close()
    assert closed == ["encoder", "host"]
    backend.close()
    with pytest.raises(BackendError, match="closed"):
        backend.run("classify_text", {"text": ids(1)})


# A classifier


class EchoEncoder(FakeEncoder):
    """Echo's arithmetic on the outputs of `embed`; see conftest.py."""

    def __init__(self, closed, echo, shift=0.0):
        super().__init__(closed)
        self.echo, self.shift = echo, shift

    def run(self, length, inputs):
        super().run(length, inputs)
        token_ids = 2 * inputs["embeddings"][inputs["attention_mask"] == 1]
        mean = token_ids.mean() / 64 + self.shift
        exponentials = np.exp([[mean, 1.0, 2.0 - mean]])
        return (exponentials / exponentials.sum()).astype(np.float32)


@pytest.fixture
def echo_parts(closed, echo):
    """`echo_parts(shift=0.0)`: Echo as two parts, the second of which may be wrong."""

    def answer_of(signature, inputs):
        return answer(signature, inputs) if signature == "embed" else echo.answer(signature, inputs)

    def make(shift=0.0):
        names = ("classify_text", "tokenize", "classify_tokens", "embed")
        host = Host(closed, {name: SIGNATURES[name] for name in names})
        host._answer = answer_of
        return TwoPartBackend(host, EchoEncoder(closed, echo, shift), lengths=(64, 128), pad_id=PAD)

    return make


def test_a_classifier_of_two_parts(fake_path, echo_parts, echo):
    with TextClassifier(fake_path, backend=echo_parts()) as classifier:
        assert classifier.runtime_info.largest_difference < 1e-6
        answers = classifier.classify_batch(["hello", "a", "night"])
        assert answers == [classifier.classify(text) for text in ("hello", "a", "night")]
        for found in answers:
            assert list(found.probabilities.values()) == pytest.approx(echo.probabilities(found.text), abs=1e-6)
    assert classifier.runtime_info.backend == "fake and fake chip"


def test_an_encoder_that_computes_something_else(fake_path, echo_parts, closed):
    with pytest.raises(AcceleratorMismatch, match="other probabilities"):
        TextClassifier(fake_path, backend=echo_parts(shift=0.1))
    assert closed == ["encoder", "host"]

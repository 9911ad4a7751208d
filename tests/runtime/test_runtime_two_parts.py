"""A model in two parts: who runs what, what is refused, the trial in a child process, and the CPU as a stand-in."""

import dataclasses
import json
import logging
import os
import sys

import numpy as np
import pytest

from edgedistil_runtime import (
    AcceleratorMismatch,
    AcceleratorUnavailable,
    ArtifactError,
    BackendError,
    FakeBackend,
    LiteRTInterpreterBackend,
    Signature,
    TextClassifier,
    probing,
)
from edgedistil_runtime.artifact import EncoderFlatbuffers, EncoderPart, GoldenCase, artifact_bytes, read_artifact
from edgedistil_runtime.backends.choice import open_backend
from edgedistil_runtime.backends.encoders import EDGETPU_LIBRARY, GPUEncoder
from edgedistil_runtime.backends.two_parts import TwoPartBackend

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
posix = pytest.mark.skipif(os.name != "posix", reason="the stand-ins for a child process are shell scripts")


def answer(signature, inputs):
    """The host: ids are numbers of the text as they are; `embed` gives halves of ids and a mask."""
    if signature == "embed":
        ids = inputs["token_ids"]
        return {"embeddings": ids / 2, "attention_mask": (ids != PAD).astype(np.float32)}
    assert signature in ("tokenize", "tokenize_pair"), "the rest is the encoder's"
    return {"token_ids": np.concatenate(list(inputs.values()))[None]}


class FakeEncoder:
    """Answers with the sum of the tokens' ids, and keeps what it was given."""

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
    """Who was closed, in order."""
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


def ids(*values):
    return np.array(values, np.int32)


# Who runs what


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


class EchoEncoder(FakeEncoder):
    """Echo's arithmetic from what `embed` gives; see conftest.py."""

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


# What is refused


@pytest.fixture
def write_target(write, echo_flatbuffer, metadata, vocabulary):
    """`write_target("edgetpu", b"...")`: Echo with an encoder that no CPU could load, and perhaps a compiled one."""

    def write_file(target, compiled=None, **changes):
        part = EncoderPart(lengths=(16, metadata.tokenizer.sequence_length), is_compiled=compiled is not None)
        changed = dataclasses.replace(metadata, target=target, encoder=part, **changes)
        encoder = EncoderFlatbuffers(b"\x1c\0\0\0TFL3 encoder", compiled)
        return write(artifact_bytes(echo_flatbuffer, changed, vocabulary, encoder=encoder), f"{target}.tflite")

    return write_file


@pytest.fixture
def hosts_closed(monkeypatch):
    """How many hosts were closed."""
    closed = []
    close = LiteRTInterpreterBackend.close
    monkeypatch.setattr(LiteRTInterpreterBackend, "close", lambda self: (closed.append(self), close(self))[1])
    return closed


@pytest.mark.parametrize("accelerator", ["cpu", "gpu"])
def test_a_device_is_an_edge_tpu(echo_path, accelerator):
    with pytest.raises(BackendError, match=f"several Edge TPUs. Received: 'usb' with '{accelerator}'"):
        TextClassifier(echo_path, accelerator, device="usb", fallback=True)


@pytest.mark.parametrize(("target", "accelerator"), [("gpu", "edgetpu"), ("edgetpu", "gpu")])
def test_other_targets(write_target, echo_path, target, accelerator):
    for path, has in ((write_target(target), target), (echo_path, "cpu")):
        with pytest.raises(AcceleratorUnavailable, match=f"target {has} and has no part for '{accelerator}'.*--target"):
            open_backend(read_artifact(path), accelerator)


def test_every_file_runs_on_a_cpu(write_target, echo):
    for target in ("gpu", "edgetpu"):
        backend = open_backend(read_artifact(write_target(target)))
        assert isinstance(backend, LiteRTInterpreterBackend) or backend.name == "tflite-runtime"
        backend.close()


@pytest.mark.parametrize(
    ("compiled", "device", "error", "message"),
    [
        (None, None, AcceleratorUnavailable, "not compiled for the Edge TPU"),
        (b"\x1c\0\0\0TFL3 compiled", None, AcceleratorUnavailable, "cannot be loaded: .*EDGETPU_LIBRARY"),
    ],
)
def test_the_host_is_closed_where_the_encoder_cannot_be_had(
    write_target, hosts_closed, monkeypatch, tmp_path, compiled, device, error, message
):
    pytest.importorskip("ai_edge_litert")
    monkeypatch.setenv(EDGETPU_LIBRARY, str(tmp_path / "none.so"))
    with pytest.raises(error, match=message):
        open_backend(read_artifact(write_target("edgetpu", compiled)), "edgetpu", device=device)
    assert len(hosts_closed) == 1


def test_a_gpu_needs_litert(monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with pytest.raises(AcceleratorUnavailable, match="pip install 'ai-edge-litert"):
        GPUEncoder(EncoderFlatbuffers(b""), is_exact=True)


# The trial in a child process


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """`stand_in("echo '{}'")`: a shell script in the place of the child."""

    def use(script):
        program = tmp_path / "python"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program))

    return use


def test_a_trial_that_passes(echo_path):
    probing.probe(echo_path, "cpu", num_threads=1, device=None)


def test_a_trial_raises_what_the_child_raised(write, content, echo_flatbuffer, with_golden_case, vocabulary, echo):
    with pytest.raises(ArtifactError, match=r"damaged.tflite: The file is damaged"):
        probing.probe(write(content[:50] + b"!" + content[51:], "damaged.tflite"), "cpu")
    wrong = with_golden_case(GoldenCase("hi", tuple(echo.token_ids("hi")), (0.0, 0.5, 0.5)))
    with pytest.raises(AcceleratorMismatch, match="other probabilities"):
        probing.probe(write(artifact_bytes(echo_flatbuffer, wrong, vocabulary)), "cpu")


@posix
def test_the_child_is_told_what_to_try(stand_in, tmp_path):
    stand_in(f"""printf '%s' "$3" > '{tmp_path}/request'\nprintf '%s' "$1" > '{tmp_path}/option'\necho '{{}}'""")
    probing.probe(tmp_path / "größe.tflite", "edgetpu", num_threads=None, device="usb:1")
    assert json.loads((tmp_path / "request").read_text()) == {
        "path": str(tmp_path / "größe.tflite"),
        "accelerator": "edgetpu",
        "num_threads": None,
        "device": "usb:1",
    }
    assert (tmp_path / "option").read_text() == "-c"


def test_the_child_does_not_import_from_the_current_folder(echo_path, monkeypatch, tmp_path):
    """A folder of downloads may hold anything."""
    folder = tmp_path / "downloads"
    folder.mkdir()
    for name in ("json", "signal", "numpy"):
        (folder / f"{name}.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    probing.probe(echo_path, "cpu")


@posix
def test_the_child_finds_the_packages_of_its_parent(stand_in, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(tmp_path / "added")
    stand_in(f"""printf '%s' "$PYTHONPATH" > '{tmp_path}/path'\necho '{{}}'""")
    probing.probe("model.tflite", "gpu")
    assert (tmp_path / "path").read_text().split(os.pathsep) == [entry for entry in sys.path if entry]


@posix
@pytest.mark.parametrize("script", ["echo '{}'", "echo driver 7.1; echo '{}'", "echo noise >&2; echo '{}'"])
def test_answers_of_success(stand_in, script):
    stand_in(script)
    probing.probe("model.tflite", "gpu")


@posix
@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("kill -SEGV $$", "'gpu' ended the process that tried it: SIGSEGV. Use accelerator='cpu'"),
        ("echo '{}'; echo 'then'; kill -ABRT $$", "SIGABRT"),
        ("echo 'no adapter' >&2; exit 3", "exit status 3. It said last: 'no adapter'. Use"),
        ("exit 0", "exit status 0. Use"),
        ("echo '[]'", "exit status 0"),
        ("echo '{}...'", "exit status 0"),
        (r"printf '\377\376'; printf '\377\n\n' >&2; exit 1", "exit status 1. It said last: '\ufffd'"),
    ],
)
def test_a_child_that_ends(stand_in, script, message):
    stand_in(script)
    with pytest.raises(AcceleratorUnavailable, match=message):
        probing.probe("model.tflite", "gpu")


@posix
def test_a_child_that_does_not_end(stand_in, monkeypatch):
    monkeypatch.setattr(probing, "_SECONDS", 0.2)
    stand_in("exec sleep 60")
    with pytest.raises(
        AcceleratorUnavailable, match="could not be tried out .*timed out after 0.2 seconds.*probe=False"
    ):
        probing.probe("model.tflite", "gpu")


def test_a_child_that_does_not_begin(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    with pytest.raises(AcceleratorUnavailable, match="could not be tried out .*none.*probe=False"):
        probing.probe("model.tflite", "gpu")


@posix
@pytest.mark.parametrize(
    ("name", "kind"), [("AcceleratorMismatch", AcceleratorMismatch), ("BackendError", BackendError)]
)
def test_the_childs_error(stand_in, name, kind):
    stand_in(f"""echo '{{"error": "{name}", "message": "because"}}'""")
    with pytest.raises(BackendError, match="^because$") as caught:
        probing.probe("model.tflite", "gpu")
    assert type(caught.value) is kind


# The CPU as a stand-in


def refusals(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_the_cpu_stands_in(echo_path, caplog, echo):
    with TextClassifier(echo_path, "edgetpu", device="usb", fallback=True) as classifier:
        info = classifier.runtime_info
        assert list(classifier.classify("hi").probabilities.values()) == pytest.approx(
            echo.probabilities("hi"), abs=1e-6
        )
    assert info.accelerator == "cpu"
    assert "converted for the target cpu" in info.fallback_reason
    assert refusals(caplog) == [f"The CPU stands in for the accelerator 'edgetpu': {info.fallback_reason}"]


def test_nothing_stands_in_unasked(echo_path, caplog):
    with pytest.raises(AcceleratorUnavailable, match="converted for the target cpu"):
        TextClassifier(echo_path, "gpu")
    assert refusals(caplog) == []


def test_nothing_is_said_where_nothing_stands_in(echo_path, caplog):
    with TextClassifier(echo_path, fallback=True) as classifier:
        assert classifier.runtime_info.fallback_reason == ""
    assert refusals(caplog) == []


@pytest.mark.parametrize("accelerator", ["tpu", "CPU"])
def test_an_accelerator_that_does_not_exist_is_an_error_in_any_case(echo_path, accelerator):
    with pytest.raises(BackendError, match="one of cpu, gpu, edgetpu"):
        TextClassifier(echo_path, accelerator, fallback=True)


def test_nothing_stands_in_for_a_given_backend(fake_path):
    backend = FakeBackend(lambda signature, inputs: {"token_ids": ids(1)[None]})
    with pytest.raises(AcceleratorMismatch):
        TextClassifier(fake_path, "gpu", backend=backend, fallback=True)
    assert backend.is_closed


def test_nothing_stands_in_for_the_cpu(write, echo_flatbuffer, with_golden_case, vocabulary, echo):
    wrong = with_golden_case(GoldenCase("hi", tuple(echo.token_ids("hi")), (0.0, 0.5, 0.5)))
    with pytest.raises(AcceleratorMismatch):
        TextClassifier(write(artifact_bytes(echo_flatbuffer, wrong, vocabulary)), fallback=True)


@posix
def test_the_cpu_stands_in_after_a_trial(write_target, stand_in, caplog):
    stand_in("kill -SEGV $$")
    with TextClassifier(write_target("gpu"), "gpu", fallback=True) as classifier:
        assert "SIGSEGV" in classifier.runtime_info.fallback_reason
    assert len(refusals(caplog)) == 1


@posix
def test_a_file_without_a_part_is_not_tried(echo_path, stand_in, tmp_path):
    stand_in(f"touch '{tmp_path}/tried'")
    with pytest.raises(AcceleratorUnavailable, match="converted for the target cpu"):
        TextClassifier(echo_path, "gpu")
    assert not (tmp_path / "tried").exists()


@posix
def test_probe_false_tries_nothing(write_target, stand_in, tmp_path):
    stand_in(f"touch '{tmp_path}/tried'")
    with pytest.raises(AcceleratorUnavailable, match="not compiled for the Edge TPU"):
        TextClassifier(write_target("edgetpu"), "edgetpu", probe=False)
    assert not (tmp_path / "tried").exists()

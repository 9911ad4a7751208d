"""The two parts of an artefact as one, on a library that has libedgetpu's interface: what arrives there, what returns.

Nothing here shows that the real library and the real chip do the same; see docs/coral.md.
"""

import gc
import os
import threading
from pathlib import Path

import pytest

from edgedistil_runtime import AcceleratorUnavailable, BackendError, TextClassifier
from edgedistil_runtime.artifact import read_artifact

STEP = 1 / 256  # of quantized probabilities
RELOADS = 40
MOST_GROWTH = 4 * 2**20  # bytes; a reload that kept its parts would leave some 200 kB behind


def on_edgetpu(path, **options):
    return TextClassifier(path, accelerator="edgetpu", **{"probe": False, **options})


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_conversion_compiles_where_there_is_a_compiler(converted):
    from ai_edge_litert import schema_py_generated as schema

    artifact = read_artifact(converted)
    encoder, part = artifact.encoder(), artifact.metadata.encoder
    assert part.is_compiled
    assert (part.mapping["source"], part.mapping["on_cpu"]) == ("edgetpu_compiler", 0)
    ops = schema.ModelT.InitFromPackedBuf(encoder.model, 0).subgraphs[0].operators
    assert part.mapping["mapped"] == sum(line["count"] for line in part.mapping["ops"]) == len(ops)
    [subgraph] = schema.ModelT.InitFromPackedBuf(encoder.compiled, 0).subgraphs
    assert [tensor.name for tensor in subgraph.tensors] != []
    assert len(subgraph.operators) == 1


def test_answers_are_those_of_the_encoder_on_the_cpu(compiled, edgetpu, texts):
    with on_edgetpu(compiled.path, probe=True) as classifier:
        replayed = len(edgetpu.events("invoke"))
        for text in texts:
            answer = classifier.classify(text)
            assert (answer.label, answer.probabilities) == compiled.answers[text]
            assert all((probability / STEP).is_integer() for probability in answer.probabilities.values())
        info = classifier.runtime_info
    assert len({label for label, _ in compiled.answers.values()}) > 1
    assert (info.accelerator, info.fallback_reason) == ("edgetpu", "")
    assert info.golden_cases == len(classifier.metadata.golden_cases) > 0
    assert replayed == 2 * info.golden_cases  # once in the trial's process, once here
    mine = [event for process, event, _ in edgetpu.events() if process == os.getpid()]
    assert mine == ["create", "claim", *["invoke"] * (info.golden_cases + len(texts)), "destroy"]
    assert len({process for process, _, _ in edgetpu.events()}) == 2


def test_the_whole_encoder_is_one_op_of_the_delegate(compiled, edgetpu):
    on_edgetpu(compiled.path).close()
    assert [detail for _, _, detail in edgetpu.events("claim")] == ["1 of 1"]


def test_ops_behind_the_segment_run_on_the_cpu(partly_compiled, edgetpu, texts):
    with on_edgetpu(partly_compiled.path) as classifier:
        assert [detail for _, _, detail in edgetpu.events("claim")] == ["1 of 3"]
        for text in texts:
            label, probabilities = partly_compiled.answers[text]
            answer = classifier.classify(text)
            assert answer.label == label
            # Two sets of LiteRT's kernels may be at work here, which agree but for a step.
            assert answer.probabilities == pytest.approx(probabilities, rel=0, abs=1.01 * STEP)


def test_an_input_that_the_table_has_not_is_an_error(compiled, edgetpu):
    """Else the equality of answers would prove nothing."""
    with on_edgetpu(compiled.path) as classifier:
        with pytest.raises(BackendError, match="failed in the encoder.*not in the table.*'embeddings'"):
            classifier.classify("turn the music off")
        assert classifier.classify("louder !").label == compiled.answers["louder !"][0]


def test_batches_and_token_ids(compiled, edgetpu, texts):
    due = [probabilities for _, probabilities in compiled.answers.values()]
    with on_edgetpu(compiled.path) as classifier:
        assert [answer.probabilities for answer in classifier.classify_batch(texts)] == due
        rows = [classifier.tokenize(text) for text in texts]
        assert [answer.probabilities for answer in classifier.classify_tokens(rows)] == due


@pytest.mark.parametrize("device", [None, "usb", "pci", ":0", "usb:1"])
def test_the_device_reaches_the_library(compiled, edgetpu, device):
    on_edgetpu(compiled.path, device=device, verify=False).close()
    [(_, _, detail)] = edgetpu.events("create")
    assert detail == ("" if device is None else f"device={device}")


def test_the_device_reaches_the_library_in_the_trial_too(compiled, edgetpu):
    on_edgetpu(compiled.path, device="pci:3", probe=True).close()
    assert [detail for _, _, detail in edgetpu.events("create")] == ["device=pci:3"] * 2


@pytest.mark.parametrize("device", ["", "0", "usb:", "tpu", "USB", "usb:-1", "usb:1 ", ":0\n"])
def test_malformed_devices(compiled, edgetpu, device):
    with pytest.raises(BackendError, match="usb, pci, or a number as in :0 or usb:1. Received: ") as caught:
        on_edgetpu(compiled.path, device=device)
    assert not isinstance(caught.value, AcceleratorUnavailable)
    assert edgetpu.events() == []


def test_verify_false_runs_nothing(compiled, edgetpu):
    on_edgetpu(compiled.path, verify=False).close()
    assert [event for _, event, _ in edgetpu.events()] == ["create", "claim", "destroy"]


def test_a_library_that_talks_on_stdout(compiled, edgetpu):
    """The trial's answer comes over stdout too."""
    edgetpu.fail("talks")
    on_edgetpu(compiled.path, probe=True).close()
    assert len(edgetpu.events("create")) == 2


def test_closed(compiled, edgetpu):
    classifier = on_edgetpu(compiled.path)
    classifier.close()
    classifier.close()
    assert len(edgetpu.events("destroy")) == 1
    with pytest.raises(BackendError, match="closed"):
        classifier.classify("louder !")


def test_two_at_once(compiled, edgetpu):
    with on_edgetpu(compiled.path) as first, on_edgetpu(compiled.path) as second:
        first.classify("louder !")
        first.close()
        assert second.classify("louder !").probabilities == compiled.answers["louder !"][1]
    assert len(edgetpu.events("create")) == len(edgetpu.events("destroy")) == 2


def test_threads_share_a_classifier(compiled, edgetpu, texts):
    wrong: list[object] = []

    def work(classifier, mine):
        for text in mine * 20:
            answer = classifier.classify(text)
            if (answer.label, answer.probabilities) != compiled.answers[text]:
                wrong.append(answer)

    edgetpu.fail("slow")
    with on_edgetpu(compiled.path) as classifier:
        before = len(edgetpu.events("invoke"))
        threads = [threading.Thread(target=work, args=(classifier, part)) for part in (texts[::2], texts[1::2])]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert len(edgetpu.events("invoke")) == before + 20 * len(texts)


def test_reloads_leave_nothing_behind(compiled, edgetpu):
    def reload(times):
        for _ in range(times):
            with on_edgetpu(compiled.path, verify=False) as classifier:
                classifier.classify("louder !")
        gc.collect()
        return resident_bytes()

    before = reload(RELOADS // 2)
    assert reload(RELOADS) - before < MOST_GROWTH
    events = [event for _, event, _ in edgetpu.events()]
    assert events == ["create", "claim", "invoke", "destroy"] * (RELOADS + RELOADS // 2)

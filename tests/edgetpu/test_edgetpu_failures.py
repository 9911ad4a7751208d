"""Each way in which an Edge TPU can fail: an error of its own, and the CPU in its place where that is allowed."""

import contextlib
import gc
import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgedistil_runtime import AcceleratorMismatch, AcceleratorUnavailable, BackendError, TextClassifier, probing
from edgedistil_runtime.backends.encoders import EDGETPU_LIBRARY

RELOADS = 20
SECONDS = 3  # for a trial in a process that hangs


@dataclass(frozen=True)
class Failure:
    """How the stand-in is made to fail, and what must be said of it.

    Attributes:
        mode: of `fake_edgetpu.c`.
        error: the exact class.
        message: a pattern, the next step in it.
    """

    mode: str
    error: type[BackendError]
    message: str

    def __str__(self):
        return self.mode


# What an error in this process can tell.
FAILURES = (
    Failure("no_device", AcceleratorUnavailable, "was loaded and found no Edge TPU.*: .*Plug it in .*plugdev"),
    Failure("bad_option", AcceleratorUnavailable, "found no Edge TPU.*: .*Invalid option. Plug it in"),
    Failure(
        "claims_nothing", AcceleratorUnavailable, "does not run .*unresolved custom op.*must be built for a TFLite"
    ),
    Failure("too_old", AcceleratorUnavailable, "does not run .*no sound table.*no older than the compiler's"),
    Failure("zeros", AcceleratorMismatch, "computes other probabilities .*Expected: .*Received: .*update the interp"),
)
# What ends the process, or never returns.
FATAL = (
    Failure("crash_in_create", AcceleratorUnavailable, "ended the process that tried it: SIGABRT.*`accelerator`='cpu'"),
    Failure("crash_in_invoke", AcceleratorUnavailable, "ended the process that tried it: SIGSEGV.*update the driver"),
    Failure("hang_in_create", AcceleratorUnavailable, "not be tried in .*timed out after 3 .*`accelerator`='cpu'"),
    Failure("hang_in_invoke", AcceleratorUnavailable, "not be tried in .*timed out after 3 .*`accelerator`='cpu'"),
)
NO_LIBRARY = "library cannot be loaded: .*none.so.*No such file.*Install libedgetpu.*EDGETPU_LIBRARY"
NO_DELEGATE = "is not the library of a delegate: .*tflite_plugin_create_delegate.*Install libedgetpu"
NOT_COMPILED = "not compiled for the Edge TPU: .*no edgetpu_compiler on the PATH.*Convert again .*`accelerator`='cpu'"
OTHER_TARGET = "converted for the target {} and has no part for 'edgetpu'.*`target`='edgetpu'.*`accelerator`='cpu'"


@pytest.fixture
def cpu_answers(compiled, texts):
    """What the model that every CPU runs answers."""
    with TextClassifier(compiled.path) as classifier:
        return [classifier.classify(text) for text in texts]


def raised(path, **options):
    with pytest.raises(BackendError) as caught:
        TextClassifier(path, "edgetpu", **options)
    return caught.value


def check(error, kind, message):
    assert type(error) is kind
    assert re.search(message, str(error), re.DOTALL), str(error)


def check_fallback(path, message, texts, cpu_answers, caplog, **options):
    """Loads with `fallback=True`, which must warn and then answer as the CPU does."""
    options = {"device": "usb", "fallback": True, **options}
    with caplog.at_level(logging.WARNING), TextClassifier(path, "edgetpu", **options) as classifier:
        info = classifier.runtime_info
        assert [classifier.classify(text) for text in texts] == cpu_answers
    assert info.accelerator == "cpu"
    assert info.backend == "ai-edge-litert"
    assert re.search(message, info.fallback_reason, re.DOTALL), info.fallback_reason
    [record] = [record for record in caplog.records if record.name.startswith("edgedistil_runtime")]
    assert record.levelno == logging.WARNING
    assert "is used instead of the accelerator 'edgetpu'" in record.getMessage()
    assert info.fallback_reason in record.getMessage()


@pytest.mark.parametrize("failure", FAILURES, ids=str)
def test_failures(compiled, edgetpu, failure, capfd):
    edgetpu.fail(failure.mode)
    check(raised(compiled.path, probe=False), failure.error, failure.message)
    assert {process for process, _, _ in edgetpu.events("create")} == {os.getpid()}
    assert "Exception ignored" not in capfd.readouterr().err


@pytest.mark.parametrize("failure", FAILURES, ids=str)
def test_fallback_after_failures(compiled, edgetpu, failure, texts, cpu_answers, caplog):
    edgetpu.fail(failure.mode)
    check_fallback(compiled.path, failure.message, texts, cpu_answers, caplog)
    assert os.getpid() not in {process for process, _, _ in edgetpu.events("create")}  # the trial's process met it


def test_fallback_without_a_trial(compiled, edgetpu, texts, cpu_answers, caplog):
    edgetpu.fail("zeros")
    check_fallback(compiled.path, FAILURES[4].message, texts, cpu_answers, caplog, probe=False)
    assert {process for process, _, _ in edgetpu.events("create")} == {os.getpid()}


@pytest.mark.parametrize("failure", FATAL, ids=str)
def test_what_would_end_this_process(compiled, edgetpu, failure, texts, cpu_answers, caplog, monkeypatch):
    if failure.mode.startswith("hang"):
        monkeypatch.setattr(probing, "_SECONDS", SECONDS)
    edgetpu.fail(failure.mode)
    check_fallback(compiled.path, failure.message, texts, cpu_answers, caplog)
    processes = {process for process, _, _ in edgetpu.events("create")}
    assert os.getpid() not in processes
    assert processes or failure.mode.startswith("hang")  # a slow machine may not have come so far
    for process in processes:
        with pytest.raises(ProcessLookupError):  # it is gone
            os.kill(process, 0)


def test_what_would_end_this_process_is_an_error(compiled, edgetpu):
    failure = FATAL[1]
    edgetpu.fail(failure.mode)
    check(raised(compiled.path), failure.error, failure.message)
    edgetpu.fail("")
    TextClassifier(compiled.path, "edgetpu").close()


def test_the_trial_raises_what_its_process_met(compiled, edgetpu):
    """The class of an error and its words come through the child's answer unchanged."""
    for failure in (FAILURES[0], FAILURES[4]):
        edgetpu.fail(failure.mode)
        assert str(raised(compiled.path)) == str(raised(compiled.path, probe=False))
        assert type(raised(compiled.path)) is failure.error


def test_the_library_is_missing(compiled, edgetpu, tmp_path, texts, cpu_answers, caplog, capfd):
    edgetpu.use(tmp_path / "none.so")
    check(raised(compiled.path, probe=False), AcceleratorUnavailable, NO_LIBRARY)
    assert capfd.readouterr().err == ""
    check_fallback(compiled.path, NO_LIBRARY, texts, cpu_answers, caplog)


def test_the_library_has_its_usual_name(compiled, edgetpu, monkeypatch):
    monkeypatch.delenv(EDGETPU_LIBRARY)
    monkeypatch.setenv("LD_LIBRARY_PATH", "")
    error = raised(compiled.path, probe=False)
    assert "libedgetpu.so.1" in str(error)


@pytest.fixture
def no_delegate(compile_library):
    return compile_library(Path(__file__).parent / "not_a_delegate.c")


def test_the_library_is_another(compiled, edgetpu, no_delegate, texts, cpu_answers, caplog, capfd):
    edgetpu.use(no_delegate)
    check(raised(compiled.path, probe=False), AcceleratorUnavailable, NO_DELEGATE)
    assert capfd.readouterr().err == ""
    check_fallback(compiled.path, NO_DELEGATE, texts, cpu_answers, caplog)


def test_the_library_is_no_library(compiled, edgetpu, tmp_path):
    path = tmp_path / "text.so"
    path.write_text("nothing of the kind")
    edgetpu.use(path)
    check(raised(compiled.path, probe=False), AcceleratorUnavailable, "library cannot be loaded: .*Install libedgetpu")


def test_the_encoder_is_not_compiled(with_encoder, edgetpu, texts, cpu_answers, caplog):
    path = with_encoder(None)
    check(raised(path, probe=False), AcceleratorUnavailable, NOT_COMPILED)
    check_fallback(path, NOT_COMPILED, texts, cpu_answers, caplog)
    assert edgetpu.events("create") == []


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_the_artefact_is_of_another_target(with_encoder, edgetpu, target, texts, cpu_answers, caplog):
    path = with_encoder(None, target=target, **({"encoder": None} if target == "cpu" else {}))
    check(raised(path, probe=False), AcceleratorUnavailable, OTHER_TARGET.format(target))
    check_fallback(path, OTHER_TARGET.format(target), texts, cpu_answers, caplog)
    assert edgetpu.events("create") == []


def test_the_table_is_of_other_texts(converted, edgetpu, texts, cpu_answers, caplog):
    """An op that fails when it runs, not when it loads."""
    check(raised(converted, probe=False), BackendError, "failed in the encoder: .*not in the table")
    check_fallback(converted, "failed in the encoder: .*not in the table", texts, cpu_answers, caplog)


def test_without_verification_nothing_is_compared(compiled, edgetpu):
    edgetpu.fail("zeros")
    with TextClassifier(compiled.path, "edgetpu", verify=False, probe=False) as classifier:
        assert set(classifier.classify("louder !").probabilities.values()) == {0.0}


def test_failed_loads_leave_nothing_behind(compiled, edgetpu):
    gc.collect()  # what errors of other tests still hold
    edgetpu.log.unlink(missing_ok=True)
    for mode in ("too_old", "claims_nothing", "zeros"):
        edgetpu.fail(mode)
        for _ in range(RELOADS):
            with contextlib.suppress(BackendError):  # keeps no traceback, as `pytest.raises` does
                TextClassifier(compiled.path, "edgetpu", probe=False)
    assert len(edgetpu.events("create")) == len(edgetpu.events("destroy")) == 3 * RELOADS

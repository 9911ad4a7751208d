"""A model in two parts: the trial in a child process, before the model is loaded."""

import json
import os
import sys

import pytest

from edgedistil_runtime import AcceleratorMismatch, AcceleratorUnavailable, ArtifactError, BackendError, probing
from edgedistil_runtime.artifact import GoldenCase, artifact_bytes
from edgedistil_runtime.child_process import python_module_command

from .two_parts import posix


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
    stand_in(f"""printf '%s\\n' "$@" > '{tmp_path}/arguments'\necho '{{}}'""")
    probing.probe(tmp_path / "größe.tflite", "edgetpu", num_threads=None, device="usb:1")
    *options, request = (tmp_path / "arguments").read_text().splitlines()
    assert options == python_module_command("edgedistil_runtime.probe_child")[1:]
    assert json.loads(request) == {
        "path": str(tmp_path / "größe.tflite"),
        "accelerator": "edgetpu",
        "num_threads": None,
        "device": "usb:1",
    }


def test_the_child_does_not_import_from_the_current_folder(echo_path, monkeypatch, tmp_path):
    """A folder of downloads may contain any module."""
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
        ("kill -SEGV $$", "'gpu' ended the process that tried it: SIGSEGV. Use `accelerator`='cpu'"),
        ("echo '{}'; echo 'then'; kill -ABRT $$", "SIGABRT"),
        ("echo 'no adapter' >&2; exit 3", "exit status 3. Its last line: 'no adapter'. Use"),
        ("exit 0", "exit status 0. Use"),
        ("echo '[]'", "exit status 0"),
        ("echo '{}...'", "exit status 0"),
        (r"printf '\377\376'; printf '\377\n\n' >&2; exit 1", "exit status 1. Its last line: '\ufffd'"),
    ],
)
def test_a_child_that_ends(stand_in, script, message):
    stand_in(script)
    with pytest.raises(AcceleratorUnavailable, match=message):
        probing.probe("model.tflite", "gpu")


@posix
@pytest.mark.parametrize(
    ("program", "message"),
    [
        # An emulator of another processor adds a line.
        (
            "signal.raise_signal(signal.SIGABRT)",
            "that tried it: SIGABRT. (Its last line: 'qemu.*)?Use `accelerator`='cpu'",
        ),
        ("sys.stderr.write('no driver'); sys.stderr.flush(); os._exit(3)", "exit status 3. Its last line: 'no driver'"),
    ],
)
def test_a_python_child_that_ends_itself(monkeypatch, tmp_path, program, message):
    (tmp_path / "edgedistil_ending.py").write_text(f"import os, signal, sys\n{program}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(probing, "_CHILD", "edgedistil_ending")
    with pytest.raises(AcceleratorUnavailable, match=message):
        probing.probe("model.tflite", "gpu")


@posix
def test_a_child_that_does_not_end(stand_in, monkeypatch):
    monkeypatch.setattr(probing, "_SECONDS", 0.2)
    stand_in("exec sleep 60")
    with pytest.raises(
        AcceleratorUnavailable, match="could not be tried in .*timed out after 0.2 seconds.*`probe`=False"
    ):
        probing.probe("model.tflite", "gpu")


def test_a_child_that_does_not_begin(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    with pytest.raises(AcceleratorUnavailable, match="could not be tried in .*none.*`probe`=False"):
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

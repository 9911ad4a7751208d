"""The child process that trains with quantization: what it needs, how it fails, and that it ends."""

import subprocess
import sys

import pytest

from edgedistil_converters.quantization_aware import launch
from edgedistil_runtime.errors import ConversionError, OutputError

from .quantization_aware_jobs import train


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "find_spec", lambda name: None if name == "tf_keras" else object())
    with pytest.raises(ConversionError, match="pip install tf-keras"):
        train(tmp_path)


def test_a_missing_folder_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "find_spec", lambda name: object())
    with pytest.raises(OutputError, match="no_such_folder"):
        train(tmp_path / "no_such_folder")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; print('not JSON'); sys.exit('the last words')", "exit status 1.*\n(.*\n)*the last words"),
        ("", "without a result"),
        ("import os; os.kill(os.getpid(), 9)", "exit status -9"),
    ],
)
def test_a_failing_child_is_a_conversion_error(tmp_path, monkeypatch, code, message):
    (tmp_path / "failing_worker.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(launch, "find_spec", lambda name: object())
    monkeypatch.setattr(launch, "_WORKER", "failing_worker")
    with pytest.raises(ConversionError, match=message):
        train(tmp_path)


def test_a_child_does_not_outlive_its_parent_call(tmp_path, monkeypatch):
    (tmp_path / "stubborn_worker.py").write_text(
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        'print(\'{"epoch": %d, "step": 1, "steps": 1, "loss": 0.5}\' % os.getpid(), flush=True)\n'
        "time.sleep(600)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(launch, "find_spec", lambda name: object())
    monkeypatch.setattr(launch, "_WORKER", "stubborn_worker")
    monkeypatch.setattr(launch, "_SECONDS_TO_STOP", 0.2)
    children = []

    def interrupt(epoch, step, steps, loss):
        children.append(epoch)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, on_progress=interrupt)
    done = subprocess.run(["kill", "-0", str(children[0])], capture_output=True)
    assert done.returncode != 0


def test_the_package_loads_nothing_heavy():
    heavy = {"tensorflow", "tf_keras", "tensorflow_model_optimization", "keras"}
    code = f"import sys, edgedistil_converters.quantization_aware; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"

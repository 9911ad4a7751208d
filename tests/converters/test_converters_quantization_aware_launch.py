"""The child process that trains with quantization: what it needs, how it fails, and that it ends."""

import dataclasses
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from edgedistil_converters import files
from edgedistil_converters.files import sole_use
from edgedistil_converters.preparation.quantization_aware import QATSettings, launch
from edgedistil_converters.preparation.quantization_aware.job import (
    CHECKPOINT,
    RESULT,
    read_job,
    write_arrays,
    write_job,
)
from edgedistil_runtime.errors import ConversionError, OutputError

from ..conftest import HANG
from .quantization_aware_jobs import JOB, train

pytestmark = pytest.mark.training


def use_worker(monkeypatch, folder, code):
    (folder / "other_worker.py").write_text(code)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(launch, "find_spec", lambda name: object())
    monkeypatch.setattr(launch, "_WORKER", "other_worker")


@pytest.mark.parametrize("others", [[], ["notes.txt"]])
def test_a_missing_package_is_named_and_leaves_no_empty_folder(tmp_path, monkeypatch, others):
    folder = tmp_path / "job"
    folder.mkdir()
    for name in others:
        (folder / name).touch()
    monkeypatch.setattr(launch, "find_spec", lambda name: None if name == "tf_keras" else object())
    with pytest.raises(ConversionError, match="pip install tf-keras"):
        train(folder)
    assert [path.name for path in tmp_path.rglob("*.txt")] == others
    assert folder.exists() == bool(others)


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
    use_worker(monkeypatch, tmp_path, code)
    with pytest.raises(ConversionError, match=message):
        train(tmp_path)


def test_the_hint_names_parameters_and_settings_that_exist(tmp_path, monkeypatch):
    from edgedistil.cli.convert import convert
    from edgedistil.cli.flags import FLAGS

    use_worker(monkeypatch, tmp_path, "import sys; sys.exit(1)")
    with pytest.raises(ConversionError, match="If memory ran out") as raised:
        train(tmp_path)
    flags = {FLAGS[name] for name in re.findall(r"`(\w+)`", str(raised.value))}
    assert flags and flags <= {flag for option in convert.params for flag in option.opts}
    fields = re.findall(r"QATSettings\((\w+)=", str(raised.value))
    assert fields and set(fields) <= {field.name for field in dataclasses.fields(QATSettings)}


def test_damaged_files_do_not_stop_the_same_call(tmp_path, monkeypatch):
    """The child finds a whole job and no checkpoint."""
    code = (
        "import sys; from pathlib import Path\n"
        "from edgedistil_converters.preparation.quantization_aware.job import read_arrays, read_job\n"
        "folder = Path(sys.argv[1]); job = read_job(folder)\n"
        "assert read_arrays(folder, 'checkpoint.npz', job.digest) is None\n"
        'print(\'{"epoch": 1, "step": 1, "steps": 1, "loss": 0.5}\')\n'
    )
    use_worker(monkeypatch, tmp_path, code)
    folder, events = tmp_path / "job", []
    folder.mkdir()
    write_job(folder, JOB)
    for name in (CHECKPOINT, RESULT):
        write_arrays(folder / name, JOB.digest, {"state/0": np.arange(10_000)})
    for name in ("job.npz", CHECKPOINT, RESULT):
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)
    with pytest.raises(ConversionError, match="without a result"):
        train(folder, on_progress=lambda *event: events.append(event))
    assert events == [(1, 1, 1, 0.5)]
    assert sorted(path.name for path in folder.iterdir()) == ["job.npz", "stderr.txt"]


def test_a_second_call_leaves_the_first_alone(tmp_path, monkeypatch):
    use_worker(monkeypatch, tmp_path, 'print(\'{"epoch": 1, "step": 1, "steps": 1, "loss": 0.5}\')')
    folder, refusals = tmp_path / "job", []
    folder.mkdir()

    def start_another(epoch, step, steps, loss):
        write_arrays(folder / CHECKPOINT, JOB.digest, {})
        with pytest.raises(OutputError, match="Another process is training .*job. Wait .*another `output`"):
            train(folder, settings=replace(JOB.settings, seed=1))
        refusals.append(sorted(path.name for path in folder.iterdir()))

    with pytest.raises(ConversionError, match="without a result"):  # of the first
        train(folder, on_progress=start_another)
    assert refusals == [["checkpoint.npz", "job.npz", "lock", "stderr.txt"]]
    assert read_job(folder).digest == JOB.digest
    assert not (folder / "lock").exists()


def test_a_killed_process_locks_nobody_out(tmp_path):
    code = (
        "import sys, time; from pathlib import Path\n"
        "from edgedistil_converters.files import sole_use\n"
        "with sole_use(Path(sys.argv[1])) as is_ours:\n"
        "    print(is_ours, flush=True); time.sleep(600)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "True\n"
        with sole_use(tmp_path) as is_ours:
            assert not is_ours
    finally:
        holder.kill()
        holder.communicate()
    assert (tmp_path / "lock").exists()
    with sole_use(tmp_path) as is_ours:
        assert is_ours
    assert list(tmp_path.iterdir()) == []


def test_a_lock_whose_file_was_removed_in_between_is_none(tmp_path, monkeypatch):
    """The holder removes the file and lets go while another one, which has it open, waits to lock it."""
    attempts = []
    flock = files.fcntl.flock

    def late(descriptor, operation):
        attempts.append(descriptor)
        if len(attempts) == 1:
            (tmp_path / "lock").unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(files.fcntl, "flock", late)
    with sole_use(tmp_path) as is_ours:
        assert is_ours and len(attempts) == 2
        with sole_use(tmp_path) as is_ours_too:
            assert not is_ours_too


def test_a_system_without_locks_trains_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "fcntl", None)
    with sole_use(tmp_path) as is_ours:
        assert is_ours
    assert list(tmp_path.iterdir()) == []


def test_a_child_does_not_outlive_its_parent_call(tmp_path, monkeypatch):
    code = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        'print(\'{"epoch": %d, "step": 1, "steps": 1, "loss": 0.5}\' % os.getpid(), flush=True)\n'
        "time.sleep(600)\n"
    )
    use_worker(monkeypatch, tmp_path, code)
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
    code = (
        f"import sys, edgedistil_converters.preparation.quantization_aware; print(sorted({heavy!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=HANG)
    assert done.stdout.strip() == "[]"


def test_the_child_runs_no_module_of_the_current_folder(tmp_path, monkeypatch):
    """A `json.py` in a folder of downloads is code of somebody else."""
    (tmp_path / "json.py").write_text("raise SystemExit('the json.py of the current folder was executed')\n")
    folder = tmp_path / "job"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    assert train(folder).history

"""Starts the child process that trains, listens to it, and ends it whatever happens."""

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

from edgedistil_converters.files import sole_use
from edgedistil_converters.model.weights import ClassifierWeights
from edgedistil_converters.preparation.quantization_aware.job import STDERR, Job, read_result, write_job
from edgedistil_converters.preparation.quantization_aware.settings import QATData, QATResult, QATSettings, check_data
from edgedistil_converters.quantization.plan import QuantizationPlan
from edgedistil_runtime.child_process import python_environment, python_module_command
from edgedistil_runtime.errors import ConversionError, OutputError

__all__ = ["train_quantization_aware"]

Progress = Callable[[int, int, int, float], None]

_PLAN = QuantizationPlan("int8-qat")
_WORKER = "edgedistil_converters.preparation.quantization_aware.worker"
_NEEDED = {"tensorflow_model_optimization": "tensorflow-model-optimization", "tf_keras": "tf-keras"}
_HINT = (
    "If memory ran out, try shorter texts (--sequence-length) or a machine with more memory; from Python also a "
    "smaller QATSettings(batch_size=...). If the loss was not finite, check the texts and their labels, or try "
    "another --seed; from Python also a smaller QATSettings(learning_rate=...)."
)
_TAIL_LINES = 12
_SECONDS_TO_STOP = 5.0


def train_quantization_aware(
    weights: ClassifierWeights,
    data: QATData,
    settings: QATSettings,
    *,
    plan: QuantizationPlan = _PLAN,
    pad_id: int,
    folder: Path,
    on_progress: Progress | None = None,
) -> QATResult:
    """Trains a classifier so that it keeps its answers when its numbers become those that a plan says.

    Training runs in a child process and leaves a checkpoint after each epoch. The same call with the same folder goes
    on after the last of them, or returns at once where training was done; the outcome is that of one run without a
    break. Any other call with that folder starts over. On one machine's CPU, equal calls give equal results.

    Args:
        weights: of the float classifier.
        data: training texts and what the float classifier made of them.
        settings: how to train.
        plan: of int8-qat. Matmuls that it takes out keep their float weights in training too.
        pad_id: the id that attention masks wherever it stands.
        folder: an existing folder for the job, its checkpoints and its result, up to six times the size of the
            weights; the caller removes it. One call at a time can use it. A call that fails before there is anything
            to keep removes an empty one.
        on_progress: called after each step with the epoch and the step, both counted from 1, the steps of an epoch
            and the loss of the step. What it raises ends training and is raised here.

    Raises:
        ConversionError: the data or the plan do not fit the classifier, a package is missing, or the child failed.
        OutputError: the folder cannot be written, or another call trains in it.
    """
    try:
        job = Job(weights, data, settings, int(pad_id), plan.weight_dtypes(len(weights.layers)))
        check_data(data, weights)
        _check_packages()
        if not folder.is_dir():
            raise OutputError(f"The folder for training does not exist. Received: {folder}. Create it first.")
        with sole_use(folder) as is_ours:
            if not is_ours:
                raise OutputError(
                    f"Another process is training with quantization in {folder}. Wait until it has ended, or choose "
                    "another output (from Python: another folder)."
                )
            return _result(folder, job, on_progress or _ignore)
    finally:
        with contextlib.suppress(OSError):  # not there, or not empty: training has begun
            folder.rmdir()


def _result(folder: Path, job: Job, on_progress: Progress) -> QATResult:
    write_job(folder, job)
    result = read_result(folder, job)
    if result is None:
        _train(folder, on_progress)
        result = read_result(folder, job)
    if result is None:
        raise ConversionError(f"Quantization-aware training ended without a result. {_last_words(folder)}")
    return result


def _train(folder: Path, on_progress: Progress) -> None:
    with _child(folder) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith("{"):  # libraries may print too
                event = json.loads(line)
                on_progress(event["epoch"], event["step"], event["steps"], event["loss"])
        code = child.wait()
    if code:
        raise ConversionError(
            f"Quantization-aware training failed with exit status {code}. {_last_words(folder)}\n{_HINT}"
        )


@contextlib.contextmanager
def _child(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The training process; it is over when the block is left, however that happens."""
    environment = {"TF_CPP_MIN_LOG_LEVEL": "2", **python_environment(), "TF_USE_LEGACY_KERAS": "1"}
    command = python_module_command(_WORKER, str(folder))
    with (folder / STDERR).open("wb") as stderr:  # a file: a full pipe would stop the child
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment
        )
    try:
        yield child
    finally:
        _end(child)
        assert child.stdout is not None
        child.stdout.close()


def _end(child: subprocess.Popen[str]) -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(_SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _check_packages() -> None:
    missing = [package for module, package in _NEEDED.items() if find_spec(module) is None]
    if missing:
        raise ConversionError(
            "Quantization-aware training needs TensorFlow Model Optimization. "
            f"Not installed: {', '.join(missing)}. Install with: pip install {' '.join(missing)}"
        )


def _last_words(folder: Path) -> str:
    lines = (folder / STDERR).read_text("utf-8", errors="replace").splitlines()
    return "\n".join(["Its last lines:", *lines[-_TAIL_LINES:]]) if lines else "It said nothing."


def _ignore(epoch: int, step: int, steps: int, loss: float) -> None:
    pass

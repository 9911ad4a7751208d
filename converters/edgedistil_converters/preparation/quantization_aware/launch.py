"""Runs quantization-aware training in a child process, which is always ended, and reads its result."""

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
    "If memory ran out, use shorter texts (`sequence_length`) or a machine with more memory; from Python also a "
    "smaller QATSettings(batch_size=...). If the loss was not finite, check the texts and their labels, or use "
    "another `seed`; from Python also a smaller QATSettings(learning_rate=...)."
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
    """Trains a classifier so that its outputs change little when it is quantized as a plan says.

    Training runs in a child process and writes a checkpoint after each epoch. The same call with the same folder
    continues after the last checkpoint, or returns at once if training had finished; the result is the same as without
    interruption. Any other call with that folder starts over. On one machine's CPU, equal calls give equal results.

    Args:
        weights: Weights of the float classifier.
        data: Training texts with the outputs of the float classifier.
        settings: How to train.
        plan: A plan of int8-qat. Matmuls that its `layers` keep float are float in training too.
        pad_id: The id that attention masks at every position.
        folder: An existing folder for the job, its checkpoints and its result, up to six times the size of the
            weights; the caller removes it. Only one call at a time can use it. A call that fails before it has
            written anything removes the folder if it is empty.
        on_progress: Called after each step with the epoch and the step, both counted from 1, the steps of an epoch
            and the loss of the step. Its exceptions end training and are raised here.

    Raises:
        ConversionError: The data or the plan do not fit the classifier, a package is missing, or the child failed.
        OutputError: The folder cannot be written, or another call is training in it.
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
                    "another `output` (from Python also another `folder`)."
                )
            return _result(folder, job, on_progress or _ignore_progress)
    finally:
        with contextlib.suppress(OSError):  # missing, or not empty because training has begun
            folder.rmdir()


def _result(folder: Path, job: Job, on_progress: Progress) -> QATResult:
    write_job(folder, job)
    result = read_result(folder, job)
    if result is None:
        _train(folder, on_progress)
        result = read_result(folder, job)
    if result is None:
        raise ConversionError(f"Quantization-aware training ended without a result. {_end_of_stderr(folder)}")
    return result


def _train(folder: Path, on_progress: Progress) -> None:
    with _child(folder) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith("{"):  # other lines are printed by libraries
                event = json.loads(line)
                on_progress(event["epoch"], event["step"], event["steps"], event["loss"])
        code = child.wait()
    if code:
        raise ConversionError(
            f"Quantization-aware training failed with exit status {code}. {_end_of_stderr(folder)}\n{_HINT}"
        )


@contextlib.contextmanager
def _child(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Starts the training process, and ends it when the block is left."""
    environment = {"TF_CPP_MIN_LOG_LEVEL": "2", **python_environment(), "TF_USE_LEGACY_KERAS": "1"}
    command = python_module_command(_WORKER, str(folder))
    with (folder / STDERR).open("wb") as stderr:  # a file, because a full pipe would block the child
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


def _end_of_stderr(folder: Path) -> str:
    lines = (folder / STDERR).read_text("utf-8", errors="replace").splitlines()
    return "\n".join(["The last lines that it printed:", *lines[-_TAIL_LINES:]]) if lines else "It printed nothing."


def _ignore_progress(epoch: int, step: int, steps: int, loss: float) -> None:
    pass

"""Models on a GPU: the adapter that LiteRT finds, a process to run each model in, and models with wrong results there.

`make test-gpu` sets the environment, in which a process must start to find the driver. Elsewhere these tests run on the
machine's own GPU or, without one, are skipped.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from ..conftest import HANG

HERE = Path(__file__).parent
ECHO = HERE.parent / "runtime" / "data" / "echo.tflite"
LENGTH, WIDTH, NUM_CLASSES, HEADS = 16, 16, 3, 2  # those of the tiny classifier's encoder
SIGNATURE = f"classify_embeddings_{LENGTH}"


@dataclass(frozen=True)
class Run:
    """The outcome of running a model on an accelerator.

    Attributes:
        returncode: Exit status of the process.
        error: Message of the exception that loading the model raised; None if it raised none.
        log: The process's stderr, with LiteRT's log.
        is_fully_accelerated: The value that LiteRT reports.
        outputs: `signature/output` -> the outputs of all calls, stacked.
    """

    returncode: int
    error: str | None
    log: str
    is_fully_accelerated: bool = False
    outputs: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def adapter(self) -> str:
        """Name of the GPU that LiteRT chose; empty if none."""
        chosen = re.search(r"Selected adapter: (.*)", self.log)
        return chosen.group(1) if chosen else ""


def _run_on(accelerator, flatbuffer, inputs, **environment):
    """`inputs`: `signature/input` -> one array for each call, stacked."""
    with tempfile.TemporaryDirectory(prefix="edgedistil-gpu-") as folder:
        model, given, answered = (Path(folder) / name for name in ("model.tflite", "inputs.npz", "outputs.npz"))
        model.write_bytes(flatbuffer)
        np.savez(given, **inputs)
        command = [sys.executable, str(HERE / "run_on_accelerator.py"), str(model), accelerator, given, answered]
        done = subprocess.run(
            command, env=os.environ | environment, capture_output=True, text=True, timeout=HANG, check=False
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        result = json.loads(lines[-1]) if lines else {"error": None}
        outputs = dict(np.load(answered)) if answered.exists() else {}
        return Run(done.returncode, log=done.stderr, outputs=outputs, **result)


@pytest.fixture(scope="session")
def run_on():
    """`run_on("gpu", flatbuffer, inputs)` returns a `Run`; also "cpu", "gpu+cpu". Keywords: environment variables."""
    return _run_on


@pytest.fixture(scope="session", autouse=True)
def adapter(run_on):
    """Name of the GPU that LiteRT chooses on this machine."""
    chosen = run_on("gpu", ECHO.read_bytes(), {}).adapter
    if not chosen and "VK_DRIVER_FILES" in os.environ:
        pytest.fail(f"LiteRT does not take the driver that was named: {os.environ['VK_DRIVER_FILES']}")
    if not chosen:
        pytest.skip("LiteRT finds no GPU here; `make test-gpu` brings Mesa's software Vulkan")
    return chosen


@dataclass(frozen=True)
class Encoder:
    """An encoder with the same interface as the tiny classifier's for a GPU, so that it can replace that one.

    Attributes:
        flatbuffer: One signature, `classify_embeddings_16`: `embeddings` float32[1, 16, 16] and `attention_bias`
            float32[1, 1, 1, 16] in, `probabilities` float32[1, 3] out.
        inputs: Inputs of several calls, as `run_on` takes them.
    """

    flatbuffer: bytes
    inputs: dict[str, np.ndarray]
    output: str = f"{SIGNATURE}/probabilities"


@pytest.fixture(scope="session")
def sound_encoder() -> Encoder:
    """An encoder that a GPU computes correctly; those below differ from it in one thing."""
    return _encoder()


@pytest.fixture(scope="session")
def encoder_with_matrix() -> Encoder:
    """A constant matrix is added to a tensor of rank 2: on a GPU only the first row is right."""
    return _encoder(mixed_shape=(LENGTH, WIDTH), positions_shape=(LENGTH, WIDTH))


@pytest.fixture(scope="session")
def encoder_with_two_ranks() -> Encoder:
    """A constant of rank 3 is added to a tensor of rank 2: also wrong on a GPU."""
    return _encoder(mixed_shape=(LENGTH, WIDTH))


@pytest.fixture(scope="session")
def encoder_in_int8() -> Encoder:
    """Full int8, activations too, and a residual between tensors of rank 2 and 3: all probabilities are 0 on a GPU."""
    return _encoder(mixed_shape=(LENGTH, WIDTH), positions_shape=None, is_int8=True)


def _encoder(*, is_int8=False, **form):
    import tensorflow as tf

    shapes = {"embeddings": [1, LENGTH, WIDTH], "attention_bias": [1, 1, 1, LENGTH]}
    specs = [tf.TensorSpec(shape, tf.float32, name=name) for name, shape in shapes.items()]
    generator = np.random.default_rng(3)
    inputs = {f"{SIGNATURE}/embeddings": generator.normal(size=(8, 1, LENGTH, WIDTH)).astype(np.float32)}
    inputs[f"{SIGNATURE}/attention_bias"] = np.zeros((8, 1, 1, 1, LENGTH), np.float32)
    function = _attention(generator, **form)
    traced = tf.function(lambda *x: {"probabilities": function(tf, *x)}, input_signature=specs)
    return Encoder(_converted(tf, traced, inputs if is_int8 else None), inputs)


def _attention(generator, mixed_shape=(1, LENGTH, WIDTH), positions_shape=(1, LENGTH, WIDTH)):
    """One layer of attention with a residual; TensorFlow's converter leaves the ops in question as they are."""

    def weights(*shape):
        return generator.normal(0, 0.3, shape).astype(np.float32)

    projections, mixing, biases = weights(3, WIDTH, WIDTH), weights(WIDTH, WIDTH), weights(4, WIDTH)
    positions, last = 2 * weights(LENGTH, WIDTH), weights(LENGTH * WIDTH, NUM_CLASSES)

    def compute(tf, embeddings, attention_bias):
        def split(x):
            return tf.transpose(tf.reshape(x, [1, LENGTH, HEADS, -1]), [0, 2, 1, 3])

        query, key, value = (split(tf.matmul(embeddings, projections[i]) + biases[i]) for i in range(3))
        scores = tf.matmul(query, key, transpose_b=True) + attention_bias
        merged = tf.transpose(tf.matmul(tf.nn.softmax(scores), value), [0, 2, 1, 3])
        mixed = tf.matmul(tf.reshape(merged, mixed_shape), mixing) + biases[3]
        if positions_shape is not None:
            mixed += positions.reshape(positions_shape)
        mixed = tf.reshape(mixed, [1, LENGTH, WIDTH])
        return tf.nn.softmax(tf.matmul(tf.reshape(mixed + embeddings, [1, -1]), last))

    return compute


def _converted(tf, traced, calibration):
    """With TensorFlow's own quantizer: EdgeDistil's would refuse this for a GPU."""
    module = tf.Module()
    module.function = traced
    with tempfile.TemporaryDirectory(prefix="edgedistil-gpu-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tf.saved_model.save(module, folder, signatures={SIGNATURE: traced})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[SIGNATURE])
        if calibration is not None:
            calls = [dict(zip(calibration, values, strict=True)) for values in zip(*calibration.values(), strict=True)]
            named = [(SIGNATURE, {name.split("/")[1]: value for name, value in call.items()}) for call in calls]
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: named
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        return converter.convert()

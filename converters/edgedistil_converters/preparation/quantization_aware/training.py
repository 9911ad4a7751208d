"""The training loop: calibrate, train, evaluate and save, or continue from a checkpoint.

Imported only in the child process.
"""

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras
from numpy.typing import NDArray

from edgedistil_converters.preparation.quantization_aware.batches import Rows, Texts
from edgedistil_converters.preparation.quantization_aware.job import CHECKPOINT, RESULT, Job, read_arrays, write_arrays
from edgedistil_converters.preparation.quantization_aware.losses import text_losses
from edgedistil_converters.preparation.quantization_aware.mirror import (
    Calibration,
    FloatMirror,
    QuantizedMirror,
    build_mirror,
    quantize,
)
from edgedistil_converters.preparation.quantization_aware.settings import QATEpoch
from edgedistil_converters.quantization.ranges import GELU_FLOOR, SOFTMAX_REACH, has_floor

__all__ = ["Trainer", "calibrate", "train"]

Report = Callable[[int, int, int, float], None]

_CALIBRATION_BATCHES = 50
_EVALUATION_TEXTS = 1024
_WARMUP_FRACTION = 0.1
_CLIP_NORM = 1.0


def train(job: Job, folder: Path, report: Report) -> None:
    """Trains a job to its end and writes its result.

    Args:
        job: The classifier, its data and settings.
        folder: Folder for checkpoints and the result.
        report: Called after each step with epoch, step, steps of an epoch and the loss.
    """
    keras.utils.set_random_seed(job.settings.seed)
    tf.config.experimental.enable_op_determinism()
    trainer = Trainer(job, read_arrays(folder, CHECKPOINT, job.digest))
    for epoch in range(trainer.history[-1].epoch + 1, job.settings.epochs + 1):
        trainer.run_epoch(epoch, report)
        write_arrays(folder / CHECKPOINT, job.digest, trainer.state())
    write_arrays(folder / RESULT, job.digest, trainer.result())


def calibrate(mirror: FloatMirror, texts: Texts, batches: list[Rows]) -> Calibration:
    """Returns initial ranges: the mean over batches of their (min, max), which the moving average then continues.

    TFMOT starts every range at -6 to 6 and moves it by a thousandth of the difference per step, which is too slow for a
    short training.
    """
    names = list(mirror.sites)
    model = keras.Model(mirror.model.input, [mirror.sites[name] for name in names])

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32)], autograph=False)  # type: ignore[untyped-decorator]
    def extremes(token_ids: Any) -> Any:
        is_token = tf.not_equal(token_ids, mirror.pad_id)
        outputs = zip(names, model(token_ids, training=False), strict=True)
        return tf.stack([_extremes(name, x, is_token) for name, x in outputs])

    found = np.stack([extremes(texts.batch(rows).token_ids).numpy() for rows in batches])  # [batches, sites, 3]
    lowest, highest = found[:, :, :2].mean(axis=0).T.tolist()
    floors = dict(zip(names, found[:, :, 2].min(axis=0).tolist(), strict=True))
    return Calibration(
        ranges=dict(zip(names, zip(lowest, highest, strict=True), strict=True)),
        floors={name: floor for name, floor in floors.items() if has_floor(name)},
    )


def _extremes(name: str, x: Any, is_token: Any) -> Any:
    """(min from the floor up, max, floor) of a site in a batch; the range includes 0."""
    floor = _floor(name, x, is_token)
    return tf.stack([tf.minimum(0.0, tf.maximum(tf.reduce_min(x), floor)), tf.maximum(0.0, tf.reduce_max(x)), floor])


def _floor(name: str, x: Any, is_token: Any) -> Any:
    if not has_floor(name):
        return tf.constant(-np.inf)
    if not name.endswith("/scores"):
        return tf.constant(GELU_FLOOR)
    # x is [b, heads, n, m], largest is [b, heads, n]. Softmax gives about 0 to scores that are SOFTMAX_REACH below the
    # largest of their row, so no row needs values further below the smallest of these.
    largest = tf.reduce_max(tf.where(is_token[:, None, None, :], x, -np.inf), axis=-1)
    largest = tf.where(is_token[:, None, : tf.shape(x)[2]], largest, np.inf)  # leaves out rows of padding
    return tf.reduce_min(largest) - SOFTMAX_REACH


class Trainer:
    """A quantized mirror in training.

    Args:
        job: The classifier, its data and settings.
        checkpoint: Arrays of `state` to continue from; None to start.
    """

    def __init__(self, job: Job, checkpoint: dict[str, NDArray[Any]] | None = None) -> None:
        self._job, self._settings = job, job.settings
        self._texts = Texts(job.data, job.weights, job.pad_id)
        sizes = {"batch_size": self._settings.batch_size, "seed": self._settings.seed}
        self._sample = self._texts.sample(_EVALUATION_TEXTS, **sizes)
        mirror = build_mirror(job.weights, job.pad_id, job.weight_dtypes)
        calibration = self._texts.sample(_CALIBRATION_BATCHES * self._settings.batch_size, **sizes)
        self.mirror: QuantizedMirror = quantize(
            mirror, Calibration() if checkpoint else calibrate(mirror, self._texts, calibration)
        )
        self._optimizer = keras.optimizers.Adam(self._settings.learning_rate, global_clipnorm=_CLIP_NORM)
        self._optimizer.build(self.mirror.model.trainable_variables)
        self._is_multi_label = job.data.targets.ndim == 2
        targets = [None, job.weights.num_classes] if self._is_multi_label else [None]
        specs = [tf.TensorSpec([None, None], tf.int32), tf.TensorSpec(targets, tf.int32)]
        specs.append(tf.TensorSpec([None, job.weights.num_classes], tf.float32))
        self._step = tf.function(self._train_on, input_signature=specs, autograph=False)
        self._evaluate = tf.function(self._losses_and_labels, input_signature=specs, autograph=False)
        self.history = self._restore(checkpoint) if checkpoint else [self.evaluate(0)]

    def run_epoch(self, epoch: int, report: Report) -> None:
        """Trains on all texts once.

        Raises:
            FloatingPointError: The loss is not finite.
        """
        batches = self._texts.epoch(epoch, batch_size=self._settings.batch_size, seed=self._settings.seed)
        for step, rows in enumerate(batches, start=1):
            self._optimizer.learning_rate.assign(self._learning_rate((epoch - 1) * len(batches) + step, len(batches)))
            batch = self._texts.batch(rows)
            loss = float(self._step(batch.token_ids, batch.targets, batch.teacher))
            if not math.isfinite(loss):
                raise FloatingPointError(f"The loss is not finite in step {step} of epoch {epoch}: {loss}")
            report(epoch, step, len(batches), loss)
        self.history.append(self.evaluate(epoch))

    def evaluate(self, epoch: int) -> QATEpoch:
        """Returns the scores of the int8 simulation on the sample."""
        self.mirror.refresh_kernel_ranges()
        batches = [self._texts.batch(rows) for rows in self._sample]
        found = [self._evaluate(batch.token_ids, batch.targets, batch.teacher) for batch in batches]
        loss, accuracy, agreement = (float(np.mean(np.concatenate(part))) for part in zip(*found, strict=True))
        return QATEpoch(epoch, loss=loss, accuracy=accuracy, agreement=agreement)

    def state(self) -> dict[str, NDArray[Any]]:
        """Returns everything that the rest of training depends on, for a checkpoint."""
        numbers = {f"state/{index}": variable.numpy() for index, variable in enumerate(self._variables())}
        return {**numbers, "history": self._history_array()}

    def result(self) -> dict[str, NDArray[Any]]:
        """Returns trained weights, ranges and history, for `job.read_result`."""
        ranges = {f"ranges/{name}": np.asarray(pair) for name, pair in self.mirror.ranges().items()}
        return {**self.mirror.arrays(), **ranges, "history": self._history_array()}

    def _restore(self, checkpoint: dict[str, NDArray[Any]]) -> list[QATEpoch]:
        for index, variable in enumerate(self._variables()):
            variable.assign(checkpoint[f"state/{index}"])
        return [QATEpoch(**epoch) for epoch in json.loads(str(checkpoint["history"]))]

    def _variables(self) -> list[Any]:
        model = self.mirror.model
        frozen = {id(variable) for variable in model.get_layer("embeddings").variables}
        return [*(v for v in model.variables if id(v) not in frozen), *self._optimizer.variables]

    def _history_array(self) -> NDArray[Any]:
        return np.array(json.dumps([asdict(epoch) for epoch in self.history]))

    def _learning_rate(self, step: int, steps_per_epoch: int) -> float:
        """Linear warmup to the peak, then linear decay to 0 (https://arxiv.org/abs/1810.04805, appendix A.2)."""
        steps = steps_per_epoch * self._settings.epochs
        warmup = max(1, round(steps * _WARMUP_FRACTION))
        return self._settings.learning_rate * min(step / warmup, (steps + 1 - step) / (steps + 1 - warmup))

    def _train_on(self, token_ids: Any, targets: Any, teacher: Any) -> Any:
        variables = self.mirror.model.trainable_variables
        with tf.GradientTape() as tape:
            logits = self.mirror.model(token_ids, training=True)
            loss = tf.reduce_mean(self._losses(logits, targets, teacher))
        self._optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    def _losses_and_labels(self, token_ids: Any, targets: Any, teacher: Any) -> Any:
        logits = self.mirror.model(token_ids, training=False)
        label = self._labels(logits)
        losses = self._losses(logits, targets, teacher)
        return losses, *(self._is_same(label, expected) for expected in (targets, self._labels(teacher)))

    def _is_same(self, labels: Any, expected: Any) -> Any:
        same = labels == expected
        return tf.cast(tf.reduce_all(same, axis=-1) if self._is_multi_label else same, tf.float32)

    def _losses(self, logits: Any, targets: Any, teacher: Any) -> Any:
        is_sigmoid = self._job.weights.output_activation == "sigmoid"
        return text_losses(logits, targets, teacher, self._settings, is_sigmoid=is_sigmoid)

    def _labels(self, logits: Any) -> Any:
        if self._is_multi_label:
            return tf.cast(logits > 0, tf.int32)
        if logits.shape[-1] == 1:
            return tf.cast(logits[:, 0] > 0, tf.int32)
        return tf.argmax(logits, axis=-1, output_type=tf.int32)

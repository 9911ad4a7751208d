"""Keras callbacks of a training run: the best epoch by the validation metrics, and reports of its progress."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras

__all__ = ["BestEpoch", "ProgressReporter", "TrainingProgress"]


class BestEpoch(keras.callbacks.Callback):  # type: ignore[misc]
    """Measures every epoch, keeps the weights of the best one, and stops after `patience` epochs without a better one.

    Keras' `EarlyStopping` compares one number; here the loss decides between epochs of equal accuracy, which a small
    validation set gives often. After `fit`, the model has the weights of the best epoch, even after an interruption.

    Args:
        measure: Returns the metrics on the validation data.
        monitor: Metric that decides: `accuracy` (the loss decides a tie) or `loss`.
        patience: Epochs without a better one after which training stops.

    Attributes:
        history: One mapping an epoch: `epoch` from 1 up, `loss`, `accuracy`, `val_loss`, `val_accuracy` …
        best_epoch: Number of the best epoch; 0 before the first one ends.

    Example:
        >>> losses = iter([0.5, 0.3, 0.4])
        >>> best = BestEpoch(lambda: {"accuracy": 0.9, "loss": next(losses)}, monitor="accuracy", patience=5)
        >>> best.set_model(keras.Sequential([keras.layers.Dense(1)]))
        >>> for epoch in range(3):
        ...     best.on_epoch_end(epoch)
        >>> best.best_epoch  # the accuracies are equal
        2
    """

    def __init__(self, measure: Callable[[], Mapping[str, Any]], *, monitor: str, patience: int) -> None:
        super().__init__()
        self._measure = measure
        self._monitor = monitor
        self._patience = patience
        self._best: tuple[float, ...] = ()
        self._best_weights: list[Any] = []
        self.history: list[dict[str, Any]] = []
        self.best_epoch = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measures on the validation data, compares, and stops training if patience is exhausted."""
        training = {name: round(float(value), 6) for name, value in (logs or {}).items()}
        validation = {f"val_{name}": value for name, value in self._measure().items() if name != "rows"}
        self.history.append({"epoch": epoch + 1, **training, **validation})
        if logs is not None:
            logs.update(validation)
        score = self._score(validation)
        if not self._best or score > self._best:
            self._best, self.best_epoch = score, epoch + 1
            self._best_weights = self.model.get_weights()
        elif epoch + 1 - self.best_epoch >= self._patience:
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Restores the best weights."""
        if self._best_weights:
            self.model.set_weights(self._best_weights)

    def _score(self, validation: Mapping[str, float]) -> tuple[float, ...]:
        loss, accuracy = validation["val_loss"], validation["val_accuracy"]
        return (-loss,) if self._monitor == "loss" else (accuracy, -loss)


@dataclass(frozen=True)
class TrainingProgress:
    """Progress of a training.

    Attributes:
        epoch: Number of the epoch, from 1 up.
        step: Batches of the epoch that are done.
        metrics: Metric name -> value, over the epoch so far.
        is_epoch_done: True for the last report of an epoch, whose metrics include those on the validation data.
    """

    epoch: int
    step: int
    metrics: Mapping[str, float]
    is_epoch_done: bool = False


class ProgressReporter(keras.callbacks.Callback):  # type: ignore[misc]
    """Calls a function after every step and every epoch.

    Args:
        on_progress: Called with a `TrainingProgress`.

    Example:
        >>> reports = []
        >>> reporter = ProgressReporter(reports.append)
        >>> reporter.on_epoch_begin(0)
        >>> reporter.on_train_batch_end(0, {"loss": 0.5})
        >>> reports
        [TrainingProgress(epoch=1, step=1, metrics={'loss': 0.5}, is_epoch_done=False)]
    """

    def __init__(self, on_progress: Callable[[TrainingProgress], None]) -> None:
        super().__init__()
        self._on_progress = on_progress
        self._epoch = self._step = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Counts the steps from zero."""
        self._epoch, self._step = epoch + 1, 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Reports a step."""
        self._step += 1
        self._on_progress(TrainingProgress(self._epoch, self._step, dict(logs or {})))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Reports the end of an epoch."""
        self._on_progress(TrainingProgress(self._epoch, self._step, dict(logs or {}), is_epoch_done=True))

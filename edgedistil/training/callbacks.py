"""Keras callbacks of a training run: the best epoch by the validation metrics, and reports of its progress."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from edgedistil_runtime.errors import DataError

__all__ = ["BestEpoch", "FiniteLoss", "ProgressReporter", "TrainingProgress"]


class BestEpoch(keras.callbacks.Callback):  # type: ignore[misc]
    """Measures every epoch, keeps the weights of the best one, and stops after `patience` epochs without a better one.

    Keras' `EarlyStopping` compares one number; here the loss decides between epochs with the same score, which a small
    validation set gives often.

    Args:
        measure: Returns the metrics on the validation data; `None` if there are none, then the last epoch is the best.
        monitor: Metric that decides: `macro_f1`, `micro_f1` or `accuracy` (the loss decides a tie), or `loss`.
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

    def __init__(self, measure: Callable[[], Mapping[str, Any]] | None, *, monitor: str, patience: int) -> None:
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
        measured = self._measure() if self._measure else {}
        validation = {f"val_{name}": value for name, value in measured.items() if name != "rows"}
        self.history.append({"epoch": epoch + 1, **training, **validation})
        if logs is not None:
            logs.update(validation)
        if not validation:
            self.best_epoch = epoch + 1
            return
        score = self._score(validation)
        if not self._best or score > self._best:
            self._best, self.best_epoch = score, epoch + 1
            self._best_weights = self.model.get_weights()
        elif self.is_finished(epoch + 1):
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Restores the best weights."""
        self.restore(self.model)

    def is_finished(self, epochs: int) -> bool:
        """Returns True if patience was exhausted after so many epochs."""
        return bool(self._best) and epochs - self.best_epoch >= self._patience

    def restore(self, model: Any) -> None:
        """Gives a model the weights of the best epoch, as far as there is one."""
        if self._best_weights:
            model.set_weights(self._best_weights)

    def state(self) -> tuple[dict[str, Any], list[Any]]:
        """What `load_state` needs: values for JSON, and the best weights."""
        return {"best": self._best, "best_epoch": self.best_epoch, "history": self.history}, self._best_weights

    def load_state(self, state: Mapping[str, Any], best_weights: list[Any]) -> None:
        """Goes on from the state of another object.

        Example:
            >>> first, second = (BestEpoch(None, monitor="loss", patience=1) for _ in range(2))
            >>> first.on_epoch_end(0, {"loss": 0.5})
            >>> second.load_state(*first.state())
            >>> second.history
            [{'epoch': 1, 'loss': 0.5}]
        """
        self._best, self.best_epoch = tuple(state["best"]), int(state["best_epoch"])
        self.history, self._best_weights = list(state["history"]), best_weights

    def _score(self, validation: Mapping[str, float]) -> tuple[float, ...]:
        loss = validation["val_loss"]
        return (-loss,) if self._monitor == "loss" else (validation[f"val_{self._monitor}"], -loss)


class FiniteLoss(keras.callbacks.Callback):  # type: ignore[misc]
    """Stops with an error when training has diverged, instead of keeping a classifier of NaN weights."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Checks the loss.

        Raises:
            DataError: it is not a finite number.
        """
        if logs and not np.isfinite(logs["loss"]):
            raise DataError(
                f"Training diverged in epoch {epoch + 1}: the loss is {logs['loss']}. "
                "Try a smaller `learning_rate`, for instance a third of it"
            )


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

"""Keras callbacks of a run: the validation metrics, the best epoch, and a progress bar for a person who waits."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["BestEpoch", "ProgressBar"]


class BestEpoch(keras.callbacks.Callback):  # type: ignore[misc]
    """Measure every epoch, keep the weights of the best one, stop when it has long been past.

    Keras' `EarlyStopping` compares one number; here the loss decides between epochs of equal accuracy, which a small
    validation set gives often. After `fit`, the model has the weights of the best epoch, however it ended.

    Attributes:
        history: one mapping an epoch: `epoch` from 1 up, `loss`, `accuracy`, `val_loss`, `val_accuracy` …
        best_epoch: the number of the best epoch; 0 before the first one ends.
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
        """Measure on the validation data, compare, and stop training when patience is over."""
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
        """Put the best weights back."""
        if self._best_weights:
            self.model.set_weights(self._best_weights)

    def _score(self, validation: Mapping[str, float]) -> tuple[float, ...]:
        loss, accuracy = validation["val_loss"], validation["val_accuracy"]
        return (-loss,) if self._monitor == "loss" else (accuracy, -loss)


class ProgressBar(keras.callbacks.Callback):  # type: ignore[misc]
    """A bar over the steps of every epoch, and a line with its results."""

    def __init__(self, console: Console, *, epochs: int, steps_per_epoch: int) -> None:
        super().__init__()
        self._epochs = epochs
        self._steps_per_epoch = steps_per_epoch
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[state]}"),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("training", total=epochs * steps_per_epoch, state="")

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Show the bar."""
        self._progress.start()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Name the epoch."""
        self._progress.update(self._task, description=f"epoch {epoch + 1} of {self._epochs}")

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Advance by a step."""
        state = f"loss {logs['loss']:.3f}" if logs and "loss" in logs else ""
        self._progress.update(self._task, advance=1, state=state)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Leave a line behind."""
        shown = "  ".join(f"{name} {value:.4f}" for name, value in (logs or {}).items())
        self._progress.console.print(f"epoch {epoch + 1:>2}  {shown}", highlight=False)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Remove the bar."""
        self.close()

    def close(self) -> None:
        """Remove the bar; safe to call twice, and needed when training was interrupted."""
        self._progress.stop()

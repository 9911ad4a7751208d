"""Plots of a training run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

__all__ = ["draw_curves"]

_TRAINING_COLOR = "#7a7a7a"
_VALIDATION_COLOR = "#0b6bcb"


def draw_curves(history: Sequence[Mapping[str, Any]], best_epoch: int, path: str | Path) -> None:
    """Writes a PNG with the loss and the accuracy of every epoch, on the training and on the validation data.

    With several labels for a text, the accuracy is the share of texts with exactly the right labels.

    The figure is made without pyplot, so it needs no display and changes no global state; the same history gives the
    same bytes.

    Args:
        history: One mapping an epoch with `epoch`, `loss`, `accuracy`, and `val_loss`, `val_accuracy` if there are
            validation data.
        best_epoch: Epoch to mark.
        path: File to write.

    Example:
        >>> epoch = {"epoch": 1, "loss": 0.9, "accuracy": 0.5, "val_loss": 0.8, "val_accuracy": 0.6}
        >>> draw_curves([epoch], 1, "curves.png")
        >>> Path("curves.png").read_bytes()[1:4]
        b'PNG'
    """
    figure = Figure(figsize=(9, 3.6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    epochs = [row["epoch"] for row in history]
    accuracy = "accuracy" if "accuracy" in history[0] else "subset_accuracy"
    for axes, name in zip(figure.subplots(1, 2), ("loss", accuracy), strict=True):
        axes.plot(epochs, [row[name] for row in history], "o-", color=_TRAINING_COLOR, label="training", ms=3)
        measured = [(row["epoch"], row[f"val_{name}"]) for row in history if f"val_{name}" in row]
        if measured:
            axes.plot(*zip(*measured, strict=True), "o-", color=_VALIDATION_COLOR, label="validation", ms=3)
        axes.axvline(best_epoch, color=_VALIDATION_COLOR, ls=":", lw=1, label=f"best epoch ({best_epoch})")
        axes.set(xlabel="epoch", ylabel=name.replace("_", " "), xlim=(0.5, len(epochs) + 0.5))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25)
    figure.axes[1].legend(frameon=False)
    figure.savefig(path, format="png", metadata={"Software": "edgedistil"})

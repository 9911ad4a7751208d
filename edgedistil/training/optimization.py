"""The optimizer of a run: AdamW, a learning rate that rises and falls linearly, and clipped gradients."""

from typing import Any

import keras

from edgedistil.training.settings import TrainingSettings

__all__ = ["WarmupLinearDecay", "build_optimizer"]


class WarmupLinearDecay(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Learning rate from 0 to the peak over the warm-up steps, then to 0 by the last step (BERT, appendix A.2).

    Args:
        peak: Highest learning rate.
        warmup_steps: Steps in which it rises.
        total_steps: Steps of the whole run.

    Example:
        >>> rate = WarmupLinearDecay(0.5, warmup_steps=2, total_steps=4)
        >>> [float(rate(step)) for step in range(4)]
        [0.25, 0.5, 0.25, 0.0]
    """

    def __init__(self, peak: float, *, warmup_steps: int, total_steps: int) -> None:
        self.peak = peak
        self.warmup_steps = max(1, warmup_steps)
        self.total_steps = max(self.warmup_steps + 1, total_steps)

    def __call__(self, step: Any) -> Any:
        """The learning rate of a step, counted from 0."""
        # + 1: a first step with rate 0 would be wasted.
        position = keras.ops.cast(step, "float32") + 1.0
        rising = position / self.warmup_steps
        falling = (self.total_steps - position) / (self.total_steps - self.warmup_steps)
        return self.peak * keras.ops.maximum(keras.ops.minimum(rising, falling), 0.0)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"peak": self.peak, "warmup_steps": self.warmup_steps, "total_steps": self.total_steps}


def build_optimizer(settings: TrainingSettings, *, steps_per_epoch: int) -> Any:
    """AdamW for a run of `settings.epochs` epochs.

    Example:
        >>> optimizer = build_optimizer(TrainingSettings(epochs=2), steps_per_epoch=50)
        >>> optimizer.weight_decay, optimizer.global_clipnorm
        (0.01, 1.0)
    """
    total = steps_per_epoch * settings.epochs
    optimizer = keras.optimizers.AdamW(
        WarmupLinearDecay(
            settings.learning_rate, warmup_steps=round(total * settings.warmup_fraction), total_steps=total
        ),
        weight_decay=settings.weight_decay,
        global_clipnorm=settings.clip_norm,
    )
    # Biases and layer norms are left out, as in BERT: decay would only work against the loss there.
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer

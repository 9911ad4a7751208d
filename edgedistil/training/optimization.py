"""The optimizer of a run: AdamW, a learning rate that rises and falls linearly, and clipped gradients."""

import re
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from edgedistil.training.settings import TrainingSettings
from edgedistil_runtime.errors import DataError

__all__ = ["LayerwiseAdamW", "WarmupLinearDecay", "build_optimizer", "rate_factor"]


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


class LayerwiseAdamW(keras.optimizers.AdamW):  # type: ignore[misc]
    """AdamW (https://arxiv.org/abs/1711.05101) with a learning rate for each variable, as one kernel a variable.

    Keras computes Adam with about ten passes over every variable. TensorFlow's kernel does the same in one.

    Args:
        learning_rate: As in Keras.
        rate_of: Returns the factor of the learning rate of a variable, from the variable's path.
        options: As in `keras.optimizers.AdamW`.

    Example:
        >>> variable = keras.Variable([1.0, 2.0])
        >>> optimizer = LayerwiseAdamW(0.1, rate_of=lambda path: 0.5, weight_decay=0.0)
        >>> optimizer.apply([tf.constant([1.0, -1.0])], [variable])
        >>> [round(value, 3) for value in variable.numpy().tolist()]
        [0.95, 2.05]
    """

    def __init__(self, learning_rate: Any, *, rate_of: Callable[[str], float], **options: Any) -> None:
        super().__init__(learning_rate, **options)
        self._rate_of = rate_of

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """Updates variables; the gradient of an embedding table is made dense first.

        A piece that occurs twice in a batch has two slices, whose sum counts in the global norm.
        """
        super().apply(
            [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in grads], trainable_variables
        )

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates a variable."""
        index = self._get_variable_index(variable)
        step = keras.ops.cast(self.iterations, gradient.dtype) + 1.0
        tf.raw_ops.ResourceApplyAdam(
            var=_handle(variable),
            m=_handle(self._momentums[index]),
            v=_handle(self._velocities[index]),
            beta1_power=tf.pow(tf.constant(self.beta_1, step.dtype), step),
            beta2_power=tf.pow(tf.constant(self.beta_2, step.dtype), step),
            lr=self._rate(index, learning_rate),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )

    def _apply_weight_decay(self, variables: Any) -> None:
        if not self.weight_decay:
            return
        for variable in variables:
            if self._use_weight_decay(variable):
                rate = self._rate(self._get_variable_index(variable), self.learning_rate)
                variable.assign(variable.value * (1.0 - rate * self.weight_decay))

    def _rate(self, index: int, learning_rate: Any) -> Any:
        variable = self._trainable_variables[index]
        return tf.cast(learning_rate, variable.dtype) * self._rate_of(variable.path)


def build_optimizer(settings: TrainingSettings, *, steps_per_epoch: int, num_layers: int = 0) -> Any:
    """AdamW for a run of `settings.epochs` epochs.

    Args:
        settings: Settings, with a learning rate.
        steps_per_epoch: Batches in an epoch.
        num_layers: Layers of the backbone; read only if `layer_decay` is not 1.

    Raises:
        DataError: the settings have no learning rate.

    Example:
        >>> optimizer = build_optimizer(TrainingSettings(epochs=2), steps_per_epoch=50)
        >>> optimizer.weight_decay, optimizer.global_clipnorm
        (0.01, 1.0)
    """
    if settings.learning_rate is None:
        raise DataError("An optimizer needs a `learning_rate`, see `TrainingSettings.with_rate`. Received: None")
    accumulated = settings.accumulated_batches
    total = steps_per_epoch * settings.epochs // accumulated  # updates: the other steps only add up gradients
    optimizer = LayerwiseAdamW(
        WarmupLinearDecay(
            settings.learning_rate, warmup_steps=round(total * settings.warmup_fraction), total_steps=total
        ),
        rate_of=lambda path: rate_factor(path, settings.layer_decay, num_layers),
        weight_decay=settings.weight_decay,
        global_clipnorm=settings.clip_norm,
        gradient_accumulation_steps=accumulated if accumulated > 1 else None,
    )
    # Biases and layer norms are left out, as in BERT: decay would only work against the loss there.
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def rate_factor(path: str, layer_decay: float, num_layers: int) -> float:
    """Factor of the learning rate of a variable: 1 in the head, and `layer_decay` times less for every layer below.

    Layer-wise decay is from ULMFiT (https://arxiv.org/abs/1801.06146).

    Example:
        >>> paths = ("logits/kernel", "transformer_layer_1/query", "transformer_layer_0/query", "embeddings")
        >>> [round(rate_factor(path, 0.9, num_layers=2), 3) for path in paths]
        [1.0, 0.9, 0.81, 0.729]
    """
    layer = re.search(r"transformer_layer_(\d+)/", path)
    if layer:
        return float(layer_decay ** (num_layers - int(layer.group(1))))
    return float(layer_decay ** (num_layers + 1)) if "embedding" in path else 1.0


def _handle(variable: Any) -> Any:
    return (variable.value if isinstance(variable, keras.Variable) else variable).handle

"""Training on several workers: each takes its share of a batch, and all change their weights by the same gradients.

The gradients of a worker are those of its texts' share of the loss of the whole batch. Their sum over the workers is
the gradient of the batch, so the optimizer does in each process what it would do in one. Metrics are sums over texts
and are added up in the same way, so that decisions on them are the same everywhere.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgedistil.training.network import TrainingNetwork
from edgedistil.training.team import Team

__all__ = ["fit_together", "step_of"]


def fit_together(
    network: TrainingNetwork,
    batches: Any,
    *,
    team: Team,
    batch_size: int,
    epochs: int,
    first: int,
    callbacks: Sequence[Any],
) -> None:
    """Trains as `network.fit` does in one process.

    Args:
        network: The compiled network, with the same weights on all workers.
        batches: This worker's shares of the batches of an epoch, as `training_batches` makes them.
        team: The workers.
        batch_size: Texts in a whole batch.
        epochs: Epochs, at most.
        first: Epochs that are done already.
        callbacks: Keras callbacks; what they decide must be the same on all workers.

    Raises:
        WorkerError: A worker was lost.
    """
    listeners = keras.callbacks.CallbackList(
        list(callbacks), add_history=False, add_progbar=False, model=network, epochs=epochs, steps=len(batches)
    )
    step = step_of(network, team, batches.element_spec, batch_size)
    network.stop_training = False
    listeners.on_train_begin()
    for epoch in range(first, epochs):
        listeners.on_epoch_begin(epoch)
        network.reset_metrics()
        logs: dict[str, float] = {}
        for number, batch in enumerate(batches):
            listeners.on_train_batch_begin(number)
            with team.watched():
                logs = {name: float(value) for name, value in step(*batch).items()}
            listeners.on_train_batch_end(number, logs)
        listeners.on_epoch_end(epoch, logs)
        if network.stop_training:
            break
    listeners.on_train_end(logs)


def step_of(network: TrainingNetwork, team: Team, signature: Any, batch_size: int) -> Any:
    """The function that changes the weights once, from this worker's share of a batch.

    Args:
        network: The compiled network.
        team: The workers.
        signature: Types and shapes of a share of a batch, with open dimensions. TensorFlow numbers the sums of a
            process when it traces them, so all workers must trace as often: once.
        batch_size: Texts in a whole batch.
    """
    _build_metrics(network, signature)
    variables, metrics = network.trainable_variables, network.metrics_variables
    shapes = [tuple(one.shape) for one in (*variables, *metrics)]
    sizes = [int(np.prod(shape)) for shape in shapes]
    # Parts of a batch draw their dropout by the number of their first text: no two workers draw the same.
    start = team.index * batch_size

    def own(data: Any, total: Any) -> list[Any]:
        before = [tf.identity(one.value) for one in metrics]
        gradients = network.gradients(data, total, draw=start)
        return [*gradients, *(one.value - old for one, old in zip(metrics, before, strict=True))]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def step(inputs: Any, targets: Any, weights: Any, total: Any) -> Any:
        old = [tf.identity(one.value) for one in metrics]
        # The last batch may have fewer texts than there are workers.
        values = tf.cond(
            tf.shape(weights)[0] > 0,
            lambda: own((inputs, targets, weights), total),
            lambda: [tf.zeros(shape, one.dtype) for shape, one in zip(shapes, (*variables, *metrics), strict=True)],
        )
        # As one tensor: the time of a sum over all workers hardly depends on its size while it is small.
        whole = team.add_up(tf.concat([tf.reshape(value, [-1]) for value in values], 0))
        summed = [tf.reshape(part, shape) for part, shape in zip(tf.split(whole, sizes), shapes, strict=True)]
        for metric, before, change in zip(metrics, old, summed[len(variables) :], strict=True):
            metric.assign(before + change)
        network.optimizer.apply_gradients(zip(summed[: len(variables)], variables, strict=True))
        return network.get_metrics_result()

    return step


def _build_metrics(network: TrainingNetwork, signature: Any) -> None:
    """Makes the variables of the metrics, which Keras makes when they first get values."""
    _, targets, weights, _ = signature
    some = tf.zeros((1, *targets.shape[1:]), targets.dtype)
    logits = tf.zeros((1, network.num_classes), keras.config.floatx())
    network.compute_metrics({}, some, logits, sample_weight=tf.ones(1, weights.dtype))
    network.reset_metrics()

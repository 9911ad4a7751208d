"""Refuses a training on several workers, which Keras 3 cannot do with `fit`.

TensorFlow's launchers name the workers of a cluster in the environment variable `TF_CONFIG`
(https://www.tensorflow.org/guide/distributed_training). Under `tf.distribute.MultiWorkerMirroredStrategy`, `fit` of
Keras 3.15 fails with a ValueError about PerReplica values; without that strategy the variable has no effect, and each
worker trains a separate classifier on all the data.
"""

import json
import os
from typing import Any

from edgedistil_runtime.errors import InputError

__all__ = ["check_one_worker"]

_VARIABLE = "TF_CONFIG"
_TRAINING = ("chief", "master", "worker")  # the tasks that train; `ps` and `evaluator` do not


def check_one_worker() -> None:
    """Checks that the environment names one process that trains, at most.

    Raises:
        InputError: It names several, or the variable is no JSON object as TensorFlow describes it.

    Example:
        >>> check_one_worker()
        >>> os.environ["TF_CONFIG"] = '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}'
        >>> check_one_worker()
        Traceback (most recent call last):
        edgedistil_runtime.errors.InputError: A training runs in one process, and the environment variable TF_CONFIG ...
        >>> del os.environ["TF_CONFIG"]
    """
    content = os.environ.get(_VARIABLE, "").strip()
    if not content:
        return
    try:
        tasks = _addresses(json.loads(content))
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"The environment variable {_VARIABLE} is no JSON object as TensorFlow describes it. Remove it: a training "
            f"runs in one process. Received: {content:.120}"
        ) from error
    if len(tasks) > 1:
        raise InputError(
            f"A training runs in one process, and the environment variable {_VARIABLE} names {len(tasks)}: "
            f"{', '.join(tasks[:4])}{', ...' if len(tasks) > 4 else ''}. Each would train a separate classifier on "
            "all the data, and `fit` of Keras 3 fails if TensorFlow's MultiWorkerMirroredStrategy joins them. Remove "
            "the variable, and train on one machine"
        )


def _addresses(config: Any) -> list[str]:
    """The addresses of the tasks that train."""
    cluster = config.get("cluster") or {}
    return [str(address) for task in _TRAINING for address in cluster.get(task) or ()]

"""Refuses several workers where only one process works.

A training in one process ignores the environment variable `TF_CONFIG`: each worker would train a separate classifier on
all the data. `edgedistil.training.team` joins the workers instead.
"""

from edgedistil.training.cluster import VARIABLE, read_cluster
from edgedistil_runtime.errors import InputError

__all__ = ["check_one_worker"]

_MOST_SHOWN = 4


def check_one_worker(instead: str) -> None:
    """Checks that the environment names one process that trains, at most.

    Args:
        instead: What to do, for the message.

    Raises:
        InputError: It names several, or the variable is malformed.

    Example:
        >>> check_one_worker("Train on one machine")
        >>> os.environ["TF_CONFIG"] = '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}'
        >>> check_one_worker("Train on one machine")
        Traceback (most recent call last):
        edgedistil_runtime.errors.InputError: This runs in one process, and the environment variable TF_CONFIG names ...
        >>> del os.environ["TF_CONFIG"]
    """
    cluster = read_cluster()
    if cluster is None:
        return
    shown = ", ".join(cluster.addresses[:_MOST_SHOWN]) + (", ..." if cluster.size > _MOST_SHOWN else "")
    raise InputError(
        f"This runs in one process, and the environment variable {VARIABLE} names {cluster.size} ({shown}), each of "
        f"which would do all of the work. {instead}, or remove the variable"
    )

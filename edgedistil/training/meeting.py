"""Waits until all workers of a training are there, before TensorFlow connects them.

TensorFlow waits for missing workers inside a call that no signal ends, and does not say which ones it waits for. So
each worker first listens at its own address for a moment, and connects to all others. This module imports no
TensorFlow.
"""

import hashlib
import socket
import time
from collections.abc import Callable

from edgedistil.training.cluster import VARIABLE, Cluster
from edgedistil_runtime.errors import WorkerError

__all__ = ["meet"]

_PAUSE_SECONDS = 0.1
_CONNECT_SECONDS = 2.0
_MOST_BYTES = 128  # of a greeting
_MOST_SHOWN = 8
_GREETING = "edgedistil-worker"


def meet(cluster: Cluster, *, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
    """Waits for the other workers.

    Args:
        cluster: The workers.
        seconds: How long to wait.
        clock: Returns the time in seconds.

    Raises:
        InputError: This process cannot listen at its address.
        WorkerError: Workers are missing, or one has another list of workers.

    Example:
        >>> import threading
        >>> workers = [Cluster(("127.0.0.1:38211", "127.0.0.1:38212"), index) for index in (0, 1)]
        >>> threads = [threading.Thread(target=meet, args=(one,), kwargs={"seconds": 60}) for one in workers]
        >>> for thread in threads:
        ...     thread.start()
        >>> for thread in threads:
        ...     thread.join()
    """
    end = clock() + seconds
    others = set(range(cluster.size)) - {cluster.index}
    reached: set[int] = set()
    came: set[int] = set()
    with cluster.listen() as listener:
        listener.settimeout(_PAUSE_SECONDS)
        while reached & came != others:
            reached |= {other for other in others - reached if _greet(cluster, other)}
            came |= _visitors(cluster, listener)
            if clock() > end:
                raise WorkerError(_missing(cluster, sorted(others - (reached & came)), seconds))


def _greet(cluster: Cluster, other: int) -> bool:
    """Connects to another worker and says who this one is; returns False if nobody listens there."""
    try:
        with socket.create_connection(cluster.host_and_port(other), timeout=_CONNECT_SECONDS) as connection:
            connection.sendall(_greeting(cluster, cluster.index))
            return connection.recv(1) == b"+"
    except OSError:
        return False


def _visitors(cluster: Cluster, listener: socket.socket) -> set[int]:
    """The workers that connect within a moment."""
    found: set[int] = set()
    while True:
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            return found
        with connection:
            number = _visitor(cluster, connection)
        if number is not None:
            found.add(number)


def _visitor(cluster: Cluster, connection: socket.socket) -> int | None:
    """Number of the worker at the other end; `None` if it is something else."""
    connection.settimeout(_CONNECT_SECONDS)
    try:
        content = connection.recv(_MOST_BYTES)
        expected = {_greeting(cluster, number): number for number in range(cluster.size)}
        if content in expected:
            connection.sendall(b"+")
            return expected[content]
    except OSError:
        return None
    if content.startswith(_GREETING.encode()):
        raise WorkerError(
            f"All workers must have the same `cluster` in {VARIABLE}, and a worker came to {cluster.name()} that has "
            "another one. Correct it, and start all workers again"
        )
    return None


def _greeting(cluster: Cluster, number: int) -> bytes:
    digest = hashlib.sha256("\n".join(cluster.addresses).encode()).hexdigest()
    return f"{_GREETING} {number} {digest[:32]}\n".encode()


def _missing(cluster: Cluster, numbers: list[int], seconds: float) -> str:
    shown = " and ".join(cluster.name(number) for number in numbers[:_MOST_SHOWN])
    more = f" and {len(numbers) - _MOST_SHOWN} more" if len(numbers) > _MOST_SHOWN else ""
    return (
        f"{cluster.name()} waited {seconds:g} s for {shown}{more}. Start all {cluster.size} workers with the same "
        f"{VARIABLE} except for `task`, and see that each can connect to the others' addresses. If they only begin at "
        "different times, start this one again"
    )

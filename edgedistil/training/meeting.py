"""Waits until all workers of a training are there, before TensorFlow connects them.

TensorFlow waits for missing workers inside a call that no signal ends, and does not say which ones it waits for. So
each worker first listens at its own address for a moment, and connects to all others. This module imports no
TensorFlow.
"""

import hashlib
import socket
import socketserver
import threading
import time
from collections.abc import Callable

from edgedistil.training.cluster import VARIABLE, Cluster
from edgedistil_runtime.errors import WorkerError

__all__ = ["meet"]

_PAUSE_SECONDS = 0.1
_CONNECT_SECONDS = 10.0
_MOST_BYTES = 128  # of a greeting
_MOST_SHOWN = 8
_GREETING = "edgedistil-worker"
_WELCOME, _REFUSAL, _THANKS = b"+", b"-", b"!"


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
    with _Reception(cluster) as reception:
        threading.Thread(target=reception.serve_forever, args=(_PAUSE_SECONDS,), daemon=True).start()
        try:
            while reached & reception.came != others:
                for other in others - reached:
                    if _greet(cluster, other):
                        reached.add(other)
                if reception.has_refused:
                    raise WorkerError(_other_cluster(cluster))
                if clock() > end:
                    raise WorkerError(_missing(cluster, sorted(others - (reached & reception.came)), seconds))
                time.sleep(_PAUSE_SECONDS)
        finally:
            reception.shutdown()


class _Reception(socketserver.ThreadingTCPServer):
    """Listens at this worker's address.

    Attributes:
        came: The workers that have come, and know that they were welcome.
        has_refused: A worker came that has another list of workers.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(("", 0), _Visit, bind_and_activate=False)
        self.socket.close()
        self.socket = cluster.listen()
        self.guests = {_greeting(cluster, number): number for number in range(cluster.size)}
        self.came: set[int] = set()
        self.has_refused = False


class _Visit(socketserver.BaseRequestHandler):
    """A connection to this worker."""

    server: _Reception

    def handle(self) -> None:
        """Answers a greeting; anything else gets no answer."""
        try:
            self.request.settimeout(_CONNECT_SECONDS)
            content = self.request.recv(_MOST_BYTES)
            number = self.server.guests.get(content)
            if number is not None:
                self.request.sendall(_WELCOME)
                # Only now it is known at both ends: this worker may leave as soon as all have come.
                if self.request.recv(1) == _THANKS:
                    self.server.came.add(number)
            elif content.startswith(_GREETING.encode()):
                self.server.has_refused = True
                self.request.sendall(_REFUSAL)
        except OSError:
            return


def _greet(cluster: Cluster, other: int) -> bool:
    """Connects to another worker and says who this one is; returns False if nobody answers there."""
    try:
        with socket.create_connection(cluster.host_and_port(other), timeout=_CONNECT_SECONDS) as connection:
            connection.sendall(_greeting(cluster, cluster.index))
            answer = connection.recv(1)
            if answer == _WELCOME:
                connection.sendall(_THANKS)
    except OSError:
        return False
    if answer == _REFUSAL:
        raise WorkerError(_other_cluster(cluster))
    return answer == _WELCOME


def _greeting(cluster: Cluster, number: int) -> bytes:
    digest = hashlib.sha256("\n".join(cluster.addresses).encode()).hexdigest()
    return f"{_GREETING} {number} {digest[:32]}\n".encode()


def _other_cluster(cluster: Cluster) -> str:
    return (
        f"All workers must have the same `cluster` in {VARIABLE}, and one of them has another one than "
        f"{cluster.name()}. Correct it, and start all workers again"
    )


def _missing(cluster: Cluster, numbers: list[int], seconds: float) -> str:
    shown = " and ".join(cluster.name(number) for number in numbers[:_MOST_SHOWN])
    more = f" and {len(numbers) - _MOST_SHOWN} more" if len(numbers) > _MOST_SHOWN else ""
    return (
        f"{cluster.name()} waited {seconds:g} s for {shown}{more}. Start all {cluster.size} workers with the same "
        f"{VARIABLE} except for `task`, and see that each can connect to the others' addresses. If they only begin at "
        "different times, start this one again"
    )

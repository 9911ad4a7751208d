"""Waits until all workers of a training are there, before TensorFlow connects them.

TensorFlow waits for missing workers inside a call that no signal ends, and does not say which ones it waits for. So
each worker first listens at its address until all others have connected, and connects to all of them. This module
imports no TensorFlow.
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
_MOST_BYTES = 128  # of a message
_MOST_SHOWN = 8
_MESSAGE = "edgedistil-worker"
_ACCEPTED, _REFUSED, _CONFIRMED = b"+", b"-", b"!"


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
    with _Server(cluster) as server:
        threading.Thread(target=server.serve_forever, args=(_PAUSE_SECONDS,), daemon=True).start()
        try:
            while reached & server.connected != others:
                for other in others - reached:
                    if _connect(cluster, other):
                        reached.add(other)
                if server.has_refused:
                    raise WorkerError(_other_cluster(cluster))
                if clock() > end:
                    raise WorkerError(_missing(cluster, sorted(others - (reached & server.connected)), seconds))
                time.sleep(_PAUSE_SECONDS)
        finally:
            server.shutdown()


class _Server(socketserver.ThreadingTCPServer):
    """Listens at this worker's address.

    Attributes:
        known: Message of a worker with the same list of workers -> its number.
        connected: The workers that have connected and received the answer.
        has_refused: A worker connected that has another list of workers.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(("", 0), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = cluster.listen()
        self.known = {_message(cluster, number): number for number in range(cluster.size)}
        self.connected: set[int] = set()
        self.has_refused = False


class _Handler(socketserver.BaseRequestHandler):
    """A connection to this worker."""

    server: _Server

    def handle(self) -> None:
        """Answers the message of a worker; anything else gets no answer."""
        try:
            self.request.settimeout(_CONNECT_SECONDS)
            content = self.request.recv(_MOST_BYTES)
            number = self.server.known.get(content)
            if number is not None:
                self.request.sendall(_ACCEPTED)
                # Only now both know: this worker stops listening as soon as all have connected.
                if self.request.recv(1) == _CONFIRMED:
                    self.server.connected.add(number)
            elif content.startswith(_MESSAGE.encode()):
                self.server.has_refused = True
                self.request.sendall(_REFUSED)
        except OSError:
            return


def _connect(cluster: Cluster, other: int) -> bool:
    """Connects to another worker and sends it this one's number; returns False if nobody answers there."""
    try:
        with socket.create_connection(cluster.host_and_port(other), timeout=_CONNECT_SECONDS) as connection:
            connection.sendall(_message(cluster, cluster.index))
            answer = connection.recv(1)
            if answer == _ACCEPTED:
                connection.sendall(_CONFIRMED)
    except OSError:
        return False
    if answer == _REFUSED:
        raise WorkerError(_other_cluster(cluster))
    return answer == _ACCEPTED


def _message(cluster: Cluster, number: int) -> bytes:
    digest = hashlib.sha256("\n".join(cluster.addresses).encode()).hexdigest()
    return f"{_MESSAGE} {number} {digest[:32]}\n".encode()


def _other_cluster(cluster: Cluster) -> str:
    return (
        f"All workers must have the same `cluster` in {VARIABLE}, and one of them has other workers than "
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

"""The socket, and an end at which nothing is lost: uvicorn with a longer goodbye.

uvicorn closes idle connections as soon as it is told to end, also one whose next request is already on its way; that
client sees a reset and no answer. Here the end has two steps: the listening socket is closed first, so that new
connections are refused before anything was sent, and open ones are answered for a moment longer, with
`Connection: close`. What is idle after that is closed, and what is being answered is waited for.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

import uvicorn

from edgedistil_runtime.classifier import TextClassifier
from edgedistil_runtime.errors import EdgeDistilError
from edgedistil_runtime.serving.application import ClassifierApplication
from edgedistil_runtime.serving.gate import Gate
from edgedistil_runtime.serving.hosts import HostRule
from edgedistil_runtime.serving.limits import ServingLimits

__all__ = ["ClassifierServer", "bind", "make_server"]

_DRAIN_SECONDS = 1.0  # for a request that is on its way; idle connections delay the end by so much
_KEEP_ALIVE_SECONDS = 30
_LISTEN_BACKLOG = 1024


def make_server(
    classifier: TextClassifier,
    model_path: str | os.PathLike[str],
    *,
    limits: ServingLimits,
    host_rule: HostRule,
    on_ready: Callable[[], None] = lambda: None,
) -> ClassifierServer:
    """A server that is not yet running.

    Args:
        classifier: stays open while the server runs; see `ClassifierServer.is_model_running` before it is closed.
        model_path: its file.
        limits: on what a request may weigh and how long it may take.
        host_rule: which Host headers are answered.
        on_ready: called once connections are accepted.

    Example:
        ```python
        with bind("127.0.0.1", 0) as listener, TextClassifier("intent.tflite") as classifier:
            rule = HostRule.for_address("127.0.0.1")
            server = make_server(classifier, "intent.tflite", limits=ServingLimits(), host_rule=rule)
            server.serve_until_signal(listener)
        ```
    """
    application = ClassifierApplication(classifier, model_path, limits)
    gate = Gate(application.asgi, host_rule=host_rule, metrics=application.metrics)
    config = uvicorn.Config(
        gate,
        http="h11",  # bounds headers and trailers to 64 KiB; httptools takes them without end
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_LISTEN_BACKLOG,
        limit_concurrency=limits.max_connections,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(limits.body_seconds + limits.answer_seconds) + 1,
    )
    return ClassifierServer(config, application=application, gate=gate, limits=limits, on_ready=on_ready)


class ClassifierServer(uvicorn.Server):
    """uvicorn's server, which ends in two steps and keeps no connection to a client that neither sends nor reads.

    Args:
        config: of uvicorn.
        application: the routes.
        gate: its outermost layer.
        limits: on how long headers may take to arrive and answers to be read.
        on_ready: called once connections are accepted.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        application: ClassifierApplication,
        gate: Gate,
        limits: ServingLimits,
        on_ready: Callable[[], None],
    ) -> None:
        """Does not listen yet."""
        super().__init__(config)
        self._application, self._gate, self._limits, self._on_ready = application, gate, limits, on_ready
        self._silent_since: dict[Any, float] = {}
        self._unread_since: dict[Any, float] = {}

    @property
    def is_model_running(self) -> bool:
        """Whether, once the server has ended, a run that it gave up goes on: closing the classifier waits for that."""
        return self._application.is_model_running

    def serve_until_signal(self, listener: socket.socket) -> None:
        """Serves in the main thread until SIGTERM or Ctrl-C, and returns when all that came in is answered."""

        # uvicorn takes the signals while it runs, then gives them back and raises again those it has seen: to these
        # handlers, which make an ordered end an ordinary return.
        def end(*_: object) -> None:
            self.should_exit = True

        previous = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            self.run(sockets=[listener])
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts to accept connections, and says so."""
        await super().startup(sockets)
        self._on_ready()

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: whether to end. Also ends connections whose client has done nothing for too long."""
        self._close_silent_connections()
        self._cut_unread_connections()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Refuses new connections, gives open ones a moment, then waits for the answers that are due."""
        for server in self.servers:
            server.close()
        self._gate.is_draining = True  # after the close, or a client that is sent away would connect once more
        deadline = time.monotonic() + _DRAIN_SECONDS
        while self.server_state.connections and time.monotonic() < deadline and not self.force_exit:
            await asyncio.sleep(0.02)
        await super().shutdown(sockets)

    def _close_silent_connections(self) -> None:
        """Closes connections that have sent no whole headers for too long: uvicorn's keep-alive begins after those.

        A connection counts as silent while it has no request or its last one is answered, and its next one has begun
        to arrive or it never had one; between requests uvicorn's own keep-alive timer runs.
        """
        self._silent_since = self._since(self._silent_since, _awaits_headers)
        for connection in _overdue(self._silent_since, self._limits.body_seconds):
            connection.transport.close()  # what is still to be sent has its own time

    def _cut_unread_connections(self) -> None:
        """Cuts connections with bytes that their client has not taken for too long.

        uvicorn has no clock for these: the next answer waits until they are sent, and so does the end of a connection.
        """
        self._unread_since = self._since(self._unread_since, _has_unsent)
        for connection in _overdue(self._unread_since, self._limits.read_seconds):
            connection.transport.abort()

    def _since(self, before: Mapping[Any, float], is_so: Callable[[Any], bool]) -> dict[Any, float]:
        """Since when, in seconds of the monotonic clock, each open connection of which it is so has been so."""
        now = time.monotonic()
        return {
            connection: before.get(connection, now) for connection in self.server_state.connections if is_so(connection)
        }


def _overdue(since: Mapping[Any, float], seconds: float) -> list[Any]:
    deadline = time.monotonic() - seconds
    return [connection for connection, begin in since.items() if begin < deadline]


def _has_unsent(connection: Any) -> bool:
    return bool(connection.transport.get_write_buffer_size())


def _awaits_headers(connection: Any) -> bool:
    is_between_requests = connection.cycle is None or connection.cycle.response_complete
    return is_between_requests and connection.timeout_keep_alive_task is None


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to an address, which does not listen yet: until the model is ready, connections are refused.

    Args:
        host: an address or a name.
        port: 0 takes a free one.

    Raises:
        EdgeDistilError: the address cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:  # the latter: no name in IDNA, such as one with an empty label
        raise _cannot_listen(host, port, error) from error
    try:
        if os.name == "posix":  # elsewhere it lets two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise _cannot_listen(host, port, error) from error
    return listener


def _cannot_listen(host: str, port: int, error: Exception) -> EdgeDistilError:
    return EdgeDistilError(
        f"The server cannot listen there: {error}. Received: host {host!r}, port {port}. "
        "Give an address of this machine and a free port; `port`=0 takes any."
    )

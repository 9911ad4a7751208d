"""The server: uvicorn with a shutdown that loses no request.

uvicorn closes idle connections as soon as it shuts down, even if the next request is already on its way; that client
gets a reset and no response. Here shutdown has two steps. First the listening socket is closed, so that new connections
are refused before anything was sent, while open connections get responses for a moment longer, with
`Connection: close`. Then idle connections are closed and responses in progress are finished.
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

_DRAIN_SECONDS = 1.0  # for requests on their way; idle connections delay the shutdown by this much
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
    """Return a server that is not running yet.

    Args:
        classifier: The classifier, which must stay open while the server runs; see
            `ClassifierServer.is_model_running` before closing it.
        model_path: The classifier's file.
        limits: Bounds of requests.
        host_rule: Allowed Host headers.
        on_ready: Called when connections are accepted.

    Example:
        >>> with bind("127.0.0.1", 0) as listener, TextClassifier("intents.tflite") as classifier:
        ...     rule = HostRule.for_address("127.0.0.1")
        ...     server = make_server(
        ...         classifier,
        ...         "intents.tflite",
        ...         limits=ServingLimits(),
        ...         host_rule=rule,
        ...         on_ready=lambda: signal.raise_signal(signal.SIGTERM),  # as a service manager would
        ...     )
        ...     server.serve_until_signal(listener)
        >>> server.is_model_running
        False
    """
    application = ClassifierApplication(classifier, model_path, limits)
    gate = Gate(application.asgi, host_rule=host_rule, metrics=application.metrics)
    config = uvicorn.Config(
        gate,
        http="h11",  # limits headers and trailers to 64 KiB
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
    """uvicorn's server with a shutdown in two steps and time limits for clients that neither send nor read.

    Args:
        config: uvicorn's configuration.
        application: The routes.
        gate: The outermost layer of the application.
        limits: Bounds of requests; `body_seconds` and `read_seconds` are used here.
        on_ready: Called when connections are accepted.
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
        super().__init__(config)
        self._application, self._gate, self._limits, self._on_ready = application, gate, limits, on_ready
        self._silent_since: dict[Any, float] = {}
        self._unread_since: dict[Any, float] = {}

    @property
    def is_model_running(self) -> bool:
        """True if a run goes on after the server has ended; closing the classifier would wait for it."""
        return self._application.is_model_running

    def serve_until_signal(self, listener: socket.socket) -> None:
        """Serve in the main thread until SIGTERM or Ctrl-C, and return when all received requests are answered."""

        # uvicorn handles the signals while it runs, then restores the handlers and raises the signals again. These
        # handlers turn that into an ordinary return.
        def end(*_: object) -> None:
            self.should_exit = True

        previous = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            self.run(sockets=[listener])
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept connections, then call `on_ready`."""
        await super().startup(sockets)
        self._on_ready()

    async def on_tick(self, counter: int) -> bool:
        """Return True to end; called ten times a second. Also closes connections that exceed a time limit."""
        self._close_silent_connections()
        self._cut_unread_connections()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Refuse new connections, serve open ones for a moment, then finish the responses in progress."""
        for server in self.servers:
            server.close()
        self._gate.is_draining = True  # after the close, or these clients would connect again
        deadline = time.monotonic() + _DRAIN_SECONDS
        while self.server_state.connections and time.monotonic() < deadline and not self.force_exit:
            await asyncio.sleep(0.02)
        await super().shutdown(sockets)

    def _close_silent_connections(self) -> None:
        """Close connections whose headers take longer than `body_seconds`; uvicorn's keep-alive starts after headers.

        A connection is silent if no request is in progress and either it never had one or the next one has begun to
        arrive. Between requests uvicorn's keep-alive timer runs.
        """
        self._silent_since = self._times_since(self._silent_since, _awaits_headers)
        for connection in _overdue(self._silent_since, self._limits.body_seconds):
            connection.transport.close()  # unsent bytes have their own time limit

    def _cut_unread_connections(self) -> None:
        """Cut connections whose client has not read for `read_seconds`.

        uvicorn has no time limit for this: the next response and the end of the connection wait until all is sent.
        """
        self._unread_since = self._times_since(self._unread_since, _has_unsent)
        for connection in _overdue(self._unread_since, self._limits.read_seconds):
            connection.transport.abort()

    def _times_since(self, before: Mapping[Any, float], is_so: Callable[[Any], bool]) -> dict[Any, float]:
        """Return the open connections for which `is_so` holds, each with the monotonic time since when it does."""
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
    """Return a socket bound to an address. It does not listen yet, so that connections are refused until then.

    Args:
        host: An address or a name.
        port: A port; 0 takes a free one.

    Raises:
        EdgeDistilError: The address is unavailable.

    Example:
        >>> with bind("127.0.0.1", 0) as listener:
        ...     listener.getsockname()[1] > 0
        True
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:  # UnicodeError: not a name in IDNA, for instance with an empty label
        raise _cannot_listen(host, port, error) from error
    try:
        if os.name == "posix":  # on other systems it lets two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise _cannot_listen(host, port, error) from error
    return listener


def _cannot_listen(host: str, port: int, error: Exception) -> EdgeDistilError:
    return EdgeDistilError(
        f"The server cannot listen there: {error}. Received: host {host!r}, port {port}. "
        "Pass an address of this machine and a free port; `port`=0 takes any."
    )

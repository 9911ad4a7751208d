"""Middleware for every request: check of the Host header, metrics, and connections that close at shutdown."""

from __future__ import annotations

import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edgedistil_runtime.serving.application import ROUTES
from edgedistil_runtime.serving.hosts import HostRule
from edgedistil_runtime.serving.metrics import ServingMetrics
from edgedistil_runtime.serving.refusals import RequestRefused, refusal

__all__ = ["Gate"]


class Gate:
    """ASGI middleware that checks Host headers and counts requests.

    Args:
        application: The wrapped application.
        host_rule: Allowed Host headers; others get status 400.
        metrics: Metrics that count requests.

    Attributes:
        is_draining: True if every response closes its connection, while the server shuts down.
    """

    def __init__(self, application: ASGIApp, *, host_rule: HostRule, metrics: ServingMetrics) -> None:
        self._application, self._host_rule, self._metrics = application, host_rule, metrics
        self.is_draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self.is_draining:
                    MutableHeaders(scope=message)["connection"] = "close"
            await send(message)

        try:
            await self._application_for(Headers(scope=scope).get("host"))(scope, receive, observed)
        finally:
            path = scope["path"] if scope["path"] in ROUTES else "other"
            self._metrics.count_request(path, status, time.perf_counter() - started)

    def _application_for(self, host: str | None) -> ASGIApp:
        if self._host_rule.allows(host):
            return self._application
        legal = ", ".join(sorted(self._host_rule.names or ()))
        message = (
            f"The Host header must name one of {legal}. Received: {host!r}. Its server must allow it (`allowed_hosts`)."
        )
        return refusal(RequestRefused(400, message, {"connection": "close"}))

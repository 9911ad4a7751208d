"""The three routes, as an ASGI application: `POST /classify`, `GET /health`, `GET /metrics`."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from edgedistil_runtime.classification import Classification
from edgedistil_runtime.classifier import TextClassifier
from edgedistil_runtime.errors import InputError
from edgedistil_runtime.serving.batching import MicroBatcher, QueueFull
from edgedistil_runtime.serving.limits import ServingLimits
from edgedistil_runtime.serving.metrics import ServingMetrics
from edgedistil_runtime.serving.refusals import RequestRefused, json_response, refusal
from edgedistil_runtime.serving.requests import ClassifyRequest, parse_request, read_body

__all__ = ["ROUTES", "ClassifierApplication"]

ROUTES = {"/classify": "POST", "/health": "GET", "/metrics": "GET"}
_CLIENT_LEFT = 499  # nginx's number; only the metrics use it
_logger = logging.getLogger(__name__)


class ClassifierApplication:
    """A classifier's routes, queue and metrics.

    Args:
        classifier: The classifier. Its owner closes it after the server has ended, unless `is_model_running` is true
            then.
        model_path: The classifier's file, whose digest `/health` returns.
        limits: Bounds of requests.

    Attributes:
        asgi: The application, for a server with ASGI's lifespan protocol.
        metrics: Metrics of this server.
    """

    def __init__(self, classifier: TextClassifier, model_path: str | os.PathLike[str], limits: ServingLimits) -> None:
        """Read the file once, for its digest."""
        self._classifier, self._limits = classifier, limits
        self._batcher: MicroBatcher | None = None
        self._health = _health(classifier, model_path)
        self.metrics = ServingMetrics(model=self._health["model"], sha256=self._health["sha256"])
        endpoints = {
            "/classify": self._answer_classify,
            "/health": self._answer_health,
            "/metrics": self._answer_metrics,
        }
        self.asgi = Starlette(
            routes=[Route(path, endpoints[path], methods=[method]) for path, method in ROUTES.items()],
            exception_handlers={RequestRefused: _refused, HTTPException: _not_routed, ClientDisconnect: _client_left},
            lifespan=self._lifespan,
        )

    @property
    def is_model_running(self) -> bool:
        """True if the model's thread is alive; after the application has ended, only if a run hangs."""
        return self._batcher is not None and self._batcher.is_alive

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        batcher = self._batcher = MicroBatcher(
            self._classifier.classify_batch,
            max_batch_texts=self._limits.max_batch_texts,
            max_queued_texts=self._limits.max_queued_texts,
            on_batch=self.metrics.count_batch,
        )
        self.metrics.watch_queue(lambda: batcher.num_queued)
        try:
            yield
        finally:
            await batcher.close(self._limits.answer_seconds)

    async def _answer_classify(self, request: Request) -> Response:
        body = await read_body(request.stream(), request.headers, self._limits)
        asked = parse_request(body, request.headers.get("content-type", ""), self._limits)
        return json_response(asked.answer(await self._classify(asked)))

    async def _classify(self, asked: ClassifyRequest) -> list[Classification]:
        """Run the model and turn its errors into HTTP statuses.

        Raises:
            RequestRefused: 503: the queue is full; 504: it took too long; 422: wrong for this model; 500: it failed.
        """
        assert self._batcher is not None  # routes are called within the lifespan
        seconds = self._limits.answer_seconds
        try:
            return await asyncio.wait_for(self._batcher.classify(asked.texts, asked.text_pairs), seconds)
        except QueueFull as error:
            raise RequestRefused(503, str(error), {"retry-after": "1"}) from error
        except asyncio.TimeoutError as error:
            raise RequestRefused(
                504, f"The model did not answer within {seconds:g} s. Try again, with fewer texts."
            ) from error
        except InputError as error:
            raise RequestRefused(422, str(error)) from error
        except Exception as error:  # only the log has the details, so that clients learn nothing about this machine
            _logger.exception("the model failed")
            raise RequestRefused(500, "The model failed; see the server's log.") from error

    async def _answer_health(self, _: Request) -> Response:
        return json_response(self._health)

    async def _answer_metrics(self, _: Request) -> Response:
        return Response(self.metrics.text(), headers={"content-type": CONTENT_TYPE_LATEST})


def _health(classifier: TextClassifier, model_path: str | os.PathLike[str]) -> dict[str, Any]:
    return {
        "status": "ok",
        "model": classifier.metadata.name,
        "sha256": hashlib.sha256(Path(model_path).read_bytes()).hexdigest(),
        "labels": list(classifier.labels),
        "runtime": dataclasses.asdict(classifier.runtime_info),
    }


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestRefused)
    return refusal(error)


async def _not_routed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    legal = ", ".join(f"{method} {path}" for path, method in ROUTES.items())
    message = f"There is no such route. Legal: {legal}. Received: {request.method} {request.url.path}."
    return refusal(RequestRefused(error.status_code, message, error.headers))


async def _client_left(_: Request, error: Exception) -> Response:
    return Response(status_code=_CLIENT_LEFT)

"""What a client is told when its request is not answered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from edgedistil_runtime.errors import InputError

__all__ = ["RequestRefused", "json_response", "refusal"]


class RequestRefused(InputError):
    """A request gets no classification.

    Args:
        status: the HTTP status.
        message: what is wrong, the legal forms, what was received.
        headers: to send with it.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        """Keeps them."""
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})


def refusal(error: RequestRefused) -> Response:
    """The response: a JSON object with `status` and `error`."""
    return json_response({"status": error.status, "error": str(error)}, status=error.status, headers=error.headers)


def json_response(document: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A response in JSON; non-ASCII as escapes, since a message may quote a lone surrogate."""
    return Response(
        json.dumps(document, default=str) + "\n", status, dict(headers or {}), media_type="application/json"
    )

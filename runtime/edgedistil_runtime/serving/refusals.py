"""Responses to requests that are refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from edgedistil_runtime.errors import InputError

__all__ = ["RequestRefused", "json_response", "refusal"]


class RequestRefused(InputError):
    """A request that gets an HTTP error instead of a classification.

    Args:
        status: HTTP status.
        message: What is wrong, the legal forms, and what was received.
        headers: Headers of the response.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})


def refusal(error: RequestRefused) -> Response:
    r"""Return the response, a JSON object with `status` and `error`.

    Example:
        >>> refusal(RequestRefused(413, "A request may have 256 texts. Received: 300.")).body
        b'{"status": 413, "error": "A request may have 256 texts. Received: 300."}\n'
    """
    return json_response({"status": error.status, "error": str(error)}, status=error.status, headers=error.headers)


def json_response(document: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    r"""Return a response in JSON, with escapes for non-ASCII, because a message may quote a lone surrogate.

    Example:
        >>> json_response({"label": "größer"}).body
        b'{"label": "gr\\u00f6\\u00dfer"}\n'
    """
    return Response(
        json.dumps(document, default=str) + "\n", status, dict(headers or {}), media_type="application/json"
    )

"""The body of `POST /classify`, read within its limits and checked field by field."""

from __future__ import annotations

import asyncio
import json
import reprlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from edgedistil_runtime.classification import Classification
from edgedistil_runtime.serving.limits import ServingLimits
from edgedistil_runtime.serving.refusals import RequestRefused

__all__ = ["ClassifyRequest", "parse_request", "read_body"]

_LEGAL = 'Legal: {"text": "..."} or {"texts": ["...", ...]}, with "text_pair" or "text_pairs" for pairs, and "top"'
_KEYS = frozenset({"text", "texts", "text_pair", "text_pairs", "top"})
# Bodies up to this many times the limit are read and dropped before the response. Otherwise a client that still sends
# may never see it: the kernel answers unread bytes on a closed socket with a reset.
_DROPPED_BODIES = 8


@dataclass(frozen=True)
class ClassifyRequest:
    """A request to classify texts.

    Attributes:
        texts: The texts, at least one.
        text_pairs: One second text per text; None for single texts.
        top: Number of best labels to return; None returns all.
        is_single: True if the request has one text, not a list.
    """

    texts: tuple[str, ...]
    text_pairs: tuple[str, ...] | None
    top: int | None
    is_single: bool

    def answer(self, classifications: list[Classification]) -> dict[str, Any]:
        """Return the body of the response: an object for one text, or a list of objects in `classifications`."""
        answers = [self._answer_one(classification) for classification in classifications]
        return answers[0] if self.is_single else {"classifications": answers}

    def _answer_one(self, classification: Classification) -> dict[str, Any]:
        probabilities = classification.probabilities if self.top is None else dict(classification.top(self.top))
        unknown = {"unknown_score": classification.unknown_score, "is_unknown": classification.is_unknown}
        return {
            "label": classification.label,
            "score": classification.score,
            **({} if classification.labels is None else {"labels": list(classification.labels)}),
            **({} if classification.is_unknown is None else unknown),
            "probabilities": probabilities,
            "is_truncated": classification.is_truncated,
        }


async def read_body(chunks: AsyncIterator[bytes], headers: Mapping[str, str], limits: ServingLimits) -> bytes:
    """Read a body and count its bytes, independently of its Content-Length.

    Raises:
        RequestRefused: 413: it is too large; 408: it arrived too slowly.

    Example:
        >>> async def chunks():
        ...     yield b'{"text": '
        ...     yield b'"hi"}'
        >>> asyncio.run(read_body(chunks(), {}, ServingLimits()))
        b'{"text": "hi"}'
    """
    declared = headers.get("content-length", "")
    if (declared.isdigit() and int(declared) > limits.max_body_bytes * _DROPPED_BODIES) or (
        "expect" in headers and declared.isdigit() and int(declared) > limits.max_body_bytes
    ):
        raise _too_large(limits, f"{int(declared)} bytes")
    try:
        return await asyncio.wait_for(_collect(chunks, limits), limits.body_seconds)
    except asyncio.TimeoutError as error:
        raise RequestRefused(
            408,
            f"The body must arrive within {limits.body_seconds:g} s. Received: only a part of it.",
            {"connection": "close"},
        ) from error


async def _collect(chunks: AsyncIterator[bytes], limits: ServingLimits) -> bytes:
    body, size = bytearray(), 0
    async for chunk in chunks:
        size += len(chunk)
        if size <= limits.max_body_bytes:
            body += chunk
        elif size > limits.max_body_bytes * _DROPPED_BODIES:
            break
    if size > limits.max_body_bytes:
        raise _too_large(limits, f"{size} bytes or more")
    return bytes(body)


def _too_large(limits: ServingLimits, received: str) -> RequestRefused:
    return RequestRefused(
        413,
        f"A body may have {limits.max_body_bytes} bytes. Received: {received}. Send the texts in several requests.",
        {"connection": "close"},
    )


def parse_request(body: bytes, content_type: str, limits: ServingLimits) -> ClassifyRequest:
    """Parse the body of a request.

    The content type must be JSON: web pages can send other types to a foreign server without a preflight request.

    Args:
        body: Body of the request.
        content_type: Content-Type header, or an empty string.
        limits: Bounds of requests.

    Raises:
        RequestRefused: 415: another content type; 400: not JSON; 422: other fields; 413: too many or too long texts.

    Example:
        >>> request = parse_request(b'{"texts": ["hi", "play music"]}', "application/json", ServingLimits())
        >>> request.texts, request.is_single
        (('hi', 'play music'), False)
    """
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise RequestRefused(415, f"The content type must be application/json. Received: {content_type!r}.")
    try:
        data = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise RequestRefused(400, f"The body is not JSON in UTF-8: {error}. {_LEGAL}.") from error
    if not isinstance(data, dict) or not set(data) <= _KEYS or ("text" in data) == ("texts" in data):
        raise _illegal(list(data) if isinstance(data, dict) else data)
    request = _fields(data)
    _check_sizes(request, limits)
    return request


def _fields(data: dict[str, Any]) -> ClassifyRequest:
    is_single = "text" in data
    texts_key, pairs_key = ("text", "text_pair") if is_single else ("texts", "text_pairs")
    if ("text_pairs" if is_single else "text_pair") in data:
        raise _illegal(list(data))
    texts = _strings(texts_key, data, is_single=is_single)
    pairs = _strings(pairs_key, data, is_single=is_single) if pairs_key in data else None
    if pairs is not None and len(pairs) != len(texts):
        raise RequestRefused(
            422, f"There must be one second text for each text. Received: {len(texts)} texts, {len(pairs)} text_pairs."
        )
    top = data.get("top")
    if top is not None and (not isinstance(top, int) or isinstance(top, bool) or top < 1):
        raise RequestRefused(422, f"top must be an integer of at least 1. Received: {reprlib.repr(top)}.")
    return ClassifyRequest(texts, pairs, top, is_single)


def _strings(key: str, data: dict[str, Any], *, is_single: bool) -> tuple[str, ...]:
    value = data[key]
    items = [value] if is_single else value
    if not isinstance(items, list) or not items or not all(isinstance(item, str) for item in items):
        legal = "a string" if is_single else "a non-empty list of strings"
        raise RequestRefused(422, f"{key} must be {legal}. Received: {reprlib.repr(value)}.")
    return tuple(items)


def _check_sizes(request: ClassifyRequest, limits: ServingLimits) -> None:
    if len(request.texts) > limits.max_texts:
        raise RequestRefused(
            413, f"A request may have {limits.max_texts} texts. Received: {len(request.texts)}. Send several requests."
        )
    for text in (*request.texts, *(request.text_pairs or ())):
        size = len(text.encode("utf-8", "surrogatepass"))
        if size > limits.max_text_bytes:
            raise RequestRefused(
                413, f"A text may have {limits.max_text_bytes} bytes in UTF-8. Received: {size}. Shorten it."
            )


def _illegal(received: Any) -> RequestRefused:
    return RequestRefused(
        422, f"The body must be an object with the legal keys. {_LEGAL}. Received: {reprlib.repr(received)}."
    )

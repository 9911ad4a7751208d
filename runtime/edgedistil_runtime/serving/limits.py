"""The bounds of requests, in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, fields

from edgedistil_runtime.errors import EdgeDistilError

__all__ = ["ServingLimits"]


@dataclass(frozen=True)
class ServingLimits:
    """Largest sizes of requests and queues, and longest times.

    Attributes:
        max_body_bytes: Bytes of a request's body, counted as they arrive.
        max_texts: Texts in one request; a pair counts as one.
        max_text_bytes: Bytes of one text in UTF-8. Of ordinary text the tokenizer reads only a page, however long it
            is; text without ids, such as combining marks, costs time and memory for its whole length.
        max_batch_texts: Texts in one run of the model; bounds the time that a text waits for the previous run.
        max_queued_texts: Texts that wait for the model, over all requests; more are refused with status 503.
        max_connections: Open connections; requests on more are refused with status 503.
        body_seconds: Seconds for the headers to arrive, and again for the body.
        answer_seconds: Seconds from the last byte of a request to its response.
        read_seconds: Seconds for a client to read a response; then its connection is cut.

    Raises:
        EdgeDistilError: A limit is not greater than 0, or a request of `max_texts` could never be queued.

    Example:
        >>> ServingLimits(max_texts=8).max_queued_texts
        1024
        >>> ServingLimits(max_texts=8, max_queued_texts=4)
        Traceback (most recent call last):
        ...
        edgedistil_runtime.errors.EdgeDistilError: `max_queued_texts` must be at least `max_texts`...
    """

    max_body_bytes: int = 1 << 20
    max_texts: int = 256
    max_text_bytes: int = 16 << 10
    max_batch_texts: int = 32
    max_queued_texts: int = 1024
    max_connections: int = 512
    body_seconds: float = 5.0
    answer_seconds: float = 10.0
    read_seconds: float = 10.0

    def __post_init__(self) -> None:
        """Refuse limits that contradict one another."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise EdgeDistilError(f"`{field.name}` must be greater than 0. Received: {value!r}.")
        if self.max_texts > self.max_queued_texts:
            raise EdgeDistilError(
                "`max_queued_texts` must be at least `max_texts`, or a whole request could never wait. "
                f"Received: {self.max_queued_texts} and {self.max_texts}."
            )

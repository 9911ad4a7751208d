"""The bounds on what a client may ask for, in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, fields

from edgedistil_runtime.errors import EdgeDistilError

__all__ = ["ServingLimits"]


@dataclass(frozen=True)
class ServingLimits:
    """What a request may weigh, how much may wait, and for how long.

    Attributes:
        max_body_bytes: of a request's body, counted as it arrives.
        max_texts: in one request; a pair counts as one.
        max_text_bytes: of one text in UTF-8. However long, ordinary text costs the tokenizer one page of it; text that
            gives no ids, such as combining marks, costs time and memory for its whole length.
        max_batch_texts: in one run of the model; bounds how long a text waits for the run before it.
        max_queued_texts: that wait for the model, over all requests; more are refused with status 503.
        max_connections: open at the same time; on more, requests are refused with status 503.
        body_seconds: for a request to arrive, its headers and then its body.
        answer_seconds: from its last byte to its answer.
        read_seconds: for a client to read what it is sent; then its connection is cut.

    Raises:
        EdgeDistilError: a limit is not greater than 0, or a request of `max_texts` could never be queued.
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
        """Refuses limits that contradict one another."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise EdgeDistilError(f"`{field.name}` must be greater than 0. Received: {value!r}.")
        if self.max_texts > self.max_queued_texts:
            raise EdgeDistilError(
                "`max_queued_texts` must be at least `max_texts`, or a whole request could never wait. "
                f"Received: {self.max_queued_texts} and {self.max_texts}."
            )

"""A backend without a model, for tests of programs that classify text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from edgedistil_runtime.backends.protocol import Array, Signature, check_inputs
from edgedistil_runtime.contract import CLASSIFY_TEXT, PROBABILITIES, TEXT, TOKEN_IDS, TOKENIZE
from edgedistil_runtime.errors import BackendError

__all__ = ["FakeBackend"]


class FakeBackend:
    """A backend whose outputs a function computes, for tests of programs that classify text.

    Args:
        answer: Function from a signature's name and inputs to its outputs by name.
        signatures: Signatures of the fake model; by default `classify_text` and `tokenize`.

    Attributes:
        calls: Name and inputs of every run so far.
        is_closed: True after `close`.

    Example:
        >>> import numpy as np
        >>> backend = FakeBackend(lambda signature, inputs: {"probabilities": np.array([[0.25, 0.75]], np.float32)})
        >>> backend.run("classify_text", {"text": np.zeros(64, np.int32)})["probabilities"].tolist()
        [[0.25, 0.75]]
    """

    name: ClassVar[str] = "fake"
    version: ClassVar[str] = ""

    def __init__(
        self,
        answer: Callable[[str, Mapping[str, Array]], Mapping[str, Array]],
        *,
        signatures: Mapping[str, Signature] | None = None,
    ) -> None:
        """Store the function; nothing runs yet."""
        self._answer = answer
        self._signatures = dict(
            {
                CLASSIFY_TEXT: Signature(inputs=(TEXT,), outputs=(PROBABILITIES,)),
                TOKENIZE: Signature(inputs=(TEXT,), outputs=(TOKEN_IDS,)),
            }
            if signatures is None
            else signatures
        )
        self.calls: list[tuple[str, Mapping[str, Array]]] = []
        self.is_closed = False

    def signatures(self) -> Mapping[str, Signature]:
        """Return the signatures passed to the constructor."""
        return dict(self._signatures)

    def run(self, signature: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Record the call and return the function's outputs; see `Backend.run`."""
        if self.is_closed:
            raise BackendError("The backend is closed. Make a new one.")
        check_inputs(self._signatures, signature, inputs)
        self.calls.append((signature, inputs))
        return self._answer(signature, inputs)

    def close(self) -> None:
        """Make every later run raise an error."""
        self.is_closed = True

"""A model as a host sees it that cannot resize an input: its signatures of fixed shapes only."""

from __future__ import annotations

from collections.abc import Mapping

from edgedistil_runtime.backends.protocol import Array, Backend, Signature
from edgedistil_runtime.contract import CLASSIFY_TEXT, CLASSIFY_TOKENS
from edgedistil_runtime.errors import BackendError
from edgedistil_runtime.fixed_shapes import is_fixed

__all__ = ["FixedOnlyBackend"]


class FixedOnlyBackend:
    """Lists and runs the signatures of fixed shapes of another backend, which it closes.

    Args:
        backend: Backend of the model.
        length: Only the signatures of this length; None for all.

    Raises:
        BackendError: The model has no such signature.

    Example:
        >>> from edgedistil_runtime import FakeBackend
        >>> names = ("classify_tokens", "classify_tokens_16", "classify_tokens_32")
        >>> signatures = {name: Signature(("token_ids",), ("probabilities",)) for name in names}
        >>> fake = FakeBackend(lambda signature, inputs: {}, signatures=signatures)
        >>> sorted(FixedOnlyBackend(fake, 32).signatures())
        ['classify_tokens_32']
    """

    def __init__(self, backend: Backend, length: int | None = None) -> None:
        """Choose the signatures; nothing runs."""
        self._backend = backend
        self._signatures = {
            name: signature
            for name, signature in backend.signatures().items()
            if is_fixed(name)
            and name.startswith((CLASSIFY_TEXT, CLASSIFY_TOKENS))
            and (length is None or name.endswith(f"_{length}"))
        }
        if not self._signatures:
            raise BackendError(
                f"The model must have signatures of {'fixed lengths' if length is None else f'the length {length}'}. "
                f"Received: {sorted(backend.signatures())}. Convert again with `fixed_lengths`."
            )

    @property
    def name(self) -> str:
        """Name of what executes the model."""
        return self._backend.name

    @property
    def version(self) -> str:
        """Version of what executes the model."""
        return self._backend.version

    def signatures(self) -> Mapping[str, Signature]:
        """Return the signatures of fixed shapes."""
        return dict(self._signatures)

    def run(self, signature: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Run one of them; see `Backend.run`."""
        if signature not in self._signatures:
            raise BackendError(f"The signatures are {sorted(self._signatures)}. Received: {signature!r}.")
        return self._backend.run(signature, inputs)

    def close(self) -> None:
        """Release the model; a second call does nothing."""
        self._backend.close()

"""What executes a model, as the rest of the package sees it: signatures and arrays, and nothing of text or labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy.typing as npt

from edgedistil_runtime.errors import BackendError

__all__ = ["Array", "Backend", "Signature", "check_inputs"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Signature:
    """The names of a signature's inputs and outputs."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Backend(Protocol):
    """Anything that runs the signatures of one model.

    Attributes:
        name: what executes, for people: `ai-edge-litert`.
        version: of that, or an empty string.
    """

    @property
    def name(self) -> str:
        """What executes the model."""

    @property
    def version(self) -> str:
        """The version of what executes the model."""

    def signatures(self) -> Mapping[str, Signature]:
        """The model's signatures by name."""

    def run(self, signature: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Runs one signature.

        Args:
            signature: its name.
            inputs: an array for each of its inputs, in the input's dtype; shapes may differ from call to call.

        Returns:
            An array for each of its outputs, which stays as it is when the backend runs again.

        Raises:
            BackendError: no such signature, inputs it does not take, or the run failed.
        """

    def close(self) -> None:
        """Releases the model; a second call does nothing."""


def check_inputs(signatures: Mapping[str, Signature], name: str, inputs: Mapping[str, Array]) -> None:
    """Refuses a signature that a model has not, or inputs that it does not take.

    Args:
        signatures: of the model.
        name: of the one to run.
        inputs: for it.

    Raises:
        BackendError: with the names that are due.
    """
    if name not in signatures:
        raise BackendError(f"The model has the signatures {sorted(signatures)}. Received: {name!r}.")
    due = signatures[name].inputs
    if sorted(due) != sorted(inputs):
        raise BackendError(f"{name} takes the inputs {sorted(due)}. Received: {sorted(inputs)}.")

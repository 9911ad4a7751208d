"""The interface of backends: signatures and arrays, without texts or labels."""

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
    """Names of a signature's inputs and outputs.

    Example:
        >>> Signature(inputs=("text",), outputs=("probabilities",)).outputs
        ('probabilities',)
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Backend(Protocol):
    """Anything that runs the signatures of one model.

    Attributes:
        name: Name of what executes the model, for people, such as `ai-edge-litert`.
        version: Its version, or an empty string.

    Example:
        >>> from edgedistil_runtime import TextClassifier
        >>> from edgedistil_runtime.backends import default_backend
        >>> class Counting:
        ...     def __init__(self, backend):
        ...         self.backend, self.runs = backend, 0
        ...     def __getattr__(self, name):
        ...         return getattr(self.backend, name)
        ...     def run(self, signature, inputs):
        ...         self.runs += 1
        ...         return self.backend.run(signature, inputs)
        >>> backend = Counting(default_backend("intents.tflite"))
        >>> with TextClassifier("intents.tflite", backend=backend, verify=False) as classifier:
        ...     _ = classifier.classify("hi")
        >>> backend.runs
        1
    """

    @property
    def name(self) -> str:
        """Name of what executes the model."""

    @property
    def version(self) -> str:
        """Version of what executes the model."""

    def signatures(self) -> Mapping[str, Signature]:
        """Return the model's signatures by name."""

    def run(self, signature: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Run one signature.

        Args:
            signature: Name of the signature.
            inputs: One array per input, of the input's dtype; shapes may differ from call to call.

        Returns:
            One array per output; later runs do not change it.

        Raises:
            BackendError: The signature is unknown, the inputs have other names, or the run failed.
        """

    def close(self) -> None:
        """Release the model; a second call does nothing."""


def check_inputs(signatures: Mapping[str, Signature], name: str, inputs: Mapping[str, Array]) -> None:
    """Raise an error if a model does not have a signature with these inputs.

    Args:
        signatures: Signatures of the model.
        name: Name of the signature to run.
        inputs: Inputs to run it with.

    Raises:
        BackendError: The signature or the inputs do not fit; the message has the right names.

    Example:
        >>> signatures = {"tokenize": Signature(inputs=("text",), outputs=("token_ids",))}
        >>> check_inputs(signatures, "tokenize", {"texts": None})
        Traceback (most recent call last):
        ...
        edgedistil_runtime.errors.BackendError: tokenize takes the inputs ['text']. Received: ['texts'].
    """
    if name not in signatures:
        raise BackendError(f"The model has the signatures {sorted(signatures)}. Received: {name!r}.")
    expected = signatures[name].inputs
    if sorted(expected) != sorted(inputs):
        raise BackendError(f"{name} takes the inputs {sorted(expected)}. Received: {sorted(inputs)}.")

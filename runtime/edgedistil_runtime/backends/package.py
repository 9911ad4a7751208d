"""Base class of backends for an installed package: version, installation, errors, one run at a time."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from collections.abc import Mapping
from typing import Any, ClassVar

from edgedistil_runtime.backends.protocol import Array, Signature, check_inputs
from edgedistil_runtime.backends.run_lock import run_lock
from edgedistil_runtime.errors import BackendError
from edgedistil_runtime.model_source import describe_model

__all__ = ["PackageBackend"]


class PackageBackend:
    """A model that an installed package runs: runs wait for one another, errors become `BackendError`.

    A subclass names the package, sets `_model` and `_signatures`, and implements `_run` and `_forget`.

    Attributes:
        name: Name of the package's interpreter, for people.
    """

    name: ClassVar[str]
    _package: ClassVar[str]
    _module: ClassVar[str]
    _install: ClassVar[str]

    _model: Any  # None once it is closed
    _content: bytes | None = None  # bytes that the model reads in place
    _signatures: Mapping[str, Signature]

    def __init__(self) -> None:
        """Make the lock: a model has one set of tensors, and a run releases Python's global lock."""
        self._lock = run_lock()

    @property
    def version(self) -> str:
        """The package's installed version; empty if unknown."""
        return self.installed_version()

    @classmethod
    def installed_version(cls) -> str:
        """Return the package's installed version; empty if unknown."""
        try:
            return importlib.metadata.version(cls._package)
        except importlib.metadata.PackageNotFoundError:
            return ""

    @classmethod
    def is_installed(cls) -> bool:
        """Return True if the package is installed; importing it may still fail."""
        return importlib.util.find_spec(cls._module.partition(".")[0]) is not None

    @classmethod
    def how_to_install(cls) -> str:
        """Return the command that installs the package."""
        return cls._install.rstrip(".")

    def signatures(self) -> Mapping[str, Signature]:
        """Return the model's signatures by name."""
        return dict(self._signatures)

    def run(self, signature: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Run one signature; see `Backend.run`."""
        check_inputs(self._signatures, signature, inputs)
        with self._lock:
            if self._model is None:
                raise BackendError("The backend is closed. Make a new one.")
            try:
                return self._run(signature, inputs)
            except (RuntimeError, ValueError) as error:
                self._forget(signature)
                shapes = {name: (value.shape, str(value.dtype)) for name, value in inputs.items()}
                raise BackendError(f"{self.name} failed in {signature}: {error}. Received: {shapes}.") from error

    def close(self) -> None:
        """Release the model; a second call does nothing."""
        with self._lock:
            for signature in self._signatures:
                self._forget(signature)
            self._model = None
            self._content = None  # after the model, which reads it

    def _run(self, signature: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        raise NotImplementedError

    def _forget(self, signature: str) -> None:
        """Drop the state that is kept between runs of a signature."""
        raise NotImplementedError

    @classmethod
    def _load_error(cls, model_path: str | os.PathLike[str] | bytes, error: Exception) -> BackendError:
        return BackendError(
            f"{cls.name} {cls.installed_version()} cannot load the model: {error}. `edgedistil inspect` shows "
            f"which runtime it needs. Received: {describe_model(model_path)}."
        )

"""What all backends share that are made of an installed package: where it is, what it says, one run at a time."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from collections.abc import Mapping
from typing import Any, ClassVar

from edgedistil_runtime.backends.protocol import Array, Signature, check_inputs
from edgedistil_runtime.backends.run_lock import run_lock
from edgedistil_runtime.errors import BackendError

__all__ = ["PackageBackend"]


class PackageBackend:
    """A model of an installed package: runs wait for one another, errors become `BackendError`.

    A subclass names the package, sets `_model` and `_signatures`, and runs in `_run`.

    Attributes:
        name: what executes, for people.
    """

    name: ClassVar[str]
    _package: ClassVar[str]
    _module: ClassVar[str]
    _install: ClassVar[str]

    _model: Any  # None once it is closed
    _signatures: Mapping[str, Signature]

    def __init__(self) -> None:
        """Makes the lock: a model has one set of tensors, and a run leaves Python's global lock."""
        self._lock = run_lock()

    @property
    def version(self) -> str:
        """The installed version, or an empty string if it does not say."""
        return self.installed_version()

    @classmethod
    def installed_version(cls) -> str:
        """That of the package, or an empty string if it does not say."""
        try:
            return importlib.metadata.version(cls._package)
        except importlib.metadata.PackageNotFoundError:
            return ""

    @classmethod
    def is_installed(cls) -> bool:
        """Whether there is such a package; importing it may fail nevertheless."""
        return importlib.util.find_spec(cls._module.partition(".")[0]) is not None

    @classmethod
    def how_to_install(cls) -> str:
        """The command that installs it."""
        return cls._install.rstrip(".")

    def signatures(self) -> Mapping[str, Signature]:
        """The model's signatures by name."""
        return dict(self._signatures)

    def run(self, signature: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Runs one signature; see `Backend.run`."""
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
        """Releases the model; a second call does nothing."""
        with self._lock:
            for signature in self._signatures:
                self._forget(signature)
            self._model = None

    def _run(self, signature: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        raise NotImplementedError

    def _forget(self, signature: str) -> None:
        """Drops what is kept of a signature from run to run."""
        raise NotImplementedError

    @classmethod
    def _refused(cls, model_path: str | os.PathLike[str], error: Exception) -> BackendError:
        return BackendError(
            f"{cls.name} {cls.installed_version()} cannot load the model: {error}. `edgedistil inspect` says which "
            f"runtime it needs. Received: {os.fspath(model_path)!r}."
        )

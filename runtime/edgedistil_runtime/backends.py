"""What can execute an artefact: the `Backend` protocol, the interpreters that satisfy it, and a fake for tests.

A backend knows signatures and arrays and nothing of text or labels. Interpreters are imported when a backend is made,
not when this module is, so that the package imports fast and its metadata can be read without any interpreter.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy.typing as npt

from edgedistil_runtime.errors import BackendError

__all__ = [
    "Array",
    "Backend",
    "FakeBackend",
    "LiteRTInterpreterBackend",
    "Signature",
    "TFLiteRuntimeBackend",
    "TFTextBackend",
    "default_backend",
]

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


class _InterpreterBackend:
    """An interpreter with the interface of `tf.lite.Interpreter`, under whichever name it is installed.

    Its signature runner calls ResizeInputTensor and AllocateTensors before every run. Both return at once when no
    shape has changed (tensorflow/lite/core/subgraph.cc, `Subgraph::ResizeInputTensor` and `AllocateTensors`), so
    whoever repeats shapes saves the allocation and this class need not keep count.
    """

    name: ClassVar[str]
    _module: ClassVar[str]
    _install: ClassVar[str]

    def __init__(self, model_path: str | os.PathLike[str], *, num_threads: int | None = None) -> None:
        """Loads the model.

        Args:
            model_path: a `.tflite` file; it is memory-mapped.
            num_threads: threads for one run; None leaves it to the interpreter.

        Raises:
            BackendError: the interpreter is not installed, or it refuses the model or the number of threads.
        """
        if num_threads is not None and (type(num_threads) is not int or num_threads < 1):
            raise BackendError(f"num_threads must be None or an integer of at least 1. Received: {num_threads!r}.")
        interpreter_class = self._import_interpreter()
        try:
            self._interpreter = interpreter_class(model_path=os.fspath(model_path), num_threads=num_threads)
            self._signatures = {
                name: Signature(inputs=tuple(sides["inputs"]), outputs=tuple(sides["outputs"]))
                for name, sides in self._interpreter.get_signature_list().items()
            }
        except (RuntimeError, ValueError) as error:
            raise BackendError(
                f"{self.name} {self.version} cannot load the model: {error}. `edgedistil inspect` says which runtime "
                f"it needs. Received: {os.fspath(model_path)!r}."
            ) from error
        self._runners: dict[str, Any] = {}
        # An interpreter has one set of tensors, and a run leaves Python's global lock.
        self._lock = threading.Lock()

    @property
    def version(self) -> str:
        """The installed version, or an empty string if it does not say."""
        try:
            return importlib.metadata.version(self.name)
        except importlib.metadata.PackageNotFoundError:
            return ""

    @classmethod
    def _import_interpreter(cls) -> Any:
        try:
            return importlib.import_module(cls._module).Interpreter
        except ImportError as error:
            raise BackendError(
                f"The interpreter {cls.name} cannot be imported: {error}. Install it: {cls._install}"
            ) from error

    def signatures(self) -> Mapping[str, Signature]:
        """The model's signatures by name."""
        return dict(self._signatures)

    def run(self, signature: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Runs one signature; see `Backend.run`."""
        _check_inputs(self._signatures, signature, inputs)
        with self._lock:
            if self._interpreter is None:
                raise BackendError("The backend is closed. Make a new one.")
            try:
                if signature not in self._runners:
                    self._runners[signature] = self._interpreter.get_signature_runner(signature)
                outputs: dict[str, Array] = self._runners[signature](**inputs)  # copies, made by GetTensor
            except (RuntimeError, ValueError) as error:
                shapes = {name: (value.shape, str(value.dtype)) for name, value in inputs.items()}
                raise BackendError(f"{self.name} failed in {signature}: {error}. Received: {shapes}.") from error
        return outputs

    def close(self) -> None:
        """Releases the model; a second call does nothing."""
        with self._lock:
            self._runners.clear()
            self._interpreter = None


class LiteRTInterpreterBackend(_InterpreterBackend):
    """The `Interpreter` of ai-edge-litert: any CPU, XNNPACK inside.

    Example:
        ```python
        backend = LiteRTInterpreterBackend("intent.tflite", num_threads=2)
        backend.run("classify_text", {"text": np.zeros(64, np.int32)})["probabilities"]
        ```
    """

    name: ClassVar[str] = "ai-edge-litert"
    _module: ClassVar[str] = "ai_edge_litert.interpreter"
    _install: ClassVar[str] = "pip install 'ai-edge-litert>=2.3,<2.4' (Python 3.10 or newer)."


class TFTextBackend(LiteRTInterpreterBackend):
    """The `Interpreter` of ai-edge-litert with TensorFlow Text's ops, for models whose tokenizer is `tftext`.

    The wheel of tensorflow-text brings TensorFlow with it; a host in C++ links the ops alone.
    """

    _install: ClassVar[str] = (
        "pip install 'ai-edge-litert>=2.3,<2.4' 'tensorflow-text>=2.21,<2.22' (Linux or macOS), or convert again with "
        "`--tokenizer builtin`, which needs neither."
    )

    @classmethod
    def _import_interpreter(cls) -> Any:
        try:
            interpreter = importlib.import_module(cls._module).InterpreterWithCustomOps
            ops = importlib.import_module("tensorflow_text").tflite_registrar.SELECT_TFTEXT_OPS
        except ImportError as error:
            raise BackendError(
                "The model's tokenizer is made of TensorFlow Text's ops (its kind is `tftext`), which cannot be "
                f"imported: {error}. Install them: {cls._install}"
            ) from error
        return functools.partial(interpreter, custom_op_registerers=ops)


class TFLiteRuntimeBackend(_InterpreterBackend):
    """The `Interpreter` of tflite-runtime 2.14: Python up to 3.11, and 32-bit Raspberry Pi OS."""

    name: ClassVar[str] = "tflite-runtime"
    _module: ClassVar[str] = "tflite_runtime.interpreter"
    _install: ClassVar[str] = "pip install tflite-runtime==2.14.0 'numpy<2' (Python 3.11 or older)."


def default_backend(
    model_path: str | os.PathLike[str], *, num_threads: int | None = None, tokenizer: str = "builtin"
) -> Backend:
    """The best interpreter that is installed: ai-edge-litert, else tflite-runtime.

    Args:
        model_path: a `.tflite` file.
        num_threads: threads for one run; None leaves it to the interpreter.
        tokenizer: the kind of the model's tokenizer; `tftext` needs an interpreter with TensorFlow Text's ops.

    Raises:
        BackendError: none is installed, or the one that is cannot load the model.
    """
    if tokenizer == "tftext":
        return TFTextBackend(model_path, num_threads=num_threads)
    kinds: tuple[type[_InterpreterBackend], ...] = (LiteRTInterpreterBackend, TFLiteRuntimeBackend)
    for kind in kinds:
        if _is_importable(kind._module):
            return kind(model_path, num_threads=num_threads)
    choices = " or ".join(kind._install.rstrip(".") for kind in kinds)
    raise BackendError(f"No interpreter is installed that can run the model. Install one: {choices}.")


def _is_importable(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


class FakeBackend:
    """A backend whose answers a function computes: for tests of programs that classify text.

    Args:
        answer: takes a signature's name and its inputs, returns its outputs by name.
        signatures: what the fake model has; by default `classify_text` and `tokenize` of the artefact contract.

    Attributes:
        calls: the name and the inputs of every run so far.
        is_closed: whether `close` was called.

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
        """Keeps the function; nothing runs yet."""
        self._answer = answer
        self._signatures = dict(
            {
                "classify_text": Signature(inputs=("text",), outputs=("probabilities",)),
                "tokenize": Signature(inputs=("text",), outputs=("token_ids",)),
            }
            if signatures is None
            else signatures
        )
        self.calls: list[tuple[str, Mapping[str, Array]]] = []
        self.is_closed = False

    def signatures(self) -> Mapping[str, Signature]:
        """The signatures given to the constructor."""
        return dict(self._signatures)

    def run(self, signature: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Records the call and returns what the function returns; see `Backend.run`."""
        if self.is_closed:
            raise BackendError("The backend is closed. Make a new one.")
        _check_inputs(self._signatures, signature, inputs)
        self.calls.append((signature, inputs))
        return self._answer(signature, inputs)

    def close(self) -> None:
        """Makes every later run an error."""
        self.is_closed = True


def _check_inputs(signatures: Mapping[str, Signature], name: str, inputs: Mapping[str, Array]) -> None:
    if name not in signatures:
        raise BackendError(f"The model has the signatures {sorted(signatures)}. Received: {name!r}.")
    due = signatures[name].inputs
    if sorted(due) != sorted(inputs):
        raise BackendError(f"{name} takes the inputs {sorted(due)}. Received: {sorted(inputs)}.")

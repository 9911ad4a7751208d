"""Backends with the interface of `tf.lite.Interpreter`, from whichever package is installed."""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, SupportsIndex

from edgedistil_runtime.arguments import as_integer
from edgedistil_runtime.backends.package import PackageBackend
from edgedistil_runtime.backends.protocol import Array, Signature
from edgedistil_runtime.contract import BUILTIN
from edgedistil_runtime.errors import BackendError

__all__ = [
    "LARGEST_IN_MEMORY",
    "InterpreterBackend",
    "LiteRTInterpreterBackend",
    "TFLiteRuntimeBackend",
    "TFTextBackend",
    "TensorFlowBackend",
    "thread_count",
]

LARGEST_IN_MEMORY = 16_000_000  # bytes; larger files are memory-mapped


def thread_count(num_threads: SupportsIndex | None) -> int:
    """Return a number of threads as Python's int, also NumPy's integers; 1 for None.

    Two threads meet at the end of every op, which made short texts slower on a machine that was also doing other work.

    Raises:
        BackendError: `num_threads` is neither None nor an integer of at least 1.

    Example:
        >>> import numpy as np
        >>> thread_count(np.int64(2)), thread_count(None)
        (2, 1)
        >>> thread_count(0)
        Traceback (most recent call last):
        ...
        edgedistil_runtime.errors.BackendError: `num_threads` must be None or an integer of at least 1. Received: 0.
    """
    if num_threads is None:
        return 1
    count = as_integer(num_threads)
    if count is None or count < 1:
        raise BackendError(f"`num_threads` must be None or an integer of at least 1. Received: {num_threads!r}.")
    return count


def _model_arguments(path: str | os.PathLike[str] | bytes) -> dict[str, Any]:
    """Return the arguments of an interpreter's constructor for a model."""
    if isinstance(path, bytes):
        return {"model_content": path}
    if Path(path).stat().st_size <= LARGEST_IN_MEMORY:
        return {"model_content": Path(path).read_bytes()}
    return {"model_path": os.fspath(path)}


class InterpreterBackend(PackageBackend):
    """Base class of the interpreters; make one of its subclasses.

    The signature runner calls ResizeInputTensor and AllocateTensors before every run. Both return at once if no shape
    has changed (tensorflow/lite/core/subgraph.cc, `Subgraph::ResizeInputTensor` and `AllocateTensors`), so that
    repeated shapes need no allocation and this class need not remember them.
    """

    def __init__(self, model_path: str | os.PathLike[str] | bytes, *, num_threads: int | None = None) -> None:
        """Load the model.

        Args:
            model_path: A `.tflite` file or its content, which the interpreter reads in place. A file of up to 16 MB is
                read; a larger one is memory-mapped and must not be shortened while it is open. Renaming another file
                over it is safe.
            num_threads: Number of threads for one run; None is 1.

        Raises:
            BackendError: The interpreter is not installed, or it refuses the model or the number of threads.
        """
        super().__init__()
        num_threads = thread_count(num_threads)
        interpreter_class = self.interpreter_class()
        try:
            arguments = _model_arguments(model_path)
            self._content = arguments.get("model_content")  # kept, because interpreters do not copy it
            self._model = interpreter_class(**arguments, num_threads=num_threads)
            self._signatures = {
                name: Signature(inputs=tuple(sides["inputs"]), outputs=tuple(sides["outputs"]))
                for name, sides in self._model.get_signature_list().items()
            }
        except (OSError, RuntimeError, ValueError) as error:
            raise self._load_error(model_path, error) from error
        self._runners: dict[str, Any] = {}

    @classmethod
    def interpreter_class(cls) -> Any:
        """Return the interpreter's class.

        Raises:
            BackendError: The package is not installed or cannot be imported.
        """
        return cls._imported().Interpreter

    @classmethod
    def load_delegate(cls, library: str, options: Mapping[str, str]) -> Any:
        """Load a delegate, a shared library that runs parts of a model on another device.

        Raises:
            BackendError: The interpreter is not installed.
            OSError: The library, or one that it needs, is missing.
            ValueError: The library finds no device, or refuses the options.
        """
        return cls._imported().load_delegate(library, dict(options))

    @classmethod
    def _imported(cls) -> Any:
        try:
            return importlib.import_module(cls._module)
        except ImportError as error:
            raise BackendError(
                f"The interpreter {cls.name} cannot be imported: {error}. Install it: {cls._install}"
            ) from error

    def _run(self, signature: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        if signature not in self._runners:
            self._runners[signature] = self._model.get_signature_runner(signature)
        outputs: Mapping[str, Array] = self._runners[signature](**inputs)  # copies, made by GetTensor
        return outputs

    def _forget(self, signature: str) -> None:
        self._runners.pop(signature, None)


class LiteRTInterpreterBackend(InterpreterBackend):
    """The `Interpreter` of ai-edge-litert, with XNNPACK, for any CPU.

    Example:
        >>> import numpy as np
        >>> backend = LiteRTInterpreterBackend("intents.tflite", num_threads=2)
        >>> backend.run("classify_text", {"text": np.zeros(64, np.int32)})["probabilities"].shape
        (1, 3)
        >>> backend.close()
    """

    name: ClassVar[str] = "ai-edge-litert"
    _package: ClassVar[str] = "ai-edge-litert"
    _module: ClassVar[str] = "ai_edge_litert.interpreter"
    _install: ClassVar[str] = "pip install 'ai-edge-litert>=2.3,<2.4' (Python 3.10 or newer)."


class TFTextBackend(LiteRTInterpreterBackend):
    """The `Interpreter` of ai-edge-litert with TensorFlow Text's ops, for models with a `tftext` tokenizer.

    The wheel of tensorflow-text depends on TensorFlow; a host in C++ links only the ops.
    """

    _install: ClassVar[str] = (
        "pip install 'ai-edge-litert>=2.3,<2.4' 'tensorflow-text>=2.21,<2.22' (Linux or macOS), or convert again with "
        f"`tokenizer`={BUILTIN!r}, which needs neither."
    )

    @classmethod
    def interpreter_class(cls) -> Any:
        """Return the class with TensorFlow Text's ops; see `InterpreterBackend.interpreter_class`."""
        try:
            interpreter = importlib.import_module(cls._module).InterpreterWithCustomOps
            ops = importlib.import_module("tensorflow_text").tflite_registrar.SELECT_TFTEXT_OPS
        except ImportError as error:
            raise BackendError(
                "The model's tokenizer consists of TensorFlow Text's ops (its kind is tftext), which cannot be "
                f"imported: {error}. Install them: {cls._install}"
            ) from error
        return functools.partial(interpreter, custom_op_registerers=ops)


class TFLiteRuntimeBackend(InterpreterBackend):
    """The `Interpreter` of tflite-runtime 2.14, for Python up to 3.11 and 32-bit Raspberry Pi OS.

    Example:
        >>> TFLiteRuntimeBackend.how_to_install()
        "pip install tflite-runtime==2.14.0 'numpy<2' (Python 3.11 or older)"
    """

    name: ClassVar[str] = "tflite-runtime"
    _package: ClassVar[str] = "tflite-runtime"
    _module: ClassVar[str] = "tflite_runtime.interpreter"
    _install: ClassVar[str] = "pip install tflite-runtime==2.14.0 'numpy<2' (Python 3.11 or older)."


class TensorFlowBackend(InterpreterBackend):
    """The `Interpreter` in TensorFlow, for machines that have it anyway: half a gigabyte, and slow to import."""

    name: ClassVar[str] = "tensorflow"
    _package: ClassVar[str] = "tensorflow"
    _module: ClassVar[str] = "tensorflow"
    _install: ClassVar[str] = "pip install 'tensorflow>=2.21,<2.22'."

    @classmethod
    def _imported(cls) -> Any:
        package = super()._imported()
        return SimpleNamespace(
            Interpreter=package.lite.Interpreter, load_delegate=package.lite.experimental.load_delegate
        )

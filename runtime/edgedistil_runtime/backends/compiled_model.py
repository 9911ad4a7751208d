"""LiteRT's `CompiledModel` on the CPU, which keeps packed weights once for all signatures, in memory or in a file.

XNNPACK rearranges the weights of a model before its first run. With `Interpreter` it does so for every classifying
signature, and the file's own pages stay resident beside the copies; `CompiledModel` takes a cache for them
(https://github.com/google-ai-edge/LiteRT, tflite/delegates/xnnpack/README.md, 'XNNPack weight cache').
"""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from edgedistil_runtime.backends.interpreters import thread_count
from edgedistil_runtime.backends.package import PackageBackend
from edgedistil_runtime.backends.protocol import Array, Signature
from edgedistil_runtime.contract import PROBABILITIES, TOKEN_COUNT, TOKEN_IDS, UNKNOWN_SCORE
from edgedistil_runtime.errors import BackendError

__all__ = ["IN_MEMORY", "CompiledModelBackend"]

IN_MEMORY = ":memory"  # `kInMemoryCachePath` of XNNPACK's delegate: a cache without a file
_DTYPES = {"int32": np.dtype(np.int32), "float32": np.dtype(np.float32)}
# Bytes. LiteRT copies memory with another alignment, see `LITERT_HOST_MEMORY_BUFFER_ALIGNMENT`.
_ALIGNMENT = 64


class CompiledModelBackend(PackageBackend):
    """The `CompiledModel` of ai-edge-litert on the CPU, for models without string tensors.

    Example:
        >>> backend = CompiledModelBackend("intents.tflite", longest_row=16, num_classes=3)
        >>> backend.run("classify_text", {"text": np.zeros(64, np.int32)})["probabilities"].shape
        (1, 3)
        >>> backend.close()
    """

    name: ClassVar[str] = "ai-edge-litert CompiledModel"
    _package: ClassVar[str] = "ai-edge-litert"
    _module: ClassVar[str] = "ai_edge_litert.compiled_model"
    _install: ClassVar[str] = "pip install 'ai-edge-litert>=2.3,<2.4' (Python 3.10 or newer)."

    def __init__(
        self,
        model_path: str | os.PathLike[str] | bytes,
        *,
        longest_row: int,
        num_classes: int,
        num_threads: int | None = None,
        weight_cache: str = IN_MEMORY,
    ) -> None:
        """Load the model and pack its weights, or map those in the cache.

        Args:
            model_path: A `.tflite` file, which is memory-mapped, or its content, which LiteRT reads in place.
            longest_row: Largest number of token ids that its tokenizer returns.
            num_classes: Number of probabilities per text.
            num_threads: Number of threads for one run; None is 1.
            weight_cache: File that LiteRT reads, or writes if it is missing or from another LiteRT. The caller checks
                that it is intact.

        Raises:
            BackendError: ai-edge-litert is not installed, or it refuses the model or the number of threads.
        """
        super().__init__()
        threads = thread_count(num_threads)
        litert = self._imported()
        cpu = litert.CpuOptions(num_threads=threads, xnnpack_weight_cache_path=weight_cache)
        options = litert.Options(hardware_accelerators=litert.HardwareAccelerator.CPU, cpu_options=cpu)
        try:
            if isinstance(model_path, bytes):
                self._content = model_path  # kept, because LiteRT does not copy it
                self._model = litert.CompiledModel.from_buffer(model_path, options=options)
            else:
                self._model = litert.CompiledModel.from_file(os.fspath(model_path), options=options)
            self._signatures = {
                name: Signature(inputs=tuple(sides["inputs"]), outputs=tuple(sides["outputs"]))
                for name, sides in self._model.get_signature_list().items()
                if set(sides["outputs"]) <= {TOKEN_IDS, PROBABILITIES, UNKNOWN_SCORE, TOKEN_COUNT}
            }
            for name, signature in self._signatures.items():
                if PROBABILITIES in signature.outputs:
                    self._check_probabilities(name, num_classes)
        except (RuntimeError, ValueError) as error:
            raise self._load_error(model_path, error) from error
        self._litert, self._longest_row, self._num_classes = litert, longest_row, num_classes
        self._calls: dict[str, _Call] = {}

    @classmethod
    def _imported(cls) -> SimpleNamespace:
        try:
            compiled_model = importlib.import_module(cls._module)
            tensor_buffer = importlib.import_module("ai_edge_litert.tensor_buffer")
            return SimpleNamespace(
                CompiledModel=compiled_model.CompiledModel,
                CpuOptions=compiled_model.CpuOptions,
                HardwareAccelerator=compiled_model.HardwareAccelerator,
                Options=compiled_model.Options,
                TensorBuffer=tensor_buffer.TensorBuffer,
            )
        except (ImportError, AttributeError) as error:  # AttributeError: an older version
            raise BackendError(f"{cls.name} cannot be imported: {error}. Install it: {cls._install}") from error

    def _check_probabilities(self, signature: str, num_classes: int) -> None:
        """Check that the output has one probability per label, as the buffers made for it do."""
        shape = tuple(self._model.get_output_tensor_details(signature)[PROBABILITIES]["shape"])
        if shape != (1, num_classes):
            raise BackendError(
                f"{signature} must give probabilities of shape (1, {num_classes}), one per label. Received: {shape}. "
                "Convert again."
            )

    def _forget(self, signature: str) -> None:
        self._calls.pop(signature, None)

    def _run(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        shapes = {name: values.shape for name, values in inputs.items()}
        call = self._calls.get(signature)
        if call is None or call.shapes != shapes:
            self._forget(signature)  # its buffers fit no other shape, also if this preparation fails
            call = self._calls[signature] = self._prepare_call(signature, inputs)
        for name, values in inputs.items():
            call.inputs[name].write(values)
        self._model.run_by_name(signature, call.inputs, call.outputs)
        details = self._model.get_output_tensor_details(signature)
        return {name: self._read(output, details[name]) for name, output in call.outputs.items()}

    def _prepare_call(self, signature: str, inputs: Mapping[str, Array]) -> _Call:
        """Resize the inputs and make buffers, which can be used until a shape changes.

        A write that is shorter than its input is no error in LiteRT, and the run reads what the rest held before. So
        every input has the shape of its values before a buffer is made for it.

        Raises:
            BackendError: An input cannot be resized.
        """
        buffers = {}
        for name, values in inputs.items():
            if self._input_shape(signature, name) != values.shape:  # an input of fixed shape cannot be resized
                self._model.resize_input_tensor_by_name(signature, name, list(values.shape))
            shape = self._input_shape(signature, name)
            if shape != values.shape:
                raise BackendError(
                    f"{self.name} did not resize the input {name!r} of {signature}. "
                    f"Received: shape {values.shape}, and the input has {shape}."
                )
            buffers[name] = self._model.create_input_buffer_by_name(signature, name)
        rows = inputs[TOKEN_IDS].shape[0] if TOKEN_IDS in inputs else 1
        outputs = {name: self._output(name, rows) for name in self._signatures[signature].outputs}
        return _Call({name: values.shape for name, values in inputs.items()}, buffers, outputs)

    def _input_shape(self, signature: str, name: str) -> tuple[int, ...]:
        """Return the shape that an input has now."""
        return tuple(self._model.get_input_tensor_details(signature)[name]["shape"])

    def _output(self, name: str, rows: int) -> Any:
        """Return a buffer for the largest output of `rows` rows.

        Not one of LiteRT's, which has the size of the last run's output
        (https://github.com/google-ai-edge/LiteRT/issues/9518).
        """
        sizes = {TOKEN_IDS: self._longest_row, PROBABILITIES: self._num_classes, UNKNOWN_SCORE: 1, TOKEN_COUNT: 1}
        size = rows * sizes[name]
        memory = np.zeros(size + _ALIGNMENT // 4, np.int32 if name in (TOKEN_IDS, TOKEN_COUNT) else np.float32)
        first = -memory.ctypes.data % _ALIGNMENT // 4
        return self._litert.TensorBuffer.create_from_host_memory(memory[first : first + size])

    @staticmethod
    def _read(buffer: Any, details: Mapping[str, Any]) -> Array:
        shape = tuple(details["shape"])
        values = buffer.read(math.prod(shape), _DTYPES[details["dtype"]])
        return np.array(values).reshape(shape)  # a copy: the buffer is reused


class _Call:
    """The buffers of a signature for inputs of certain shapes."""

    def __init__(
        self, shapes: Mapping[str, tuple[int, ...]], inputs: Mapping[str, Any], outputs: Mapping[str, Any]
    ) -> None:
        self.shapes, self.inputs, self.outputs = shapes, inputs, outputs

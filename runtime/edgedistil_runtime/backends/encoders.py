"""Run the encoder of an artifact for an accelerator: embeddings of one padded text in, probabilities out.

A GPU's encoder has a signature per length, `classify_embeddings_{length}`. An Edge TPU's encoder has one subgraph and
no signature, because Coral's compiler drops signatures: its tensors are found by name.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from edgedistil_runtime.artifact import EncoderFlatbuffers
from edgedistil_runtime.backends.interpreters import InterpreterBackend, thread_count
from edgedistil_runtime.backends.protocol import Array
from edgedistil_runtime.backends.run_lock import run_lock
from edgedistil_runtime.contract import CPU, PROBABILITIES, encoder_signature
from edgedistil_runtime.errors import AcceleratorUnavailable, BackendError

__all__ = [
    "EDGETPU_LIBRARY",
    "Encoder",
    "GPUEncoder",
    "InterpreterEncoder",
    "check_edgetpu_device",
    "edgetpu_encoder",
    "encoder_signature",
]

EDGETPU_LIBRARY = "EDGETPU_LIBRARY"  # environment variable: path of libedgetpu, if the loader does not find it
_DELEGATE_FUNCTIONS = ("tflite_plugin_create_delegate", "tflite_plugin_destroy_delegate")
_EDGETPU_DEVICE = re.compile(r"(usb|pci)?(:\d+)?")


class Encoder(Protocol):
    """Interface of what runs the encoder of one artifact."""

    @property
    def name(self) -> str:
        """Name of what runs it, for people."""

    def run(self, length: int, inputs: Mapping[str, Array]) -> Array:
        """Run one text.

        Args:
            length: Length of the padded row, one of the encoder's lengths.
            inputs: One array per input, by name.

        Returns:
            Probabilities, float32[1, num_classes].

        Raises:
            BackendError: The run failed.
        """

    def close(self) -> None:
        """Release the encoder; a second call does nothing."""


class InterpreterEncoder:
    """An encoder in an interpreter, on the CPU or on the device of a delegate."""

    def __init__(
        self, model: bytes, kind: type[InterpreterBackend], *, num_threads: int | None = None, delegate: Any = None
    ) -> None:
        """Load the encoder.

        Args:
            model: TFLite flatbuffer.
            kind: Class of the interpreter.
            num_threads: Number of threads for one run; None is 1.
            delegate: Result of `kind.load_delegate`.

        Raises:
            BackendError: The interpreter is not installed, or it refuses the model.
        """
        self.name = kind.name
        self._delegate, self._lock = delegate, run_lock()
        delegates = None if delegate is None else [delegate]
        try:
            self._interpreter = kind.interpreter_class()(
                model_content=model, num_threads=thread_count(num_threads), experimental_delegates=delegates
            )
            self._has_signatures = bool(self._interpreter.get_signature_list())
            if not self._has_signatures:
                self._interpreter.allocate_tensors()
                self._inputs = {detail["name"]: detail["index"] for detail in self._interpreter.get_input_details()}
                [self._output] = self._interpreter.get_output_details()
        except (RuntimeError, ValueError) as error:
            raise BackendError(f"{kind.name} cannot load the encoder: {error}.") from error

    def run(self, length: int, inputs: Mapping[str, Array]) -> Array:
        """Run one text; see `Encoder.run`."""
        with self._lock:
            if self._interpreter is None:
                raise BackendError("The encoder is closed. Make a new one.")
            try:
                if self._has_signatures:
                    runner = self._interpreter.get_signature_runner(encoder_signature(length))
                    return np.asarray(runner(**inputs)[PROBABILITIES])
                return self._run_by_name(inputs)
            except (RuntimeError, ValueError, KeyError) as error:
                shapes = {name: (value.shape, str(value.dtype)) for name, value in inputs.items()}
                raise BackendError(f"{self.name} failed in the encoder: {error}. Received: {shapes}.") from error

    def close(self) -> None:
        """Release the encoder; a second call does nothing."""
        with self._lock:
            self._interpreter = None
            self._delegate = None  # after the interpreter, which uses it

    def _run_by_name(self, inputs: Mapping[str, Array]) -> Array:
        for name, values in inputs.items():
            self._interpreter.set_tensor(self._inputs[name], values)
        self._interpreter.invoke()
        steps = self._interpreter.get_tensor(self._output["index"])
        scale, zero_point = self._output["quantization"]
        probabilities: Array = (steps.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
        return probabilities


def check_edgetpu_device(device: str | None) -> None:
    """Raise an error if `device` does not name an Edge TPU.

    Raises:
        BackendError: `device` is neither None nor one of the forms that the library accepts.

    Example:
        >>> for device in (None, "usb", "pci", ":0", "usb:1"):
        ...     check_edgetpu_device(device)
        >>> check_edgetpu_device("cpu")
        Traceback (most recent call last):
        ...
        edgedistil_runtime.errors.BackendError: `device` must be usb, pci, or ... Received: 'cpu'.
    """
    if device is not None and not (isinstance(device, str) and device and _EDGETPU_DEVICE.fullmatch(device)):
        raise BackendError(f"`device` must be usb, pci, or a number as in :0 or usb:1. Received: {device!r}.")


def edgetpu_encoder(
    encoder: EncoderFlatbuffers, kind: type[InterpreterBackend], *, device: str | None = None
) -> InterpreterEncoder:
    """Return an encoder on Coral's Edge TPU.

    Args:
        encoder: Encoder of the artifact.
        kind: Class of the interpreter that loads the delegate.
        device: `usb`, `pci`, or one of several, `:0`, `usb:1`; None for the first one.

    Raises:
        AcceleratorUnavailable: The encoder is not compiled, the library or the device is missing, or they do not fit
            the interpreter.

    Example:
        >>> from edgedistil_runtime import LiteRTInterpreterBackend
        >>> edgetpu_encoder(EncoderFlatbuffers(b"not compiled"), LiteRTInterpreterBackend)
        Traceback (most recent call last):
        ...
        edgedistil_runtime.errors.AcceleratorUnavailable: The file's encoder is not compiled for the Edge TPU...
    """
    if encoder.compiled is None:
        raise AcceleratorUnavailable(
            "The file's encoder is not compiled for the Edge TPU: there was no edgetpu_compiler on the PATH of the "
            "machine that converted it. Convert again on a machine that has it (x86-64 Linux), or use "
            f"`accelerator`={CPU!r}."
        )
    library = os.environ.get(EDGETPU_LIBRARY, "libedgetpu.so.1")
    _check_library(library)
    try:
        delegate = kind.load_delegate(library, {} if device is None else {"device": device})
    except ValueError as error:
        raise AcceleratorUnavailable(
            f"{library} was loaded and found no Edge TPU{'' if device is None else f' as {device!r}'}: "
            f"{str(error).strip()}. Plug it in (lsusb shows 1a6e:089a or 18d1:9302), allow its use (the group "
            "plugdev), and close other programs that use it."
        ) from error
    try:
        return InterpreterEncoder(encoder.compiled, kind, delegate=delegate)
    except BackendError as error:
        raise AcceleratorUnavailable(
            f"{library} does not run the encoder: {error} The library must be built for a TFLite of about the age of "
            f"{kind.name}, and its runtime version must be no older than the compiler's."
        ) from error


def _check_library(library: str) -> None:
    """Load the library without LiteRT, whose loader would print a second error after the first."""
    next_step = (
        "Install libedgetpu for this system (it needs libusb-1.0 too), or set its path in the environment variable "
        f"{EDGETPU_LIBRARY}. Received: {library!r}."
    )
    try:
        found = ctypes.CDLL(library)
    except OSError as error:
        raise AcceleratorUnavailable(f"The Edge TPU's library cannot be loaded: {error}. {next_step}") from error
    missing = [name for name in _DELEGATE_FUNCTIONS if not hasattr(found, name)]
    if missing:
        raise AcceleratorUnavailable(f"{library} is not the library of a delegate: it has no {missing[0]}. {next_step}")


class GPUEncoder:
    """An encoder on a GPU: LiteRT's WebGPU accelerator, over Vulkan on Linux and over Metal on macOS.

    The first run of a model compiles shaders, which takes seconds; the driver keeps them.
    """

    def __init__(self, encoder: EncoderFlatbuffers, *, is_exact: bool) -> None:
        """Load the encoder.

        Args:
            encoder: Encoder of the artifact.
            is_exact: Compute in float32 throughout; otherwise the GPU may use float16.

        Raises:
            AcceleratorUnavailable: ai-edge-litert is missing or too old, or finds no usable GPU.
        """
        self.name = "ai-edge-litert CompiledModel"
        try:
            from ai_edge_litert import compiled_model
        except ImportError as error:
            raise AcceleratorUnavailable(
                f"A GPU needs ai-edge-litert, which cannot be imported: {error}. Install it: "
                "pip install 'ai-edge-litert>=2.3,<2.4' (Python 3.10 or newer)."
            ) from error
        options = compiled_model.Options(
            hardware_accelerators=compiled_model.HardwareAccelerator.GPU,
            gpu_options=compiled_model.GpuOptions(enforce_f32=is_exact),
        )
        self._lock, self._buffers = run_lock(), dict[str, Any]()
        self._bytes = encoder.model  # kept, because LiteRT does not copy them
        try:
            self._model: Any = compiled_model.CompiledModel.from_buffer(self._bytes, options=options)
        except (RuntimeError, ValueError) as error:
            raise AcceleratorUnavailable(
                f"LiteRT's GPU accelerator could not be started: {error}. It needs a GPU with a driver for Vulkan "
                "(Linux; `vulkaninfo` lists them; Mesa must be 25 or newer) or Metal (macOS). Use "
                f"`accelerator`={CPU!r}, or allow `fallback`."
            ) from error

    def run(self, length: int, inputs: Mapping[str, Array]) -> Array:
        """Run one text; see `Encoder.run`."""
        signature = encoder_signature(length)
        with self._lock:
            if self._model is None:
                raise BackendError("The encoder is closed. Make a new one.")
            try:
                if signature not in self._buffers:
                    self._buffers[signature] = self._make_buffers(signature)
                sides, count = self._buffers[signature]
                for name, values in inputs.items():
                    sides[0][name].write(np.ascontiguousarray(values, np.float32))
                self._model.run_by_name(signature, *sides)
                return np.asarray(sides[1][PROBABILITIES].read(count, np.float32)).reshape(1, count)
            except (RuntimeError, ValueError, KeyError) as error:
                raise BackendError(f"The GPU failed in {signature}: {error}.") from error

    def close(self) -> None:
        """Release the encoder; a second call does nothing."""
        with self._lock:
            self._buffers.clear()
            self._model = None

    def _make_buffers(self, signature: str) -> Any:
        names = self._model.get_signature_list()[signature]
        inputs = {name: self._model.create_input_buffer_by_name(signature, name) for name in names["inputs"]}
        outputs = {name: self._model.create_output_buffer_by_name(signature, name) for name in names["outputs"]}
        shape = self._model.get_output_tensor_details(signature)[PROBABILITIES]["shape"]
        return (inputs, outputs), int(np.prod(shape))

"""Run the encoder of an artifact on the Torq NPU of a Coralboard (Synaptics SL2619), or in its vendor's simulator.

The encoder is a VMFB, a module for IREE, which the vendor's package torq-runtime loads. It has neither names nor scales
of tensors; the metadata have them (`EncoderPart.tensors`).
"""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgedistil_runtime.artifact import CompiledTensor, EncoderFlatbuffers, EncoderPart
from edgedistil_runtime.backends.protocol import Array
from edgedistil_runtime.backends.run_lock import run_lock
from edgedistil_runtime.contract import CORALBOARD, CPU, VMFB_MEMBER
from edgedistil_runtime.errors import AcceleratorUnavailable, BackendError

__all__ = ["TORQ_CHIP", "TorqEncoder", "check_torq_device"]

TORQ_CHIP = "SL2610"  # torq-compile's name for the family of the Coralboard's SL2619
SIMULATOR, BOARD = "sim", "astra_machina"  # the vendor's `torq_hw_type`
_BOARD_MACHINE = "aarch64"
_INSTALL = "pip install torq-runtime==2.3.0 (Python 3.12, Linux with glibc 2.39 or newer, aarch64 or x86-64)"
_OTHER_HARDWARE = ("INCOMPATIBLE", "not found or unavailable", "does not support any variant")


def check_torq_device(device: str | None) -> None:
    """Raise an error if `device` does not name hardware of the vendor's runner.

    Raises:
        BackendError: `device` is none of None, `astra_machina` (the board, as None) and `sim` (the simulator).

    Example:
        >>> check_torq_device("sim")
        >>> check_torq_device("usb")
        Traceback (most recent call last):
        ...
        edgedistil_runtime.errors.BackendError: `device` of a Coralboard must be sim or astra_machina. Received: 'usb'.
    """
    if device not in (None, SIMULATOR, BOARD):
        raise BackendError(
            f"`device` of a {CORALBOARD.capitalize()} must be {SIMULATOR} or {BOARD}. Received: {device!r}."
        )


class TorqEncoder:
    """An encoder on the NPU of a Coralboard, through `torq.runtime.VMFBInferenceRunner`."""

    def __init__(self, encoder: EncoderFlatbuffers, part: EncoderPart, *, device: str | None = None) -> None:
        """Load the encoder.

        Args:
            encoder: Encoder of the artifact.
            part: Its description.
            device: `sim` for the vendor's simulator, which computes a text in seconds on a PC; None for the board.

        Raises:
            AcceleratorUnavailable: The encoder is not compiled or compiled for another chip, torq-runtime is missing,
                this is not a Coralboard, or the runner refuses the encoder.
        """
        hardware = device or BOARD
        _check_part(encoder, part, hardware)
        runner = _runner_class()
        self.name = "torq-runtime" if hardware == BOARD else "torq-runtime's simulator"
        *self._inputs, self._output = part.tensors
        self._lock = run_lock()
        self._folder = tempfile.TemporaryDirectory(prefix="edgedistil-")  # the runner maps a file
        path = Path(self._folder.name, VMFB_MEMBER)
        try:
            path.write_bytes(encoder.compiled or b"")
            self._runner: Any = runner(str(path), device_uri="torq", torq_hw_type=hardware)
            _check_signature(self._runner, part.tensors)
        except (OSError, RuntimeError, ValueError) as error:
            self._folder.cleanup()
            raise _refused(error) from error
        except BaseException:
            self._folder.cleanup()
            raise

    def run(self, length: int, inputs: Mapping[str, Array]) -> Array:
        """Run one text; see `Encoder.run`."""
        with self._lock:
            if self._runner is None:
                raise BackendError("The encoder is closed. Make a new one.")
            try:
                values = [np.ascontiguousarray(inputs[tensor.name], np.int8) for tensor in self._inputs]
                [steps] = self._runner.infer(values)
            except (RuntimeError, ValueError, KeyError) as error:
                shapes = {name: (value.shape, str(value.dtype)) for name, value in inputs.items()}
                raise BackendError(f"{self.name} failed in the encoder: {error}. Received: {shapes}.") from error
            probabilities: Array = np.float32(self._output.scale) * (
                np.asarray(steps).astype(np.float32) - np.float32(self._output.zero_point)
            )
            return probabilities

    def close(self) -> None:
        """Release the encoder; a second call does nothing."""
        with self._lock:
            self._runner = None
            self._folder.cleanup()


def _check_part(encoder: EncoderFlatbuffers, part: EncoderPart, hardware: str) -> None:
    if encoder.compiled is None or len(part.tensors) < 2:
        raise AcceleratorUnavailable(
            f"The file's encoder is not compiled for a Coralboard. Convert again with `target`={CORALBOARD!r}, or use "
            f"`accelerator`={CPU!r}."
        )
    chip = part.mapping.get("chip")
    if chip != TORQ_CHIP:
        raise AcceleratorUnavailable(
            f"The file's encoder must be compiled for {TORQ_CHIP}, the chip of a Coralboard. Received: one for "
            f"{chip!r}. Convert again with `target`={CORALBOARD!r}."
        )
    # Without the NPU, torq-runtime 2.3 ends the process ("Unsupported TorqHw type").
    if hardware == BOARD and platform.machine() != _BOARD_MACHINE:
        raise AcceleratorUnavailable(
            f"The accelerator {CORALBOARD!r} is the NPU of a Coralboard, whose processor is {_BOARD_MACHINE}. "
            f"Received: {platform.machine()}. Use `accelerator`={CPU!r}, allow `fallback`, or see the NPU's results in "
            f"the vendor's simulator, in seconds a text: `device`={SIMULATOR!r}."
        )


def _runner_class() -> Any:
    try:
        from torq.runtime import VMFBInferenceRunner
    except ImportError as error:
        raise AcceleratorUnavailable(
            f"A Coralboard needs torq-runtime, which cannot be imported: {error}. Install it: {_INSTALL}."
        ) from error
    except NameError as error:  # version 2.3.0 goes on after its own library could not be loaded
        raise AcceleratorUnavailable(
            f"torq-runtime is installed, and its library cannot be loaded on this system: {error}. "
            f"Its wheels need a newer C library, or another Python: {_INSTALL}."
        ) from error
    return VMFBInferenceRunner


def _check_signature(runner: Any, tensors: Sequence[CompiledTensor]) -> None:
    """Compares the shapes that a VMFB declares, if it does, with those in the metadata."""
    declared = (*(runner.inputs_info or ()), *(runner.outputs_info or ()))
    found = [tuple(info.shape) for info in declared]
    expected = [tensor.shape for tensor in tensors]
    if found and found != expected:
        raise AcceleratorUnavailable(
            f"{VMFB_MEMBER} must take and give the shapes in the metadata, {expected}. Received: {found}. "
            "Convert again."
        )


def _refused(error: Exception) -> AcceleratorUnavailable:
    said = " ".join(str(error).split())[:500]
    if any(sign in said for sign in _OTHER_HARDWARE):
        return AcceleratorUnavailable(
            f"{VMFB_MEMBER} is compiled for other hardware than the Torq NPU, says torq-runtime: {said}. Convert again "
            f"with `target`={CORALBOARD!r}."
        )
    return AcceleratorUnavailable(
        f"torq-runtime does not load the encoder: {said}. Its version must be that of the compiler or newer, and no "
        "other program may use the NPU."
    )

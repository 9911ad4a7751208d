"""Which backend runs a file here, and why not the others.

On a CPU: ai-edge-litert, else tflite-runtime, else TensorFlow, the first that can be imported; TensorFlow Text's ops,
where the tokenizer is made of them, need ai-edge-litert and tensorflow-text. On an accelerator the same interpreter
runs the part that stays on the CPU.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from edgedistil_runtime.artifact import Artifact
from edgedistil_runtime.backends.encoders import Encoder, GPUEncoder, edgetpu_encoder
from edgedistil_runtime.backends.interpreters import (
    InterpreterBackend,
    LiteRTInterpreterBackend,
    TensorFlowBackend,
    TFLiteRuntimeBackend,
    TFTextBackend,
)
from edgedistil_runtime.backends.protocol import Backend
from edgedistil_runtime.backends.two_parts import TwoPartBackend
from edgedistil_runtime.errors import AcceleratorUnavailable, BackendError

__all__ = ["ACCELERATORS", "default_backend", "interpreters_not_used", "open_backend"]

ACCELERATORS = ("cpu", "gpu", "edgetpu")
_INTERPRETERS: tuple[type[InterpreterBackend], ...] = (
    LiteRTInterpreterBackend,
    TFLiteRuntimeBackend,
    TensorFlowBackend,
)


def default_backend(
    model_path: str | os.PathLike[str], *, num_threads: int | None = None, tokenizer: str = "builtin"
) -> Backend:
    """The best interpreter that is installed.

    Args:
        model_path: a `.tflite` file.
        num_threads: threads for one run; None leaves it to the interpreter.
        tokenizer: the kind of the model's tokenizer; `tftext` needs an interpreter with TensorFlow Text's ops.

    Raises:
        BackendError: none is installed, or the one that is cannot load the model.
    """
    return _interpreter(tokenizer)(model_path, num_threads=num_threads)


def open_backend(
    artifact: Artifact, accelerator: str = "cpu", *, num_threads: int | None = None, device: str | None = None
) -> Backend:
    """What runs an artefact on an accelerator.

    Args:
        artifact: read and found intact.
        accelerator: one of `ACCELERATORS`.
        num_threads: for the part on the CPU.
        device: which Edge TPU; see `encoders.edgetpu_encoder`.

    Raises:
        AcceleratorUnavailable: the accelerator cannot be had here, or the artefact was not converted for it.
        BackendError: no interpreter is installed, or it refuses the model.
    """
    metadata = artifact.metadata
    if device is not None and accelerator != "edgetpu":
        raise BackendError(f"device chooses among several Edge TPUs. Received: {device!r} with {accelerator!r}.")
    if accelerator == "cpu":
        return default_backend(artifact.path, num_threads=num_threads, tokenizer=metadata.tokenizer.kind)
    if metadata.encoder is None or metadata.target != accelerator:
        raise AcceleratorUnavailable(
            f"The file was converted for the target {metadata.target} and has no part for {accelerator!r}. Convert "
            f"again with `--target {accelerator}`, or use accelerator='cpu', which every file can."
        )
    kind = _interpreter(metadata.tokenizer.kind)
    host = kind(artifact.path, num_threads=num_threads)
    try:
        encoder: Encoder
        if accelerator == "gpu":
            encoder = GPUEncoder(artifact.encoder(), is_exact=metadata.quantization["scheme"] == "fp32")
        else:
            encoder = edgetpu_encoder(artifact.encoder(), kind, device=device)
    except BaseException:
        host.close()
        raise
    return TwoPartBackend(host, encoder, lengths=metadata.encoder.lengths, pad_id=metadata.tokenizer.pad_id)


def interpreters_not_used(used: str) -> Mapping[str, str]:
    """Interpreter -> why it does not run the model, of all but the one that does.

    Args:
        used: the name of that one.
    """
    return {kind.name: _why_not(kind) for kind in _INTERPRETERS if kind.name != used}


def _why_not(kind: type[InterpreterBackend]) -> str:
    if not kind.is_installed():
        return f"not installed: {kind.how_to_install()}"
    return "installed, and not the first choice"


def _interpreter(tokenizer: str) -> type[InterpreterBackend]:
    """The first kind that can be imported."""
    if tokenizer == "tftext":
        return TFTextBackend
    failures = []
    for kind in _INTERPRETERS:
        if not kind.is_installed():
            continue
        try:
            kind.interpreter_class()
        except BackendError as error:
            failures.append(str(error))
        else:
            return kind
    choices = " or ".join(kind.how_to_install() for kind in _INTERPRETERS[:2])
    raise BackendError(
        f"No interpreter is installed that can run the model. Install one: {choices}. {' '.join(failures)}".rstrip()
    )

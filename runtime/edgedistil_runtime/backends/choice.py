"""Choose the backend that runs a file on this machine, and explain why others are not used.

On a CPU it is the first of ai-edge-litert, tflite-runtime and TensorFlow that can be imported; a tokenizer of
TensorFlow Text's ops needs ai-edge-litert and tensorflow-text. ai-edge-litert has two interfaces: `Interpreter` takes
less memory for small models and `CompiledModel` for large ones, because it keeps packed weights only once
(benchmarks/weight_cache.py). With an accelerator, an interpreter runs the part that stays on the CPU.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Union

from edgedistil_runtime.artifact import Artifact
from edgedistil_runtime.backends.compiled_model import CompiledModelBackend
from edgedistil_runtime.backends.encoders import Encoder, GPUEncoder, InterpreterEncoder, edgetpu_encoder
from edgedistil_runtime.backends.interpreters import (
    LARGEST_IN_MEMORY,
    InterpreterBackend,
    LiteRTInterpreterBackend,
    TensorFlowBackend,
    TFLiteRuntimeBackend,
    TFTextBackend,
)
from edgedistil_runtime.backends.protocol import Backend
from edgedistil_runtime.backends.torq import TorqEncoder
from edgedistil_runtime.backends.two_parts import BOTH, TwoPartBackend
from edgedistil_runtime.backends.weight_cache import (
    default_cache_folder,
    open_compiled_model,
    open_with_weight_cache,
)
from edgedistil_runtime.contract import BUILTIN, CORALBOARD, CPU, GPU, NPU, TFTEXT
from edgedistil_runtime.errors import AcceleratorUnavailable, BackendError

__all__ = ["WeightCache", "default_backend", "encoder_on_cpu", "interpreters_not_used", "open_backend"]

WeightCache = Union[bool, str, "os.PathLike[str]", None]  # as `TextClassifier` takes it
_INTERPRETERS: tuple[type[InterpreterBackend], ...] = (
    LiteRTInterpreterBackend,
    TFLiteRuntimeBackend,
    TensorFlowBackend,
)
_log = logging.getLogger(__name__)


def default_backend(
    model_path: str | os.PathLike[str] | bytes, *, num_threads: int | None = None, tokenizer: str = BUILTIN
) -> Backend:
    """Return a backend with the best installed interpreter.

    Args:
        model_path: A `.tflite` file or its content.
        num_threads: Number of threads for one run; None is 1.
        tokenizer: Kind of the model's tokenizer; `tftext` needs an interpreter with TensorFlow Text's ops.

    Raises:
        BackendError: No interpreter is installed, or it cannot load the model.

    Example:
        >>> backend = default_backend("intents.tflite")
        >>> sorted(backend.signatures())
        ['classify_text', 'classify_tokens', 'tokenize']
        >>> backend.close()
    """
    return _interpreter_kind(tokenizer)(model_path, num_threads=num_threads)


def open_backend(
    artifact: Artifact,
    accelerator: str = CPU,
    *,
    num_threads: int | None = None,
    device: str | None = None,
    weight_cache: WeightCache = None,
) -> Backend:
    """Return the backend that runs an artifact on an accelerator.

    Args:
        artifact: An intact artifact.
        accelerator: One of `contract.TARGETS`.
        num_threads: Number of threads for the part on the CPU.
        device: The Edge TPU to use, see `encoders.edgetpu_encoder`, or the Coralboard's, see `TorqEncoder`.
        weight_cache: Folder for packed weights if the whole model runs on the CPU; see `TextClassifier`.

    Raises:
        AcceleratorUnavailable: The accelerator is unavailable, or the artifact was not converted for it.
        BackendError: No interpreter is installed, or it refuses the model.

    Example:
        >>> from edgedistil_runtime import read_artifact
        >>> open_backend(read_artifact("intents.tflite"), "gpu")
        Traceback (most recent call last):
        ...
        edgedistil_runtime.errors.AcceleratorUnavailable: The file was converted for the target cpu ...
    """
    metadata = artifact.metadata
    if accelerator == CPU:
        return _open_on_cpu(artifact, num_threads, weight_cache)
    if accelerator == NPU:
        raise AcceleratorUnavailable(
            "This runtime does not run models on an NPU, which needs a compiler of its maker. A file for one "
            f"(`target`={NPU!r}) runs here with `accelerator`={CPU!r}."
        )
    if metadata.encoder is None or metadata.target != accelerator:
        raise AcceleratorUnavailable(
            f"The file was converted for the target {metadata.target} and has no part for {accelerator!r}. Convert "
            f"again with `target`={accelerator!r}, or use `accelerator`={CPU!r}, which every file supports."
        )
    kind = _interpreter_kind(metadata.tokenizer.kind)
    host = kind(artifact.model, num_threads=num_threads)
    try:
        encoder: Encoder
        if accelerator == GPU:
            encoder = GPUEncoder(artifact.encoder(), is_exact=metadata.quantization["scheme"] == "fp32")
        elif accelerator == CORALBOARD:
            encoder = TorqEncoder(artifact.encoder(), metadata.encoder, device=device)
        else:
            encoder = edgetpu_encoder(artifact.encoder(), kind, device=device)
    except BaseException:
        host.close()
        raise
    return _in_two_parts(host, encoder, artifact)


def encoder_on_cpu(artifact: Artifact, *, num_threads: int | None = None) -> TwoPartBackend:
    """Return a backend that runs both parts on this CPU, to see an accelerator's results without one.

    Args:
        artifact: An artifact with a part for an accelerator.
        num_threads: Number of threads for each part.

    Raises:
        ArtifactError: The artifact has no such part.
        BackendError: No interpreter is installed, or it refuses the model.
    """
    part, kind = artifact.encoder(), _interpreter_kind(artifact.metadata.tokenizer.kind)
    encoder = InterpreterEncoder(part.model, kind, num_threads=num_threads)
    return _in_two_parts(kind(artifact.model, num_threads=num_threads), encoder, artifact)


def _in_two_parts(host: Backend, encoder: Encoder, artifact: Artifact) -> TwoPartBackend:
    part = artifact.metadata.encoder
    assert part is not None
    return TwoPartBackend(host, encoder, lengths=part.lengths, pad_id=artifact.metadata.tokenizer.pad_id)


def interpreters_not_used(used: str, artifact: Artifact, weight_cache: WeightCache = None) -> Mapping[str, str]:
    """Return the reasons why other interpreters do not run a model, interpreter -> reason.

    Args:
        used: Name of the backend in use.
        artifact: The model.
        weight_cache: Argument of `open_backend`.

    Example:
        >>> from edgedistil_runtime import read_artifact
        >>> reasons = interpreters_not_used("ai-edge-litert", read_artifact("intents.tflite"))
        >>> reasons["ai-edge-litert CompiledModel"]
        'it takes more memory than it saves for models up to 16 MB'
    """
    kinds: list[type[CompiledModelBackend] | type[InterpreterBackend]] = [CompiledModelBackend, *_INTERPRETERS]
    parts = used.split(BOTH)
    found = {kind.name: _reason_not_used(kind) for kind in kinds if kind.name not in parts}
    if len(parts) == 1 and CompiledModelBackend.name in found and CompiledModelBackend.is_installed():
        found[CompiledModelBackend.name] = _reason_against_compiled_model(artifact, weight_cache) or (
            "installed, but it could not load the model; see the log"
        )
    return found


def _reason_not_used(kind: type[CompiledModelBackend] | type[InterpreterBackend]) -> str:
    if not kind.is_installed():
        return f"not installed: {kind.how_to_install()}"
    return "installed, but not the first choice"


def _open_on_cpu(artifact: Artifact, num_threads: int | None, weight_cache: WeightCache) -> Backend:
    kind = artifact.metadata.tokenizer.kind
    reason = _reason_against_compiled_model(artifact, weight_cache)
    if weight_cache is not None and weight_cache is not False:
        if reason:
            raise BackendError(f"`weight_cache` cannot be used: {reason}. Received: {weight_cache!r}.")
        folder = default_cache_folder() if weight_cache is True else weight_cache
        return open_with_weight_cache(artifact, folder, num_threads=num_threads)
    if not reason and CompiledModelBackend.is_installed():
        try:
            return open_compiled_model(artifact, num_threads=num_threads)
        except BackendError as error:
            _log.warning("An interpreter is used instead of CompiledModel and takes more memory: %s", error)
    return default_backend(artifact.model, num_threads=num_threads, tokenizer=kind)


def _reason_against_compiled_model(artifact: Artifact, weight_cache: WeightCache) -> str:
    """Return the reason why LiteRT's CompiledModel is not used for a model; empty if it is."""
    if artifact.metadata.tokenizer.kind == TFTEXT:
        return "it takes no string tensors, which the TensorFlow Text tokenizer needs"
    if weight_cache is False:
        return "not wanted: `weight_cache` is False"
    if weight_cache is None and artifact.size <= LARGEST_IN_MEMORY:
        return f"it takes more memory than it saves for models up to {LARGEST_IN_MEMORY // 10**6} MB"
    return ""


def _interpreter_kind(tokenizer: str) -> type[InterpreterBackend]:
    """Return the first kind that can be imported."""
    if tokenizer == TFTEXT:
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

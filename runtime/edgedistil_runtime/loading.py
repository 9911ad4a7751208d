"""Load an artifact: choose the backend, replay the golden cases, and report both."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from edgedistil_runtime.artifact import Artifact, ArtifactMetadata, GoldenCase
from edgedistil_runtime.backends.choice import WeightCache, interpreters_not_used, open_backend
from edgedistil_runtime.backends.encoders import check_edgetpu_device
from edgedistil_runtime.backends.protocol import Array, Backend
from edgedistil_runtime.backends.torq import check_torq_device
from edgedistil_runtime.contract import COMPILED_MEMBERS, CORALBOARD, CPU, EDGETPU, NPU, TARGETS
from edgedistil_runtime.errors import BackendError
from edgedistil_runtime.golden_cases import replay_golden_cases
from edgedistil_runtime.probing import probe
from edgedistil_runtime.runner import SignatureRunner

__all__ = ["LoadOptions", "LoadedModel", "RuntimeInfo", "load_model"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RuntimeInfo:
    """Backend and accelerator that run a model, and the result of its golden cases.

    Attributes:
        backend: Name of the backend, for instance `ai-edge-litert`.
        version: Version of the backend.
        accelerator: Accelerator in use: `cpu`, `gpu`, `edgetpu` or `coralboard`.
        num_threads: Requested number of threads; None is 1 on a CPU.
        golden_cases: Number of golden cases replayed, those that fit the backend's shapes; 0 if `verify` was false.
        largest_difference: Largest absolute difference of a probability in the replay.
        load_seconds: Seconds until the model was loaded, with the trial in a child process.
        replay_seconds: Seconds for the golden cases. On a GPU this includes compiling shaders the first time.
        fallback_reason: Reason why the requested accelerator is not in use; empty if it is.
        not_used: Reasons why other interpreters do not run the model, interpreter -> reason.

    Example:
        >>> from edgedistil_runtime import TextClassifier
        >>> with TextClassifier("intents.tflite") as classifier:
        ...     info = classifier.runtime_info
        >>> info.accelerator, info.golden_cases > 0, info.largest_difference < 0.1
        ('cpu', True, True)
    """

    backend: str
    version: str
    accelerator: str
    num_threads: int | None
    golden_cases: int
    largest_difference: float
    load_seconds: float = 0.0
    replay_seconds: float = 0.0
    fallback_reason: str = ""
    not_used: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LoadOptions:
    """Options of loading, as arguments of `TextClassifier`.

    Attributes:
        accelerator: `accelerator`.
        num_threads: `num_threads`.
        device: `device`.
        is_fallback_allowed: `fallback`.
        is_verified: `verify`.
        is_probed: `probe`.
        weight_cache: `weight_cache`.
    """

    accelerator: str = CPU
    num_threads: int | None = None
    device: str | None = None
    is_fallback_allowed: bool = False
    is_verified: bool = True
    is_probed: bool = True
    weight_cache: WeightCache = None


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to run.

    Attributes:
        backend: Backend that runs the model; the owner of this value closes it.
        runner: Signatures of the model.
        info: Report about the backend and the golden cases.
    """

    backend: Backend
    runner: SignatureRunner
    info: RuntimeInfo


def load_model(artifact: Artifact, options: LoadOptions, backend: Backend | None = None) -> LoadedModel:
    """Load an artifact and replay its golden cases.

    Args:
        artifact: An intact artifact.
        options: Options of loading.
        backend: Backend to use instead of one that is found; it is closed if loading fails.

    Raises:
        AcceleratorUnavailable: The accelerator is unavailable, or the file was not converted for it.
        AcceleratorMismatch: The golden cases came out differently here.
        BackendError: No interpreter on this machine can run the model.

    Example:
        >>> from edgedistil_runtime import read_artifact
        >>> loaded = load_model(read_artifact("intents.tflite"), LoadOptions(is_verified=False))
        >>> loaded.info.golden_cases, loaded.runner.takes_text
        (0, True)
        >>> loaded.backend.close()
    """
    try:
        _check_options(options)
    except BackendError:
        if backend is not None:
            backend.close()
        raise
    try:
        return _load(artifact, options, backend)
    except BackendError as error:
        if not options.is_fallback_allowed or options.accelerator == CPU or backend is not None:
            raise
        _log.warning("The CPU is used instead of the accelerator %r: %s", options.accelerator, error)
        loaded = _load(artifact, replace(options, accelerator=CPU, device=None), None)
        return replace(loaded, info=replace(loaded.info, fallback_reason=str(error)))


def _check_options(options: LoadOptions) -> None:
    if options.accelerator not in TARGETS:
        names = ", ".join(target for target in TARGETS if target != NPU)
        raise BackendError(f"`accelerator` must be one of {names}. Received: {options.accelerator!r}.")
    if options.accelerator == CORALBOARD:
        check_torq_device(options.device)
        return
    if options.device is not None and options.accelerator != EDGETPU:
        raise BackendError(
            "`device` chooses among several Edge TPUs, or the simulator of the Coralboard. "
            f"Received: {options.device!r} with {options.accelerator!r}."
        )
    check_edgetpu_device(options.device)


def _load(artifact: Artifact, options: LoadOptions, backend: Backend | None) -> LoadedModel:
    started = time.perf_counter()
    if backend is None:
        backend = _open_backend(artifact, options)
    loaded = time.perf_counter()
    try:
        runner = SignatureRunner(backend, artifact.metadata)
        replayed = tuple(filter(runner.can_run, artifact.metadata.golden_cases)) if options.is_verified else ()
        difference = _replay(runner, replace(artifact.metadata, golden_cases=replayed))
    except BaseException:
        backend.close()
        raise
    info = RuntimeInfo(
        backend=backend.name,
        version=backend.version,
        accelerator=options.accelerator,
        num_threads=options.num_threads,
        golden_cases=len(replayed),
        largest_difference=difference,
        load_seconds=loaded - started,
        replay_seconds=time.perf_counter() - loaded,
        not_used=interpreters_not_used(backend.name, artifact, options.weight_cache),
    )
    return LoadedModel(backend, runner, info)


def _has_part_for(metadata: ArtifactMetadata, accelerator: str) -> bool:
    part = metadata.encoder if metadata.target == accelerator else None
    return part is not None and (accelerator not in COMPILED_MEMBERS or part.is_compiled)


def _open_backend(artifact: Artifact, options: LoadOptions) -> Backend:
    if options.is_probed and _has_part_for(artifact.metadata, options.accelerator):
        probe(artifact.model, options.accelerator, num_threads=options.num_threads, device=options.device)
    return open_backend(
        artifact,
        options.accelerator,
        num_threads=options.num_threads,
        device=options.device,
        weight_cache=options.weight_cache,
    )


def _replay(runner: SignatureRunner, metadata: ArtifactMetadata) -> float:
    if not runner.takes_text:
        return replay_golden_cases(
            metadata,
            tokenize=None,
            probabilities=lambda case: runner.classify_tokens(np.array([case.token_ids], np.int32))[0].probabilities,
        )

    def encode(case: GoldenCase) -> Mapping[str, Array]:
        return runner.encode(case.text, case.text_pair)

    return replay_golden_cases(
        metadata,
        tokenize=(lambda case: runner.tokenize(encode(case))) if runner.most_bytes is None else None,
        probabilities=lambda case: runner.classify(encode(case)).probabilities,
    )

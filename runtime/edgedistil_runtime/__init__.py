"""Runs EdgeDistil text classifiers: UTF-8 text in, label out, on numpy and one TFLite interpreter.

Example:
    ```python
    from edgedistil_runtime import TextClassifier

    with TextClassifier("intent.tflite") as classifier:
        answer = classifier.classify("turn on the kitchen light")
    print(answer.label, answer.score)
    ```

Where things are: `artifact` reads and writes the file, `classifier` is the front door, `loading` finds what runs the
model here, `backends` holds the interpreters and accelerators, `golden_cases` decides whether one can be trusted,
`errors` draws the tree of what is raised.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgedistil_runtime.artifact import Artifact, ArtifactMetadata, GoldenCase, TokenizerSettings, read_artifact
    from edgedistil_runtime.backends import (
        Backend,
        FakeBackend,
        LiteRTInterpreterBackend,
        Signature,
        TensorFlowBackend,
        TFLiteRuntimeBackend,
        TFTextBackend,
    )
    from edgedistil_runtime.classification import Classification
    from edgedistil_runtime.classifier import TextClassifier
    from edgedistil_runtime.errors import (
        AcceleratorMismatch,
        AcceleratorUnavailable,
        ArtifactError,
        BackendError,
        EdgeDistilError,
        InputError,
    )
    from edgedistil_runtime.loading import RuntimeInfo

__all__ = [
    "AcceleratorMismatch",
    "AcceleratorUnavailable",
    "Artifact",
    "ArtifactError",
    "ArtifactMetadata",
    "Backend",
    "BackendError",
    "Classification",
    "EdgeDistilError",
    "FakeBackend",
    "GoldenCase",
    "InputError",
    "LiteRTInterpreterBackend",
    "RuntimeInfo",
    "Signature",
    "TFLiteRuntimeBackend",
    "TFTextBackend",
    "TensorFlowBackend",
    "TextClassifier",
    "TokenizerSettings",
    "__version__",
    "read_artifact",
]

_HOMES = {
    "AcceleratorMismatch": "errors",
    "AcceleratorUnavailable": "errors",
    "Artifact": "artifact",
    "ArtifactError": "errors",
    "ArtifactMetadata": "metadata",
    "Backend": "backends",
    "BackendError": "errors",
    "Classification": "classification",
    "EdgeDistilError": "errors",
    "FakeBackend": "backends",
    "GoldenCase": "metadata",
    "InputError": "errors",
    "LiteRTInterpreterBackend": "backends",
    "RuntimeInfo": "loading",
    "Signature": "backends",
    "TFLiteRuntimeBackend": "backends",
    "TFTextBackend": "backends",
    "TensorFlowBackend": "backends",
    "TextClassifier": "classifier",
    "TokenizerSettings": "metadata",
    "read_artifact": "artifact",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that `edgedistil_runtime.errors` comes without NumPy."""
    if name == "__version__":
        return _version()
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def _version() -> str:
    try:
        return importlib.metadata.version("edgedistil-runtime")
    except importlib.metadata.PackageNotFoundError:  # a copied folder, not an installed distribution
        return "0.0.0"

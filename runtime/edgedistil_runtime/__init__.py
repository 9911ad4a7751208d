"""Run EdgeDistil text classifiers: UTF-8 text in, label out, with NumPy and one TFLite interpreter.

Example:
    >>> from edgedistil_runtime import TextClassifier
    >>> with TextClassifier("intents.tflite") as classifier:
    ...     answer = classifier.classify("turn on the lights")
    >>> answer.label, answer.top(1) == [(answer.label, answer.score)]
    ('lights', True)

Modules: `contract` has the names in an artifact, `artifact` reads and writes the file, `classifier` has the class that
most programs need, `loading` chooses what runs the model, `backends` holds interpreters and accelerators,
`golden_cases` checks their results, and `errors` draws the tree of exceptions.
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
        SigningKeyError,
        UntrustedArtifact,
    )
    from edgedistil_runtime.explanation import Explanation, WordEffect, explain
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
    "Explanation",
    "FakeBackend",
    "GoldenCase",
    "InputError",
    "LiteRTInterpreterBackend",
    "RuntimeInfo",
    "Signature",
    "SigningKeyError",
    "TFLiteRuntimeBackend",
    "TFTextBackend",
    "TensorFlowBackend",
    "TextClassifier",
    "TokenizerSettings",
    "UntrustedArtifact",
    "WordEffect",
    "__version__",
    "explain",
    "read_artifact",
]

_LAZY_NAMES = {
    "AcceleratorMismatch": "errors",
    "AcceleratorUnavailable": "errors",
    "Artifact": "artifact",
    "ArtifactError": "errors",
    "ArtifactMetadata": "metadata",
    "Backend": "backends",
    "BackendError": "errors",
    "Classification": "classification",
    "EdgeDistilError": "errors",
    "Explanation": "explanation",
    "FakeBackend": "backends",
    "GoldenCase": "metadata",
    "InputError": "errors",
    "LiteRTInterpreterBackend": "backends",
    "RuntimeInfo": "loading",
    "Signature": "backends",
    "SigningKeyError": "errors",
    "TFLiteRuntimeBackend": "backends",
    "TFTextBackend": "backends",
    "TensorFlowBackend": "backends",
    "TextClassifier": "classifier",
    "TokenizerSettings": "metadata",
    "UntrustedArtifact": "errors",
    "WordEffect": "explanation",
    "explain": "explanation",
    "read_artifact": "artifact",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `edgedistil_runtime.errors` does not import NumPy."""
    if name == "__version__":
        return _version()
    if name not in _LAZY_NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY_NAMES[name]}"), name)


def _version() -> str:
    try:
        return importlib.metadata.version("edgedistil-runtime")
    except importlib.metadata.PackageNotFoundError:  # a copied folder, not an installed distribution
        return "0.0.0"

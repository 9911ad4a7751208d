"""Runs EdgeDistil text classifiers: UTF-8 text in, label out, on numpy and one TFLite interpreter.

Example:
    ```python
    from edgedistil_runtime import TextClassifier

    with TextClassifier("intent.tflite") as classifier:
        answer = classifier.classify("turn on the kitchen light")
    print(answer.label, answer.score)
    ```

Where things are: `artifact` reads and writes the file, `classifier` is the front door, `backends` holds the
interpreters, `golden_cases` decides whether one can be trusted, `errors` draws the tree of what is raised.
"""

import importlib.metadata

from edgedistil_runtime.artifact import Artifact, ArtifactMetadata, GoldenCase, TokenizerSettings, read_artifact
from edgedistil_runtime.backends import Backend, FakeBackend, LiteRTInterpreterBackend, Signature, TFLiteRuntimeBackend
from edgedistil_runtime.classification import Classification
from edgedistil_runtime.classifier import RuntimeInfo, TextClassifier
from edgedistil_runtime.errors import (
    AcceleratorMismatch,
    ArtifactError,
    BackendError,
    EdgeDistilError,
    InputError,
)

__all__ = [
    "AcceleratorMismatch",
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
    "TextClassifier",
    "TokenizerSettings",
    "__version__",
    "read_artifact",
]

try:
    __version__ = importlib.metadata.version("edgedistil-runtime")
except importlib.metadata.PackageNotFoundError:  # a copied folder, not an installed distribution
    __version__ = "0.0.0"

"""Backends: everything that can execute an artifact.

    protocol        `Backend`, the interface: signatures and arrays
    compiled_model  ai-edge-litert's `CompiledModel`, whose packed weights can be kept
    weight_cache    files of packed weights
    package         base class of backends for installed packages
    interpreters    ai-edge-litert, tflite-runtime and TensorFlow: one interface under three names
    encoders        the part of a model for an accelerator: on a GPU, an Edge TPU, or a CPU instead
    two_parts       an interpreter and an encoder as one backend
    fixed_only      a model as a host sees it that cannot resize an input
    run_lock        locks: one run at a time, and none during a fork
    choice          the choice of a backend for a file, and why others are not used
    fake            a backend for tests

Interpreters are imported when a backend is made, so that the package imports fast and metadata can be read without any
interpreter.
"""

from edgedistil_runtime.backends.choice import default_backend, open_backend
from edgedistil_runtime.backends.compiled_model import CompiledModelBackend
from edgedistil_runtime.backends.fake import FakeBackend
from edgedistil_runtime.backends.fixed_only import FixedOnlyBackend
from edgedistil_runtime.backends.interpreters import (
    LiteRTInterpreterBackend,
    TensorFlowBackend,
    TFLiteRuntimeBackend,
    TFTextBackend,
)
from edgedistil_runtime.backends.protocol import Array, Backend, Signature

__all__ = [
    "Array",
    "Backend",
    "CompiledModelBackend",
    "FakeBackend",
    "FixedOnlyBackend",
    "LiteRTInterpreterBackend",
    "Signature",
    "TFLiteRuntimeBackend",
    "TFTextBackend",
    "TensorFlowBackend",
    "default_backend",
    "open_backend",
]

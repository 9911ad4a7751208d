"""What can execute an artefact.

    protocol        `Backend`: signatures and arrays
    compiled_model  ai-edge-litert's other way to run a model, whose packed weights can be kept
    weight_cache    the files that keep them
    package         what backends of installed packages share
    interpreters    ai-edge-litert, tflite-runtime and TensorFlow: the same interface under three names
    encoders        the part of a model that an accelerator runs: GPU, Edge TPU, or a CPU in their place
    two_parts       an interpreter and an encoder as one backend
    run_lock        one run at a time, and none amid a fork
    choice          which of them runs a file here, and why the others do not
    fake            a backend for tests

Interpreters are imported when a backend is made, not when these modules are, so that the package imports fast and its
metadata can be read without any interpreter.
"""

from edgedistil_runtime.backends.choice import default_backend, open_backend
from edgedistil_runtime.backends.compiled_model import CompiledModelBackend
from edgedistil_runtime.backends.fake import FakeBackend
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
    "LiteRTInterpreterBackend",
    "Signature",
    "TFLiteRuntimeBackend",
    "TFTextBackend",
    "TensorFlowBackend",
    "default_backend",
    "open_backend",
]

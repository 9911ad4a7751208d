"""Every error that EdgeDistil raises on purpose, in one tree.

    EdgeDistilError
    ├── DataError               labelled texts are unusable: file, row, column or class
    ├── PresetError             a preset is missing, unreachable, unreadable, or lacks what is asked of it
    ├── OutputError             a target path cannot be written
    ├── ConversionError         a classifier cannot become an artifact
    │   ├── StructureError      the converted graph does not follow the plan (float instead of int8, a foreign op)
    │   └── ParityError         the converted graph does not compute what the Keras classifier computes
    ├── ArtifactError           a model file is not an intact EdgeDistil artifact
    │   └── UntrustedArtifact   it is not signed with the key that was asked for
    ├── SigningKeyError         a key cannot be read, written or used
    ├── BudgetError             no student is small, fast and accurate enough
    ├── WorkerError             another worker of a training ended, does not answer, or trains something else
    ├── InputError              a text cannot be classified
    └── BackendError            no interpreter on this machine can run the artifact
        ├── AcceleratorUnavailable  the requested accelerator is unavailable, on this machine or for this file
        └── AcceleratorMismatch     the results differ from the golden cases

The tree is in the runtime because all other packages import the runtime. A message states what is wrong, the legal
forms, the received value and the next step. It names parameters in backticks; command lines replace them by flags.
"""

__all__ = [
    "AcceleratorMismatch",
    "AcceleratorUnavailable",
    "ArtifactError",
    "BackendError",
    "BudgetError",
    "ConversionError",
    "DataError",
    "EdgeDistilError",
    "InputError",
    "OutputError",
    "ParityError",
    "PresetError",
    "SigningKeyError",
    "StructureError",
    "UntrustedArtifact",
    "WorkerError",
]


class EdgeDistilError(Exception):
    """Base class: catch it to catch everything that EdgeDistil raises on purpose.

    Example:
        >>> from edgedistil_runtime import read_artifact
        >>> try:
        ...     read_artifact("missing.tflite")
        ... except EdgeDistilError as error:
        ...     print(type(error).__name__)
        ArtifactError
    """


class DataError(EdgeDistilError):
    """Labelled texts are unusable: a file, row, column or class is missing or malformed."""


class PresetError(EdgeDistilError):
    """A preset is missing, unreachable or unreadable, or it lacks what is asked of it."""


class OutputError(EdgeDistilError):
    """A target path cannot be written: its folder is missing, it exists already, or the disk is full."""


class ConversionError(EdgeDistilError):
    """A classifier cannot become an artifact.

    Example:
        >>> issubclass(StructureError, ConversionError), issubclass(ParityError, ConversionError)
        (True, True)
    """


class StructureError(ConversionError):
    """The converted graph does not follow its plan: float instead of int8, or a forbidden op."""


class ParityError(ConversionError):
    """The converted graph does not compute what the Keras classifier computes."""


class ArtifactError(EdgeDistilError):
    """A model file is not an intact EdgeDistil artifact."""


class UntrustedArtifact(ArtifactError):
    """A model file is not signed with the key that was asked for, or it was changed after it was signed.

    Example:
        >>> issubclass(UntrustedArtifact, ArtifactError)
        True
    """


class SigningKeyError(EdgeDistilError):
    """A key for signatures cannot be read, written or used."""


class BudgetError(EdgeDistilError):
    """No student is small, fast and accurate enough; the nearest one is named."""


class WorkerError(EdgeDistilError):
    """Another worker of a training ended, does not answer, or has other data or settings."""


class InputError(EdgeDistilError):
    """A text cannot be classified, for instance because it is not a string."""


class BackendError(EdgeDistilError):
    """No interpreter on this machine can run the artifact.

    Example:
        >>> issubclass(AcceleratorUnavailable, BackendError), issubclass(AcceleratorMismatch, BackendError)
        (True, True)
    """


class AcceleratorUnavailable(BackendError):
    """The requested accelerator is unavailable: no library, no device, no driver, or no part for it in the file."""


class AcceleratorMismatch(BackendError):
    """The interpreter or accelerator runs the artifact, but its results differ from the golden cases."""

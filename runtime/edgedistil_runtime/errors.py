"""Every error that EdgeDistil raises on purpose, in one tree.

    EdgeDistilError
    ├── DataError               labelled texts that cannot be used: file, row, column or class
    ├── PresetError             a preset that cannot be found, reached, read, or that lacks what is asked of it
    ├── OutputError             a target path that cannot be written
    ├── ConversionError         a classifier that cannot become an artefact
    │   ├── StructureError      the converted graph is not what the plan says (float where int8 is due, a foreign op)
    │   └── ParityError         the converted graph does not compute what the Keras classifier computes
    ├── ArtifactError           a model file that is not an intact EdgeDistil artefact
    ├── InputError              a text that cannot be classified
    └── BackendError            no interpreter here can run the artefact
        ├── AcceleratorUnavailable  the accelerator that was asked for cannot be had here, or not with this file
        └── AcceleratorMismatch     it runs the artefact and computes something else than the golden cases

The tree lives in the runtime because that is the one package that all others import. A message says what is
wrong, which forms are legal, what was received and what to try next; the command line prints it as it is.
"""

__all__ = [
    "AcceleratorMismatch",
    "AcceleratorUnavailable",
    "ArtifactError",
    "BackendError",
    "ConversionError",
    "DataError",
    "EdgeDistilError",
    "InputError",
    "OutputError",
    "ParityError",
    "PresetError",
    "StructureError",
]


class EdgeDistilError(Exception):
    """Root of the tree: catch this one to catch everything EdgeDistil raises on purpose."""


class DataError(EdgeDistilError):
    """Labelled texts cannot be used: a file, row, column or class is missing or malformed."""


class PresetError(EdgeDistilError):
    """A preset cannot be found, reached or read, or it lacks what is asked of it."""


class OutputError(EdgeDistilError):
    """A target path cannot be written: no such folder, already there, or no room."""


class ConversionError(EdgeDistilError):
    """A classifier cannot become an artefact."""


class StructureError(ConversionError):
    """The converted graph is not what its plan says: float where int8 is due, or an op the contract forbids."""


class ParityError(ConversionError):
    """The converted graph does not compute what the Keras classifier computes."""


class ArtifactError(EdgeDistilError):
    """A model file is not an intact EdgeDistil artefact."""


class InputError(EdgeDistilError):
    """A text cannot be classified, for instance because it is not a string."""


class BackendError(EdgeDistilError):
    """No interpreter on this machine can run the artefact."""


class AcceleratorUnavailable(BackendError):
    """The accelerator that was asked for cannot be had: no library, no device, no driver, or no part of the file."""


class AcceleratorMismatch(BackendError):
    """The interpreter runs the artefact, and computes something else than its golden cases."""

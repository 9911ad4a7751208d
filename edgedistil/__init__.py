"""EdgeDistil: labelled texts in, one self-contained `.tflite` text classifier out.

The parts, in the order in which they are used:

    edgedistil.data        labelled texts from files, checked row by row
    edgedistil.presets     names, handles and directories, to classifiers
    edgedistil.builder     backbones, preprocessors and classifiers, from nothing or from a preset
    edgedistil.training    fit a classifier and write it as a preset directory
    edgedistil.cli         the command line over all of it

This module imports none of them, so that `import edgedistil` is instant.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"

"""EdgeDistil: labelled texts in, one self-contained `.tflite` text classifier out.

The parts, in the order in which they are used:

    data        labelled texts from files, checked row by row
    presets     names, handles and directories -> classifiers
    builder     new backbones, preprocessors and classifiers
    training    fits a classifier and writes it as a preset directory
    conversion  preset -> verified .tflite file
    signing     keys, and the signature of a file
    labelling   labels files of any size
    measuring   speed, memory and scores of models
    report      the measurements as one HTML page
    cli         the command line

This module imports none of them, so that `import edgedistil` is instant.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"

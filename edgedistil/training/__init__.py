"""Training: settings, batches, the loop, and the preset directory that it writes.

    settings       TrainingSettings, with defaults for fine-tuning and for training from scratch (no TensorFlow)
    batches        texts -> token ids, in batches as long as their longest text
    optimization   AdamW with a warm-up
    callbacks      the best epoch, and reports of progress
    start          a preset or numbers -> the classifier that training begins with
    loop           train(): classifier and data -> TrainingResult
    keras_outputs  probabilities of a Keras classifier
    record         TrainingResult -> preset directory with labels.txt, training.json and training.png
    curves         the plot in training.png

Importing this package imports only the settings.
"""

from edgedistil.training.settings import FINE_TUNING, FROM_SCRATCH, TrainingSettings, from_scratch_settings

__all__ = ["FINE_TUNING", "FROM_SCRATCH", "TrainingSettings", "from_scratch_settings"]

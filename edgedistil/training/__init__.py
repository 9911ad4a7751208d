"""Training: settings, batches, the loop, and the preset directory that it leaves.

    settings      TrainingSettings, and the defaults for fine-tuning and for training from scratch (no TensorFlow)
    batches       texts to token ids, and batches as long as their longest text
    optimization  AdamW with a warm-up
    callbacks     the best epoch, and the progress bar
    start         a preset or numbers to the classifier that training begins with
    loop          train(): a classifier and data to a TrainingResult
    metrics       accuracy, macro-F1, loss
    record        a TrainingResult to a preset directory with labels.txt, training.json and training.png

Importing this package brings in the settings alone.
"""

from edgedistil.training.settings import FINE_TUNING, FROM_SCRATCH, TrainingSettings, from_scratch_settings

__all__ = ["FINE_TUNING", "FROM_SCRATCH", "TrainingSettings", "from_scratch_settings"]

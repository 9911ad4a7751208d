"""Training: settings, batches, the loop, and the preset directory that it writes.

    settings       TrainingSettings, with defaults for fine-tuning and for training from scratch (no TensorFlow)
    fitting        fit(): texts and labels in one call, shuffled
    start          a preset or numbers -> the classifier that training begins with
    pooling        a layer whose first position is the mean over all tokens
    head           a new head that is a linear classifier of the encoder's outputs
    loop           train(): classifier and data -> TrainingResult
    targets        class and weight of each text
    objective      the loss: cross-entropy with the labels, or with a teacher's answers too
    set_losses     losses for texts with several labels
    batches        texts -> token ids, in batches as long as their longest text
    network        the Keras model that is trained: the classifier's variables, the embeddings of pieces that occur
    forward        its forward pass, with dropout
    optimization   AdamW with a warm-up and a learning rate for each layer
    callbacks      the best epoch, and reports of progress
    state          the state after an epoch, to go on from
    keras_outputs  probabilities of a Keras classifier
    record         TrainingResult -> preset directory with labels.txt, training.json, README.md and training.png
    card           the model card in README.md
    curves         the plot in training.png
    checks         what does not fit a training, refused before it
    cluster        the workers that TF_CONFIG names
    meeting        waits until all workers are there
    team           workers that add up tensors, by TensorFlow's strategy
    together       the loop of several workers
    workers        refuses several workers where one process works

Importing this package imports only the settings; `fit` is imported when it is used.
"""

from typing import Any

from edgedistil.training.settings import FINE_TUNING, FROM_SCRATCH, TrainingSettings, from_scratch_settings

__all__ = ["FINE_TUNING", "FROM_SCRATCH", "TrainingSettings", "fit", "from_scratch_settings"]


def __getattr__(name: str) -> Any:
    if name == "fit":
        from edgedistil.training.fitting import fit

        return fit
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

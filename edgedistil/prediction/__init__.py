"""Labels for files of any size: rows in, the same rows with labels and scores out, in bounded memory.

    source -> chunks of rows -> classify_batch -> the same rows with new columns -> OUTPUT.partial -> OUTPUT

A chunk is the unit of everything: it is read, labelled, written and recorded as a whole, so an interrupted run goes on
behind the last one that was recorded, and writes what one run would have written.
"""

from edgedistil.prediction.labelling import Prediction, PredictionRequest, Progress, predict_file
from edgedistil.prediction.sources import ChunkLimits, TextColumns
from edgedistil.prediction.writers import OUTPUT_EXTENSIONS

__all__ = [
    "OUTPUT_EXTENSIONS",
    "ChunkLimits",
    "Prediction",
    "PredictionRequest",
    "Progress",
    "TextColumns",
    "predict_file",
]

"""Labels for files of any size: rows in, the same rows with labels and scores out, in bounded memory.

    source -> chunks of rows -> classify_batch -> the same rows with new columns -> OUTPUT.partial -> OUTPUT

A chunk is the unit of everything: it is read, labelled, written and recorded as a whole, so an interrupted run goes on
behind the last one that was recorded, and writes what one run would have written.
"""

from edgedistil.labelling.run import LabellingRequest, LabellingResult, Progress, label_file
from edgedistil.labelling.sources import ChunkLimits, TextColumns
from edgedistil.labelling.writers import OUTPUT_EXTENSIONS

__all__ = [
    "OUTPUT_EXTENSIONS",
    "ChunkLimits",
    "LabellingRequest",
    "LabellingResult",
    "Progress",
    "TextColumns",
    "label_file",
]

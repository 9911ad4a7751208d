"""Labels for files of any size: rows in, the same rows with labels and scores out, in bounded memory.

    source -> chunks of rows -> classify_batch -> the same rows with new columns -> OUTPUT.partial -> OUTPUT

    sources   files or lines -> chunks
    chunks    rows as records or as a table
    answers   the new columns
    writers   chunks and labels -> CSV, JSON Lines or Parquet
    partial   the growing output and its record
    run       all of it

A chunk is read, labelled, written and recorded as a whole, so an interrupted run continues after the last recorded
chunk, and writes what one run would have written.
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

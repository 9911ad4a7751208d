"""Labels for files of any size: rows in, the same rows with labels and scores out, in bounded memory.

    source -> chunks of rows -> classify_batch -> the same rows with new columns -> OUTPUT.partial -> OUTPUT

    sources   files or lines -> chunks
    chunks    rows as records or as a table
    answers   the new columns
    writers   chunks and labels -> CSV, JSON Lines or Parquet
    partial   the growing output and its record
    run       all of it

With Ray, on several processes or machines, the same from blocks of chunks:

    input_files   the files of a folder, a glob or an object store
    blocks        what a worker labels at once
    ray_cluster   the connection to Ray
    ray_run       files, as `run`
    ray_dataset   a dataset of the caller's own Ray program

A chunk is read, labelled, written and recorded as a whole, so an interrupted run continues after the last recorded
chunk, and writes what one run would have written.
"""

from edgedistil.labelling.ray_dataset import label_dataset
from edgedistil.labelling.ray_run import label_files
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
    "label_dataset",
    "label_file",
    "label_files",
]

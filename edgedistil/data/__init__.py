"""Labelled texts: read from files, checked row by row, and divided for training and validation."""

from edgedistil.data.classes import TrainingData, class_names, split
from edgedistil.data.label_sets import MultiLabelTexts, read_label_sets
from edgedistil.data.multi_label import MultiLabelTrainingData
from edgedistil.data.reading import (
    LEGAL_EXTENSIONS,
    LabelledTexts,
    read_labelled_texts,
    read_texts,
    read_texts_and_labels,
)

__all__ = [
    "LEGAL_EXTENSIONS",
    "LabelledTexts",
    "MultiLabelTexts",
    "MultiLabelTrainingData",
    "TrainingData",
    "class_names",
    "read_label_sets",
    "read_labelled_texts",
    "read_texts",
    "read_texts_and_labels",
    "split",
]

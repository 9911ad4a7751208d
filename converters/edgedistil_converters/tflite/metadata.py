"""TFLite Metadata: a flatbuffer inside the model's, which describes the model's tensors to a host.

Its schema is `metadata_schema.fbs` of TensorFlow Lite Support, now maintained by MediaPipe, with file identifier M001.
The few tables that a text classifier needs are written with the `flatbuffers` package, because Google's writers cannot
be installed (tflite-support 0.4.4) or imported (mediapipe 1.2.2).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgedistil_runtime.artifact import FILE_IDENTIFIER
from edgedistil_runtime.errors import ConversionError

__all__ = ["METADATA_NAME", "AssociatedFile", "TensorMetadata", "metadata_bytes", "with_metadata"]

METADATA_NAME = b"TFLITE_METADATA"  # its name among the model's metadata entries
METADATA_IDENTIFIER = b"M001"
# The version of the schema that added BertTokenizerOptions, the newest part used here: GetMemberVersion in MediaPipe's
# tasks/cc/metadata/metadata_version.cc.
_MINIMUM_PARSER = "1.1.0"
_BERT_TOKENIZER_OPTIONS = 4  # its place in the schema's union ProcessUnitOptions


@dataclass(frozen=True)
class AssociatedFile:
    """A member of the ZIP archive after the model.

    Attributes:
        name: Name of the member.
        description: Description for people.
        kind: A value of the schema's enum AssociatedFileType: `LABELS` or `VOCABULARY`.
    """

    LABELS = 2  # TENSOR_AXIS_LABELS
    VOCABULARY = 5

    name: str
    description: str
    kind: int


@dataclass(frozen=True)
class TensorMetadata:
    """The description of an input or output.

    Attributes:
        name: Name by which hosts find the tensor; may differ from the tensor's name in the model.
        description: Description for people.
        files: Associated files, such as the labels of an output.
    """

    name: str
    description: str
    files: tuple[AssociatedFile, ...] = ()


# A table of a flatbuffer: field number -> value; an int is a byte. Field numbers count from 0 in the order of the
# schema; a union has two fields, its type and its value.
_Table = Mapping[int, Any]


def metadata_bytes(
    *,
    name: str,
    description: str,
    inputs: tuple[TensorMetadata, ...],
    outputs: tuple[TensorMetadata, ...],
    vocabulary: AssociatedFile,
) -> bytes:
    """Build the metadata of a model with one subgraph, for a host with a BERT tokenizer.

    Args:
        name: Name of the model.
        description: Description of the model for people.
        inputs: Descriptions in the order of the subgraph's inputs.
        outputs: Descriptions in the order of the subgraph's outputs.
        vocabulary: The file of the tokenizer's pieces, one per line.

    Returns:
        A flatbuffer whose root is the schema's ModelMetadata.

    Example:
        >>> vocabulary = AssociatedFile("vocab.txt", "Pieces, one per line.", AssociatedFile.VOCABULARY)
        >>> inputs = (TensorMetadata("ids", "Token ids."),)
        >>> metadata = metadata_bytes(name="m", description="", inputs=inputs, outputs=(), vocabulary=vocabulary)
        >>> metadata[4:8], b"vocab.txt" in metadata
        (b'M001', True)
    """
    tokenizer: _Table = {0: _BERT_TOKENIZER_OPTIONS, 1: {0: (_file(vocabulary),)}}  # ProcessUnit
    subgraph: _Table = {2: tuple(map(_tensor, inputs)), 3: tuple(map(_tensor, outputs)), 5: (tokenizer,)}
    model: _Table = {0: name, 1: description, 3: (subgraph,), 7: _MINIMUM_PARSER}
    builder = flatbuffers.Builder(1024)
    builder.Finish(_write(builder, model), file_identifier=METADATA_IDENTIFIER)
    return bytes(builder.Output())


def with_metadata(flatbuffer: bytes, metadata: bytes) -> bytes:
    """Add metadata to a model.

    Args:
        flatbuffer: A TFLite model.
        metadata: Metadata from `metadata_bytes`.

    Returns:
        The model with the metadata.

    Raises:
        ConversionError: The model has TFLite Metadata already.

    Example:
        >>> from edgedistil_runtime import read_artifact
        >>> model = with_metadata(read_artifact("intents.tflite").flatbuffer(), b"from metadata_bytes")
        >>> METADATA_NAME in model
        True
        >>> with_metadata(model, b"again")
        Traceback (most recent call last):
        edgedistil_runtime.errors.ConversionError: TFLite Metadata can be added only once. ...
    """
    model = schema.ModelT.InitFromPackedBuf(bytearray(flatbuffer), 0)
    entries = list(model.metadata or [])
    if any(entry.name == METADATA_NAME for entry in entries):
        raise ConversionError(
            "TFLite Metadata can be added only once. Received: a model that has them already. "
            "Pass the flatbuffer from the converter."
        )
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(metadata, np.uint8)
    entry.name, entry.buffer = METADATA_NAME, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*entries, entry]
    builder = flatbuffers.Builder(len(flatbuffer) + len(metadata) + 1024)
    builder.Finish(model.Pack(builder), file_identifier=FILE_IDENTIFIER)
    return bytes(builder.Output())


def _file(file: AssociatedFile) -> _Table:
    return {0: file.name, 1: file.description, 2: file.kind}


def _tensor(tensor: TensorMetadata) -> _Table:
    return {0: tensor.name, 1: tensor.description, 6: tuple(map(_file, tensor.files))}


def _write(builder: Any, value: Any) -> Any:
    """Write a string, a table or a tuple of tables; return its offset."""
    if isinstance(value, str):
        return builder.CreateString(value, errors="replace")  # file names may contain lone surrogates
    if isinstance(value, tuple):
        offsets = [_write(builder, item) for item in value]
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):  # flatbuffers are written from their end
            builder.PrependUOffsetTRelative(offset)
        return builder.EndVector()
    written = {field: _write(builder, item) for field, item in value.items() if not isinstance(item, int)}
    builder.StartObject(max(value) + 1)
    for field, item in value.items():
        if isinstance(item, int):
            builder.PrependUint8Slot(field, item, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(field, written[field], 0)
    return builder.EndObject()

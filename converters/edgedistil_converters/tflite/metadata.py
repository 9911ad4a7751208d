"""TFLite Metadata: a second flatbuffer inside of the model's, which tells a host what its tensors mean.

Its schema is `metadata_schema.fbs` of TensorFlow Lite Support, which MediaPipe carries on with file identifier M001.
The few tables that a text classifier needs are written here with the `flatbuffers` package alone: Google's writers are
not installable (tflite-support 0.4.4) or do not import (mediapipe 1.2.2).
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

METADATA_NAME = b"TFLITE_METADATA"  # where readers look for it among the model's metadata
METADATA_IDENTIFIER = b"M001"
# The schema that brought BertTokenizerOptions, and the newest part used here: GetMemberVersion in MediaPipe's
# tasks/cc/metadata/metadata_version.cc.
_MINIMUM_PARSER = "1.1.0"
_BERT_TOKENIZER_OPTIONS = 4  # its place in the schema's union ProcessUnitOptions


@dataclass(frozen=True)
class AssociatedFile:
    """A member of the ZIP archive behind the model.

    Attributes:
        name: of the member.
        description: for people.
        kind: a value of the schema's enum AssociatedFileType: `LABELS` or `VOCABULARY`.
    """

    LABELS = 2  # TENSOR_AXIS_LABELS
    VOCABULARY = 5

    name: str
    description: str
    kind: int


@dataclass(frozen=True)
class TensorMetadata:
    """What an input or output is.

    Attributes:
        name: what hosts find it by; it need not be the tensor's own name.
        description: for people.
        files: what belongs to it.
    """

    name: str
    description: str
    files: tuple[AssociatedFile, ...] = ()


# A table of a flatbuffer: the number of a field -> what it holds, an int being a byte. Numbers count from 0 in the
# order of the schema; a union takes two, its type and its value.
_Table = Mapping[int, Any]


def metadata_bytes(
    *,
    name: str,
    description: str,
    inputs: tuple[TensorMetadata, ...],
    outputs: tuple[TensorMetadata, ...],
    vocabulary: AssociatedFile,
) -> bytes:
    """The metadata of a model with one subgraph whose host tokenizes as BERT does.

    Args:
        name: of the model.
        description: of the model, for people.
        inputs: in the order of the subgraph's inputs.
        outputs: in the order of the subgraph's outputs.
        vocabulary: the pieces that the host's tokenizer is to use, one a line.

    Returns:
        A flatbuffer whose root is the schema's ModelMetadata.
    """
    tokenizer: _Table = {0: _BERT_TOKENIZER_OPTIONS, 1: {0: (_file(vocabulary),)}}  # ProcessUnit
    subgraph: _Table = {2: tuple(map(_tensor, inputs)), 3: tuple(map(_tensor, outputs)), 5: (tokenizer,)}
    model: _Table = {0: name, 1: description, 3: (subgraph,), 7: _MINIMUM_PARSER}
    builder = flatbuffers.Builder(1024)
    builder.Finish(_write(builder, model), file_identifier=METADATA_IDENTIFIER)
    return bytes(builder.Output())


def with_metadata(flatbuffer: bytes, metadata: bytes) -> bytes:
    """Puts metadata into a model.

    Args:
        flatbuffer: a TFLite model.
        metadata: what `metadata_bytes` gives.

    Raises:
        ConversionError: the model has such metadata already.
    """
    model = schema.ModelT.InitFromPackedBuf(bytearray(flatbuffer), 0)
    entries = list(model.metadata or [])
    if any(entry.name == METADATA_NAME for entry in entries):
        raise ConversionError(
            "TFLite Metadata can be added once. Received: a model that has it already. "
            "Give the flatbuffer as the converter made it."
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
    """Writes a string, a table or a tuple of tables; gives its offset."""
    if isinstance(value, str):
        return builder.CreateString(value, errors="replace")  # lone surrogates, as file names may have
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

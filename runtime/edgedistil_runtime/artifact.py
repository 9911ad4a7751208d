"""The artefact contract: what is in a file that EdgeDistil writes, read and written by this module alone.

An artefact is a TFLite flatbuffer with a ZIP archive behind it. LiteRT and TFLite read the flatbuffer from the front
and ignore what follows; `unzip -l` reads the archive from the back:

    [ flatbuffer ][ edgedistil.json | labels.txt | vocab.txt | encoder.tflite | ZIP directory | comment ]

`encoder.tflite` is there for accelerators alone: a second flatbuffer, embeddings in, probabilities out, for the part of
the work that they do (`backends/two_parts.py`); `encoder_edgetpu.tflite` is the same as Coral's compiler made it.

The archive's comment is `edgedistil sha256:<hex>`, the digest of every byte before the comment, so that one flipped
bit anywhere is found; `edgedistil.json` also holds the digest of the flatbuffer alone. A digest finds damage, not
forgery: whoever edits a file on purpose can compute a new one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import mmap
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from edgedistil_runtime.contract import (
    CLASSIFY_TEXT,
    CLASSIFY_TEXT_PAIR,
    CLASSIFY_TOKENS,
    COMPILED_MEMBER,
    EDGETPU,
    EMBED,
    ENCODER_MEMBER,
    FILE_IDENTIFIER,
    GPU,
    LABELS_MEMBER,
    MEMBERS,
    METADATA_MEMBER,
    SCHEMA_VERSION,
    SERVING_DEFAULT,
    TOKENIZE,
    TOKENIZE_PAIR,
    VOCABULARY_MEMBER,
)
from edgedistil_runtime.errors import ArtifactError
from edgedistil_runtime.metadata import (
    ArtifactMetadata,
    EncoderPart,
    GoldenCase,
    TokenizerSettings,
)
from edgedistil_runtime.trailing_archive import append_archive, has_archive, read_archive

__all__ = [
    "CLASSIFY_TEXT",
    "CLASSIFY_TEXT_PAIR",
    "CLASSIFY_TOKENS",
    "COMPILED_MEMBER",
    "EMBED",
    "ENCODER_MEMBER",
    "FILE_IDENTIFIER",
    "LABELS_MEMBER",
    "MEMBERS",
    "SCHEMA_VERSION",
    "SERVING_DEFAULT",
    "TOKENIZE",
    "TOKENIZE_PAIR",
    "VOCABULARY_MEMBER",
    "Artifact",
    "ArtifactMetadata",
    "EncoderFlatbuffers",
    "EncoderPart",
    "GoldenCase",
    "TokenizerSettings",
    "artifact_bytes",
    "read_artifact",
    "vocabulary_bytes",
]


@dataclass(frozen=True)
class EncoderFlatbuffers:
    """The part of a model that an accelerator runs.

    Attributes:
        model: as TFLite runs it on any CPU.
        compiled: as the accelerator's own compiler made it; None where there is no such thing.
    """

    model: bytes
    compiled: bytes | None = None


@dataclass(frozen=True)
class Artifact:
    """An artefact that was read and found intact.

    Attributes:
        path: where it was read from.
        size: bytes of the whole file.
        metadata: the content of `edgedistil.json`.
        vocabulary: one piece an id.
        spans: name -> (offset in the file, bytes) of the encoder's flatbuffers, where there are any.
    """

    path: Path
    size: int
    metadata: ArtifactMetadata
    vocabulary: tuple[str, ...]
    spans: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def flatbuffer(self) -> bytes:
        """The TFLite model alone, without the archive."""
        return self._read(0, self.metadata.flatbuffer_size)

    def encoder(self) -> EncoderFlatbuffers:
        """The part for the accelerator.

        Raises:
            ArtifactError: the artefact has none, or the file was exchanged since it was read.
        """
        if ENCODER_MEMBER not in self.spans:
            raise ArtifactError(
                f"{self.path} has no part for an accelerator: it was converted for the target {self.metadata.target}. "
                f"Convert again with `target`={GPU!r} or `target`={EDGETPU!r}."
            )
        model, compiled = (
            self._read(*self.spans[name]) if name in self.spans else None for name in (ENCODER_MEMBER, COMPILED_MEMBER)
        )
        assert model is not None
        return EncoderFlatbuffers(model, compiled)

    def _read(self, offset: int, size: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(offset)
            content = file.read(size)
        if len(content) != size or content[4:8] != FILE_IDENTIFIER:
            raise ArtifactError(f"{self.path} was exchanged after it was read. Load it again.")
        return content


def vocabulary_bytes(vocabulary: Sequence[str]) -> bytes:
    r"""The content of `vocab.txt`: one piece a line, UTF-8, every line ended by `\n`.

    `TokenizerSettings.vocabulary_sha256` is the digest of these bytes.

    Raises:
        ArtifactError: a piece holds a line feed or a lone surrogate.

    Example:
        >>> vocabulary_bytes(["[PAD]", "hello"])
        b'[PAD]\nhello\n'
    """
    return _lines(vocabulary, "vocabulary piece")


def artifact_bytes(
    flatbuffer: bytes,
    metadata: ArtifactMetadata,
    vocabulary: Sequence[str],
    *,
    encoder: EncoderFlatbuffers | None = None,
    is_deflated: bool = True,
) -> bytes:
    """Puts a model and what is known about it into one file; equal arguments give equal bytes.

    Args:
        flatbuffer: a TFLite model.
        metadata: all about it; the flatbuffer's size and digest are filled in here.
        vocabulary: one piece an id, as counted and digested in `metadata.tokenizer`.
        encoder: the part that `metadata.encoder` describes.
        is_deflated: whether the archive is compressed; hosts that read TFLite Metadata need it stored.

    Returns:
        The content of a `.tflite` file that `read_artifact` accepts.

    Raises:
        ArtifactError: the arguments contradict one another or cannot be written, for instance a label with a line
            feed in it.

    Example:
        ```python
        Path("intent.tflite").write_bytes(artifact_bytes(flatbuffer, metadata, vocabulary))
        ```
    """
    stored = _encoder_members(encoder)
    for model in (flatbuffer, *stored.values()):
        if model[4:8] != FILE_IDENTIFIER:
            raise ArtifactError(f"A TFLite model has TFL3 at bytes 4 to 8. Received: {model[4:8]!r}.")
    _check_encoder(stored, metadata)
    metadata = dataclasses.replace(
        metadata, flatbuffer_size=len(flatbuffer), flatbuffer_sha256=hashlib.sha256(flatbuffer).hexdigest()
    )
    pieces = vocabulary_bytes(vocabulary)
    _check_vocabulary(pieces, metadata.tokenizer)
    members = (_checked_document(metadata), _lines(metadata.labels, "label"), pieces)
    return append_archive(flatbuffer, dict(zip(MEMBERS, members)), stored, is_deflated=is_deflated)


def read_artifact(path: str | os.PathLike[str]) -> Artifact:
    """Reads a file that `artifact_bytes` made and proves that it arrived whole.

    Every byte is read once, through a memory map; nothing is extracted to disk.

    Args:
        path: a `.tflite` file that EdgeDistil wrote.

    Returns:
        What the file says about itself.

    Raises:
        ArtifactError: there is no such file, it is no TFLite model, EdgeDistil did not write it, it is cut off or
            damaged, or its parts contradict one another; the message says which.

    Example:
        ```python
        print(read_artifact("intent.tflite").metadata.labels)
        ```
    """
    location = Path(path)
    try:
        with location.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < len(FILE_IDENTIFIER) + 4:  # and an empty file cannot be mapped
                raise _not_a_model(f"{size} bytes in all")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return _read(content, file, location)
    except ArtifactError as error:
        raise ArtifactError(f"{location}: {error}") from error.__cause__
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise ArtifactError(
            f"The model file cannot be opened: {error}. Received: {str(location)!r}. "
            "Give the path of a .tflite file that `edgedistil convert` wrote."
        ) from error


def _read(content: mmap.mmap, file: BinaryIO, path: Path) -> Artifact:
    if content[4:8] != FILE_IDENTIFIER:
        raise _not_a_model(f"{content[4:8]!r} there")
    if not has_archive(content):
        raise _without_archive(content)
    archive = read_archive(content, file, names=MEMBERS, stored=(ENCODER_MEMBER, COMPILED_MEMBER))
    metadata = ArtifactMetadata.from_json(archive.members[METADATA_MEMBER])
    if (metadata.flatbuffer_size, metadata.flatbuffer_sha256) != (archive.start, archive.front_sha256):
        raise ArtifactError(
            f"The model is not the one that {METADATA_MEMBER} describes: due are {metadata.flatbuffer_size} bytes with "
            f"SHA-256 {metadata.flatbuffer_sha256}. It was exchanged or edited; convert again. "
            f"Received: {archive.start} bytes with SHA-256 {archive.front_sha256}."
        )
    if archive.members[LABELS_MEMBER] != _lines(metadata.labels, "label"):
        raise ArtifactError(f"{LABELS_MEMBER} and {METADATA_MEMBER} name different labels. Convert again.")
    vocabulary = _check_vocabulary(archive.members[VOCABULARY_MEMBER], metadata.tokenizer)
    _check_encoder(archive.spans, metadata)
    for name, (offset, _) in archive.spans.items():
        if content[offset + 4 : offset + 8] != FILE_IDENTIFIER:
            raise ArtifactError(f"{name} is no TFLite model: it has not TFL3 at bytes 4 to 8. Convert again.")
    return Artifact(path=path, size=len(content), metadata=metadata, vocabulary=vocabulary, spans=dict(archive.spans))


def _encoder_members(encoder: EncoderFlatbuffers | None) -> dict[str, bytes]:
    if encoder is None:
        return {}
    members = {ENCODER_MEMBER: encoder.model}
    return members if encoder.compiled is None else {**members, COMPILED_MEMBER: encoder.compiled}


def _check_encoder(members: Collection[str], metadata: ArtifactMetadata) -> None:
    due = [] if metadata.encoder is None else [ENCODER_MEMBER]
    if metadata.encoder is not None and metadata.encoder.is_compiled:
        due.append(COMPILED_MEMBER)
    if sorted(members) != due:
        raise ArtifactError(
            f"{METADATA_MEMBER} describes an artefact with the parts {due} for an accelerator. "
            f"Received: {sorted(members)}. Convert again."
        )


def _not_a_model(received: str) -> ArtifactError:
    return ArtifactError(
        f"This is no TFLite model: it has not TFL3 at bytes 4 to 8. Received: {received}. "
        "Give a .tflite file that `edgedistil convert` wrote."
    )


def _without_archive(content: mmap.mmap) -> ArtifactError:
    """Says which of three cases a TFLite model without a sound end most likely is."""
    if content.rfind(METADATA_MEMBER.encode()) >= 0:
        reason = "EdgeDistil wrote this file, and its end is missing, damaged or followed by other bytes"
    elif any(content.find(name.encode()) >= 0 for name in (CLASSIFY_TEXT, CLASSIFY_TOKENS)):
        reason = "This TFLite model is truncated, or not written by EdgeDistil: it has the signatures and no archive"
    else:
        reason = "EdgeDistil did not write this TFLite model, or only its beginning has arrived: it has no archive"
    return ArtifactError(f"{reason}. Copy or download it again, or give a file that `edgedistil convert` wrote.")


def _checked_document(metadata: ArtifactMetadata) -> bytes:
    """The metadata as UTF-8 JSON that `from_json` is known to accept."""
    try:
        document = metadata.to_json().encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise ArtifactError(
            f"The metadata cannot be written as JSON: {error}. Legal are dict, list, tuple, str, int, finite float, "
            "bool and None; convert numpy scalars with `.item()`."
        ) from error
    ArtifactMetadata.from_json(document)
    return document


def _lines(items: Sequence[str], what: str) -> bytes:
    for item in items:
        if "\n" in item:
            raise ArtifactError(f"A {what} is one line of a text file; a line feed is not legal. Received: {item!r}.")
    try:
        return "".join(f"{item}\n" for item in items).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ArtifactError(f"A {what} must be text that UTF-8 can hold. Received: {error}.") from error


def _check_vocabulary(content: bytes, settings: TokenizerSettings) -> tuple[str, ...]:
    """The pieces in `content`, found to be the vocabulary that `settings` describes."""
    digest = hashlib.sha256(content).hexdigest()
    try:
        # Not `splitlines`: vocabularies have pieces such as U+2028, which it takes for an end of line.
        *pieces, rest = content.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise ArtifactError(f"{VOCABULARY_MEMBER} is not UTF-8: {error}. Convert again.") from error
    if rest or len(pieces) != settings.vocabulary_size or digest != settings.vocabulary_sha256:
        raise ArtifactError(
            f"{VOCABULARY_MEMBER} is not the vocabulary that the metadata describes: due are "
            f"{settings.vocabulary_size} lines with SHA-256 {settings.vocabulary_sha256!r}. "
            f"Received: {len(pieces)} lines with SHA-256 {digest!r}. Convert again."
        )
    return tuple(pieces)

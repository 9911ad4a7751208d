"""Read and write artifacts, the files that the converter makes. Only this module knows their layout.

An artifact is a TFLite flatbuffer followed by a ZIP archive. LiteRT and TFLite read the flatbuffer from the front and
ignore the rest; `unzip -l` reads the archive from the back:

    [ flatbuffer ][ edgedistil.json | labels.txt | vocab.txt | encoder.tflite | ZIP directory | comment ]

`encoder.tflite` is only in artifacts for accelerators: a second flatbuffer, embeddings in, probabilities out, with the
part of the model that the accelerator runs (`backends/two_parts.py`). `encoder_edgetpu.tflite` or `encoder.vmfb` is
that flatbuffer after the accelerator's compiler (`encoder_members.py`). `contract.py` has all names.

The archive's comment is `edgedistil sha256:<hex>`, the digest of every byte before the comment, which detects a single
flipped bit anywhere; `edgedistil.json` also holds the flatbuffer's own digest. A digest detects damage, not forgery:
whoever edits a file on purpose can compute a new one. A signature detects it (`signing.py`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import mmap
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from edgedistil_runtime.contract import (
    CLASSIFY_TEXT,
    CLASSIFY_TEXT_PAIR,
    CLASSIFY_TOKENS,
    COMPILED_MEMBER,
    COMPILED_MEMBERS,
    EMBED,
    ENCODER_MEMBER,
    FILE_IDENTIFIER,
    LABELS_MEMBER,
    MEMBERS,
    METADATA_MEMBER,
    SCHEMA_VERSION,
    SERVING_DEFAULT,
    TARGETS,
    TOKENIZE,
    TOKENIZE_PAIR,
    VOCABULARY_MEMBER,
)
from edgedistil_runtime.encoder_members import (
    STORED_MEMBERS,
    EncoderFlatbuffers,
    check_encoder_members,
    check_identifier,
    encoder_members,
)
from edgedistil_runtime.errors import ArtifactError
from edgedistil_runtime.metadata import (
    ArtifactMetadata,
    CompiledTensor,
    EncoderPart,
    GoldenCase,
    TokenizerSettings,
)
from edgedistil_runtime.model_source import ModelSource, describe_model, read_source
from edgedistil_runtime.signing import FileSignature, PublicKey, check_signature
from edgedistil_runtime.trailing_archive import Content, TrailingArchive, append_archive, has_archive, read_archive

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
    "CompiledTensor",
    "EncoderFlatbuffers",
    "EncoderPart",
    "GoldenCase",
    "TokenizerSettings",
    "artifact_bytes",
    "read_artifact",
    "vocabulary_bytes",
]


@dataclass(frozen=True)
class Artifact:
    """An artifact that was read and found intact.

    Attributes:
        path: File that it was read from; None if it was read from memory, a file object or a resource, or checked with
            a public key.
        size: Size of the whole file in bytes.
        metadata: Content of `edgedistil.json`.
        vocabulary: WordPiece pieces, in the order of their ids.
        spans: Encoder flatbuffers in the file, name -> (offset, size) in bytes; empty for the target `cpu`.
        content: The whole file if `path` is None.
        signature: Signature in the file; None if there is none. It was checked only if a public key was given.
        unsigned_sha256: Hex digest of the file without the signature, which is what is signed.

    Example:
        >>> artifact = read_artifact("intents.tflite")
        >>> artifact.metadata.target, artifact.vocabulary[0], len(artifact.flatbuffer()) < artifact.size
        ('cpu', '[PAD]', True)
    """

    path: Path | None
    size: int
    metadata: ArtifactMetadata
    vocabulary: tuple[str, ...]
    spans: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    content: bytes | None = field(default=None, repr=False)
    signature: FileSignature | None = None
    unsigned_sha256: str = ""

    @property
    def model(self) -> Path | bytes:
        """What a backend opens: the path, or else the content."""
        if self.path is not None:
            return self.path
        assert self.content is not None
        return self.content

    def flatbuffer(self) -> bytes:
        """Return the TFLite model without the archive."""
        return self._read(0, self.metadata.flatbuffer_size)

    def encoder(self) -> EncoderFlatbuffers:
        """Return the part for the accelerator.

        Raises:
            ArtifactError: The artifact has no such part, or the file was replaced after it was read.
        """
        if ENCODER_MEMBER not in self.spans:
            raise ArtifactError(
                f"The file has no part for an accelerator: it was converted for the target {self.metadata.target}. "
                f"Convert again with a `target` of {', '.join(TARGETS[1:])}. Received: {describe_model(self.model)}."
            )
        compiled = COMPILED_MEMBERS.get(self.metadata.target, "")
        return EncoderFlatbuffers(
            self._read(*self.spans[ENCODER_MEMBER], name=ENCODER_MEMBER),
            self._read(*self.spans[compiled], name=compiled) if compiled in self.spans else None,
        )

    def _read(self, offset: int, size: int, *, name: str = "") -> bytes:
        if self.path is None:
            assert self.content is not None
            return self.content[offset : offset + size]
        with self.path.open("rb") as file:
            file.seek(offset)
            content = file.read(size)
        try:
            check_identifier(name, content)
        except ArtifactError:
            content = b""
        if len(content) != size:
            raise ArtifactError(f"{self.path} was replaced after it was read. Load it again.")
        return content


def vocabulary_bytes(vocabulary: Sequence[str]) -> bytes:
    r"""Return the content of `vocab.txt`: one piece per line, UTF-8, every line ended by `\n`.

    `TokenizerSettings.vocabulary_sha256` is the digest of these bytes.

    Raises:
        ArtifactError: A piece contains a line feed or a lone surrogate.

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
    """Return the content of an artifact; equal arguments give equal bytes.

    Args:
        flatbuffer: A TFLite model.
        metadata: Metadata of the model; this function fills in the flatbuffer's size and digest.
        vocabulary: Pieces in the order of their ids; `metadata.tokenizer` has their number and digest.
        encoder: The part that `metadata.encoder` describes.
        is_deflated: Compress the archive. False for hosts that read TFLite Metadata, which must be stored.

    Returns:
        The content of a `.tflite` file that `read_artifact` accepts.

    Raises:
        ArtifactError: The arguments contradict one another or cannot be written, for instance a label that contains a
            line feed.

    Example:
        >>> artifact = read_artifact("intents.tflite")
        >>> renamed = dataclasses.replace(artifact.metadata, name="rooms")
        >>> content = artifact_bytes(artifact.flatbuffer(), renamed, artifact.vocabulary)
        >>> Path("rooms.tflite").write_bytes(content) == len(content)
        True
        >>> read_artifact("rooms.tflite").metadata.name
        'rooms'
    """
    stored = encoder_members(encoder, metadata.target)
    for name, content in {"": flatbuffer, **stored}.items():
        check_identifier(name, content)
    check_encoder_members(stored, metadata)
    metadata = dataclasses.replace(
        metadata, flatbuffer_size=len(flatbuffer), flatbuffer_sha256=hashlib.sha256(flatbuffer).hexdigest()
    )
    pieces = vocabulary_bytes(vocabulary)
    _check_vocabulary(pieces, metadata.tokenizer)
    members = (_valid_document(metadata), _lines(metadata.labels, "label"), pieces)
    return append_archive(flatbuffer, dict(zip(MEMBERS, members)), stored, is_deflated=is_deflated)


def read_artifact(path: ModelSource, *, public_key: PublicKey | None = None) -> Artifact:
    """Read an artifact and check that it is complete and undamaged.

    Every byte is read once, through a memory map of a file or in memory; nothing is extracted to disk.

    Args:
        path: A `.tflite` file that EdgeDistil wrote, or its content: bytes, a file object opened in binary mode, or a
            resource of a package (see `model_source.read_source`).
        public_key: PEM file, or its content as bytes, of the only key whose signature is accepted. None accepts every
            file. With a key, a file is read into memory, so that what was checked is what runs.

    Raises:
        UntrustedArtifact: The signature is missing, of another key, or does not fit the file.
        SigningKeyError: The key cannot be used.
        ArtifactError: The file does not exist, is not a TFLite model, was not written by EdgeDistil, is truncated or
            damaged, or its parts contradict one another; the message states which.

    Example:
        >>> read_artifact("intents.tflite").metadata.labels
        ('lights', 'music', 'weather')
        >>> read_artifact(Path("intents.tflite").read_bytes()).path is None
        True
    """
    model = read_source(path)
    if isinstance(model, bytes):
        return _read_memory(model, public_key)
    return _read_file(model, public_key)


def _read_memory(content: bytes, public_key: PublicKey | None) -> Artifact:
    if len(content) < len(FILE_IDENTIFIER) + 4:
        raise _not_a_model_error(f"{len(content)} bytes")
    return _read(content, io.BytesIO(content), None, public_key)  # BytesIO shares the bytes until they are written to


def _read_file(location: Path, public_key: PublicKey | None) -> Artifact:
    try:
        if public_key is not None:
            return _read_memory(location.read_bytes(), public_key)
        with location.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < len(FILE_IDENTIFIER) + 4:  # and an empty file cannot be mapped
                raise _not_a_model_error(f"a file of {size} bytes")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return _read(content, file, location, None)
    except ArtifactError as error:
        raise type(error)(f"{location}: {error}") from error.__cause__
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise ArtifactError(
            f"The model file cannot be opened: {error}. Received: {str(location)!r}. "
            "Pass the path of a .tflite file that `edgedistil convert` wrote."
        ) from error


def _read(content: Content, file: BinaryIO, path: Path | None, public_key: PublicKey | None) -> Artifact:
    if content[4:8] != FILE_IDENTIFIER:
        raise _not_a_model_error(f"{content[4:8]!r}")
    if not has_archive(content):
        raise _missing_archive_error(content)
    archive = read_archive(content, file, names=MEMBERS, stored=STORED_MEMBERS)
    signature = FileSignature.from_line(archive.note)
    if public_key is not None:
        check_signature(signature, archive.unsigned_sha256, public_key)
    metadata, vocabulary = _check_parts(content, archive)
    return Artifact(
        path=path,
        size=len(content),
        metadata=metadata,
        vocabulary=vocabulary,
        spans=dict(archive.spans),
        content=content if isinstance(content, bytes) else None,
        signature=signature,
        unsigned_sha256=archive.unsigned_sha256,
    )


def _check_parts(content: Content, archive: TrailingArchive) -> tuple[ArtifactMetadata, tuple[str, ...]]:
    """Return metadata and vocabulary after checking that all parts of a file belong together."""
    metadata = ArtifactMetadata.from_json(archive.members[METADATA_MEMBER])
    if (metadata.flatbuffer_size, metadata.flatbuffer_sha256) != (archive.start, archive.front_sha256):
        raise ArtifactError(
            f"The model is not the one that {METADATA_MEMBER} describes: {metadata.flatbuffer_size} bytes with "
            f"SHA-256 {metadata.flatbuffer_sha256}. It was replaced or edited; convert again. "
            f"Received: {archive.start} bytes with SHA-256 {archive.front_sha256}."
        )
    if archive.members[LABELS_MEMBER] != _lines(metadata.labels, "label"):
        raise ArtifactError(f"{LABELS_MEMBER} and {METADATA_MEMBER} contain different labels. Convert again.")
    vocabulary = _check_vocabulary(archive.members[VOCABULARY_MEMBER], metadata.tokenizer)
    check_encoder_members(archive.spans, metadata)
    for name, (offset, _) in archive.spans.items():
        check_identifier(name, content, offset)
    return metadata, vocabulary


def _not_a_model_error(received: str) -> ArtifactError:
    return ArtifactError(
        f"This is not a TFLite model: it does not have TFL3 at bytes 4 to 8. Received: {received}. "
        "Pass a .tflite file that `edgedistil convert` wrote."
    )


def _missing_archive_error(content: Content) -> ArtifactError:
    """Return the error for a TFLite model without an intact end, with the most likely of three causes."""
    if content.rfind(METADATA_MEMBER.encode()) >= 0:
        reason = "EdgeDistil wrote this file, and its end is missing, damaged or followed by other bytes"
    elif any(content.find(name.encode()) >= 0 for name in (CLASSIFY_TEXT, CLASSIFY_TOKENS)):
        reason = "This TFLite model is truncated, or not written by EdgeDistil: it has the signatures and no archive"
    else:
        reason = "EdgeDistil did not write this TFLite model, or only its beginning has arrived: it has no archive"
    return ArtifactError(f"{reason}. Copy or download it again, or pass a file that `edgedistil convert` wrote.")


def _valid_document(metadata: ArtifactMetadata) -> bytes:
    """Return the metadata as UTF-8 JSON, checked by `from_json`."""
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
    """Return the pieces in `content` after checking that they are the vocabulary in `settings`."""
    digest = hashlib.sha256(content).hexdigest()
    try:
        # Not `splitlines`: it splits at U+2028 and others, which are pieces of some vocabularies.
        *pieces, rest = content.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise ArtifactError(f"{VOCABULARY_MEMBER} is not UTF-8: {error}. Convert again.") from error
    if rest or len(pieces) != settings.vocabulary_size or digest != settings.vocabulary_sha256:
        raise ArtifactError(
            f"{VOCABULARY_MEMBER} is not the vocabulary that the metadata describes: "
            f"{settings.vocabulary_size} lines with SHA-256 {settings.vocabulary_sha256!r}. "
            f"Received: {len(pieces)} lines with SHA-256 {digest!r}. Convert again."
        )
    return tuple(pieces)

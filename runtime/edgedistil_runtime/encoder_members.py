"""The members of an archive that hold the part for an accelerator, and which of them a target has.

`encoder.tflite` is a TFLite flatbuffer for every target except the CPU. The output of an accelerator's compiler is
beside it: `encoder_edgetpu.tflite`, also a flatbuffer, or `encoder.vmfb`, a ZIP archive of IREE's that Synaptics'
compiler for the Coralboard writes.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from edgedistil_runtime.contract import (
    COMPILED_MEMBERS,
    ENCODER_MEMBER,
    FILE_IDENTIFIER,
    METADATA_MEMBER,
    VMFB_MEMBER,
)
from edgedistil_runtime.errors import ArtifactError
from edgedistil_runtime.metadata import ArtifactMetadata
from edgedistil_runtime.trailing_archive import Content

__all__ = ["STORED_MEMBERS", "EncoderFlatbuffers", "check_encoder_members", "check_identifier", "encoder_members"]

STORED_MEMBERS = (ENCODER_MEMBER, *COMPILED_MEMBERS.values())
_IDENTIFIER_SIZE = 8
_VMFB_IDENTIFIER = b"PK\x03\x04"  # of a ZIP archive, which a VMFB is


@dataclass(frozen=True)
class EncoderFlatbuffers:
    """The part of a model that an accelerator runs.

    Attributes:
        model: TFLite flatbuffer that any CPU runs as well.
        compiled: Output of the accelerator's compiler; None if the accelerator has none.
    """

    model: bytes
    compiled: bytes | None = None


def encoder_members(encoder: EncoderFlatbuffers | None, target: str) -> dict[str, bytes]:
    """Return the members of an encoder, name -> content.

    Args:
        encoder: The encoder; None for a file without one.
        target: What the file is converted for.

    Raises:
        ArtifactError: The target has no compiler, and the encoder is compiled.

    Example:
        >>> sorted(encoder_members(EncoderFlatbuffers(b"model", b"compiled"), "coralboard"))
        ['encoder.tflite', 'encoder.vmfb']
    """
    if encoder is None:
        return {}
    members = {ENCODER_MEMBER: encoder.model}
    if encoder.compiled is None:
        return members
    if target not in COMPILED_MEMBERS:
        raise ArtifactError(
            f"A compiled encoder is for one of the targets {', '.join(COMPILED_MEMBERS)}. Received: {target!r}."
        )
    return {**members, COMPILED_MEMBERS[target]: encoder.compiled}


def check_encoder_members(members: Collection[str], metadata: ArtifactMetadata) -> None:
    """Check that the members of a file's encoder are those that its metadata describe.

    Raises:
        ArtifactError: One is missing, or there is one too many.
    """
    part = metadata.encoder
    expected = [] if part is None else [ENCODER_MEMBER]
    if part is not None and part.is_compiled:
        expected.append(COMPILED_MEMBERS.get(metadata.target, ""))
    if sorted(members) != sorted(expected):
        raise ArtifactError(
            f"{METADATA_MEMBER} describes an artifact with the parts {expected} for an accelerator. "
            f"Received: {sorted(members)}. Convert again."
        )


def check_identifier(name: str, content: Content, offset: int = 0) -> None:
    """Check that a member, or the model itself, begins as its kind does.

    Args:
        name: Name of the member; empty for the model.
        content: Its content, or that of a whole file.
        offset: Where it begins.

    Raises:
        ArtifactError: It is not a VMFB, or not a TFLite model.

    Example:
        >>> check_identifier("encoder.vmfb", b"PK" + bytes((3, 4)))
        >>> check_identifier("encoder.tflite", b"PK" + bytes((3, 4)))
        Traceback (most recent call last):
        ...
        edgedistil_runtime.errors.ArtifactError: encoder.tflite is not a TFLite model: it does not have TFL3 ...
    """
    start = bytes(content[offset : offset + _IDENTIFIER_SIZE])
    if name == VMFB_MEMBER:
        if not start.startswith(_VMFB_IDENTIFIER):
            raise ArtifactError(f"{name} is not a VMFB, which begins like a ZIP archive. Received: {start!r}.")
    elif start[4:] != FILE_IDENTIFIER:
        what = f"{name} is not a TFLite model: it does not have" if name else "A TFLite model has"
        raise ArtifactError(f"{what} TFL3 at bytes 4 to 8. Received: {start[4:]!r}. Convert again.")

"""A ZIP archive behind other bytes, with the SHA-256 of the whole file in its comment.

Readers of ZIP start at the end of a file, so the archive may follow anything; its offsets count from the start of the
file, so that `unzip -t` has nothing to warn about. The archive may come from a stranger: its members are named by the
caller, few, bounded in size, read into memory and never extracted. Format: PKWARE's APPNOTE.TXT, sections 4.3.7
(local header), 4.3.12 (directory) and 4.3.16 (end of directory).
"""

from __future__ import annotations

import hashlib
import io
import mmap
import struct
import zipfile
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from edgedistil_runtime.errors import ArtifactError

__all__ = ["COMMENT_SIZE", "LARGEST_MEMBER", "TrailingArchive", "append_archive", "has_archive", "read_archive"]

COMMENT_PREFIX = b"edgedistil sha256:"
COMMENT_SIZE = len(COMMENT_PREFIX) + 64
LARGEST_MEMBER = 64 * 2**20  # bytes: a vocabulary of a million pieces is 10 MB; more is a ZIP bomb

_EPOCH = (1980, 1, 1, 0, 0, 0)  # ZIP's first date, for files that depend on their content alone
_UNIX, _READABLE_FILE = 3, 0o100644 << 16  # else `zipfile` writes the system and umask it runs on
_END_SIZE = 22  # the end-of-directory record without its comment
_END_SIGNATURE, _ZIP64_SIGNATURE, _ZIP64_LOCATOR_SIZE = b"PK\x05\x06", b"PK\x06\x07", 20
_MEMBER_SIGNATURE, _HEADER_SIZE = b"PK\x03\x04", 30
_ENCRYPTED = 0x1
# What `zipfile` and zlib raise on hostile bytes; UnicodeDecodeError is a ValueError, and the warning about
# overlapping members is an error wherever the caller has made warnings errors.
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    UserWarning,
    ValueError,
)


@dataclass(frozen=True)
class TrailingArchive:
    """An archive that was read whole.

    Attributes:
        start: bytes before the archive.
        front_sha256: hex digest of those bytes.
        members: content by name.
        spans: name -> (offset in the file, bytes), of members that stand in the file as they are.
    """

    start: int
    front_sha256: str
    members: Mapping[str, bytes]
    spans: Mapping[str, tuple[int, int]]


def append_archive(
    front: bytes,
    members: Mapping[str, bytes],
    stored: Mapping[str, bytes] | None = None,
    *,
    is_deflated: bool = True,
) -> bytes:
    """Returns `front` with an archive behind it; equal arguments give equal bytes.

    Args:
        front: any bytes.
        members: content by name, compressed if `is_deflated`.
        stored: further content by name, which readers find in the file as it is.
        is_deflated: whether `members` are compressed.
    """
    method = zipfile.ZIP_DEFLATED if is_deflated else zipfile.ZIP_STORED
    methods = {**dict.fromkeys(members, method), **dict.fromkeys(stored or {}, zipfile.ZIP_STORED)}
    buffer = io.BytesIO()
    buffer.write(front)
    with zipfile.ZipFile(buffer, "w") as archive:  # "w" keeps what is there and counts offsets from the start
        for name, content in {**members, **(stored or {})}.items():
            entry = zipfile.ZipInfo(name, date_time=_EPOCH)
            entry.create_system, entry.external_attr = _UNIX, _READABLE_FILE
            archive.writestr(entry, content, compress_type=methods[name], compresslevel=9)
        archive.comment = b" " * COMMENT_SIZE  # its length is digested, its text is written below
    view = buffer.getbuffer()
    view[-COMMENT_SIZE:] = COMMENT_PREFIX + hashlib.sha256(view[:-COMMENT_SIZE]).hexdigest().encode()
    view.release()
    return buffer.getvalue()


def has_archive(content: mmap.mmap) -> bool:
    """Whether the file ends in a comment as `append_archive` writes it."""
    return content[-COMMENT_SIZE:].startswith(COMMENT_PREFIX)


def read_archive(
    content: mmap.mmap, file: BinaryIO, *, names: Collection[str], stored: Collection[str] = ()
) -> TrailingArchive:
    """Checks the digest of a file that `has_archive`, then reads the archive at its end.

    Args:
        content: the whole file.
        file: the same file, for `zipfile`.
        names: the members that it must have.
        stored: members that it may have, not compressed, whose content is found and not read; others are refused.

    Raises:
        ArtifactError: the bytes are not those that were written, or the archive is not such an archive.
    """
    start = _archive_start(content)
    front_sha256, whole_sha256 = _digests(content, start)
    if content[-64:] != whole_sha256.encode():
        raise ArtifactError(
            "The file is damaged: its SHA-256 is not the one written at its end. Copy or download it again."
        )
    _check_directory(content, least=len(names), most=len(names) + len(stored))
    try:
        with zipfile.ZipFile(file) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
            if len(entries) != len(archive.infolist()) or not set(names) <= entries.keys() <= {*names, *stored}:
                raise _malformed(f"its members must be {sorted(names)}, and may be {sorted(stored)}")
            if min(entry.header_offset for entry in entries.values()) != start:
                raise _malformed("its directory does not begin with its first member")
            members = {name: _read_member(archive, entries[name]) for name in names}
            spans = {name: _span(content, entry) for name, entry in entries.items() if name in stored}
    except _ZIP_ERRORS as error:
        raise _malformed(f"{type(error).__name__}: {error}") from error
    return TrailingArchive(start=start, front_sha256=front_sha256, members=members, spans=spans)


def _malformed(reason: str) -> ArtifactError:
    return ArtifactError(f"The archive at the end of the file is malformed: {reason}. Convert again.")


def _archive_start(content: mmap.mmap) -> int:
    """Where the directory says that the first member begins; any number up to the file's size if it is damaged.

    Known before the digest is, so that one pass over the file gives both the model's digest and the whole file's.
    """
    end = len(content) - COMMENT_SIZE - _END_SIZE
    try:
        (directory,) = struct.unpack_from("<I", content, end + 16)
        (start,) = struct.unpack_from("<I", content, directory + 42)
    except struct.error:
        return 0
    return min(int(start), len(content) - COMMENT_SIZE)


def _digests(content: mmap.mmap, start: int) -> tuple[str, str]:
    with memoryview(content) as view, view[:start] as front, view[start:-COMMENT_SIZE] as rest:
        digest = hashlib.sha256(front)
        front_sha256 = digest.hexdigest()
        digest.update(rest)
    return front_sha256, digest.hexdigest()


def _check_directory(content: mmap.mmap, *, least: int, most: int) -> None:
    """Refuses what `zipfile` would spend memory on, or would read elsewhere than at this end record."""
    end = len(content) - COMMENT_SIZE - _END_SIZE
    if end < 0 or content[end : end + 4] != _END_SIGNATURE:
        raise _malformed("it has no end record before its comment")
    if content[max(end - _ZIP64_LOCATOR_SIZE, 0) :].startswith(_ZIP64_SIGNATURE):
        raise _malformed("it is a ZIP64 archive")
    here, total, size, offset, comment_size = struct.unpack_from("<HHIIH", content, end + 8)
    is_sound = here == total and least <= total <= most and comment_size == COMMENT_SIZE
    if not is_sound or offset + size != end:
        due = f"{least} members" if least == most else f"{least} to {most} members"
        raise _malformed(f"its end record does not describe {due} and a comment of {COMMENT_SIZE} bytes")


def _span(content: mmap.mmap, entry: zipfile.ZipInfo) -> tuple[int, int]:
    """Where the bytes of a stored member are, as its own header says; within the file, if not where others are."""
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
        raise _malformed(f"{entry.filename} is compressed")
    if content[entry.header_offset : entry.header_offset + 4] != _MEMBER_SIGNATURE or entry.flag_bits & _ENCRYPTED:
        raise _malformed(f"{entry.filename} has no header of its own, or is encrypted")
    lengths = struct.unpack_from("<HH", content, entry.header_offset + 26)
    offset = entry.header_offset + _HEADER_SIZE + sum(lengths)
    if offset + entry.file_size > len(content):
        raise _malformed(f"{entry.filename} ends behind the file")
    return offset, entry.file_size


def _read_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    if entry.file_size > LARGEST_MEMBER:
        raise _malformed(f"{entry.filename} has {entry.file_size} bytes; the limit is {LARGEST_MEMBER}")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or entry.flag_bits & _ENCRYPTED:
        raise _malformed(f"{entry.filename} is encrypted or not compressed by deflate")
    with archive.open(entry) as member:  # reads file_size bytes at most, whatever the deflated stream holds
        return member.read(LARGEST_MEMBER + 1)

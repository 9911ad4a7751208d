"""Append a ZIP archive to other bytes, with the SHA-256 of the whole file in its comment, and read it.

ZIP readers start at the end of a file, so that the archive may follow anything; offsets count from the start of the
file, so that `unzip -t` prints no warning. The archive is not trusted: its members are few, named by the caller,
limited in size, read into memory and never extracted.

A file may have a note: the comment of the directory's first entry, which all readers of ZIP skip. It can be taken out
again, to the byte. A signature is written there, because readers refuse a member that they do not know.

Format: PKWARE's APPNOTE.TXT, sections 4.3.7 (local header), 4.3.12 (directory) and 4.3.16 (end of directory).
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
from typing import BinaryIO, Union

from edgedistil_runtime.errors import ArtifactError

__all__ = [
    "COMMENT_SIZE",
    "LARGEST_MEMBER",
    "Content",
    "TrailingArchive",
    "append_archive",
    "has_archive",
    "read_archive",
    "with_note",
]

Content = Union[mmap.mmap, bytes]  # of a whole file

COMMENT_PREFIX = b"edgedistil sha256:"
COMMENT_SIZE = len(COMMENT_PREFIX) + 64
LARGEST_MEMBER = 64 * 2**20  # bytes; a vocabulary of a million pieces is 10 MB

_EPOCH = (1980, 1, 1, 0, 0, 0)  # ZIP's first date, so that files depend only on their content
_UNIX, _READABLE_FILE = 3, 0o100644 << 16  # by default `zipfile` writes the current system and umask
_END_SIZE = 22  # the end-of-directory record without its comment
_END_SIGNATURE, _ZIP64_SIGNATURE, _ZIP64_LOCATOR_SIZE = b"PK\x05\x06", b"PK\x06\x07", 20
_MEMBER_SIGNATURE, _HEADER_SIZE = b"PK\x03\x04", 30
_ENTRY_SIZE = 46  # an entry of the directory without its name, extra field and comment
_ENCRYPTED = 0x1
# Exceptions of `zipfile` and zlib for malformed bytes. UnicodeDecodeError is a ValueError; the UserWarning about
# overlapping members is raised if the caller has made warnings errors.
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
    """The content of an archive.

    Attributes:
        start: Number of bytes before the archive.
        front_sha256: Hex digest of those bytes.
        members: Content of the members that were read, by name.
        spans: Stored members that were not read, name -> (offset in the file, size) in bytes.
        note: The note; empty if there is none.
        unsigned_sha256: Hex digest of all bytes before the archive's comment, as they are without the note.
    """

    start: int
    front_sha256: str
    members: Mapping[str, bytes]
    spans: Mapping[str, tuple[int, int]]
    note: bytes
    unsigned_sha256: str


def append_archive(
    front: bytes,
    members: Mapping[str, bytes],
    stored: Mapping[str, bytes] | None = None,
    *,
    is_deflated: bool = True,
) -> bytes:
    """Return `front` followed by an archive; equal arguments give equal bytes.

    Args:
        front: Any bytes.
        members: Content by name, compressed if `is_deflated`.
        stored: Further content by name, never compressed.
        is_deflated: Compress `members`.

    Example:
        >>> content = append_archive(b"a model", {"labels.txt": b"lights"})
        >>> content.startswith(b"a model"), zipfile.ZipFile(io.BytesIO(content)).read("labels.txt")
        (True, b'lights')
    """
    method = zipfile.ZIP_DEFLATED if is_deflated else zipfile.ZIP_STORED
    methods = {**dict.fromkeys(members, method), **dict.fromkeys(stored or {}, zipfile.ZIP_STORED)}
    buffer = io.BytesIO()
    buffer.write(front)
    with zipfile.ZipFile(buffer, "w") as archive:  # "w" keeps the bytes before, counts from the start
        for name, content in {**members, **(stored or {})}.items():
            entry = zipfile.ZipInfo(name, date_time=_EPOCH)
            entry.create_system, entry.external_attr = _UNIX, _READABLE_FILE
            archive.writestr(entry, content, compress_type=methods[name], compresslevel=9)
        archive.comment = b" " * COMMENT_SIZE  # the digest covers its length; its text is written below
    with buffer.getbuffer() as view, view[:-COMMENT_SIZE] as covered:
        view[-COMMENT_SIZE:] = _comment(covered)
    return buffer.getvalue()


def with_note(content: bytes, note: bytes) -> bytes:
    """Return an intact file with another note, and the digest of the new file at its end.

    Args:
        content: A whole file.
        note: The note, which replaces the one that is there; empty removes it.

    Raises:
        ArtifactError: The archive is malformed.

    Example:
        >>> content = append_archive(b"a model", {"labels.txt": b"lights"})
        >>> zipfile.ZipFile(io.BytesIO(with_note(content, b"checked by Ann"))).infolist()[0].comment
        b'checked by Ann'
        >>> with_note(with_note(content, b"checked by Ann"), b"") == content
        True
    """
    directory, _ = _places(content)
    end, _ = _replace_note(content[directory:-COMMENT_SIZE], note)
    covered = content[:directory] + end
    return covered + _comment(covered)


def has_archive(content: Content) -> bool:
    """Return True if the file ends in a comment of `append_archive`.

    Example:
        >>> with mmap.mmap(-1, 1000) as zeros:
        ...     has_archive(zeros)
        False
    """
    return content[-COMMENT_SIZE:].startswith(COMMENT_PREFIX)


def read_archive(
    content: Content, file: BinaryIO, *, names: Collection[str], stored: Collection[str] = ()
) -> TrailingArchive:
    """Check the digest of a file for which `has_archive` is true, then read the archive at its end.

    Args:
        content: The whole file.
        file: The same file, for `zipfile`.
        names: Members that it must have.
        stored: Uncompressed members that it may have; they are located and not read. Others are refused.

    Raises:
        ArtifactError: The file is damaged, or the archive has another form.

    Example:
        >>> from pathlib import Path
        >>> _ = Path("model.bin").write_bytes(append_archive(b"a model", {"labels.txt": b"lights"}))
        >>> with Path("model.bin").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        ...     archive = read_archive(content, file, names=["labels.txt"])
        >>> archive.start, archive.members["labels.txt"]
        (7, b'lights')
    """
    directory, start = _places(content)
    digests = _Digests.of(content, start, directory)
    if content[-64:] != digests.whole.hexdigest().encode():
        raise ArtifactError(
            "The file is damaged: its SHA-256 is not the one written at its end. Copy or download it again."
        )
    _check_directory(content, least=len(names), most=len(names) + len(stored))
    try:
        with zipfile.ZipFile(file) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
            if len(entries) != len(archive.infolist()) or not set(names) <= entries.keys() <= {*names, *stored}:
                raise _malformed(f"its members must be {sorted(names)}, and may be {sorted(stored)}")
            if min(entry.header_offset for entry in entries.values()) != start or start >= directory:
                raise _malformed("its directory does not begin with its first member")
            members = {name: _read_member(archive, entries[name]) for name in names}
            spans = {name: _span(content, entry) for name, entry in entries.items() if name in stored}
    except _ZIP_ERRORS as error:
        raise _malformed(f"{type(error).__name__}: {error}") from error
    unsigned_end, note = _replace_note(content[directory:-COMMENT_SIZE], b"")
    digests.until_directory.update(unsigned_end)
    return TrailingArchive(
        start=start,
        front_sha256=digests.front.hexdigest(),
        members=members,
        spans=spans,
        note=note,
        unsigned_sha256=digests.until_directory.hexdigest(),
    )


def _malformed(reason: str) -> ArtifactError:
    return ArtifactError(f"The archive at the end of the file is malformed: {reason}. Convert again.")


def _comment(covered: bytes | bytearray | memoryview) -> bytes:
    """Return the archive's comment, which has the digest of the bytes before it."""
    return COMMENT_PREFIX + hashlib.sha256(covered).hexdigest().encode()


def _places(content: Content) -> tuple[int, int]:
    """Return the starts of the directory and, according to it, of the first member; any offsets in a damaged file.

    They are read before the digest is checked, so that one pass gives all digests.
    """
    end = len(content) - COMMENT_SIZE
    try:
        (directory,) = struct.unpack_from("<I", content, end - _END_SIZE + 16)
        (start,) = struct.unpack_from("<I", content, directory + 42)
    except struct.error:
        return 0, 0
    return min(int(directory), end), min(int(start), end)


@dataclass(frozen=True)
class _Digests:
    """SHA-256 of the bytes before the archive, before its directory, and before its comment."""

    front: hashlib._Hash
    until_directory: hashlib._Hash
    whole: hashlib._Hash

    @classmethod
    def of(cls, content: Content, start: int, directory: int) -> _Digests:
        """Return the digests of a file, each of whose bytes is read once."""
        directory = max(start, directory)  # less in a damaged file, which `read_archive` refuses
        with memoryview(content) as view:
            digest, copies = hashlib.sha256(), []
            for begin, end in ((0, start), (start, directory), (directory, len(content) - COMMENT_SIZE)):
                with view[begin:end] as part:
                    digest.update(part)
                copies.append(digest.copy())
        return cls(*copies)


def _replace_note(end: bytes, note: bytes) -> tuple[bytes, bytes]:
    """Return the end of a file from its directory on with another note, and the note that was there.

    The note is the first entry's comment. With it change the entry's length of the comment, a uint16, and the size of
    the directory in the end record, a uint32.
    """
    try:
        name_size, extra_size, note_size = struct.unpack_from("<HHH", end, 28)
        (size,) = struct.unpack_from("<I", end, len(end) - _END_SIZE + 12)
    except struct.error as error:
        raise _malformed("its directory has no entry") from error
    begin = _ENTRY_SIZE + name_size + extra_size
    if size != len(end) - _END_SIZE or begin + note_size > size:
        raise _malformed("the first entry of its directory extends beyond it")
    changed = bytearray(end[:begin] + note + end[begin + note_size :])
    struct.pack_into("<H", changed, 32, len(note))
    struct.pack_into("<I", changed, len(changed) - _END_SIZE + 12, size - note_size + len(note))
    return bytes(changed), end[begin : begin + note_size]


def _check_directory(content: Content, *, least: int, most: int) -> None:
    """Refuse directories that `zipfile` would read at another place, or with more members than expected."""
    end = len(content) - COMMENT_SIZE - _END_SIZE
    if end < 0 or content[end : end + 4] != _END_SIGNATURE:
        raise _malformed("it has no end record before its comment")
    if content[max(end - _ZIP64_LOCATOR_SIZE, 0) :].startswith(_ZIP64_SIGNATURE):
        raise _malformed("it is a ZIP64 archive")
    here, total, size, offset, comment_size = struct.unpack_from("<HHIIH", content, end + 8)
    is_sound = here == total and least <= total <= most and comment_size == COMMENT_SIZE
    if not is_sound or offset + size != end:
        expected = f"{least} members" if least == most else f"{least} to {most} members"
        raise _malformed(f"its end record does not describe {expected} and a comment of {COMMENT_SIZE} bytes")


def _span(content: Content, entry: zipfile.ZipInfo) -> tuple[int, int]:
    """Return offset and size of a stored member according to its header, which is checked to be in the file."""
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
        raise _malformed(f"{entry.filename} is compressed")
    if content[entry.header_offset : entry.header_offset + 4] != _MEMBER_SIGNATURE or entry.flag_bits & _ENCRYPTED:
        raise _malformed(f"{entry.filename} has no local header, or is encrypted")
    lengths = struct.unpack_from("<HH", content, entry.header_offset + 26)
    offset = entry.header_offset + _HEADER_SIZE + sum(lengths)
    if offset + entry.file_size > len(content):
        raise _malformed(f"{entry.filename} extends beyond the end of the file")
    return offset, entry.file_size


def _read_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    if entry.file_size > LARGEST_MEMBER:
        raise _malformed(f"{entry.filename} has {entry.file_size} bytes; the limit is {LARGEST_MEMBER}")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or entry.flag_bits & _ENCRYPTED:
        raise _malformed(f"{entry.filename} is encrypted or not compressed by deflate")
    with archive.open(entry) as member:  # reads at most file_size bytes of the deflated stream
        return member.read(LARGEST_MEMBER + 1)

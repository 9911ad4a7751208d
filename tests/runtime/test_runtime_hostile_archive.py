"""Malformed archives with a valid digest, which whoever builds one can compute."""

import hashlib
import io
import json
import struct
import warnings
import zipfile

import pytest

from edgedistil_runtime.artifact import artifact_bytes, read_artifact
from edgedistil_runtime.errors import ArtifactError
from edgedistil_runtime.trailing_archive import LARGEST_MEMBER

NAMES = ["edgedistil.json", "labels.txt", "vocab.txt"]


def signed(body):
    """A file of these bytes, which end in an end record, with the comment and its digest."""
    return body + b"edgedistil sha256:" + hashlib.sha256(body).hexdigest().encode()


def resigned(content):
    return signed(bytes(content)[:-82])


def zipped(front, members, compression=zipfile.ZIP_DEFLATED):
    """`front` with an archive of these (name, content) pairs, signed."""
    buffer = io.BytesIO()
    buffer.write(front)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a duplicate name
        with zipfile.ZipFile(buffer, "w", compression) as archive:
            for name, content in members:
                archive.writestr(name, content)
            archive.comment = b" " * 82
    return resigned(buffer.getvalue())


@pytest.fixture
def members(write, content):
    with zipfile.ZipFile(write(content, "original")) as archive:
        return {name: archive.read(name) for name in NAMES}


@pytest.fixture
def refused(write):
    """Asserts that reading raises an ArtifactError with this message."""

    def check(content, match):
        with pytest.raises(ArtifactError, match=match):
            read_artifact(write(content))

    return check


def test_the_tools_of_this_file_make_sound_files(write, content, flatbuffer, members):
    assert resigned(content) == content
    assert read_artifact(write(zipped(flatbuffer, members.items()))).flatbuffer() == flatbuffer


def test_a_member_above_the_limit(refused, flatbuffer, members):
    members["vocab.txt"] = bytes(LARGEST_MEMBER + 1)
    refused(zipped(flatbuffer, members.items()), "the limit is")


def test_a_member_larger_than_its_directory_entry(refused, flatbuffer, members):
    members["vocab.txt"] = bytes(LARGEST_MEMBER + 1)
    content = bytearray(zipped(flatbuffer, members.items()))
    struct.pack_into("<I", content, content.rfind(b"vocab.txt") - 46 + 24, 10)
    refused(resigned(content), "malformed: BadZipFile")


@pytest.mark.parametrize("missing", NAMES)
def test_missing_member(refused, flatbuffer, members, missing):
    del members[missing]
    refused(zipped(flatbuffer, members.items()), "malformed")


def test_foreign_member(refused, flatbuffer, members):
    members["../evil"] = members.pop("labels.txt")
    refused(zipped(flatbuffer, members.items()), "its members must be")


def test_duplicate_member(refused, flatbuffer, members):
    pairs = [(name, members[name]) for name in ("edgedistil.json", "labels.txt", "labels.txt")]
    refused(zipped(flatbuffer, pairs), "its members must be")


def test_many_members(refused, flatbuffer, members):
    extra = [(str(number), b"") for number in range(5000)]
    refused(zipped(flatbuffer, [*members.items(), *extra]), "does not describe 3 to 6 members")


def test_other_compression(refused, flatbuffer, members):
    refused(zipped(flatbuffer, members.items(), zipfile.ZIP_BZIP2), "not compressed by deflate")


def test_bytes_between_model_and_archive(refused, flatbuffer, members):
    refused(zipped(flatbuffer + b"more", members.items()), "The model is not the one")


def test_exchanged_model(refused, content):
    exchanged = bytearray(content)
    exchanged[100] ^= 1
    refused(resigned(exchanged), "The model is not the one")


def test_other_labels_file(refused, flatbuffer, members):
    members["labels.txt"] = b"low\nhigh\nmiddle\n"
    refused(zipped(flatbuffer, members.items()), r"labels\.txt and edgedistil\.json contain different labels")


@pytest.mark.parametrize("pieces", [b"", b"[PAD]\n", b"\xff\n", b"no end"])
def test_other_vocabulary(refused, flatbuffer, members, pieces):
    members["vocab.txt"] = pieces
    refused(zipped(flatbuffer, members.items()), r"vocab\.txt is not")


@pytest.mark.parametrize("document", [b"", b"{", b"[]", b"\xff\xfe{\0}\0", b'{"a":1,"a":2}', b"[" * 200_000, b"NaN"])
def test_malformed_json(refused, flatbuffer, members, document):
    members["edgedistil.json"] = document
    refused(zipped(flatbuffer, members.items()), r"edgedistil\.json")


def test_metadata_of_another_model(refused, flatbuffer, members):
    data = json.loads(members["edgedistil.json"])
    data["flatbuffer_size"] += 1
    members["edgedistil.json"] = json.dumps(data).encode()
    refused(zipped(flatbuffer, members.items()), "The model is not the one")


def test_no_archive_before_the_comment(refused, flatbuffer):
    refused(signed(flatbuffer), "no end record")


def test_comment_alone(refused):
    refused(signed(b"\0\0\0\0TFL3"), "no end record")


def test_every_directory_byte_set_to_anything(write, content):
    """With any directory and a valid digest: an intact artifact or an ArtifactError."""
    start = content.rfind(b"PK\x01\x02", 0, content.rfind(b"PK\x01\x02", 0, content.rfind(b"PK\x01\x02")))
    refusals = 0
    for position in range(start, len(content) - 82):
        for value in (0, 1, 0x7F, 0xFF):
            changed = bytearray(content)
            changed[position] = value
            try:
                read_artifact(write(resigned(changed)))
            except ArtifactError:
                refusals += 1
    assert refusals > 300


def test_encrypted(refused, content):
    changed = bytearray(content)
    first = content.find(b"PK\x01\x02")
    changed[first + 8] |= 1
    refused(resigned(changed), "encrypted")


def test_zip64(refused, content):
    end = len(content) - 82 - 22
    body = bytearray(content[:end] + b"PK\x06\x07" + bytes(16) + content[end:-82])
    refused(signed(bytes(body)), "ZIP64")


def test_an_artifact_in_an_artifact_is_read_from_the_outer_one(write, content, metadata, vocabulary):
    assert read_artifact(write(artifact_bytes(content, metadata, vocabulary))).metadata.flatbuffer_size == len(content)

"""The artifact file: it is read back as written, and everything else is refused."""

import dataclasses
import random
import struct
import zipfile

import pytest

from edgedistil_runtime.artifact import ArtifactMetadata, artifact_bytes, read_artifact, vocabulary_bytes
from edgedistil_runtime.errors import ArtifactError

DAMAGED, CUT_OFF = "is damaged: its SHA-256", "its end is missing, damaged or followed"


def reading(path):
    """The message of the ArtifactError that reading the file raises."""
    with pytest.raises(ArtifactError) as caught:
        read_artifact(path)
    return str(caught.value)


class TestRoundTrip:
    def test_everything_comes_back(self, write, content, flatbuffer, metadata, vocabulary):
        path = write(content)
        artifact = read_artifact(str(path))
        assert artifact.flatbuffer() == flatbuffer
        assert artifact.vocabulary == tuple(vocabulary)
        assert (artifact.path, artifact.size) == (path, len(content))
        assert artifact.metadata == dataclasses.replace(
            metadata,
            flatbuffer_size=len(flatbuffer),
            flatbuffer_sha256=artifact.metadata.flatbuffer_sha256,
        )

    def test_equal_arguments_give_equal_bytes(self, content, flatbuffer, metadata, vocabulary):
        assert artifact_bytes(flatbuffer, metadata, list(vocabulary)) == content

    def test_zipfile_reads_it_from_the_back(self, write, content, flatbuffer):
        with zipfile.ZipFile(write(content)) as archive:
            assert archive.testzip() is None
            assert archive.namelist() == ["edgedistil.json", "labels.txt", "vocab.txt"]
            assert archive.read("labels.txt") == "low\nmiddle\nhög\n".encode()
            assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
            assert archive.infolist()[0].header_offset == len(flatbuffer)
            assert archive.comment.startswith(b"edgedistil sha256:")

    def test_the_flatbuffer_may_have_an_archive_of_its_own(self, write, content, metadata, vocabulary):
        path = write(artifact_bytes(content, metadata, vocabulary))
        assert read_artifact(path).flatbuffer() == content

    def test_vocabulary_bytes(self):
        assert vocabulary_bytes(["a", "\u2028", "é"]) == b"a\n\xe2\x80\xa8\n\xc3\xa9\n"


class TestWriting:
    @pytest.mark.parametrize("piece", ["a\nb", "\ud800"])
    def test_pieces_that_no_line_can_hold(self, flatbuffer, metadata, piece):
        with pytest.raises(ArtifactError, match="vocabulary piece"):
            artifact_bytes(flatbuffer, metadata, [piece])

    def test_another_vocabulary_than_the_metadata_say(self, flatbuffer, metadata, vocabulary):
        with pytest.raises(ArtifactError, match=r"vocab\.txt is not the vocabulary"):
            artifact_bytes(flatbuffer, metadata, vocabulary[:-1])

    def test_no_flatbuffer(self, metadata, vocabulary):
        with pytest.raises(ArtifactError, match="TFL3"):
            artifact_bytes(b"PK\x03\x04 something else", metadata, vocabulary)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"labels": ("a", "b\n", "c")}, "A label is one line"),
            ({"labels": ("a", "b")}, "probabilities must be an array of 2"),
            ({"labels": ("a", "b", "\ud800")}, "cannot be written as JSON"),
            ({"parity": {"difference": object()}}, "cannot be written as JSON"),
            ({"parity": {"difference": float("nan")}}, "not a finite number"),
            ({"tolerance": 0.0}, "tolerance must be"),
            ({"golden_cases": ()}, "golden_cases must be a non-empty array"),
        ],
    )
    def test_metadata_that_could_not_be_read_back(self, flatbuffer, metadata, vocabulary, change, message):
        with pytest.raises(ArtifactError, match=message):
            artifact_bytes(flatbuffer, dataclasses.replace(metadata, **change), vocabulary)


class TestForeignFiles:
    def test_missing(self, tmp_path):
        assert "No such file" in reading(tmp_path / "none.tflite")

    def test_directory(self, tmp_path):
        assert "cannot be opened" in reading(tmp_path)

    def test_nul_in_the_path(self):
        assert "cannot be opened" in reading("model\0.tflite")

    @pytest.mark.parametrize("content", [b"", b"TFL3", b"\x89PNG\r\n\x1a\n" * 9, b"PK\x05\x06" + bytes(18)])
    def test_no_tflite(self, write, content):
        assert "not a TFLite model" in reading(write(content))

    def test_tflite_of_another_origin(self, write):
        assert "EdgeDistil did not write" in reading(write(b"\x1c\0\0\0TFL3" + bytes(1000)))

    def test_our_signatures_without_an_archive(self, write, flatbuffer):
        assert "truncated, or not written by EdgeDistil" in reading(write(flatbuffer))

    def test_the_message_names_the_file(self, write):
        assert reading(write(b"other", "mine.bin")).count("mine.bin") == 1


class TestDamage:
    def test_truncated_at_every_length(self, write, content, flatbuffer):
        first_name_ends = len(flatbuffer) + 30 + len("edgedistil.json")
        for length in [*range(0, len(content), 7), len(content) - 1]:
            message = reading(write(content[:length]))
            assert (CUT_OFF in message) == (length >= first_name_ends), length

    def test_bytes_after_the_end(self, write, content):
        assert CUT_OFF in reading(write(content + b"\n"))

    def test_one_flipped_bit_anywhere(self, write, content, flatbuffer):
        dice = random.Random(7)
        end = len(content)
        everywhere = [(dice.randrange(end), dice.randrange(8)) for _ in range(300)]
        last_bytes = [(position, dice.randrange(8)) for position in range(end - 250, end)]
        for position, bit in everywhere + last_bytes:
            damaged = bytearray(content)
            damaged[position] ^= 1 << bit
            message = reading(write(damaged))
            if 8 <= position < len(flatbuffer):
                assert DAMAGED in message

    @pytest.mark.parametrize("field", [16, 12, 10, 8, 0])
    @pytest.mark.parametrize("value", [0, 0xFFFF])
    def test_a_wild_end_record(self, write, content, field, value):
        damaged = bytearray(content)
        struct.pack_into("<H", damaged, len(content) - 82 - 22 + field, value)
        assert reading(write(damaged)).count("damaged: its SHA-256") == (bytes(damaged) != content)


def test_metadata_survive_their_own_json(metadata):
    complete = dataclasses.replace(metadata, flatbuffer_size=8, flatbuffer_sha256="0" * 64)
    assert ArtifactMetadata.from_json(complete.to_json()) == complete

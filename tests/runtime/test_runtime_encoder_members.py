"""The part for an accelerator in an artifact: it is stored unchanged, and other forms are refused."""

import dataclasses
import hashlib
import io
import json
import random
import struct
import warnings
import zipfile

import pytest

from edgedistil_runtime.artifact import (
    CompiledTensor,
    EncoderFlatbuffers,
    EncoderPart,
    artifact_bytes,
    read_artifact,
)
from edgedistil_runtime.errors import ArtifactError

MODEL = b"\x1c\0\0\0TFL3" + random.Random(2).randbytes(400)
COMPILED = b"\x1c\0\0\0TFL3 compiled " + bytes(range(200))
VMFB = b"PK\x03\x04" + bytes(range(200))
TENSORS = (
    CompiledTensor("attention_mask", (1, 1, 16, 1), 1 / 255, -128),
    CompiledTensor("probabilities", (1, 3), 1, 0),
)
TEXT_MEMBERS = ["edgedistil.json", "labels.txt", "vocab.txt"]
ENCODER, EDGETPU, CORALBOARD = "encoder.tflite", "encoder_edgetpu.tflite", "encoder.vmfb"
DIRECTORY = b"PK\x01\x02"


@pytest.fixture
def make(flatbuffer, metadata, vocabulary):
    """`make("edgetpu", COMPILED)`: the bytes of an artifact with an encoder."""

    def artifact(target="gpu", compiled=None, **options):
        part = EncoderPart(
            lengths=(16, metadata.tokenizer.sequence_length),
            is_compiled=compiled is not None,
            tensors=TENSORS if target == "coralboard" else (),
        )
        changed = dataclasses.replace(metadata, target=target, encoder=part)
        return artifact_bytes(flatbuffer, changed, vocabulary, encoder=EncoderFlatbuffers(MODEL, compiled), **options)

    return artifact


def signed(content):
    """Return the bytes with a valid digest."""
    body = bytes(content)[:-82]
    return body + b"edgedistil sha256:" + hashlib.sha256(body).hexdigest().encode()


def zipped(front, members):
    """`front` with an archive of these (name, content, compression), signed."""
    buffer = io.BytesIO()
    buffer.write(front)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a duplicate name
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content, compression in members:
                archive.writestr(name, content, compress_type=compression)
            archive.comment = b" " * 82
    return signed(buffer.getvalue())


def members_of(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [(entry.filename, archive.read(entry), entry.compress_type) for entry in archive.infolist()]


@pytest.fixture
def refused(write):
    """Asserts that reading raises an ArtifactError with this message."""

    def check(content, match):
        with pytest.raises(ArtifactError, match=match):
            read_artifact(write(content))

    return check


# Writing and reading back


@pytest.mark.parametrize(
    ("target", "compiled"), [("gpu", None), ("edgetpu", None), ("edgetpu", COMPILED), ("coralboard", VMFB)]
)
@pytest.mark.parametrize("is_deflated", [True, False])
def test_everything_comes_back(write, make, flatbuffer, target, compiled, is_deflated):
    artifact = read_artifact(write(make(target, compiled, is_deflated=is_deflated)))
    assert artifact.encoder() == EncoderFlatbuffers(MODEL, compiled)
    assert artifact.flatbuffer() == flatbuffer
    assert artifact.metadata.target == target
    tensors = TENSORS if target == "coralboard" else ()
    assert artifact.metadata.encoder == EncoderPart((16, 128), is_compiled=compiled is not None, tensors=tensors)
    assert ("tensors" in artifact.metadata.to_json()) == (target == "coralboard")


def test_equal_arguments_give_equal_bytes(make):
    assert make("edgetpu", COMPILED) == make("edgetpu", COMPILED)


def test_spans_are_where_the_bytes_are(write, make):
    content = make("edgetpu", COMPILED)
    spans = read_artifact(write(content)).spans
    found = {name: content[offset : offset + size] for name, (offset, size) in spans.items()}
    assert found == {ENCODER: MODEL, EDGETPU: COMPILED}


def test_zipfile_reads_it_from_the_back(make):
    content = make("edgetpu", COMPILED)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        methods = {entry.filename: entry.compress_type for entry in archive.infolist()}
    assert list(methods) == [*TEXT_MEMBERS, ENCODER, EDGETPU]
    assert {methods[name] for name in TEXT_MEMBERS} == {zipfile.ZIP_DEFLATED}
    assert {methods[name] for name in (ENCODER, EDGETPU)} == {zipfile.ZIP_STORED}


def test_an_artifact_for_a_cpu_has_none(fake_path):
    artifact = read_artifact(fake_path)
    assert artifact.spans == {}
    with pytest.raises(
        ArtifactError, match="converted for the target cpu. Convert again with a `target` of gpu, edgetpu, coralboard"
    ):
        artifact.encoder()


def test_an_artifact_in_an_artifact_keeps_its_encoder_to_itself(write, make, metadata, vocabulary):
    inner = make("edgetpu", COMPILED)
    artifact = read_artifact(write(artifact_bytes(inner, metadata, vocabulary)))
    assert (artifact.spans, artifact.flatbuffer()) == ({}, inner)


@pytest.mark.parametrize("exchanged", [b"", b"\x1c\0\0\0TFL3", bytes(5000)])
def test_a_file_that_is_exchanged_after_it_was_read(write, make, exchanged):
    path = write(make("edgetpu", COMPILED))
    artifact = read_artifact(path)
    path.write_bytes(exchanged)
    with pytest.raises(ArtifactError, match="replaced after it was read. Load it again"):
        artifact.encoder()


def test_a_file_that_is_cut_off_after_it_was_read(write, make):
    content = make("gpu")
    path = write(content)
    artifact = read_artifact(path)
    offset, size = artifact.spans[ENCODER]
    path.write_bytes(content[: offset + size - 1])
    with pytest.raises(ArtifactError, match="replaced after it was read. Load it again"):
        artifact.encoder()


@pytest.mark.parametrize("name", [ENCODER, EDGETPU])
def test_one_flipped_bit_is_found(write, make, name):
    content = bytearray(make("edgetpu", COMPILED))
    offset, size = read_artifact(write(bytes(content))).spans[name]
    content[offset + size - 1] ^= 1
    with pytest.raises(ArtifactError, match="is damaged"):
        read_artifact(write(bytes(content)))


# What cannot be written


@pytest.mark.parametrize("encoder", [EncoderFlatbuffers(b"no model"), EncoderFlatbuffers(MODEL, b"PK\x03\x04")])
def test_an_encoder_is_a_flatbuffer(flatbuffer, metadata, vocabulary, encoder):
    described = dataclasses.replace(metadata, target="edgetpu", encoder=EncoderPart((128,), is_compiled=True))
    with pytest.raises(ArtifactError, match="TFL3 at bytes 4 to 8"):
        artifact_bytes(flatbuffer, described, vocabulary, encoder=encoder)


def test_a_vmfb_is_an_archive(make):
    with pytest.raises(ArtifactError, match="encoder.vmfb is not a VMFB, .* Received: .*TFL3"):
        make("coralboard", COMPILED)


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_targets_without_a_compiler(make, target):
    with pytest.raises(ArtifactError, match="one of the targets edgetpu, coralboard. Received: '" + target):
        make(target, VMFB)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": 0}, r"tensors\[0\]: scale must be a number greater than 0. Received: 0"),
        ({"scale": "1"}, "scale must be a number"),
        ({"zero_point": 128}, "zero_point must be an integer from -128 to 127. Received: 128"),
        ({"zero_point": -129}, "zero_point must be an integer of at least -128"),
        ({"shape": []}, "shape must be a non-empty array"),
        ({"name": ""}, "name must be a non-empty string"),
        ({"dtype": "int8"}, r"unknown: \['dtype'\]"),
    ],
)
def test_malformed_tensors(metadata, change, message):
    part = EncoderPart((metadata.tokenizer.sequence_length,), is_compiled=True, tensors=TENSORS)
    document = json.loads(dataclasses.replace(metadata, target="coralboard", encoder=part).to_json())
    document["encoder"]["tensors"][0].update(change)
    with pytest.raises(ArtifactError, match=message):
        type(metadata).from_json(json.dumps(document))


@pytest.mark.parametrize(
    ("is_described", "is_compiled", "encoder"),
    [
        (False, False, EncoderFlatbuffers(MODEL)),
        (True, False, None),
        (True, False, EncoderFlatbuffers(MODEL, COMPILED)),
        (True, True, EncoderFlatbuffers(MODEL)),
    ],
)
def test_members_must_be_those_that_the_metadata_describe(
    flatbuffer, metadata, vocabulary, is_described, is_compiled, encoder
):
    if is_described:
        metadata = dataclasses.replace(metadata, target="edgetpu", encoder=EncoderPart((128,), is_compiled))
    with pytest.raises(ArtifactError, match=r"describes an artifact with the parts \[.*\] for an accelerator"):
        artifact_bytes(flatbuffer, metadata, vocabulary, encoder=encoder)


@pytest.mark.parametrize(("target", "has_encoder"), [("cpu", True), ("npu", True), ("gpu", False), ("edgetpu", False)])
def test_an_encoder_is_for_an_accelerator(flatbuffer, metadata, vocabulary, target, has_encoder):
    part, encoder = (EncoderPart((128,), False), EncoderFlatbuffers(MODEL)) if has_encoder else (None, None)
    changed = dataclasses.replace(metadata, target=target, encoder=part)
    with pytest.raises(ArtifactError, match="encoder must be null for the targets cpu and npu"):
        artifact_bytes(flatbuffer, changed, vocabulary, encoder=encoder)


@pytest.mark.parametrize("lengths", [(), (0, 128), (64, 32, 128), (128, 128), (64,), (128, 256), (-1, 128)])
def test_lengths_ascend_to_the_sequence_length(flatbuffer, metadata, vocabulary, lengths):
    changed = dataclasses.replace(metadata, target="gpu", encoder=EncoderPart(lengths, False))
    with pytest.raises(ArtifactError, match="lengths"):
        artifact_bytes(flatbuffer, changed, vocabulary, encoder=EncoderFlatbuffers(MODEL))


# Malformed files with a valid digest


def test_the_tools_of_this_file_make_sound_files(write, make, flatbuffer):
    content = make("edgetpu", COMPILED)
    assert signed(content) == content
    again = read_artifact(write(zipped(flatbuffer, members_of(content))))
    assert again.encoder() == EncoderFlatbuffers(MODEL, COMPILED)


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
@pytest.mark.parametrize("name", [ENCODER, EDGETPU])
def test_a_compressed_encoder(refused, make, flatbuffer, name, compression):
    members = [
        (member, content, compression if member == name else method)
        for member, content, method in members_of(make("edgetpu", COMPILED))
    ]
    refused(zipped(flatbuffer, members), f"malformed: {name} is compressed")


def test_a_compressed_encoder_that_lies_about_its_size(refused, make, flatbuffer):
    [*texts, (_, content, _)] = members_of(make("gpu"))
    changed = bytearray(zipped(flatbuffer, [*texts, (ENCODER, content, zipfile.ZIP_DEFLATED)]))
    entry = entry_of(changed, ENCODER)
    changed[entry + 24 : entry + 28] = changed[entry + 20 : entry + 24]
    refused(signed(changed), "malformed: encoder.tflite is compressed")


def test_an_encoder_without_metadata(refused, content, flatbuffer):
    refused(
        zipped(flatbuffer, [*members_of(content), (ENCODER, MODEL, zipfile.ZIP_STORED)]),
        r"with the parts \[\] for an accelerator. Received: \['encoder.tflite'\]",
    )


@pytest.mark.parametrize(("lost", "kept"), [(ENCODER, EDGETPU), (EDGETPU, ENCODER)])
def test_metadata_without_an_encoder(refused, make, flatbuffer, lost, kept):
    members = [member for member in members_of(make("edgetpu", COMPILED)) if member[0] != lost]
    refused(zipped(flatbuffer, members), rf"with the parts \['encoder.tflite', '{EDGETPU}'\] .* \['{kept}'\]")


def test_a_compiled_encoder_that_nobody_announced(refused, make, flatbuffer):
    members = [*members_of(make("edgetpu")), (EDGETPU, COMPILED, zipfile.ZIP_STORED)]
    refused(zipped(flatbuffer, members), r"with the parts \['encoder.tflite'\] for an accelerator")


@pytest.mark.parametrize("name", [ENCODER, "vocab.txt"])
def test_duplicate_names(refused, make, flatbuffer, name):
    members = members_of(make("gpu"))
    members.append(next(member for member in members if member[0] == name))
    refused(zipped(flatbuffer, members), "malformed: its members must be")


def test_a_sixth_member(refused, make, flatbuffer):
    members = [*members_of(make("edgetpu", COMPILED)), ("more", b"", zipfile.ZIP_STORED)]
    refused(zipped(flatbuffer, members), "its members must be")


def test_the_compiled_encoder_of_another_target(refused, make, flatbuffer):
    members = [
        (CORALBOARD if name == EDGETPU else name, *rest) for name, *rest in members_of(make("edgetpu", COMPILED))
    ]
    refused(zipped(flatbuffer, members), r"the parts \['encoder.tflite', 'encoder_edgetpu.tflite'\]")


def test_a_foreign_member(refused, content, flatbuffer):
    refused(
        zipped(flatbuffer, [*members_of(content), ("../encoder.tflite", MODEL, zipfile.ZIP_STORED)]),
        "malformed: its members must be",
    )


@pytest.mark.parametrize("model", [b"", b"TFL3", b"\x1c\0\0\0TFL2" + bytes(50)])
def test_an_encoder_that_is_no_model(refused, make, flatbuffer, model):
    members = [
        (name, model if name == ENCODER else content, method) for name, content, method in members_of(make("gpu"))
    ]
    refused(zipped(flatbuffer, members), "encoder.tflite is not a TFLite model")


def entry_of(content, name):
    """Return the position of a member's entry in the directory."""
    return content.rfind(name.encode()) - 46


def test_a_span_beyond_the_file(refused, make):
    content = bytearray(make("gpu"))
    struct.pack_into("<II", content, entry_of(content, ENCODER) + 20, len(content), len(content))
    refused(signed(content), "malformed: encoder.tflite extends beyond the end of the file")


def test_a_span_of_four_gigabytes(refused, make):
    content = bytearray(make("gpu"))
    struct.pack_into("<II", content, entry_of(content, ENCODER) + 20, 0xFFFFFFFE, 0xFFFFFFFE)
    refused(signed(content), "malformed: encoder.tflite extends beyond the end of the file")


def test_a_long_header_that_moves_the_span(refused, make):
    content = bytearray(make("gpu"))
    (header,) = struct.unpack_from("<I", content, entry_of(content, ENCODER) + 42)
    struct.pack_into("<HH", content, header + 26, 0xFFFF, 0xFFFF)
    refused(signed(content), "malformed: encoder.tflite extends beyond the end of the file")


def test_a_member_without_a_header(refused, make):
    content = bytearray(make("gpu"))
    (header,) = struct.unpack_from("<I", content, entry_of(content, ENCODER) + 42)
    content[header : header + 4] = bytes(4)
    refused(signed(content), "malformed: encoder.tflite has no local header, or is encrypted")


def test_a_span_that_begins_in_another_member(refused, make):
    content = bytearray(make("gpu"))
    (header,) = struct.unpack_from("<I", content, entry_of(content, ENCODER) + 42)
    struct.pack_into("<I", content, entry_of(content, ENCODER) + 42, header + 1)
    refused(signed(content), "malformed")


def test_an_encoder_in_the_place_of_a_text(refused, make):
    """An entry that points to a member that is not a flatbuffer."""
    content = bytearray(make("gpu", is_deflated=False))
    (labels,) = struct.unpack_from("<I", content, entry_of(content, "labels.txt") + 42)
    struct.pack_into("<I", content, entry_of(content, ENCODER) + 42, labels)
    refused(signed(content), "encoder.tflite is not a TFLite model|malformed")


def test_an_encrypted_encoder(refused, make):
    content = bytearray(make("gpu"))
    content[entry_of(content, ENCODER) + 8] |= 1
    refused(signed(content), "malformed: encoder.tflite has no local header, or is encrypted")


def test_every_directory_byte_set_to_anything(write, make):
    """With any directory: an intact artifact whose encoder can be read, or an ArtifactError."""
    content = make("edgetpu", COMPILED)
    start = content.index(DIRECTORY, content.index(COMPILED) + len(COMPILED))
    refusals = 0
    for position in range(start, len(content) - 82):
        for value in (0, 0xFF):
            changed = bytearray(content)
            changed[position] = value
            try:
                encoder = read_artifact(write(signed(changed))).encoder()
            except ArtifactError:
                refusals += 1
            else:
                assert encoder.model[4:8] == encoder.compiled[4:8] == b"TFL3"
    assert refusals > 250

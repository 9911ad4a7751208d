"""Signatures: only the file that was signed is accepted, to the byte, and only with the key that signed it."""

import dataclasses
import hashlib
import io
import json
import struct
import sys
import zipfile

import pytest

from edgedistil_runtime.artifact import EncoderFlatbuffers, EncoderPart, artifact_bytes, read_artifact
from edgedistil_runtime.classifier import TextClassifier
from edgedistil_runtime.cli import main
from edgedistil_runtime.errors import ArtifactError, EdgeDistilError, SigningKeyError, UntrustedArtifact
from edgedistil_runtime.signing import FileSignature, signed_message
from edgedistil_runtime.trailing_archive import COMMENT_SIZE, append_archive, with_note

MISSING, OTHER_KEY, WRONG = "The file is not signed", "signed with another key", "does not fit the file"
DIRECTORY, END_SIZE = b"PK\x01\x02", 22


class Signer:
    """A new key pair; imported late, because the library is an extra."""

    def __init__(self):
        serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
        ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
        self.key = ed25519.Ed25519PrivateKey.generate()
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        self.public = self.key.public_key().public_bytes(serialization.Encoding.PEM, form)
        self.der = self.key.public_key().public_bytes(serialization.Encoding.DER, form)

    def signature(self, content):
        message = signed_message(read_artifact(content).unsigned_sha256)
        return FileSignature(self.key.public_key().public_bytes_raw(), self.key.sign(message))

    def sign(self, content):
        return with_note(content, self.signature(content).to_line())


@pytest.fixture
def signer():
    return Signer()


@pytest.fixture
def signed(signer, content):
    return signer.sign(content)


@pytest.fixture
def encoder_content(flatbuffer, metadata, vocabulary):
    """An artifact with all five members."""
    part = EncoderPart(lengths=(metadata.tokenizer.sequence_length,), is_compiled=True)
    model = b"\x1c\0\0\0TFL3 for an accelerator"
    changed = dataclasses.replace(metadata, target="edgetpu", encoder=part)
    return artifact_bytes(flatbuffer, changed, vocabulary, encoder=EncoderFlatbuffers(model, model + b" compiled"))


@pytest.fixture
def refused(signer):
    def check(content, match, error=UntrustedArtifact):
        with pytest.raises(error, match=match):
            read_artifact(bytes(content), public_key=signer.public)

    return check


def redigested(content):
    """The bytes with the digest that fits them, as whoever exchanges a file writes it."""
    body = bytes(content)[:-COMMENT_SIZE]
    return body + b"edgedistil sha256:" + hashlib.sha256(body).hexdigest().encode()


class TestSignedFiles:
    def test_accepted(self, write, signer, signed, content):
        path, key = write(signed), write(signer.public, "key.pub")
        for model in (path, str(path), signed):
            for public_key in (key, str(key), signer.public):
                artifact = read_artifact(model, public_key=public_key)
                assert artifact.content == signed  # what was checked is what runs
                assert artifact.signature == signer.signature(content)

    def test_the_fingerprint_is_that_of_openssl(self, signer, content):
        assert signer.signature(content).fingerprint == hashlib.sha256(signer.der).hexdigest()

    def test_nothing_else_changes(self, signed, content):
        """So that readers that know nothing of signatures, of any version and language, find what they did before."""
        directory, end = content.index(DIRECTORY), len(content) - COMMENT_SIZE - END_SIZE
        assert signed[: directory + 32] == content[: directory + 32]
        with_signature = zipfile.ZipFile(io.BytesIO(signed))
        assert with_signature.testzip() is None
        assert with_signature.namelist() == ["edgedistil.json", "labels.txt", "vocab.txt"]
        assert [bool(entry.comment) for entry in with_signature.infolist()] == [True, False, False]
        assert struct.unpack_from("<I", signed, len(signed) - COMMENT_SIZE - END_SIZE + 16)[0] == directory
        assert with_note(signed, b"") == content
        assert len(signed) - len(content) == len("edgedistil ed25519 ") + 64 + 1 + 128
        assert content[end : end + 4] == b"PK\x05\x06"

    def test_accepted_without_a_key(self, write, signed, signer, content):
        artifact = read_artifact(write(signed))
        assert artifact.metadata == read_artifact(content).metadata
        assert artifact.signature == signer.signature(content)
        assert artifact.path is not None and artifact.content is None

    def test_a_second_signature_replaces_the_first(self, signer, signed, content):
        other = Signer()
        assert other.sign(signed) != signed and signer.sign(other.sign(signed)) == signed
        assert read_artifact(other.sign(signed), public_key=other.public).unsigned_sha256 == (
            read_artifact(content).unsigned_sha256
        )

    def test_all_members(self, signer, encoder_content):
        signed = signer.sign(encoder_content)
        artifact = read_artifact(signed, public_key=signer.public)
        assert artifact.encoder() == read_artifact(encoder_content).encoder()


class TestRefused:
    def test_no_signature(self, refused, content):
        refused(content, MISSING)

    @pytest.mark.parametrize("note", [b"checked by Ann", b"edgedistil ed25519 00 00"])
    def test_another_note(self, refused, content, note):
        refused(with_note(content, note), MISSING)

    def test_anything_beside_the_signature_in_the_note(self, refused, signer, content):
        line = signer.signature(content).to_line()
        for note in (line + b"\n", b" " + line, line.upper(), line + b"PK\x03\x04" + bytes(26)):
            refused(with_note(content, note), MISSING)

    def test_another_key(self, refused, content):
        refused(Signer().sign(content), OTHER_KEY)

    def test_another_key_that_claims_to_be_this_one(self, refused, signer, content):
        theirs = dataclasses.replace(Signer().signature(content), public_key=signer.signature(content).public_key)
        refused(with_note(content, theirs.to_line()), WRONG)

    def test_the_signature_of_another_file(self, refused, signer, content, flatbuffer, metadata, vocabulary):
        other = artifact_bytes(flatbuffer, dataclasses.replace(metadata, name="another"), vocabulary)
        refused(with_note(other, signer.signature(content).to_line()), WRONG)
        refused(with_note(content, signer.signature(other).to_line()), WRONG)

    def test_the_message_without_its_domain(self, refused, signer, content):
        digest = bytes.fromhex(read_artifact(content).unsigned_sha256)
        bare = FileSignature(signer.signature(content).public_key, signer.key.sign(digest))
        refused(with_note(content, bare.to_line()), WRONG)

    def test_another_flatbuffer(self, refused, signer, content, flatbuffer, metadata, vocabulary):
        """Valid in itself: its digests and its metadata are made anew."""
        other = artifact_bytes(flatbuffer[:-1] + b"u", metadata, vocabulary)
        refused(with_note(other, signer.signature(content).to_line()), WRONG)

    @pytest.mark.parametrize(
        "changes",
        [
            {"labels": ("high", "middle", "low")},
            {"tolerance": 0.5},
            {"thresholds": (0.1, 0.2, 0.3), "schema_version": 2},
        ],
        ids=lambda changes: next(iter(changes)),
    )
    def test_other_metadata_and_labels(self, refused, signer, content, flatbuffer, metadata, vocabulary, changes):
        other = artifact_bytes(flatbuffer, dataclasses.replace(metadata, **changes), vocabulary)
        refused(with_note(other, signer.signature(content).to_line()), WRONG)

    def test_another_vocabulary(self, refused, signer, content, flatbuffer, metadata, vocabulary):
        pieces = [*vocabulary[:-1], "exchanged"]
        data = "".join(f"{piece}\n" for piece in pieces).encode()
        settings = dataclasses.replace(metadata.tokenizer, vocabulary_sha256=hashlib.sha256(data).hexdigest())
        other = artifact_bytes(flatbuffer, dataclasses.replace(metadata, tokenizer=settings), pieces)
        refused(with_note(other, signer.signature(content).to_line()), WRONG)

    @pytest.mark.parametrize("name", ["encoder.tflite", "encoder_edgetpu.tflite"])
    def test_another_part_for_an_accelerator(self, refused, signer, encoder_content, name):
        """No digest in the metadata covers these members."""
        signed = signer.sign(encoder_content)
        at = signed.index(b"TFL3 for an accelerator", signed.index(name.encode()))
        exchanged = redigested(signed[:at] + b"TFL3 for my accelerator" + signed[at + 23 :])
        assert read_artifact(exchanged).spans == read_artifact(signed).spans  # sound in itself
        refused(exchanged, WRONG)

    def test_the_same_members_in_another_archive(self, refused, signer, content):
        """The signature is over the bytes, not only over what this reader makes of them."""
        members = zipfile.ZipFile(io.BytesIO(content))
        found = {name: members.read(name) for name in members.namelist()}
        start = members.infolist()[0].header_offset
        stored = append_archive(content[:start], found, is_deflated=False)
        assert read_artifact(stored).metadata == read_artifact(content).metadata
        refused(with_note(stored, signer.signature(content).to_line()), WRONG)

    def test_every_byte_of_the_file(self, signer, signed):
        """Whatever is changed, with the digest made anew: refused, and never accepted by accident."""
        for position in range(len(signed) - COMMENT_SIZE):
            changed = bytearray(signed)
            changed[position] ^= 1
            with pytest.raises(ArtifactError):
                read_artifact(redigested(changed), public_key=signer.public)

    def test_every_value_of_the_directory(self, signer, signed, content):
        """Lengths and offsets that move what is read: the signed bytes do not move with them."""
        for position in range(content.index(DIRECTORY), len(signed) - COMMENT_SIZE):
            for value in {0, 1, 0x7F, 0xFF} - {signed[position]}:
                changed = bytearray(signed)
                changed[position] = value
                with pytest.raises(ArtifactError):
                    read_artifact(redigested(changed), public_key=signer.public)

    def test_damage_is_named_as_damage(self, refused, signed):
        damaged = bytearray(signed)
        damaged[100] ^= 1
        refused(damaged, "is damaged: its SHA-256", ArtifactError)

    def test_the_message_names_the_file(self, write, signer, content):
        with pytest.raises(UntrustedArtifact, match=r"mine\.tflite: The file is not signed"):
            read_artifact(write(content, "mine.tflite"), public_key=signer.public)


class TestKeys:
    def test_a_missing_file(self, tmp_path, signed):
        with pytest.raises(SigningKeyError, match=r"`public_key`\) cannot be read.*No such file"):
            read_artifact(signed, public_key=tmp_path / "missing")

    @pytest.mark.parametrize(
        "key", [b"", b"not a key", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"]
    )
    def test_no_key(self, signer, signed, key):
        with pytest.raises(SigningKeyError, match="must be an Ed25519 public key in PEM"):
            read_artifact(signed, public_key=key)

    def test_neither_path_nor_bytes(self, signer, signed):
        with pytest.raises(SigningKeyError, match="cannot be read"):
            read_artifact(signed, public_key=7)

    def test_a_private_key(self, signer, signed):
        serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
        form, no = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        private = signer.key.private_bytes(serialization.Encoding.PEM, form, no)
        with pytest.raises(SigningKeyError, match="is a private key"):
            read_artifact(signed, public_key=private)

    def test_another_kind_of_key(self, signer, signed):
        serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
        x25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.x25519")
        key = x25519.X25519PrivateKey.generate().public_key()
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        with pytest.raises(SigningKeyError, match="must be an Ed25519 key. Received: X25519PublicKey"):
            read_artifact(signed, public_key=key.public_bytes(serialization.Encoding.PEM, form))

    def test_without_the_extra(self, content, monkeypatch):
        monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
        with pytest.raises(EdgeDistilError, match=r"edgedistil-runtime\[sign\]"):
            read_artifact(content, public_key=b"any")
        assert read_artifact(content).signature is None


class TestClassifier:
    @pytest.fixture
    def paths(self, write, signer, echo_path):
        """A signed model that an interpreter runs, and the public key."""
        return write(signer.sign(echo_path.read_bytes()), "signed.tflite"), write(signer.public, "key.pub")

    def test_classifies_what_was_checked(self, paths, signer, write, content):
        model, key = paths
        with TextClassifier(model, public_key=key) as classifier:
            model.write_bytes(b"exchanged after the check")
            assert classifier.classify("hello").label == "low"
            assert classifier.signature.public_key == signer.key.public_key().public_bytes_raw()

    def test_refuses_and_closes_the_backend(self, write, content, signer):
        class Backend:
            is_closed = False

            def close(self):
                self.is_closed = True

        backend = Backend()
        with pytest.raises(UntrustedArtifact, match=MISSING):
            TextClassifier(write(content), backend=backend, public_key=signer.public)
        assert backend.is_closed

    def test_without_a_key(self, paths, echo_path):
        with TextClassifier(paths[0]) as classifier:
            assert classifier.classify("hello").label == "low" and classifier.signature is not None
        with TextClassifier(echo_path) as classifier:
            assert classifier.signature is None

    def test_command_line(self, paths, echo_path, capsys):
        model, key = map(str, paths)
        assert main(["classify", model, "hello", "--public-key", key]) == 0
        assert capsys.readouterr().out.startswith("low\t")
        for command in (["classify", str(echo_path), "hello"], ["info", str(echo_path)]):
            assert main([*command, "--public-key", key]) == 1
            error = capsys.readouterr().err
            assert MISSING in error and "--public-key allows only" in error

    def test_the_server_refuses(self, paths, echo_path, capsys):
        pytest.importorskip("uvicorn")
        pytest.importorskip("starlette")
        pytest.importorskip("prometheus_client")
        assert main(["serve", str(echo_path), "--port", "0", "--public-key", str(paths[1])]) == 1
        assert MISSING in capsys.readouterr().err

    def test_info(self, paths, echo_path, signer, capsys):
        model, key = map(str, paths)
        fingerprint = hashlib.sha256(signer.der).hexdigest()
        for options, is_checked in (([], False), (["--public-key", key], True)):
            assert main(["info", model, "--json", *options]) == 0
            found = json.loads(capsys.readouterr().out)["signed_with"]
            assert found == {"fingerprint": fingerprint, "is_checked": is_checked}
        assert main(["info", model]) == 0
        assert fingerprint in capsys.readouterr().out
        assert main(["info", str(echo_path), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["signed_with"] is None

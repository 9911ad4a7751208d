r"""Check who signed an artifact. `edgedistil sign` writes the signature; `trailing_archive.py` has its place in a file.

A digest detects damage: whoever exchanges a file can compute a new one. A signature detects exchange, if the reader has
the signer's public key from elsewhere. It is Ed25519 (RFC 8032) of the library `cryptography`, an optional extra, which
is imported only to check a signature. The signed message is

    b"edgedistil signature 1\0" + SHA-256 of every byte of the file without the signature and the digest at its end

and the file holds the signer's public key and the signature as one line, which is the comment of a ZIP entry:

    edgedistil ed25519 <public key, 64 hexadecimal digits> <signature, 128 hexadecimal digits>

A file is determined by its unsigned bytes and this line: every other file has another message.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

from edgedistil_runtime.errors import EdgeDistilError, SigningKeyError, UntrustedArtifact

__all__ = [
    "FileSignature",
    "PublicKey",
    "check_signature",
    "import_cryptography",
    "read_key_file",
    "signed_message",
]

PublicKey = Union[str, "os.PathLike[str]", bytes]  # as `TextClassifier` takes it

_LINE = re.compile(rb"edgedistil ed25519 ([0-9a-f]{64}) ([0-9a-f]{128})")
_DOMAIN = b"edgedistil signature 1\0"  # no other use of the same key signs a message that begins with it
_SPKI_HEAD = bytes.fromhex("302a300506032b6570032100")  # RFC 8410, section 4: DER before the 32 bytes of a key


@dataclass(frozen=True)
class FileSignature:
    """The signature in a file, which is worth nothing before `check_signature`.

    Attributes:
        public_key: The signer's public key according to the file, 32 bytes.
        value: Ed25519 signature, 64 bytes.
    """

    public_key: bytes
    value: bytes

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the public key as DER, as `openssl pkey -pubin -outform DER | sha256sum` prints it.

        Example:
            >>> FileSignature(bytes(32), bytes(64)).fingerprint
            '722abd12...'
        """
        return hashlib.sha256(_SPKI_HEAD + self.public_key).hexdigest()

    def to_line(self) -> bytes:
        """Return the line that a file holds.

        Example:
            >>> FileSignature(bytes(32), bytes(64)).to_line()
            b'edgedistil ed25519 0000...'
        """
        return f"edgedistil ed25519 {self.public_key.hex()} {self.value.hex()}".encode()

    @classmethod
    def from_line(cls, line: bytes) -> FileSignature | None:
        """Return the signature in a line; None if it has any other form.

        Example:
            >>> signature = FileSignature(bytes(32), bytes(64))
            >>> FileSignature.from_line(signature.to_line()) == signature, FileSignature.from_line(b"a comment")
            (True, None)
        """
        found = _LINE.fullmatch(line)
        return None if found is None else cls(*(bytes.fromhex(part.decode()) for part in found.groups()))


def signed_message(unsigned_sha256: str) -> bytes:
    """Return the message that is signed.

    Args:
        unsigned_sha256: Hex digest of the file without its signature, `Artifact.unsigned_sha256`.

    Example:
        >>> len(signed_message("00" * 32))
        55
    """
    return _DOMAIN + bytes.fromhex(unsigned_sha256)


def check_signature(signature: FileSignature | None, unsigned_sha256: str, public_key: PublicKey) -> None:
    r"""Check that a file was signed with the private key that belongs to a public key.

    Args:
        signature: The signature in the file; None if there is none.
        unsigned_sha256: Hex digest of the file without it.
        public_key: The signer's public key: a PEM file, or its content.

    Raises:
        UntrustedArtifact: There is no signature, it is of another key, or the file was changed after it was signed.
        SigningKeyError: The key cannot be read, or is not an Ed25519 key.
        EdgeDistilError: The package `cryptography` is not installed.

    Example:
        >>> from edgedistil_runtime import read_artifact
        >>> artifact = read_artifact("intents.tflite")
        >>> key = (
        ...     b"-----BEGIN PUBLIC KEY-----\n"
        ...     b"MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=\n"
        ...     b"-----END PUBLIC KEY-----\n"
        ... )
        >>> check_signature(artifact.signature, artifact.unsigned_sha256, key)
        Traceback (most recent call last):
        ...
        edgedistil_runtime.errors.UntrustedArtifact: The file is not signed...
    """
    expected = _read_public_key(public_key)
    if signature is None:
        raise UntrustedArtifact(
            "The file is not signed, and `public_key` allows only files signed with its private key. Sign it with "
            f"`edgedistil sign`, or get it again from where it was signed. Expected: the key {_short(expected)}."
        )
    if signature.public_key != expected:
        raise UntrustedArtifact(
            "The file is signed with another key than that of `public_key`. Expected: the key "
            f"{_short(expected)}. Received: the key {_short(signature.public_key)}."
        )
    cryptography = import_cryptography()
    try:
        cryptography.ed25519.Ed25519PublicKey.from_public_bytes(expected).verify(
            signature.value, signed_message(unsigned_sha256)
        )
    except cryptography.InvalidSignature:
        raise UntrustedArtifact(
            "The signature does not fit the file: one of the two was changed or exchanged after the file was signed. "
            f"Get it again from where it was signed. Expected: a signature of the key {_short(expected)}."
        ) from None


def _read_public_key(source: PublicKey) -> bytes:
    """Return the 32 bytes of an Ed25519 public key.

    Args:
        source: A PEM file as `openssl pkey -pubout` writes it, or its content as bytes.

    Raises:
        SigningKeyError: It cannot be read, or is not such a key.
        EdgeDistilError: The package `cryptography` is not installed.
    """
    cryptography = import_cryptography()
    content = read_key_file(source, "public_key")
    if b"PRIVATE KEY-----" in content:
        raise SigningKeyError(
            "`public_key` is a private key, which belongs only where models are signed. Write its public key with: "
            "`openssl pkey -in KEY -pubout -out KEY.pub`."
        )
    try:
        key = cryptography.serialization.load_pem_public_key(content)
    except (ValueError, cryptography.UnsupportedAlgorithm) as error:
        raise SigningKeyError(
            f"`public_key` must be an Ed25519 public key in PEM, as `edgedistil sign` and `openssl pkey` write it: "
            f"{error}"
        ) from error
    if not isinstance(key, cryptography.ed25519.Ed25519PublicKey):
        raise SigningKeyError(f"`public_key` must be an Ed25519 key. Received: {type(key).__name__.lstrip('_')}.")
    return bytes(key.public_bytes_raw())


def read_key_file(source: PublicKey, name: str) -> bytes:
    """Return the content of a key file, or the content that is given as bytes.

    Args:
        source: A path or the content.
        name: Parameter that an error names.

    Raises:
        SigningKeyError: The file cannot be read.

    Example:
        >>> read_key_file(b"-----BEGIN PUBLIC KEY-----", "public_key")
        b'-----BEGIN PUBLIC KEY-----'
    """
    if isinstance(source, bytes):
        return source
    try:
        return Path(source).read_bytes()
    except (OSError, TypeError, ValueError) as error:  # ValueError: a NUL in the path
        raise SigningKeyError(
            f"The key (`{name}`) cannot be read: {error}. Pass the path of a PEM file, or its content as bytes."
        ) from error


@dataclass(frozen=True)
class _Cryptography:
    """The parts of the library that are used."""

    ed25519: Any
    serialization: Any
    InvalidSignature: type[Exception]
    UnsupportedAlgorithm: type[Exception]


def import_cryptography() -> _Cryptography:
    """Import the library of Ed25519.

    Raises:
        EdgeDistilError: It is not installed.
    """
    try:
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise EdgeDistilError(
            f"Signatures need the package cryptography, which cannot be imported: {error}. Install the extra "
            "edgedistil-runtime[sign]: pip install './runtime[sign]' in a checkout."
        ) from error
    return _Cryptography(ed25519, serialization, InvalidSignature, UnsupportedAlgorithm)


def _short(public_key: bytes) -> str:
    return FileSignature(public_key, b"").fingerprint[:16] + "…"

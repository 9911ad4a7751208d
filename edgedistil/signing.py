"""Sign artifacts with Ed25519, and make the keys; `edgedistil_runtime.signing` checks what is written here.

A private key is a PEM file as `openssl genpkey -algorithm ed25519` writes it (PKCS #8, RFC 8410), with or without a
password. It stays where models are signed; devices get only the public key.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from stat import S_IMODE
from typing import Any

from edgedistil_converters.files import atomic_path, check_not_an_input, check_output
from edgedistil_runtime.artifact import read_artifact
from edgedistil_runtime.errors import OutputError, SigningKeyError
from edgedistil_runtime.signing import FileSignature, PublicKey, import_cryptography, read_key_file, signed_message
from edgedistil_runtime.trailing_archive import with_note

__all__ = ["KeyPair", "SignedFile", "is_encrypted_key", "make_key_pair", "sign_artifact"]


@dataclass(frozen=True)
class KeyPair:
    """A new key pair.

    Attributes:
        private: File of the private key, which only its owner may read.
        public: File of the public key.
        fingerprint: SHA-256 of the public key as DER.
    """

    private: Path
    public: Path
    fingerprint: str


@dataclass(frozen=True)
class SignedFile:
    """An artifact that was signed.

    Attributes:
        path: The signed file.
        signature: Its signature.
        replaced: Signature that it had before; None if it had none.
    """

    path: Path
    signature: FileSignature
    replaced: FileSignature | None


def make_key_pair(path: str | os.PathLike[str], *, password: str | None = None) -> KeyPair:
    """Write a new private key, and its public key beside it as `PATH.pub`; both as PEM.

    Args:
        path: File of the private key. Neither file may exist.
        password: Password to encrypt the private key with; None leaves it unencrypted.

    Raises:
        OutputError: One of the files exists, or their folder cannot be written.
        SigningKeyError: The password is empty.
        EdgeDistilError: The package `cryptography` is not installed.

    Example:
        >>> keys = make_key_pair("signing.pem")
        >>> keys.public.name, oct(keys.private.stat().st_mode & 0o777), len(keys.fingerprint)
        ('signing.pem.pub', '0o600', 64)
    """
    cryptography = import_cryptography()
    private, public = Path(path), Path(f"{os.fspath(path)}.pub")
    if os.path.lexists(public):
        raise OutputError(f"{public} exists, and a key is never overwritten. Name another file for the private key.")
    serialization = cryptography.serialization
    key = cryptography.ed25519.Ed25519PrivateKey.generate()
    encryption: Any = serialization.NoEncryption()
    if password is not None:
        encryption = serialization.BestAvailableEncryption(_password_bytes(password))
    form = serialization.PrivateFormat.PKCS8
    _write_new(private, key.private_bytes(serialization.Encoding.PEM, form, encryption), mode=0o600)
    try:
        _write_new(public, _public_pem(key.public_key()), mode=0o666)
    except BaseException:
        private.unlink()  # this call made it, and nobody has used it
        raise
    return KeyPair(private, public, FileSignature(key.public_key().public_bytes_raw(), b"").fingerprint)


def sign_artifact(
    path: str | os.PathLike[str],
    private_key: PublicKey,
    output: str | os.PathLike[str] | None = None,
    *,
    password: str | None = None,
    force: bool = False,
) -> SignedFile:
    """Sign an artifact; a signature that it has is replaced. Everything else in the file stays, to the byte.

    Args:
        path: An intact artifact.
        private_key: PEM file of an Ed25519 private key, or its content as bytes.
        output: File to write; None replaces `path`, and keeps its mode.
        password: Password of an encrypted key.
        force: Replace a file at `output`.

    Raises:
        ArtifactError: The file is missing, damaged, or not an artifact.
        SigningKeyError: The key cannot be read, is not an Ed25519 private key, or needs another password.
        OutputError: The output exists and `force` is false, is the key, or cannot be written.
        EdgeDistilError: The package `cryptography` is not installed.

    Example:
        >>> from edgedistil_runtime import TextClassifier
        >>> keys = make_key_pair("my_key.pem")
        >>> signed = sign_artifact("intents.tflite", keys.private, "signed.tflite")
        >>> with TextClassifier(signed.path, public_key=keys.public) as classifier:
        ...     classifier.classify("play some music").label
        'music'
    """
    model = Path(path)
    target = model.resolve() if output is None else Path(output)  # of a link, the file is replaced
    if isinstance(private_key, (str, os.PathLike)):
        check_not_an_input(target, [Path(private_key)])
    check_output(target, force=force or output is None)
    key = _load_private_key(private_key, password)
    artifact = read_artifact(model)
    public_key = key.public_key()
    signature = FileSignature(public_key.public_bytes_raw(), key.sign(signed_message(artifact.unsigned_sha256)))
    content = with_note(model.read_bytes(), signature.to_line())
    read_artifact(content, public_key=_public_pem(public_key))  # refused if the file was exchanged meanwhile
    mode = S_IMODE(model.stat().st_mode) if output is None else None
    with atomic_path(target, force=force or output is None, mode=mode) as temporary:
        temporary.write_bytes(content)
    return SignedFile(target, signature, artifact.signature)


def is_encrypted_key(private_key: PublicKey) -> bool:
    """Return True if a private key needs a password.

    Args:
        private_key: PEM file or its content.

    Raises:
        SigningKeyError: The file cannot be read.

    Example:
        >>> is_encrypted_key(make_key_pair("secret.pem", password="correct horse").private)
        True
    """
    return b"ENCRYPTED" in read_key_file(private_key, "private_key")  # PKCS #8 and OpenSSL's older format


def _load_private_key(source: PublicKey, password: str | None) -> Any:
    cryptography = import_cryptography()
    content = read_key_file(source, "private_key")
    if b"PUBLIC KEY-----" in content:
        raise SigningKeyError(
            "`private_key` is a public key, which can check a signature and not make one. Pass the private key that it "
            "belongs to, or make one: openssl genpkey -algorithm ed25519 -out signing.pem"
        )
    is_encrypted = is_encrypted_key(content)
    if is_encrypted and password is None:
        raise SigningKeyError("The private key is encrypted. Pass its `password`.")
    secret = _password_bytes(password) if is_encrypted and password is not None else None
    try:
        key = cryptography.serialization.load_pem_private_key(content, secret)
    except (TypeError, ValueError, cryptography.UnsupportedAlgorithm) as error:
        reason = "the `password` is wrong, or the file is damaged" if is_encrypted else str(error)
        raise SigningKeyError(
            f"`private_key` must be an Ed25519 private key in PEM, as `openssl genpkey -algorithm ed25519` writes it: "
            f"{reason}."
        ) from error
    if not isinstance(key, cryptography.ed25519.Ed25519PrivateKey):
        raise SigningKeyError(f"`private_key` must be an Ed25519 key. Received: {type(key).__name__.lstrip('_')}.")
    return key


def _public_pem(public_key: Any) -> bytes:
    serialization = import_cryptography().serialization
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(public_key.public_bytes(serialization.Encoding.PEM, form))


def _password_bytes(password: str) -> bytes:
    if not password:
        raise SigningKeyError("The `password` of a key must not be empty.")
    return password.encode("utf-8", "surrogateescape")


def _write_new(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file that must not exist; it never has wider permissions than `mode`."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise OutputError(f"{path} exists, and a key is never overwritten. Name another file.") from None
    except OSError as error:
        raise OutputError(f"The key cannot be written: {error}. Name another file.") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except BaseException:
        path.unlink()
        raise

"""`edgedistil sign`: signs a .tflite file, or makes the keys for it."""

import os
import sys
from pathlib import Path

import click

from edgedistil.cli.output import print_json
from edgedistil_runtime.errors import SigningKeyError

__all__ = ["sign"]

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("model", type=_FILE, required=False)
@click.option("--key", type=_FILE, help="PEM file of an Ed25519 private key.")
@click.option("-o", "--output", type=_FILE, help="File to write. [MODEL itself]")
@click.option("--make-key", type=_FILE, metavar="FILE", help="Write a new private key, and its public key as FILE.pub.")
@click.option("--password-env", metavar="NAME", help="Environment variable with the key's password. [asked for]")
@click.option("--force", is_flag=True, help="Replace the output.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on the last line.")
def sign(
    model: Path | None,
    key: Path | None,
    output: Path | None,
    make_key: Path | None,
    password_env: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Sign a .tflite file, so that a device can refuse every other one.

    The signature covers every byte of the file and replaces an earlier one; signing changes nothing else. Devices check
    it with the public key: `edgedistil predict --public-key`, `edgedistil-runtime classify --public-key`,
    TextClassifier(path, public_key=...). Bring the key there by another way than the model.

    --make-key never overwrites a file. With --password-env it encrypts the private key. A key of
    `openssl genpkey -algorithm ed25519` will do as well.

    \b
    edgedistil sign --make-key signing.pem
    edgedistil sign smart_home.tflite --key signing.pem
    edgedistil predict smart_home.tflite "turn the lights off" --public-key signing.pem.pub
    """  # noqa: D301  # \b is for click
    if make_key:
        if model or key or output or force:
            raise click.UsageError("--make-key takes no MODEL, --key, --output or --force.")
        _make_key(make_key, password_env, as_json=as_json)
        return
    if not model or not key:
        raise click.UsageError("Give a MODEL and --key, or make a key with --make-key.")
    _sign(model, key, output, password_env, force=force, as_json=as_json)


def _make_key(path: Path, password_env: str | None, *, as_json: bool) -> None:
    from edgedistil.signing import make_key_pair

    keys = make_key_pair(path, password=_environment_password(password_env))
    if as_json:
        print_json({"private_key": str(keys.private), "public_key": str(keys.public), "fingerprint": keys.fingerprint})
        return
    click.echo(f"{keys.private}: private key, for `edgedistil sign --key`; keep it secret")
    click.echo(f"{keys.public}: public key, for --public-key; fingerprint {keys.fingerprint}")


def _sign(model: Path, key: Path, output: Path | None, password_env: str | None, *, force: bool, as_json: bool) -> None:
    from edgedistil.signing import is_encrypted_key, sign_artifact

    password = _environment_password(password_env)
    if password is None and is_encrypted_key(key) and _is_asked():
        password = click.prompt(f"Password of {key}", hide_input=True, err=True)
    signed = sign_artifact(model, key, output, password=password, force=force)
    if as_json:
        replaced = signed.replaced.fingerprint if signed.replaced else None
        print_json(
            {"output": str(signed.path), "fingerprint": signed.signature.fingerprint, "replaced_fingerprint": replaced}
        )
        return
    replaced = ", in place of an earlier signature" if signed.replaced else ""
    click.echo(f"{signed.path}: signed with the key {signed.signature.fingerprint}{replaced}")


def _is_asked() -> bool:
    """Return True if a person can type a password."""
    return sys.stdin.isatty()


def _environment_password(name: str | None) -> str | None:
    if name is None:
        return None
    password = os.environ.get(name)
    if not password:
        raise SigningKeyError(f"The environment variable {name} is not set or empty. Put the key's password there.")
    return password

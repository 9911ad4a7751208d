"""`edgedistil sign` and `edgedistil.signing`: keys, signed files, and the commands that check them."""

import json
import os
import shutil
import stat
import subprocess
import sys

import pytest
from click.testing import CliRunner

from edgedistil.cli import main
from edgedistil.signing import is_encrypted_key, make_key_pair, sign_artifact
from edgedistil_runtime import TextClassifier, read_artifact
from edgedistil_runtime.errors import ArtifactError, EdgeDistilError, OutputError, SigningKeyError, UntrustedArtifact


def invoke(*arguments, **options):
    return CliRunner().invoke(main, [*map(str, arguments)], **options)


@pytest.fixture
def keys(tmp_path):
    return make_key_pair(tmp_path / "signing.pem")


@pytest.fixture
def signed(model, keys):
    sign_artifact(model, keys.private)
    return model


class TestKeys:
    def test_a_pair(self, tmp_path):
        done = invoke("sign", "--make-key", tmp_path / "k.pem", "--json")
        assert done.exit_code == 0, done.output
        found = json.loads(done.stdout)
        private, public = tmp_path / "k.pem", tmp_path / "k.pem.pub"
        assert (found["private_key"], found["public_key"]) == (str(private), str(public))
        assert stat.S_IMODE(private.stat().st_mode) == 0o600
        assert private.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----\n")
        assert public.read_bytes().startswith(b"-----BEGIN PUBLIC KEY-----\n")
        other = invoke("sign", "--make-key", tmp_path / "other")
        assert "private key" in other.stdout and found["fingerprint"] not in other.stdout

    @pytest.mark.parametrize("existing", ["k.pem", "k.pem.pub"])
    def test_nothing_is_overwritten(self, tmp_path, existing):
        (tmp_path / existing).write_text("mine")
        done = invoke("sign", "--make-key", tmp_path / "k.pem")
        assert done.exit_code == 1 and f"{existing} exists" in done.stderr
        assert [path.name for path in tmp_path.iterdir()] == [existing]
        assert (tmp_path / existing).read_text() == "mine"

    def test_a_dangling_link_is_not_followed(self, tmp_path):
        (tmp_path / "k.pem").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(OutputError, match="exists"):
            make_key_pair(tmp_path / "k.pem")
        assert not (tmp_path / "elsewhere").exists() and not (tmp_path / "k.pem.pub").exists()

    def test_a_missing_folder(self, tmp_path):
        done = invoke("sign", "--make-key", tmp_path / "none" / "k.pem")
        assert done.exit_code == 1 and "The key cannot be written" in done.stderr

    def test_a_full_disk_leaves_nothing(self, tmp_path, monkeypatch):
        """Neither half a key nor a private key without its public one."""
        written = []

        def write(self, content):
            written.append(content)
            if len(written) == 2:
                raise OSError(28, "No space left on device")

        class Full:
            def __init__(self, descriptor, mode):
                os.close(descriptor)

            def __enter__(self):
                return self

            def __exit__(self, *error):
                return None

        Full.write = write
        monkeypatch.setattr("edgedistil.signing.os.fdopen", Full)
        with pytest.raises(OSError, match="No space left"):
            make_key_pair(tmp_path / "k.pem")
        assert len(written) == 2 and list(tmp_path.iterdir()) == []

    def test_with_a_password(self, tmp_path, model):
        environment = {"KEY_PASSWORD": "correct horse"}
        made = invoke("sign", "--make-key", tmp_path / "k.pem", "--password-env", "KEY_PASSWORD", env=environment)
        assert made.exit_code == 0, made.output
        key, public = tmp_path / "k.pem", tmp_path / "k.pem.pub"
        assert is_encrypted_key(key) and not is_encrypted_key(public)
        for options, message in (
            ({}, "The private key is encrypted. Pass its --password-env."),
            ({"env": {"KEY_PASSWORD": "wrong"}}, "the --password-env is wrong"),
            ({"env": {"KEY_PASSWORD": ""}}, "KEY_PASSWORD is not set or empty"),
        ):
            flags = ["--password-env", "KEY_PASSWORD"] if options else []
            done = invoke("sign", model, "--key", key, *flags, **options)
            assert done.exit_code == 1 and message in done.stderr, done.output
        assert read_artifact(model).signature is None
        assert invoke("sign", model, "--key", key, "--password-env", "KEY_PASSWORD", env=environment).exit_code == 0
        read_artifact(model, public_key=public)

    def test_the_password_is_asked_for(self, tmp_path, model, monkeypatch):
        key = make_key_pair(tmp_path / "k.pem", password="correct horse").private
        monkeypatch.setattr("edgedistil.cli.sign._is_asked", lambda: True)
        done = invoke("sign", model, "--key", key, input="correct horse\n")
        assert done.exit_code == 0, done.output
        assert "Password of" in done.stderr and "correct horse" not in done.output
        assert read_artifact(model).signature is not None

    @pytest.mark.skipif(shutil.which("openssl") is None, reason="There is no openssl")
    @pytest.mark.parametrize("kind", ["ed25519", "x25519"])
    def test_a_key_of_openssl(self, tmp_path, model, kind):
        key, public = tmp_path / "k.pem", tmp_path / "k.pub"
        subprocess.run(["openssl", "genpkey", "-algorithm", kind, "-out", key], check=True, capture_output=True)
        subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True)
        if kind == "x25519":
            with pytest.raises(SigningKeyError, match="must be an Ed25519 key. Received: X25519PrivateKey"):
                sign_artifact(model, key)
            return
        sign_artifact(model, key)
        read_artifact(model, public_key=public)

    @pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAA\n-----END PRIVATE KEY-----"])
    def test_no_key(self, model, content):
        with pytest.raises(SigningKeyError, match="must be an Ed25519 private key in PEM"):
            sign_artifact(model, content)

    def test_the_public_key_cannot_sign(self, model, keys):
        done = invoke("sign", model, "--key", keys.public)
        assert done.exit_code == 1 and "--key is a public key" in done.stderr

    def test_a_missing_key(self, model, tmp_path):
        done = invoke("sign", model, "--key", tmp_path / "none.pem")
        assert done.exit_code == 1 and "The key (--key) cannot be read" in done.stderr

    def test_an_empty_password(self, tmp_path):
        with pytest.raises(SigningKeyError, match="must not be empty"):
            make_key_pair(tmp_path / "k.pem", password="")
        assert list(tmp_path.iterdir()) == []


class TestSigning:
    def test_in_place(self, model, keys):
        before = model.read_bytes()
        model.chmod(0o640)
        done = invoke("sign", model, "--key", keys.private, "--json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout) == {
            "output": str(model),
            "fingerprint": keys.fingerprint,
            "replaced_fingerprint": None,
        }
        assert stat.S_IMODE(model.stat().st_mode) == 0o640
        artifact = read_artifact(model, public_key=keys.public)
        assert artifact.flatbuffer() == read_artifact(before).flatbuffer()
        assert sorted(path.name for path in model.parent.iterdir()) == [model.name, "signing.pem", "signing.pem.pub"]

    def test_again(self, signed, tmp_path, keys):
        other = make_key_pair(tmp_path / "other.pem")
        first = signed.read_bytes()
        done = invoke("sign", signed, "--key", other.private, "--json")
        assert json.loads(done.stdout)["replaced_fingerprint"] == keys.fingerprint
        read_artifact(signed, public_key=other.public)
        with pytest.raises(UntrustedArtifact, match="another key"):
            read_artifact(signed, public_key=keys.public)
        assert "in place of an earlier signature" in invoke("sign", signed, "--key", keys.private).stdout
        assert signed.read_bytes() == first

    def test_to_another_file(self, model, keys, tmp_path):
        before, output = model.read_bytes(), tmp_path / "signed.tflite"
        assert invoke("sign", model, "--key", keys.private, "-o", output).exit_code == 0
        assert model.read_bytes() == before
        read_artifact(output, public_key=keys.public)
        done = invoke("sign", model, "--key", keys.private, "-o", output)
        assert done.exit_code == 1 and "pass --force to replace" in done.stderr
        assert invoke("sign", model, "--key", keys.private, "-o", output, "--force").exit_code == 0

    def test_the_key_is_not_replaced(self, model, keys):
        before = keys.private.read_bytes()
        done = invoke("sign", model, "--key", keys.private, "-o", keys.private, "--force")
        assert done.exit_code == 1 and "would replace" in done.stderr
        assert keys.private.read_bytes() == before

    def test_of_a_link_the_file_is_signed(self, model, keys, tmp_path):
        link = tmp_path / "link.tflite"
        link.symlink_to(model)
        sign_artifact(link, keys.private)
        assert link.is_symlink() and read_artifact(model).signature is not None

    def test_a_damaged_file_is_not_signed(self, model, keys):
        damaged = bytearray(model.read_bytes())
        damaged[100] ^= 1
        model.write_bytes(damaged)
        with pytest.raises(ArtifactError, match="damaged"):
            sign_artifact(model, keys.private)
        assert model.read_bytes() == damaged

    def test_a_file_that_is_exchanged_meanwhile(self, artifact, keys, monkeypatch):
        """What is written was checked: never a signature of one file in another."""
        model, other = artifact(), artifact("other.tflite", labels=("a", "b", "c"))
        monkeypatch.setattr("edgedistil.signing.read_artifact", _exchanging(model, other.read_bytes()))
        with pytest.raises(UntrustedArtifact, match="does not fit"):
            sign_artifact(model, keys.private)
        assert model.read_bytes() == other.read_bytes()

    def test_without_the_extra(self, model, keys, monkeypatch):
        monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
        with pytest.raises(EdgeDistilError, match=r"\[sign\]"):
            sign_artifact(model, keys.private)
        done = invoke("sign", model, "--key", keys.private)
        assert done.exit_code == 1 and "Install the extra" in done.stderr

    def test_usage(self, model, keys):
        for arguments in ([], [model], ["--key", keys.private], [model, "--make-key", "k"]):
            assert invoke("sign", *arguments).exit_code == 2
        assert not os.path.lexists("k")


def _exchanging(model, content):
    """`read_artifact`, after whose first call there is another file."""

    def read(source, **options):
        artifact = read_artifact(source, **options)
        if source == model:
            model.write_bytes(content)
        return artifact

    return read


class TestCommandsThatCheck:
    def test_predict(self, signed, keys, artifact):
        arguments = ["predict", signed, "good night", "--json"]
        done = invoke(*arguments, "--public-key", keys.public)
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout) == json.loads(invoke(*arguments).stdout)
        done = invoke("predict", artifact("other.tflite"), "good night", "--public-key", keys.public)
        assert done.exit_code == 1 and "--public-key allows only files signed" in done.stderr

    def test_predict_to_a_file(self, signed, keys, artifact, tmp_path):
        texts, output = tmp_path / "texts.csv", tmp_path / "labels.csv"
        texts.write_text("text\ngood night\n")
        options = ["--input", texts, "-o", output, "--public-key", keys.public]
        assert invoke("predict", artifact("other.tflite"), *options).exit_code == 1
        assert not output.exists()
        assert invoke("predict", signed, *options).exit_code == 0
        assert len(output.read_text().splitlines()) == 2

    def test_explain(self, signed, keys, artifact):
        assert invoke("explain", signed, "good night", "--public-key", keys.public).exit_code == 0
        assert invoke("explain", artifact("other.tflite"), "good night", "--public-key", keys.public).exit_code == 1

    def test_inspect(self, signed, keys, artifact):
        found = json.loads(invoke("inspect", signed, "--json").stdout)["signed_with"]
        assert found == {"fingerprint": keys.fingerprint, "is_checked": False}
        found = json.loads(invoke("inspect", signed, "--json", "--public-key", keys.public).stdout)["signed_with"]
        assert found == {"fingerprint": keys.fingerprint, "is_checked": True}
        assert f"{keys.fingerprint}, not checked" in invoke("inspect", signed).stdout
        other = artifact("other.tflite")
        assert json.loads(invoke("inspect", other, "--json").stdout)["signed_with"] is None
        assert "signed with" not in invoke("inspect", other).stdout
        assert invoke("inspect", other, "--public-key", keys.public).exit_code == 1

    def test_a_signed_file_answers_as_before(self, model, keys, tmp_path):
        output = tmp_path / "signed.tflite"
        sign_artifact(model, keys.private, output)
        with TextClassifier(model) as before, TextClassifier(output, public_key=keys.public) as after:
            assert before.classify("good night") == after.classify("good night")

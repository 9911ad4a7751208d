"""An ARM machine's Python in a folder: `python3 tools/arm64_environment.py build/arm64 --uv .uv/bin/uv`.

QEMU runs 64-bit ARM programs on this machine, one process at a time and without root or an image: Debian's Python for
arm64 is unpacked, the runtime's wheels for aarch64 are those of uv.lock, with their digests. `build/arm64/bin/python`
then is a Python like any other, only slower.

QEMU must be 10 or newer, which Debian 12 has in its backports: version 7.2 crashes as soon as LiteRT's interpreter is
made. Exit code 69 says that this machine cannot get the packages; the reason is on stderr.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from debian_packages import PackagesUnavailable, find_archive, unpack
from unpacked_environment import check_machine, clean_environment, digest, package_versions, read_arguments, set_up

QEMU = ("qemu-user",)
QEMU_PROGRAM = "./usr/bin/qemu-aarch64"
OLDEST_QEMU = 10
PYTHON = ("python3.11-minimal", "libpython3.11-stdlib", "libstdc++6")
CPU = "cortex-a76"  # of the Raspberry Pi 5; with `max` every vector takes QEMU's slow path for SVE
ROOT = Path(__file__).resolve().parents[1]
# Python takes its own name from argv[0], so that a child that it starts by `sys.executable` runs under QEMU too.
LAUNCHER = f"""\
#!/bin/sh
here=$(cd "$(dirname "$0")/.." && pwd)
export QEMU_CPU={CPU} PYTHONHOME="$here/system/usr" PYTHONPATH="$here/site${{PYTHONPATH:+:$PYTHONPATH}}"
exec "$here/qemu-aarch64" -0 "$here/bin/python" -L "$here/system" "$here/system/usr/bin/python3.11" "$@"
"""
SMOKE_TEST = "import platform, ai_edge_litert.interpreter; print(platform.machine())"


def main(arguments: Sequence[str]) -> int:
    """Makes the environment; returns an exit code."""
    folder, uv = read_arguments("Makes a folder with the runtime on Python for 64-bit ARM.", arguments)
    requirements = _requirements(uv)
    return set_up(folder, digest(requirements, Path(__file__)), lambda folder: _make(folder, uv, requirements))


def _requirements(uv: str) -> str:
    """The runtime's packages and its tests', pinned and with digests."""
    options = ["--frozen", "--no-emit-workspace", "--no-header", "--no-annotate"]
    chosen = ["--package", "edgedistil-runtime", "--no-default-groups", "--group", "test"]
    command = [uv, "export", "--quiet", *options, *chosen]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout


def _make(folder: Path, uv: str, requirements: str) -> dict[str, str]:
    check_machine("QEMU is taken", "On an ARM machine run `make test-runtime`.")
    archive = find_archive()
    qemu = archive.download(QEMU, architecture="amd64", folder=folder / "apt-amd64", has_backports=True)
    python = archive.download(PYTHON, architecture="arm64", folder=folder / "apt-arm64")
    for package in qemu:
        unpack(package, folder / "qemu", [QEMU_PROGRAM])
    for package in python:
        unpack(package, folder / "system")
    (folder / "qemu" / QEMU_PROGRAM).rename(folder / "qemu-aarch64")
    for used in ("qemu", "apt-amd64", "apt-arm64"):
        shutil.rmtree(folder / used)
    _check_qemu(folder / "qemu-aarch64")
    _install_wheels(folder, uv, requirements)
    _write_launcher(folder / "bin" / "python")
    return package_versions([*qemu, *python])


def _check_qemu(program: Path) -> None:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"version (\d+)", said)
    if version is None or int(version.group(1)) < OLDEST_QEMU:
        raise PackagesUnavailable(f"QEMU {OLDEST_QEMU} or newer is needed. Received: {said.splitlines()[0]}.")


def _install_wheels(folder: Path, uv: str, requirements: str) -> None:
    listed = folder / "requirements.txt"
    listed.write_text(requirements)
    target = ["--python-platform", "aarch64-unknown-linux-gnu", "--python-version", "3.11", "--target"]
    checks = ["--require-hashes", "--no-build"]
    command = [uv, "pip", "install", "--quiet", *checks, *target, str(folder / "site"), "--requirements", str(listed)]
    subprocess.run(command, cwd=folder, check=True)


def _write_launcher(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(LAUNCHER)
    path.chmod(0o755)
    done = subprocess.run(
        [path, "-c", SMOKE_TEST], env=clean_environment(), capture_output=True, text=True, check=False
    )
    if done.stdout.strip() != "aarch64":
        raise RuntimeError(f"LiteRT does not start under QEMU, exit code {done.returncode}: {done.stderr[-2000:]}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

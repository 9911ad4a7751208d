"""The tools for the Coralboard's NPU in a folder: `python3 tools/torq_environment.py build/torq --uv .uv/bin/uv`.

`build/torq/bin` then has Arm's `tosa-converter-for-tflite`, Synaptics' `torq-compile` and `torq-run-module`, whose
simulator needs no board, and a Python 3.12 with the vendor's runner. `TORQ_TOOLS=build/torq/bin` tells the converter.

The wheels want glibc 2.38 or newer. Where the system's is older, libc and libstdc++ of Debian 13 are unpacked beside
them, and their programs and the folder's Python are pointed there: nothing is installed, and other programs do not see
it. Exit code 69 says that this machine cannot get the packages; the reason is on stderr.
"""

import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from debian_packages import PackagesUnavailable, find_archive, unpack
from unpacked_environment import check_machine, clean_environment, digest, package_versions, read_arguments, set_up

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "tests" / "torq" / "requirements.txt"
PYTHON = "3.12"  # of the wheels torq-compiler and torq-runtime 2.3.0
NEEDED_GLIBC = (2, 38)  # the newest symbol version that their programs ask for; their tags say 2.39
PLATFORM = "x86_64-manylinux_2_39"
RELEASE, PACKAGES = "trixie", ("libc6", "libstdc++6", "libgcc-s1")  # Debian 13, glibc 2.41
LIBRARIES = "system/usr/lib/x86_64-linux-gnu"
LOADER = f"{LIBRARIES}/ld-linux-x86-64.so.2"
# In site-packages: programs and the libraries that they load, because a RUNPATH is not inherited.
PROGRAMS = {
    "iree/compiler/_mlir_libs/torq-compile": "$ORIGIN",
    "torq/_compiler_libs/torq-compile": "$ORIGIN/../../iree/compiler/_mlir_libs",
    "iree/compiler/_mlir_libs/iree-lld": "$ORIGIN",
    "torq/_runtime_libs/torq-run-module": "$ORIGIN/../../iree/_runtime_libs",
}
LOADED = ("iree/compiler/_mlir_libs/libIREECompiler.so", "iree/_runtime_libs/libcoralnpu_simulator_mpact.so")
SMOKE_TESTS = (
    ("tosa-converter-for-tflite", "--version"),
    ("torq-compile", "--version"),
    ("torq-run-module", "--help"),
    ("python", "-c", "import torq.runtime, ai_edge_litert.interpreter"),
)


def main(arguments: Sequence[str]) -> int:
    """Makes the environment; returns an exit code."""
    folder, uv = read_arguments("Makes a folder with the compiler and the simulator of the Torq NPU.", arguments)
    # The folder is part of the recipe because its path is in the programs.
    recipe = digest(str(folder.resolve()), REQUIREMENTS, Path(__file__))
    return set_up(folder, recipe, lambda folder: _make(folder, uv))


def _make(folder: Path, uv: str) -> dict[str, str]:
    check_machine("torq-compiler has wheels")
    python = _find_python(uv)
    _make_venv(folder, uv, python)
    is_old = _glibc() < NEEDED_GLIBC
    versions = _unpack_libc(folder, python) if is_old else {}
    for program, *options in SMOKE_TESTS:
        command = [str(folder / "bin" / program), *options]
        done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{program} does not start, exit code {done.returncode}: {done.stderr[-2000:]}")
    return versions


def _find_python(uv: str) -> str:
    """The Python 3.12 that uv finds or downloads, or that pyenv has."""
    done = subprocess.run([uv, "python", "find", PYTHON], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return done.stdout.strip()
    if shutil.which("pyenv"):  # its programs on the PATH are only launchers, which uv does not take
        prefix = subprocess.run(["pyenv", "prefix", PYTHON], capture_output=True, text=True, check=False).stdout.strip()
        if prefix and (found := Path(prefix, "bin", f"python{PYTHON}")).is_file():
            return str(found)
    done = subprocess.run([uv, "python", "install", PYTHON], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:]
        raise PackagesUnavailable(f"Python {PYTHON} is not here, and uv could not get it: {' '.join(reason)}")
    return subprocess.run([uv, "python", "find", PYTHON], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def _make_venv(folder: Path, uv: str, python: str) -> None:
    subprocess.run([uv, "venv", "--quiet", "--allow-existing", "--python", python, str(folder)], check=True)
    install = [uv, "pip", "install", "--quiet", "--no-deps", "--python", str(folder / "bin" / "python")]
    # Copies, because patchelf writes into files, and links would lead into uv's cache.
    install += ["--link-mode", "copy", "--python-platform", PLATFORM]
    done = subprocess.run(
        [*install, "--requirements", str(REQUIREMENTS)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise PackagesUnavailable(f"The packages could not be installed: {done.stderr.strip()[-1000:]}")


def _glibc() -> tuple[int, ...]:
    name, version = platform.libc_ver()
    if name != "glibc":
        raise PackagesUnavailable(f"The wheels are for Linux with glibc. Received: {name or 'another C library'}.")
    return tuple(int(number) for number in version.split(".")[:2])


def _unpack_libc(folder: Path, python: str) -> dict[str, str]:
    """Unpacks Debian 13's libraries and points the programs, and a copy of Python, to them."""
    archive = replace(find_archive(), release=RELEASE)
    packages = archive.download(PACKAGES, architecture="amd64", folder=folder / "apt")
    for package in packages:
        unpack(package, folder / "system")
    shutil.rmtree(folder / "apt")
    [site] = folder.glob("lib/python*/site-packages")
    libraries, loader = str(folder / LIBRARIES), str(folder / LOADER)
    patchelf = str(folder / "bin" / "patchelf")
    for name, more in PROGRAMS.items():
        (site / name).chmod(0o755)
        command = [patchelf, "--set-interpreter", loader, "--set-rpath", f"{libraries}:{more}", str(site / name)]
        subprocess.run(command, check=True)
    for name in LOADED:
        subprocess.run([patchelf, "--set-rpath", f"{libraries}:$ORIGIN", str(site / name)], check=True)
    _point_python(folder, Path(python).resolve(), patchelf)
    return package_versions(packages)


def _point_python(folder: Path, original: Path, patchelf: str) -> None:
    """Replaces the environment's link to Python by a copy that is started by the newer loader."""
    copy = folder / "bin" / "python"
    fresh = folder / "bin" / ".python"
    shutil.copy2(original, fresh)
    own = f"{folder / LIBRARIES}:{original.parents[1] / 'lib'}"
    command = [patchelf, "--set-interpreter", str(folder / LOADER), "--force-rpath", "--set-rpath", own]
    # Loaded first, from the RPATH: what the vendor's module and libpython ask for later then is there already.
    command += ["--add-needed", "libm.so.6", "--add-needed", "libstdc++.so.6", str(fresh)]
    subprocess.run(command, check=True)
    fresh.replace(copy)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Puts uv into a directory, on a machine that has Python >= 3.11 and nothing else: `python3 bootstrap_uv.py .uv`.

It makes a virtual environment there and installs uv into it with pip. Debian and Ubuntu keep the part of Python that
makes virtual environments in a package of its own; where it is missing it is installed if this user may do so, and
named if not.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

UV = "uv>=0.9,<1"


def main(directory: str) -> int:
    """Installs uv as `directory/bin/uv`; returns an exit code."""
    if sys.version_info < (3, 11):  # noqa: UP036  # it runs before anything has chosen a Python
        print(f"Python 3.11 or newer is needed. Received: {sys.version.split()[0]}. Try: make PYTHON=python3.12 demo")
        return 1
    target = Path(directory)
    if not _make_environment(target):
        return 1
    subprocess.run([target / "bin" / "python", "-m", "pip", "install", "--quiet", UV], check=True)
    return 0


def _make_environment(target: Path) -> bool:
    command = [sys.executable, "-m", "venv", "--clear", str(target)]
    if subprocess.run(command, capture_output=True, check=False).returncode == 0:
        return True
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    if _install_package(package) and subprocess.run(command, check=False).returncode == 0:
        return True
    shutil.rmtree(target, ignore_errors=True)
    print(f"This Python cannot make virtual environments. Install the rest of it: sudo apt-get install {package}")
    return False


def _install_package(package: str) -> bool:
    """Installs a Debian package if this user is root or may become root without being asked."""
    become_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if shutil.which("apt-get") is None or (become_root and shutil.which("sudo") is None):
        return False
    print(f"installing {package}", file=sys.stderr)
    commands = [["apt-get", "update", "-q"], ["apt-get", "install", "-y", "-q", package]]
    return all(
        subprocess.run([*become_root, *command], stdout=subprocess.DEVNULL, check=False).returncode == 0
        for command in commands
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""What the environments of unpacked Debian packages share: made once, reused when complete, remade when outdated."""

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from debian_packages import UNAVAILABLE, PackagesUnavailable

__all__ = ["check_machine", "clean_environment", "digest", "package_versions", "read_arguments", "set_up"]

_COMPLETE, _INCOMPLETE = ".complete", ".incomplete"
_TOOLS = Path(__file__), Path(__file__).with_name("debian_packages.py")


def read_arguments(description: str, arguments: Sequence[str]) -> tuple[Path, str]:
    """Reads the command line of a program that makes an environment.

    Args:
        description: of the program.
        arguments: those after the program's name: `FOLDER [--uv UV]`.

    Returns:
        The folder, and the path of uv. The program ends if uv is not there.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--uv", default="uv", help="the uv to run")
    chosen = parser.parse_args(arguments)
    uv = shutil.which(chosen.uv)
    if uv is None:
        parser.error(f"--uv must name a program. Received: {chosen.uv}. `make setup` brings one")
    return chosen.folder, str(Path(uv).resolve())


def check_machine(what: str, advice: str = "") -> None:
    """Checks that this is Linux on x86_64, for which the packages are.

    Args:
        what: what there is for such machines only, as the beginning of a sentence.
        advice: a sentence for people with other machines.

    Raises:
        PackagesUnavailable: it is another system or another processor.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64":
        received = f"{sys.platform} on {platform.machine()}"
        raise PackagesUnavailable(f"{what} for Linux on x86_64. Received: {received}. {advice}".rstrip())


def clean_environment() -> dict[str, str]:
    """The variables of this process without those of its Python, for a program that is another one's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def digest(*contents: str | Path) -> str:
    """Of what an environment is made from, texts and files, and of this code: with another digest it is out of date."""
    total = hashlib.sha256()
    for content in (*contents, *_TOOLS):
        one = content.read_bytes() if isinstance(content, Path) else content.encode()
        total.update(hashlib.sha256(one).digest())
    return total.hexdigest()


def package_versions(packages: Sequence[Path]) -> dict[str, str]:
    """Name and version of `.deb` files, as apt names them: `name_version_architecture.deb`."""
    parts = (package.stem.split("_") for package in packages)
    return {name: version.replace("%3a", ":") for name, version, _ in parts}


def set_up(folder: Path, recipe: str, make: Callable[[Path], Mapping[str, str]]) -> int:
    """Makes an environment unless a complete one is there.

    Args:
        folder: of the environment.
        recipe: digest of what it is made from.
        make: fills a new folder and returns the versions that it put there.

    Returns:
        An exit code: 0, `UNAVAILABLE` where Debian's packages cannot be had, 1 where another step failed.
    """
    stamp = folder / _COMPLETE
    if stamp.is_file() and json.loads(stamp.read_text())["recipe"] == recipe:
        return 0
    if folder.exists() and not (stamp.exists() or (folder / _INCOMPLETE).exists()):
        print(f"The folder must be new or an earlier environment. Received: {folder}.", file=sys.stderr)
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / _INCOMPLETE).touch()
    try:
        versions = make(folder.resolve())
    except PackagesUnavailable as error:
        print(f"{folder} cannot be made here. {error}", file=sys.stderr)
        return UNAVAILABLE
    except (subprocess.CalledProcessError, RuntimeError) as error:
        print(f"{folder} could not be made. {error}", file=sys.stderr)
        return 1
    # Written last: an interrupted run leaves none, and the next one starts afresh.
    stamp.write_text(json.dumps({"recipe": recipe, "versions": dict(versions)}, indent=1, sort_keys=True))
    print(f"{folder}: made of {len(versions)} Debian packages", file=sys.stderr)
    return 0

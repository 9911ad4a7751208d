"""What the environments of unpacked Debian packages share: made once, reused when complete, remade when outdated."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from debian_packages import UNAVAILABLE, PackagesUnavailable

__all__ = ["digest", "package_versions", "set_up"]

_COMPLETE, _INCOMPLETE = ".complete", ".incomplete"


def digest(*contents: str | Path) -> str:
    """Of what an environment is made from, texts and files: with another digest it is out of date."""
    total = hashlib.sha256()
    for content in contents:
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

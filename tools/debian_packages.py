"""Debian packages, unpacked into a folder and never installed: apt with directories of its own, and `dpkg-deb`.

apt resolves the dependencies as for a machine that has nothing, for any architecture; it downloads, and checks digests
and signatures. Neither the system's package lists nor its packages are touched, and no root is needed. The mirror is
the one that the machine's own apt uses; its proxies and credentials stay in force.
"""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["RELEASE", "UNAVAILABLE", "DebianArchive", "PackagesUnavailable", "find_archive", "unpack"]

RELEASE = "bookworm"
UNAVAILABLE = 69  # EX_UNAVAILABLE of sysexits.h: exit code of a tool that cannot get its packages on this machine
_APT = Path("/etc/apt")
_ESSENTIAL_TOOLS = ("apt-get", "dpkg", "dpkg-deb", "tar")
_APT_SETTINGS = """\
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg;
#clear APT::Architectures;
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "3";
Debug::NoLocking "true";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "{folder}/state";
Dir::State::status "{folder}/state/status";
Dir::Cache "{folder}/cache";
"""


class PackagesUnavailable(Exception):
    """This machine cannot get Debian's packages: no apt, no Debian mirror, or no way to it."""


@dataclass(frozen=True)
class DebianArchive:
    """A mirror of Debian's archive.

    Attributes:
        uri: of the mirror.
        signed_by: the keyring that the machine trusts for it; empty if it is among apt's default ones.
        release: whose packages are taken; a mirror has several.
    """

    uri: str
    signed_by: str = ""
    release: str = RELEASE

    def download(
        self, names: Sequence[str], *, architecture: str, folder: Path, has_backports: bool = False
    ) -> list[Path]:
        """Downloads packages and all that they depend on.

        Args:
            names: of packages.
            architecture: Debian's name for it: `amd64`, `arm64`.
            folder: for apt's lists and the packages; its path must not have spaces.
            has_backports: whether the packages and their dependencies may come from the release's backports.

        Returns:
            The `.deb` files.

        Raises:
            PackagesUnavailable: apt failed; its own words are in the message.
        """
        settings = self._write_settings(folder.resolve(), architecture)
        suite = ["--target-release", f"{self.release}-backports"] if has_backports else []
        _run_apt(["apt-get", f"--config-file={settings}", "-q", "-o", "APT::Update::Error-Mode=any", "update"])
        _run_apt(["apt-get", f"--config-file={settings}", "-q", "-y", "--download-only", *suite, "install", *names])
        return sorted((folder / "cache" / "archives").glob("*.deb"))

    def _write_settings(self, folder: Path, architecture: str) -> Path:
        for part in ("state/lists/partial", "cache/archives/partial"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "state" / "status").write_text("")  # nothing is installed: every dependency counts
        trusted = f"[signed-by={self.signed_by}] " if self.signed_by else ""
        suites = (self.release, f"{self.release}-backports")
        sources = "".join(f"deb {trusted}{self.uri} {suite} main\n" for suite in suites)
        (folder / "sources.list").write_text(sources)
        settings = folder / "apt.conf"
        settings.write_text(_APT_SETTINGS.format(architecture=architecture, folder=folder))
        return settings


def find_archive(apt: Path = _APT) -> DebianArchive:
    """The Debian mirror that the machine's own apt uses.

    Args:
        apt: the folder of its settings, with `sources.list` and `sources.list.d`.

    Raises:
        PackagesUnavailable: there is none, or apt or dpkg are not here.
    """
    missing = [name for name in _ESSENTIAL_TOOLS if shutil.which(name) is None]
    if missing:
        raise PackagesUnavailable(f"This machine has no {', '.join(missing)}; Debian's packages are needed.")
    files = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]
    for path in files:
        if path.is_file() and path.suffix in (".list", ".sources"):
            content = path.read_text(encoding="utf-8")
            for archive in _archives_of_lines(content) if path.suffix == ".list" else _archives_of_stanzas(content):
                return archive
    raise PackagesUnavailable(f"No file of {apt} names a mirror of Debian {RELEASE} with the component main.")


def _archives_of_lines(content: str) -> list[DebianArchive]:
    """Of the one-line format of sources.list(5): `deb [options] uri suite component ...`."""
    found = []
    for line in content.splitlines():
        match = re.match(r"deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]+)", line.strip())
        if match:
            options, uri, suite, components = match.groups()
            signed_by = re.search(r"signed-by=(\S+)", options or "")
            if _is_debian(uri, [suite], components.split()):
                found.append(DebianArchive(uri, signed_by.group(1) if signed_by else ""))
    return found


def _archives_of_stanzas(content: str) -> list[DebianArchive]:
    """Of the deb822 format of sources.list(5): `URIs:`, `Suites:`, `Components:`, `Signed-By:`."""
    content = "\n".join(line for line in content.splitlines() if not line.startswith("#"))
    found = []
    for stanza in re.split(r"\n\s*\n", content):
        fields = {key.lower(): value.split() for key, value in re.findall(r"^([\w-]+):[ \t]*(.*)$", stanza, re.M)}
        uris, signed_by = fields.get("uris", []), fields.get("signed-by", [])
        is_off = fields.get("enabled", ["yes"])[:1] == ["no"]
        if uris and not is_off and _is_debian(uris[0], fields.get("suites", []), fields.get("components", [])):
            found.append(DebianArchive(uris[0], signed_by[0] if signed_by else ""))
    return found


def _is_debian(uri: str, suites: Sequence[str], components: Sequence[str]) -> bool:
    """Others publish for a release of Debian too, but not under a path that ends in `debian` with a `main`."""
    return uri.rstrip("/").endswith("/debian") and RELEASE in suites and "main" in components


def unpack(package: Path, folder: Path, members: Sequence[str] = ()) -> None:
    """Unpacks a `.deb` file.

    Args:
        package: the file.
        folder: where its tree goes; made if it is missing.
        members: paths inside of it, `./usr/bin/name`, if not all of it is wanted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE) as archive:
        command = ["tar", "--extract", "--no-same-owner", "--file=-", f"--directory={folder}", *members]
        subprocess.run(command, stdin=archive.stdout, check=True)
    if archive.returncode != 0:
        raise subprocess.CalledProcessError(archive.returncode, archive.args)


def _run_apt(command: Sequence[str]) -> None:
    finished = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if finished.returncode != 0:
        last = "\n".join(finished.stdout.strip().splitlines()[-6:])
        raise PackagesUnavailable(f"apt could not get Debian's packages: {' '.join(command[2:])}\n{last}")

"""Which mirror of Debian the tools take from a machine's own apt settings."""

import importlib.util
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "debian_packages.py"
MIRROR = "http://mirror.example/debian"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
OTHERS = """\
deb https://tools.example/debian bookworm stable
deb https://tools.example/apt bookworm main
deb http://mirror.example/debian-security bookworm-security main
# deb http://old.example/debian bookworm main
deb-src http://source.example/debian bookworm main
"""
STANZAS = f"""\
Types: deb
# a comment between two fields
URIs: {MIRROR}
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: {KEYRING}
"""


@pytest.fixture(scope="module")
def tool():
    specification = importlib.util.spec_from_file_location("debian_packages", TOOL)
    module = importlib.util.module_from_spec(specification)
    sys.modules["debian_packages"] = module  # dataclasses look their module up
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def find(tool, tmp_path, monkeypatch):
    """`find({"sources.list": content})`: the archive that a machine with these files has."""
    monkeypatch.setattr(tool.shutil, "which", lambda name: f"/usr/bin/{name}")

    def find_in(files):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(content)
        found = tool.find_archive(tmp_path)
        return found.uri, found.signed_by

    return find_in


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"sources.list": f"{OTHERS}deb {MIRROR} bookworm main contrib # ours\n"}, (MIRROR, "")),
        ({"sources.list": f"deb [arch=amd64 signed-by={KEYRING}] {MIRROR}/ bookworm main"}, (f"{MIRROR}/", KEYRING)),
        ({"sources.list": OTHERS, "sources.list.d/debian.sources": STANZAS}, (MIRROR, KEYRING)),
        ({"sources.list.d/a.list": OTHERS, "sources.list.d/b.list": f"deb {MIRROR} bookworm main"}, (MIRROR, "")),
    ],
    ids=["line", "options", "stanza", "second_file"],
)
def test_the_mirror_is_found(find, files, found):
    assert find(files) == found


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"sources.list": OTHERS},
        {"sources.list.d/debian.sources": STANZAS.replace("bookworm ", "trixie ")},
        {"sources.list.d/debian.sources": f"Enabled: no\n{STANZAS}"},
    ],
    ids=["nothing", "others", "release", "off"],
)
def test_without_a_mirror_there_is_a_reason(find, tool, files):
    with pytest.raises(tool.PackagesUnavailable, match="names a mirror of Debian bookworm with the component main"):
        find(files)


def test_without_apt_there_is_a_reason(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(tool.shutil, "which", lambda name: None)
    with pytest.raises(tool.PackagesUnavailable, match="has no apt-get, dpkg, dpkg-deb, tar"):
        tool.find_archive(tmp_path)

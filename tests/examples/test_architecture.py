"""docs/architecture.md agrees with the folders and with the imports."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .documents import ROOT, read

SOURCES = {
    "runtime": ROOT / "runtime" / "edgedistil_runtime",
    "converters": ROOT / "converters" / "edgedistil_converters",
    "edgedistil": ROOT / "edgedistil",
}
PAGE = read("docs/architecture.md")


def section(name: str) -> str:
    """The text below the heading of a package."""
    [text] = re.findall(rf"^## `{SOURCES[name].relative_to(ROOT)}`\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return text


def rows(text: str) -> Iterator[list[str]]:
    """The cells of the tables of a text, without their heads."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            yield cells


def rules(name: str) -> dict[str, set[str]]:
    """Folder (`graph/`) or module (`sites.py`) of a package -> what it may import; `all` is everything."""
    found = {}
    for names, _, allowed in rows(section(name)):
        words = set(re.findall(r"`([^`]+)`", allowed)) | (set(allowed.replace(",", " ").split()) & {"all", *SOURCES})
        found.update(dict.fromkeys(re.findall(r"`([^`]+)`", names), words))
    return found


def folders(name: str) -> set[str]:
    """The folders of a package that hold modules, with a slash at their end."""
    source = SOURCES[name]
    return {f"{path.parent.relative_to(source)}/" for path in source.rglob("*.py")} - {"./"}


def place(parts: list[str], name: str) -> str:
    """The folder or the module at the root that a dotted name, without its package, belongs to."""
    folder = SOURCES[name]
    inner = []
    while parts and (folder / parts[0]).is_dir():
        inner, folder, parts = [*inner, parts[0]], folder / parts[0], parts[1:]
    if inner:
        return f"{'/'.join(inner)}/"
    return f"{parts[0]}.py" if parts and (folder / f"{parts[0]}.py").exists() else "__init__.py"


def imported(path: Path) -> Iterator[str]:
    """Dotted names that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def arrows(name: str) -> set[tuple[str, str]]:
    """(importer, imported) between the places of a package and to the other packages."""
    packages = {source.name: other for other, source in SOURCES.items()}
    found = set()
    for path in SOURCES[name].rglob("*.py"):
        importer = place(list(path.relative_to(SOURCES[name]).with_suffix("").parts), name)
        for dotted in imported(path):
            package, *parts = dotted.split(".")
            if package in packages:
                other = packages[package]
                found.add((importer, place(parts, name) if other == name else other))
    # From a package itself only its version is imported, or a name that it imports when asked for it.
    return {(importer, target) for importer, target in found if target not in (importer, "__init__.py")}


@pytest.mark.parametrize("name", SOURCES)
def test_every_folder_is_named_and_exists(name):
    named = {entry for entry in rules(name) if entry.endswith("/")}
    assert named == folders(name)


@pytest.mark.parametrize("name", SOURCES)
def test_named_modules_exist(name):
    entries = set(rules(name)).union(*rules(name).values()) - {"all", *SOURCES}
    missing = [entry for entry in sorted(entries) if not (SOURCES[name] / entry).exists()]
    assert missing == []


def test_folders_beside_the_packages_exist():
    text = PAGE.partition("## Beside the packages")[2]
    named = [entry for cells in rows(text) for entry in re.findall(r"`([\w/]+/)`", " ".join(cells))]
    assert "tests/" in named
    assert [entry for entry in named if not (ROOT / entry).is_dir()] == []


@pytest.mark.parametrize("name", SOURCES)
def test_imports_are_those_of_the_table(name):
    allowed = rules(name)
    assert len(arrows(name)) > 10
    wrong = [
        f"{importer} imports {target}"
        for importer, target in sorted(arrows(name))
        if importer in allowed and not {"all", target} & allowed[importer]
    ]
    assert wrong == []


def test_a_wrong_import_would_be_found():
    assert ("quantization/", "tflite/") in arrows("converters")
    assert "convert.py" not in rules("converters")["quantization/"]
    assert ("model/", "runtime") in arrows("converters")

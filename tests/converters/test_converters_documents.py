"""Files that docstrings, comments and documents name exist."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "converters" / "edgedistil_converters"
# `graph.py`, `tokenizer/graph.py`, `docs/coral.md`, `edgedistil_converters/sites.py`; not part of a longer name.
NAMED = re.compile(r"(?<![\w/.-])((?:[\w-]+/)*[\w-]+\.(?:py|md|toml))\b(?![\w/])")
# Dotted names below one of the three packages, but not the archive's edgedistil.json.
DOTTED = re.compile(r"\b(edgedistil(?:_converters|_runtime)?(?:\.(?!json\b)[a-z_]+)+)\b")
FOLDERS = {"edgedistil": ROOT, "edgedistil_converters": PACKAGE.parent, "edgedistil_runtime": ROOT / "runtime"}
# Files of other projects: their own repository is named beside them.
FOREIGN = {"keras_hub/src/tokenizers/word_piece_tokenizer.py"}


def prose_of(source: str) -> str:
    """Docstrings, strings after assignments, and comments of a module."""
    tree = ast.parse(source)
    strings = [
        node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return "\n".join([*strings, *(token.string for token in tokens if token.type == tokenize.COMMENT)])


def is_file(name: str, beside: Path) -> bool:
    """True for a path from the repository, from a package, or from the folder of the file that names it."""
    starts = (ROOT, PACKAGE, beside, beside.parent, *FOLDERS.values())
    return any((start / name).is_file() for start in starts)


def missing_files(text: str, beside: Path) -> list[str]:
    return [name for name in NAMED.findall(text) if name not in FOREIGN and not is_file(name, beside)]


def missing_modules(text: str) -> list[str]:
    """Dotted names that are neither a module nor something in one."""
    missing = []
    for name in DOTTED.findall(text):
        parts = name.split(".")
        paths = [FOLDERS[parts[0]].joinpath(*parts[:size]) for size in range(len(parts), 0, -1)]
        depth = next(i for i, path in enumerate(paths) if path.is_dir() or path.with_suffix(".py").is_file())
        if depth == 0:
            continue
        module = paths[depth] / "__init__.py" if paths[depth].is_dir() else paths[depth].with_suffix(".py")
        if not re.search(rf"\b{parts[len(parts) - depth]}\b", module.read_text(encoding="utf-8")):
            missing.append(name)
    return missing


def test_the_scan_finds_what_is_missing():
    source = '"""See `graph.py` and docs/nothing.md."""\nX = 1\n"""As in `trie.py`."""\n# gone.py\nY = "not/read.py"'
    assert missing_files(prose_of(source), PACKAGE / "tokenizer") == ["docs/nothing.md", "gone.py"]
    text = "edgedistil_converters.tokenizer.graph.GraphTokenizer and edgedistil_converters.edge_graph"
    assert missing_modules(text) == ["edgedistil_converters.edge_graph"]


MODULES = [path.relative_to(PACKAGE).as_posix() for path in sorted(PACKAGE.rglob("*.py"))]


@pytest.mark.parametrize("name", MODULES)
def test_files_that_a_module_names_exist(name):
    path = PACKAGE / name
    prose = prose_of(path.read_text(encoding="utf-8"))
    assert (missing_files(prose, path.parent), missing_modules(prose)) == ([], [])


@pytest.mark.parametrize("name", ["tokenizer.md", "coral.md"])
def test_files_that_a_document_names_exist(name):
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert (missing_files(text, PACKAGE / name.removesuffix(".md")), missing_modules(text)) == ([], [])

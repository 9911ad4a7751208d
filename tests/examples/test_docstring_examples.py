"""Every example in a docstring runs, in a folder that holds the files that examples read."""

import ast
import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = {"edgedistil": ROOT, "edgedistil_converters": ROOT / "converters", "edgedistil_runtime": ROOT / "runtime"}
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
# These change what `tf.keras` is for the whole process, so their examples run in a process of their own.
CHANGING_KERAS = ("tf_keras", "tensorflow_model_optimization")
CHILD = (
    "import doctest, importlib, sys\n"
    f"sys.exit(doctest.testmod(importlib.import_module(sys.argv[1]), optionflags={OPTIONS}).failed)"
)


def modules() -> dict[str, Path]:
    """Dotted name -> file, of every module of the three packages."""
    found = {}
    for package, folder in SOURCES.items():
        for path in sorted((folder / package).rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            if parts[-1] != "__main__":
                found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


WITH_EXAMPLES = sorted(name for name, path in modules().items() if ">>>" in path.read_text(encoding="utf-8"))


def imports(path: Path) -> set[str]:
    """Top-level names of the packages that a module imports at its top."""
    nodes = ast.parse(path.read_text(encoding="utf-8")).body
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_of_a_module_run(name, folder_of_examples):
    if imports(modules()[name]) & set(CHANGING_KERAS):
        child = subprocess.run([sys.executable, "-c", CHILD, name], capture_output=True, text=True, check=False)
        assert child.returncode == 0, child.stdout + child.stderr
        return
    tests = [test for test in doctest.DocTestFinder().find(importlib.import_module(name)) if test.examples]
    assert tests, f"{name} has '>>>' where doctest does not look for it"
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    report: list[str] = []
    for test in tests:
        runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)


def test_no_example_is_skipped():
    skipping = [name for name in WITH_EXAMPLES if "+SKIP" in modules()[name].read_text(encoding="utf-8")]
    assert skipping == []


def test_most_public_names_have_an_example():
    """Of the functions and classes in `__all__`, over all modules of a package."""
    shares = {}
    for package in SOURCES:
        found = []
        for name, path in modules().items():
            if name.split(".")[0] == package:
                tree = ast.parse(path.read_text(encoding="utf-8"))
                defined = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
                found += [">>>" in (ast.get_docstring(defined[n]) or "") for n in public_names(tree) if n in defined]
        shares[package] = sum(found) / len(found)
    assert min(shares.values()) >= 0.6, shares


def public_names(tree: ast.Module) -> list[str]:
    """The strings of `__all__`."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []
